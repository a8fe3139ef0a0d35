"""What a reply would become if it were sent now: its parts, its window, what is changed for the
channel."""

from dataclasses import dataclass
from typing import Literal

from hub.clock import SECOND, Micros
from hub.connector import Limits
from hub.desk.ways import Way
from hub.message import Button, Message
from hub.segments import Segments, segments

Change = Literal[
    "text_split",
    "caption_apart",
    "media_as_link",
    "media_as_file",
    "buttons_as_list",
    "buttons_as_quick_replies",
    "buttons_numbered",
    "titles_cut",
    "links_in_text",
    "place_in_text",
    "contacts_in_text",
    "subject_in_text",
]
Chosen = Literal["message", "template", "hold"]


@dataclass(frozen=True, slots=True)
class Draft:
    """A reply before it is stored. `closes_at` is when its window ends, None where there is none
    or the customer never wrote there."""

    way: Way
    parts: list[Message]
    closes_at: Micros | None
    is_open: bool

    @property
    def chosen(self) -> Chosen:
        if self.way.held:
            return "hold"
        return "template" if self.way.message.template else "message"

    def segments(self) -> list[Segments] | None:
        """How many SMS each part is, where the channel bills by them."""
        if not self.way.channel.limits.segments:
            return None
        return [segments(part.text) for part in self.parts]

    def changes(self) -> list[Change]:
        """What of the message is shown in another form than it was given."""
        said, limits = self.way.message, self.way.channel.limits
        found: list[Change] = []
        if said.template is not None and limits.templates:
            return found
        texts = [part for part in self.parts if part.text.strip()]
        carried = [item for part in self.parts for item in part.media]
        if len(texts) > 1:
            found.append("text_split")
        if said.text.strip() and carried and not any(part.media for part in texts):
            found.append("caption_apart")
        if len(carried) < len(said.media):
            found.append("media_as_link")
        given = sum(item.kind == "file" for item in said.media)
        if sum(item.kind == "file" for item in carried) > given:
            found.append("media_as_file")
        found += changed_buttons(said.buttons, self.parts[-1].buttons, limits)
        if said.place and not limits.places:
            found.append("place_in_text")
        if said.contacts and not limits.contacts:
            found.append("contacts_in_text")
        if said.subject and not limits.subjects:
            found.append("subject_in_text")
        return found


def draft_of(way: Way, parts: list[Message], at: Micros) -> Draft:
    """The draft of a reply that goes this way at `at`."""
    window, seen = way.channel.limits.window, way.address["last_seen_at"]
    if window is None:
        return Draft(way, parts, None, is_open=True)
    if seen is None:
        return Draft(way, parts, None, is_open=False)
    closes_at = seen + round(window * SECOND)
    return Draft(way, parts, closes_at, is_open=at < closes_at)


def changed_buttons(
    given: tuple[Button, ...], shown: tuple[Button, ...], limits: Limits
) -> list[Change]:
    found: list[Change] = []
    titles = {button.id: button.title for button in shown}
    replies = [button for button in given if not button.url]
    if replies and not any(button.id in titles for button in replies):
        found.append("buttons_numbered")
    elif replies and not is_native(shown, limits):
        found.append("buttons_as_list" if limits.list_rows else "buttons_as_quick_replies")
    if any(titles.get(button.id, "").endswith("…") for button in replies):
        found.append("titles_cut")
    if any(button.url and button.id not in titles for button in given):
        found.append("links_in_text")
    return found


def is_native(shown: tuple[Button, ...], limits: Limits) -> bool:
    fit = all(len(button.title) <= limits.button_title for button in shown)
    return fit and len(shown) <= limits.buttons and not any(one.description for one in shown)
