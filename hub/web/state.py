"""What every web handler works with, handed over by app.py under one key."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web

from hub.bus import Bus
from hub.channels import Channel, Channels
from hub.clock import Clock, Micros
from hub.connector import Hook
from hub.message import Message
from hub.settings import Settings
from hub.signal import Parsed
from hub.store.sql import Store
from hub.web.codes import LoginCodes


@dataclass(frozen=True, slots=True)
class Author:
    id: bytes | None
    name: str


class Accepted(Protocol):
    @property
    def new(self) -> int: ...
    @property
    def duplicates(self) -> int: ...
    @property
    def message_ids(self) -> Sequence[bytes | None]: ...


class Intake(Protocol):
    async def accept(
        self, channel: Channel, parsed: list[Parsed], *, raw: Hook | None = None
    ) -> Accepted: ...


class Desk(Protocol):
    async def reply(
        self,
        conversation_id: bytes,
        author: Author,
        message: Message,
        *,
        channel: str | None = None,
        reply_to: bytes | None = None,
        client_id: str | None = None,
        note: bool = False,
    ) -> list[bytes]: ...

    async def assign(
        self, conversation_id: bytes, author: Author, *, agent: Author | None, team: str | None
    ) -> None: ...

    async def release(
        self, conversation_id: bytes, author: Author, *, resume: bool, note: str | None
    ) -> None: ...

    async def read(self, conversation_id: bytes) -> None: ...

    async def update(
        self,
        conversation_id: bytes,
        author: Author,
        *,
        status: str | None = None,
        snoozed_until: Micros | None = None,
        team: str | None = None,
        tags: list[str] | None = None,
    ) -> None: ...


@dataclass(slots=True)
class State:
    """`demo`: the demo page is what `/` shows. `beat`: seconds since the worker of this process
    last looked for work, None where there is none."""

    settings: Settings
    store: Store
    bus: Bus
    clock: Clock
    channels: Channels
    desk: Desk
    intake: Intake
    demo: bool = False
    beat: Callable[[], float] | None = None
    login_codes: LoginCodes = field(default_factory=LoginCodes)


STATE: web.AppKey[State] = web.AppKey("state", State)
