"""Which way a reply goes: on which address, as what, and now or when the customer writes."""

from dataclasses import dataclass
from typing import Literal

from hub.channels import Channel, Channels
from hub.clock import Micros
from hub.errors import NoSuchRecipient, WindowClosed
from hub.message import Message, TemplateUse
from hub.route import Candidate, choose
from hub.store.replies import Reach
from hub.store.rows import Row
from hub.templates import Templates

WhenClosed = Literal["refuse", "template", "hold"]
"""What to do with a message that no channel may carry now because the customer last wrote too long
ago: refuse it, send the template given with it instead, or hold it until she writes."""


class Closed(WindowClosed):
    """Refused because of a closed window. `templates` are the names of ours that could go."""

    def __init__(self, reason: str, templates: list[str]) -> None:
        super().__init__(reason)
        self.templates = templates


@dataclass(frozen=True, slots=True)
class Way:
    """`message` is fit for the channel; `held`: it waits until the customer writes there."""

    address: Row
    channel: Channel
    message: Message
    held: bool = False


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways to one customer, as they are at `at`. `wanted` is a channel's name, or None for
    wherever she last wrote."""

    reach: Reach
    channels: Channels
    templates: Templates
    wanted: str | None
    at: Micros

    def find(self, message: Message, when_closed: WhenClosed) -> Way:
        """The way a message goes. One with words and a template goes as the template only where
        `when_closed` says so and there is no other way; without that its words are what the
        thread shows of a template that only the provider knows. Raises a SendFailed, and
        TemplateMisuse."""
        if self.wanted is not None and self.wanted not in self.channels.by_name:
            raise NoSuchRecipient(f"there is no channel named {self.wanted}")
        use = message.template
        free = message
        if use is not None and when_closed == "template" and says_something(message):
            free, use = Message.of(**{name: getattr(message, name) for name in FREE}), None
        try:
            return self._way(free, self._choose(use))
        except WindowClosed as closed:
            if when_closed == "hold":
                return self._way(free, self._choose(use, waits=True), held=True)
            if when_closed == "template" and message.template is not None and use is None:
                return self._way(as_template(message), self._choose(message.template))
            raise Closed(closed.reason, self._possible()) from None

    def _way(self, message: Message, address: Row, *, held: bool = False) -> Way:
        channel = self.channels.by_id[address["channel_id"]]
        fitted = self.templates.fit(
            message,
            channel.name,
            channel.kind,
            language=self.reach.language or "en",
            approves=channel.limits.templates,
        )
        return Way(address, channel, fitted, held)

    def _choose(self, use: TemplateUse | None, *, waits: bool = False) -> Row:
        """The address to write on; one that `waits` may be outside its window."""
        candidates = [self._candidate(row, use, waits=waits) for row in self._known()]
        preferred = self.reach.conversation["last_in_address_id"]
        chosen = choose(
            candidates,
            self.at,
            preferred=preferred,
            channel=self.wanted,
            template=use is not None,
        )
        return next(row for row in self._known() if row["id"] == chosen.address_id)

    def _known(self) -> list[Row]:
        return [row for row in self.reach.addresses if row["channel_id"] in self.channels.by_id]

    def _candidate(self, row: Row, use: TemplateUse | None, *, waits: bool) -> Candidate:
        target = self.channels.by_id[row["channel_id"]]
        return Candidate(
            address_id=row["id"],
            channel_id=row["channel_id"],
            channel_name=target.name,
            kind=target.kind,
            last_inbound_at=row["last_seen_at"],
            window=None if waits else target.limits.window,
            blocked=row["blocked_at"] is not None,
            opted_out=row["opted_out_at"] is not None and row["opt_out_scope"] != "marketing",
            paused=bool(target.paused),
            templates=target.limits.templates
            and use is not None
            and self.templates.can_go(use, target.name, target.kind),
        )

    def _possible(self) -> list[str]:
        """Our templates that could go to this customer now."""
        able = []
        for name in self.templates.by_name:
            try:
                self._choose(TemplateUse(name=name, language=""))
            except WindowClosed:
                continue
            able.append(name)
        return able


FREE = ("text", "media", "buttons", "place", "contacts", "share", "subject")


def says_something(message: Message) -> bool:
    return bool(message.text.strip() or message.media)


def as_template(message: Message) -> Message:
    """The template alone, without the words that could have gone in its place."""
    return Message.of(template=message.template)
