"""Fits one neutral message to what a channel can carry, before it is stored.

Each message given back is exactly one provider call. What the channel lacks is degraded to
text, and text too long for one call is split by `hub.split`.
"""

import re
from dataclasses import dataclass

from hub.connector import Limits
from hub.errors import MediaFailed, Refused
from hub.message import Button, ContactCard, Media, Message, Place, clean_text
from hub.split import MEASURES, split

BANGLA_DIGITS = str.maketrans("0123456789", "০১২৩৪৫৬৭৮৯")
SHORTEST_ROW = 4


def compose(message: Message, limits: Limits, *, language: str = "en") -> list[Message]:
    """The messages that say `message` on a channel with these limits, in the order to send.

    Attachments come first, then a place and contacts, then the text; buttons are on the last.
    Attachments carry the text as a caption where it fits and nothing is to be tapped.
    Buttons become native ones, else a list, else lines numbered in the digits of `language`;
    the number n stands for the n-th button without a url. In what is given back, buttons are
    a list when there are more than `limits.buttons` of them, or one has a description or a
    title longer than `limits.button_title`.

    What only a customer sends (a choice, an order) is left out. A template stays whole where the
    channel has templates. Raises ValueError when there is nothing to say, MediaFailed for an
    attachment the channel cannot carry, Refused for a template without a text of its own.
    """
    if message.template is not None:
        if limits.templates:
            return [message]
        if not message.text.strip():
            raise Refused("this channel has no templates, and the message has no text of its own")
    albums, links = carry(message.media, limits)
    cards = native_cards(message, limits)
    menu = lay_out(message.buttons, limits, language)
    text = join(*words(message, limits), *links, menu.links)
    if menu.buttons and not text:
        # A body is required above native buttons, and inventing one would put words in our mouth.
        menu = Menu(links=link_lines(message.buttons), numbered=number(message.buttons, language))
        text = menu.links
    parts = [Message.of(media=album) for album in albums]
    if fits_caption(join(text, menu.numbered), menu, albums, limits):
        parts[-1] = Message.of(join(text, menu.numbered), media=albums[-1])
        parts += cards
    else:
        parts += cards + written(text, menu, limits)
    if not parts and message.subject.strip():
        parts = written(clean_text(message.subject), menu, limits)
    if not parts:
        raise ValueError("the message is empty")
    if limits.subjects and message.subject:
        parts = [part.model_copy(update={"subject": message.subject}) for part in parts]
    return parts


def join(*pieces: str) -> str:
    return "\n".join(piece for piece in pieces if piece.strip())


def words(message: Message, limits: Limits) -> list[str]:
    """What of the message is said in text on this channel, apart from buttons."""
    pieces = [clean_text(message.text)]
    if message.subject and not limits.subjects:
        pieces.insert(0, clean_text(message.subject))
    if message.share is not None:
        pieces += [clean_text(message.share.title), message.share.url]
    if message.place is not None and not limits.places:
        pieces.append(place_text(message.place))
    if not limits.contacts:
        pieces += [contact_text(card) for card in message.contacts]
    return pieces


def native_cards(message: Message, limits: Limits) -> list[Message]:
    """The place and the contacts as messages; one contact each, since not every provider takes
    several in one call."""
    cards = []
    if message.place is not None and limits.places:
        cards.append(Message.of(place=message.place))
    if limits.contacts:
        cards += [Message.of(contacts=(card,)) for card in message.contacts]
    return cards


def place_text(place: Place) -> str:
    point = ",".join(
        f"{degrees:.6f}".rstrip("0").rstrip(".") for degrees in (place.latitude, place.longitude)
    )
    return clean_text(join(place.name, place.address, f"https://maps.google.com/?q={point}"))


def contact_text(card: ContactCard) -> str:
    reached = ", ".join((*card.phones, *card.emails))
    return clean_text(": ".join(piece for piece in (card.name.strip(), reached) if piece))


def written(text: str, menu: "Menu", limits: Limits) -> list[Message]:
    """The text and its menu as text messages."""
    measure = MEASURES[limits.text_unit]
    if menu.buttons:
        *before, last = split(text, limits.text, measure, last=menu.body)
        return [*map(Message.of, before), Message.of(last, buttons=menu.buttons)]
    parts = split(text, limits.text, measure) if text else []
    # The customer should see the whole menu at once, and no row of it ever cut in two.
    whole = measure(menu.numbered) <= limits.text
    for rows in [menu.numbered] if whole else menu.numbered.split("\n"):
        if parts and measure(join(parts[-1], rows)) <= limits.text:
            parts[-1] = join(parts[-1], rows)
        elif rows:
            parts += split(rows, limits.text, measure)
    return [Message.of(part) for part in parts]


# Attachments


def carry(media: tuple[Media, ...], limits: Limits) -> tuple[list[tuple[Media, ...]], list[str]]:
    """The attachments grouped by provider call, and lines of text for those sent as links."""
    carried: list[Media] = []
    links: list[str] = []
    for item in media:
        kind = item.kind
        if kind == "voice" and not limits.media.get(kind):
            kind = "audio"
        largest = limits.media.get(kind, 0)
        if not largest:
            links.append(media_link(item))
        elif item.size is not None and item.size > largest:
            raise MediaFailed(
                f"this channel takes {article(kind)} of at most {megabytes(largest)},"
                f" and this one has {megabytes(item.size)}"
            )
        else:
            carried.append(item.model_copy(update={"kind": kind}))
    step = max(1, limits.media_count)
    albums = [tuple(carried[at : at + step]) for at in range(0, len(carried), step)]
    return albums, links


def media_link(item: Media) -> str:
    """`name: URL` for a kind the channel cannot carry. Raises MediaFailed without a link."""
    if not re.match(r"https?://", item.source_url):
        raise MediaFailed(f"this channel cannot carry {article(item.kind)}")
    name = " ".join(clean_text(item.name).split())
    return f"{name}: {item.source_url}" if name else item.source_url


def article(kind: str) -> str:
    named = {"voice": "voice message"}.get(kind, kind)
    return f"an {named}" if named[0] in "aeiou" else f"a {named}"


def megabytes(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB" if size >= 100_000 else f"{size / 1000:.1f} KB"


def fits_caption(text: str, menu: "Menu", albums: list[tuple[Media, ...]], limits: Limits) -> bool:
    return (
        bool(albums and text)
        and not menu.buttons
        and all(item.kind in limits.captions for item in albums[-1])
        and MEASURES[limits.text_unit](text) <= limits.caption
    )


# Buttons


@dataclass(frozen=True, slots=True)
class Menu:
    """How buttons are shown: `buttons` to tap under a text of at most `body`, and lines of text
    for the rest: `links` ("Title: URL"), `numbered` ("1. Title")."""

    buttons: tuple[Button, ...] = ()
    body: int = 0
    links: str = ""
    numbered: str = ""


def lay_out(given: tuple[Button, ...], limits: Limits, language: str) -> Menu:
    buttons = tuple(map(tidy, given))
    replies = tuple(button for button in buttons if not button.url)
    links = tuple(button for button in buttons if button.url)
    if links and len(links) <= limits.url_buttons and titles_fit(buttons, limits):
        together = limits.mixed_buttons and len(buttons) <= limits.buttons
        if not replies or (together and distinct(buttons) and sound(replies, limits)):
            return Menu(bare(buttons), limits.button_body)
    lines = link_lines(buttons)
    if tapped := tappable(replies, limits):
        return Menu(tapped[0], tapped[1], links=lines)
    return Menu(links=lines, numbered=number(buttons, language))


def tidy(button: Button) -> Button:
    """The button with its title and description on one line; a missing title is its id."""
    title = " ".join(clean_text(button.title).split()) or button.id
    description = " ".join(clean_text(button.description).split())
    return reworded(button, title, description)


def reworded(button: Button, title: str, description: str) -> Button:
    if (button.title, button.description) == (title, description):
        return button
    return button.model_copy(update={"title": title, "description": description})


def bare(buttons: tuple[Button, ...]) -> tuple[Button, ...]:
    return tuple(reworded(button, button.title, "") for button in buttons)


def tappable(replies: tuple[Button, ...], limits: Limits) -> tuple[tuple[Button, ...], int] | None:
    """The buttons as native ones or as list rows, with the longest text above them; or None."""
    if not replies or not sound(replies, limits):
        return None
    fit = len(replies) <= limits.buttons and titles_fit(replies, limits)
    if fit and not any(button.description for button in replies):
        return replies, limits.button_body
    if rows := list_rows(replies, limits):
        return rows, limits.list_body
    return (bare(replies), limits.button_body) if fit else None


def sound(buttons: tuple[Button, ...], limits: Limits) -> bool:
    """Would every provider take these ids and titles?"""
    ids = {button.id for button in buttons}
    return (
        len(ids) == len(buttons)
        and all(value and value == value.strip() for value in ids)
        and all(len(value.encode()) <= limits.button_id for value in ids)
        and distinct(buttons)
    )


def distinct(buttons: tuple[Button, ...]) -> bool:
    return len({button.title.casefold() for button in buttons}) == len(buttons)


def title_length(text: str, limits: Limits) -> int:
    # Providers state titles in characters, also the one that counts its text in bytes.
    return MEASURES["utf16" if limits.text_unit == "utf16" else "chars"](text)


def titles_fit(buttons: tuple[Button, ...], limits: Limits) -> bool:
    return all(title_length(button.title, limits) <= limits.button_title for button in buttons)


def list_rows(buttons: tuple[Button, ...], limits: Limits) -> tuple[Button, ...]:
    """The buttons as rows of a list, or nothing when they do not fit without loss."""
    if len(buttons) > limits.list_rows:
        return ()
    rows = tuple(row for button in buttons if (row := list_row(button, limits)))
    return rows if len(rows) == len(buttons) and distinct(rows) else ()


def list_row(button: Button, limits: Limits) -> Button | None:
    """One row; a title too long is cut and stands whole in the description."""
    title, description = button.title, button.description
    if title_length(title, limits) > limits.list_title:
        if limits.list_title < SHORTEST_ROW:
            return None
        description = f"{title}: {description}" if description else title
        measure = MEASURES["utf16" if limits.text_unit == "utf16" else "chars"]
        title = split(title, limits.list_title - 1, measure)[0] + "…"
    if title_length(description, limits) > limits.list_description:
        return None
    return reworded(button, title, description)


def number(buttons: tuple[Button, ...], language: str) -> str:
    """The buttons without a url as numbered lines."""
    lines = []
    for place, button in enumerate((b for b in map(tidy, buttons) if not b.url), 1):
        numeral = str(place)
        if language.split("-")[0] == "bn":
            numeral = numeral.translate(BANGLA_DIGITS)
        tail = f": {button.description}" if button.description else ""
        lines.append(f"{numeral}. {button.title}{tail}")
    return "\n".join(lines)


def link_lines(buttons: tuple[Button, ...]) -> str:
    """The url buttons as lines."""
    return "\n".join(
        f"{b.title}: {b.url}" if b.title else b.url for b in map(tidy, buttons) if b.url
    )
