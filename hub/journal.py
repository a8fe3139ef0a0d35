"""What a run leaves behind and what goes in and out of one turn of it: plain values.

`hub.replay` works on them, the store keeps them, `turn.py` carries them out.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from hub.chat import Button, Command, Customer, Message


@dataclass(frozen=True, slots=True)
class Entry:
    """The recorded result of one step of a run.

    `op` is start, say, ask or call. `name` is what the code must match to be replayed from it:
    `dialog@version` of a start, the qualified name of a call's function.
    """

    step: int
    op: str
    name: str = ""
    value: JsonValue = None

    def to_json(self) -> list[JsonValue]:
        """As a short list: the defaults at the end are left out."""
        fields: list[JsonValue] = [self.step, self.op, self.name, self.value]
        while fields[-1] in ("", None):
            fields.pop()
        return fields

    @classmethod
    def from_json(cls, fields: list[Any]) -> "Entry":
        return cls(*fields)


Journal = Mapping[int, Entry]
"""Entries by step. A gap means "do it": a call of a turn that was never committed may stand
after one, since its entry is recorded by itself."""

Act = Callable[[int, str, Callable[[], Awaitable[JsonValue]]], Awaitable[JsonValue]]
"""`act(step, name, run)` runs and durably records one call, as `Entry(step, "call", name, value)`,
and returns the value. It replaces an entry that an uncommitted turn left there. What it raises
itself, such as LeaseLost, passes through the dialog untouched and comes out of `replay`."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a run began with. `journal_cap` is in steps."""

    run_id: str
    customer: Customer
    channel: str
    opening: Message
    state: dict[str, JsonValue] = field(default_factory=dict)
    journal_cap: int = 1000


@dataclass(frozen=True, slots=True)
class Started:
    """The run begins."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The customer wrote while an `ask` was open."""

    message: Message
    customer: Customer
    channel: str


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The time-out of the `ask` at `step` has passed. It does nothing if another one is open."""

    step: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """An agent gave the conversation back: the open question is asked again."""


Event = Started | Answered | TimedOut | Resumed


@dataclass(frozen=True, slots=True)
class Waiting:
    """An `ask` is open at `step`. `options` are its buttons that come back as a choice, in the
    order in which a number typed back counts; `timeout` is in seconds."""

    step: int
    options: tuple[Button, ...] = ()
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The dialog returned, or let the time-out of its `ask` end it."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The run ended with the HandOver that is the last of the turn's commands."""

    note: str = ""
    team: str | None = None


@dataclass(frozen=True, slots=True)
class Restarted:
    """The dialog is to be started anew with this state, an empty journal and another run id."""

    state: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The customer wrote a cancel word; the commands tell them so."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The dialog raised, or broke a rule (DialogMisuse)."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The journal was not written by this version of the dialog."""

    reason: str


Outcome = Waiting | Done | HandedOver | Restarted | Cancelled | Failed | Mismatch


@dataclass(frozen=True, slots=True)
class Turn:
    """What one event caused: commands in order, new entries but those `act` recorded, the end."""

    commands: tuple[Command, ...]
    entries: tuple[Entry, ...]
    outcome: Outcome
