"""Faults a stand-in can be told to play, each for the calls it matches and a number of times."""

import asyncio
import socket
import struct
from collections.abc import Collection
from typing import Literal, NoReturn

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, model_validator

Deed = Literal[
    "status",
    "hang",
    "reset",
    "accept_silent",
    "accept_reset",
    "receipt_first",
    "slow",
    "reorder_receipts",
    "duplicate_receipts",
    "no_receipts",
    "duplicate_webhook",
    "late_webhook",
]

REFUSALS = frozenset({"status", "hang", "reset"})
ANSWERS = REFUSALS | {"accept_silent", "accept_reset", "receipt_first", "slow"}
RECEIPTS = frozenset({"reorder_receipts", "duplicate_receipts", "no_receipts"})
READS = REFUSALS | {"slow"}
WEBHOOKS = frozenset({"duplicate_webhook", "late_webhook"})


class Match(BaseModel):
    """What a call must have for the fault to strike; an empty match strikes every call.

    `to` is the customer's number in either direction, compared by its digits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    account: str | None = None
    to: str | None = None
    text_contains: str | None = None


class Fault(BaseModel):
    """One fault. At most one of each family (answer, receipts, webhook) strikes a call.

    - `status`: answers `status` with the provider's `code` and Retry-After; not accepted.
      200 is an error in an answer that looks like success, as Meta has sent it.
    - `hang`: reads the request and never answers; not accepted.
    - `reset`: reads the request and resets the connection; not accepted.
    - `accept_silent`, `accept_reset`: accepted, receipts go out, but no answer / a reset.
    - `receipt_first`: the receipts are acknowledged by the hook before the answer goes out.
    - `slow`: accepted at once, answered after `seconds`.
    - `reorder_receipts`: in reverse; `duplicate_receipts`: each twice;
      `no_receipts`: the phone shows the message, no receipt is posted.
    - `duplicate_webhook`: the customer's message is posted twice.
    - `late_webhook`: it is posted `seconds` later, so that what she does next overtakes it.

    `on = "media"` makes `status`, `hang`, `reset` and `slow` strike media downloads instead,
    `on = "list"` the list of messages, `on = "look_up"` the questions of who somebody is,
    `on = "action"` typing and the like.
    `times` counts down to 0; -1 strikes for ever. `seconds` and `retry_after` are seconds.
    """

    model_config = ConfigDict(extra="forbid")

    match: Match = Match()
    do: Deed
    on: Literal["send", "media", "list", "look_up", "action"] = "send"
    status: int = Field(500, ge=200, le=599)
    code: int | None = None
    subcode: int | None = None
    retry_after: float | None = None
    seconds: float = 1.0
    times: int = Field(1, ge=-1)

    @model_validator(mode="after")
    def _fits_its_call(self) -> "Fault":
        if self.on != "send" and self.do not in READS:
            raise ValueError(f"{self.do} cannot strike a download")
        if 200 < self.status < 400:
            raise ValueError("status is 200 or an error's")
        return self

    def strikes(self, names: Collection[str], phone: str, text: str) -> bool:
        """Whether the fault fits a call of the account called `names`, about `phone`."""
        match = self.match
        return (
            (match.account is None or match.account in names)
            and (match.to is None or bare_number(match.to) == bare_number(phone))
            and (match.text_contains is None or match.text_contains in text)
        )


class FaultList:
    """The faults still to strike, in the order they were added."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        if fault.times:
            self.faults.append(fault)

    def clear(self) -> None:
        self.faults.clear()

    def find(
        self, deeds: frozenset[str], names: Collection[str], phone: str, text: str, on: str = "send"
    ) -> Fault | None:
        """The first fault of the family `deeds` that fits; it is not counted yet."""
        for fault in self.faults:
            if fault.do in deeds and fault.on == on and fault.strikes(names, phone, text):
                return fault
        return None

    def use(self, fault: Fault) -> None:
        """Count one strike."""
        if fault.times > 0:
            fault.times -= 1
            if not fault.times:
                self.faults.remove(fault)

    def take(
        self, deeds: frozenset[str], names: Collection[str], phone: str, text: str
    ) -> Fault | None:
        """`find` and `use` in one."""
        fault = self.find(deeds, names, phone, text)
        if fault is not None:
            self.use(fault)
        return fault


def bare_number(number: str) -> str:
    """A phone number's digits, by which phones are told apart; other ids stay as they are."""
    rest = number.removeprefix("whatsapp:")
    digits = "".join(char for char in rest if char in "0123456789")
    return digits if digits and not any(char.isalpha() for char in rest) else rest


async def hold() -> NoReturn:
    """Never answer; ends when the client goes away or the stand-in stops."""
    while True:
        await asyncio.Event().wait()


async def reset_connection(request: web.Request) -> NoReturn:
    """Close the client's connection with a TCP reset instead of an answer."""
    transport = request.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    await hold()
