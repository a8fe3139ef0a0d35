"""Scripts of what a customer says and hears.

    async def test_order() -> None:
        async with talk(order_status, language="en") as t:
            await t.says("order")
            t.hears("What is your order number?")
            await t.later(hours=2)

Every message must be heard, in order, before the customer speaks again and before the script
ends. Time stands still but for `later`.
"""

import re
from collections import deque
from types import TracebackType
from typing import Self

from pydantic import JsonValue

from hub.chat import Command, Customer, Dialog, HandOver, Message
from hub.clock import Clock
from hub.message import Choice
from hub.replay import Done, HandedOver, Outcome, Resumed, TimedOut, Waiting
from hub.testing.rehearsal import Rehearsal


def talk(
    dialog: Dialog,
    *,
    language: str = "en",
    name: str = "",
    timezone: str = "",
    traits: dict[str, JsonValue] | None = None,
    channel: str = "chat",
    clock: Clock | None = None,
) -> "Talk":
    """A conversation with `dialog`, to be used with `async with`.

    `clock` is moved by `Talk.later`; pass the one which your steps read.
    """
    customer = Customer("customer-1", name, language, timezone, traits or {})
    return Talk(Rehearsal(dialog, customer, channel), clock or Clock())


class Talk:
    """What the customer does, and what must come of it. Unmet, it raises AssertionError."""

    def __init__(self, rehearsal: Rehearsal, clock: Clock) -> None:
        self.clock = clock
        self.transcript: list[Command] = []
        self._rehearsal = rehearsal
        self._unheard: deque[Message] = deque()
        self._shown: Message = Message()
        self._elapsed = 0.0
        self._deadline: float | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._require_all_heard("at the end")

    @property
    def customer(self) -> Customer:
        """Who speaks; a changed one counts from the next event on."""
        return self._rehearsal.customer

    @customer.setter
    def customer(self, customer: Customer) -> None:
        self._rehearsal.customer = customer

    @property
    def outcome(self) -> Outcome | None:
        """How the last event left the dialog; None before the first."""
        return self._rehearsal.outcome

    async def says(self, message: str | Message, *, channel: str = "") -> None:
        """The customer writes, from now on on `channel` if it is given."""
        self._require_all_heard("before the customer speaks again")
        if self.outcome is not None and not isinstance(self.outcome, Waiting):
            raise AssertionError(f"the dialog has ended: {self.outcome}")
        self._rehearsal.channel = channel or self._rehearsal.channel
        said = Message.of(message) if isinstance(message, str) else message
        self._note(await self._rehearsal.take(said))

    async def taps(self, title: str) -> None:
        """The customer taps a button of the last message that was heard."""
        for button in self._shown.buttons:
            if button.title == title and not button.url:
                choice = Choice(type="button", id=button.id, title=title)
                return await self.says(Message.of(title, choice=choice))
        raise AssertionError(f"no button {title!r} to tap in: {describe(self._shown)}")

    def hears(self, text: str | re.Pattern[str], *buttons: str) -> Message:
        """The next message is this one, with buttons of these titles and no others.

        A pattern must match the whole text. Returns the message.
        """
        __tracebackhide__ = True
        if not self._unheard:
            raise AssertionError(f"nothing more was said; expected: {text!r}")
        message = self._unheard.popleft()
        self._shown = message
        titles = tuple(button.title for button in message.buttons)
        is_it = message.text == text if isinstance(text, str) else text.fullmatch(message.text)
        if not is_it or titles != buttons:
            expected = describe(text if isinstance(text, str) else text.pattern, buttons)
            raise AssertionError(f"\n   heard: {describe(message)}\nexpected: {expected}")
        return message

    async def later(
        self, *, seconds: float = 0, minutes: float = 0, hours: float = 0, days: float = 0
    ) -> None:
        """Time passes; the time-outs that fall into it happen, each at its moment."""
        end = self._elapsed + seconds + 60 * minutes + 3600 * hours + 86400 * days
        while self._deadline is not None and self._deadline <= end:
            waiting = self.outcome
            assert isinstance(waiting, Waiting)
            self._move_to(self._deadline)
            self._note(await self._rehearsal.handle(TimedOut(waiting.step)))
        self._move_to(end)

    async def resumes(self) -> None:
        """An agent took the conversation in the meantime and gives it back."""
        self._require_all_heard("before the agent gives back")
        self._note(await self._rehearsal.handle(Resumed()))

    def hands_over(self, note: str | None = None, *, team: str | None = None) -> None:
        """The run ended by handing over, with this `note` if given, to this `team`."""
        __tracebackhide__ = True
        outcome = self.outcome
        if not isinstance(outcome, HandedOver) or outcome.team != team:
            raise AssertionError(f"not handed over to team {team}: {outcome}")
        if note is not None and outcome.note != note:
            raise AssertionError(f"the note is {outcome.note!r}, not {note!r}")

    def ends(self) -> None:
        """The dialog came to its end."""
        __tracebackhide__ = True
        if not isinstance(self.outcome, Done):
            raise AssertionError(f"the dialog has not ended: {self.outcome}")

    def _note(self, commands: list[Command]) -> None:
        self.transcript += commands
        self._unheard.extend(one.message for one in commands if not isinstance(one, HandOver))
        waiting = self.outcome
        timeout = waiting.timeout if isinstance(waiting, Waiting) else None
        self._deadline = None if timeout is None else self._elapsed + timeout

    def _move_to(self, moment: float) -> None:
        self.clock.move(moment - self._elapsed)
        self._elapsed = moment

    def _require_all_heard(self, when: str) -> None:
        if self._unheard:
            said = "\n".join(f"  {describe(message)}" for message in self._unheard)
            raise AssertionError(f"not heard {when}:\n{said}")


def describe(said: str | Message, buttons: tuple[str, ...] = ()) -> str:
    """A message on one line, as `text [Button] [Button]`."""
    if isinstance(said, Message):
        buttons = tuple(button.title for button in said.buttons)
        said = said.text or said.kind
    return " ".join([repr(said), *(f"[{title}]" for title in buttons)])
