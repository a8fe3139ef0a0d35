"""One visitor's socket: hello, then frames both ways until either side goes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from hub.channels import Channel
from hub.clock import id_text
from hub.errors import StoreUnavailable
from hub.store.visitors import Session, Thread, find_thread
from hub.web.feed import FEED
from hub.web.outlet import BAD_FRAME, RATE_LIMITED, TOKEN_EXPIRED, TRY_LATER
from hub.web.problem import Problem
from hub.web.state import STATE
from hub.web.visitor_sockets import VisitorOutlet, VisitorSockets, frame_of
from hub.web.visits import TOKEN_LIFE, Opened, Visits

VISITS: web.AppKey[Visits] = web.AppKey("visits", Visits)
SOCKETS: web.AppKey[VisitorSockets] = web.AppKey("visitor_sockets", VisitorSockets)

FRAME_BYTES = 64 * 1024
HELLO_SECONDS = 10.0
LAST_SEQ = 2**53 - 1
FORBIDDEN, SITE_GONE = 4003, 4004
CLOSE_CODES = {401: TOKEN_EXPIRED, 403: FORBIDDEN, 404: SITE_GONE, 429: RATE_LIMITED}

RETRYABLE = frozenset({"rate_limited", "token_expired"})

Json = dict[str, Any]


async def follow(
    request: web.Request,
    outlet: VisitorOutlet,
    session: Session,
    seq: int,
    until: Callable[[], Awaitable[Any]],
) -> None:
    sockets = request.app[SOCKETS]
    async with request.app[FEED].following():
        try:
            with suppress(ConnectionError):
                await sockets.join(outlet, session, seq, late=True)
                await until()
        except StoreUnavailable:
            outlet.close(TRY_LATER)
        finally:
            sockets.remove(outlet)
            outlet.closed = True


async def opened_json(request: web.Request, opened: Opened) -> Json:
    session = opened.session
    state, visits = request.app[STATE], request.app[VISITS]
    thread: Thread | None = await state.store.read(find_thread, session.channel_id, session.ids)
    channel = state.channels.by_id[session.channel_id]
    settings = visits.site(channel).settings
    return {
        "session_id": id_text(session.id),
        "visitor_id": session.external_id,
        "token": opened.token,
        "token_seconds": TOKEN_LIFE // 1_000_000,
        "refresh": opened.refresh,
        "config": {
            "site": settings.site,
            "name": state.settings.hub.name,
            "identity": settings.identity,
            "text_limit": channel.limits.text,
        },
        "conversation": {"id": id_text(thread.conversation_id)} if thread else None,
        "cursor": thread.top if thread else 0,
    }


async def read_up_to(request: web.Request, channel: Channel, session: Session, frame: Json) -> None:
    try:
        up_to = read_seq(frame.get("up_to_seq"))
    except ValueError:
        raise Problem(400, "invalid_message", "up_to_seq should be a seq.") from None
    await request.app[VISITS].read(channel, session, up_to)
    told = frame_of(type="read", up_to_seq=up_to)
    for outlet in request.app[SOCKETS].of(session):
        outlet.put(told)


def close_session(request: web.Request, session: Session) -> None:
    for outlet in request.app[SOCKETS].of(session):
        if outlet.session and outlet.session.id == session.id:
            outlet.close(TOKEN_EXPIRED)


def _frame(heard: Any) -> Json:
    """Raises ValueError for what is not a JSON object."""
    if heard.type is not WSMsgType.TEXT:
        raise ValueError("not text")
    return read_object(heard.data)


def read_object(raw: str | bytes) -> Json:
    value = orjson.loads(raw)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def read_seq(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LAST_SEQ:
        raise ValueError("not a seq")
    return value


async def open_socket(request: web.Request) -> web.StreamResponse:
    """`hello{token,last_seq}` first, then the frames of docs/webchat.md."""
    if request.headers.get("Origin") and not request.app[VISITS].allows_anywhere(request):
        raise Problem(403, "origin_not_allowed", "This page may not use the chat.")
    ws = web.WebSocketResponse(
        max_msg_size=FRAME_BYTES, compress=False, autoping=False, timeout=2.0
    )
    await ws.prepare(request)
    outlet: VisitorOutlet = VisitorOutlet.over(request, ws)
    try:
        async with asyncio.timeout(HELLO_SECONDS):
            hello = _frame(await ws.receive())
        if hello.get("type") != "hello" or not isinstance(hello.get("token"), str):
            raise ValueError("no hello")
        seq = read_seq(hello.get("last_seq", 0))
        channel, session = await request.app[VISITS].enter(request, hello["token"])
    except (ValueError, TimeoutError):
        await ws.close(code=BAD_FRAME)
        return ws
    except Problem as problem:
        await ws.close(
            code=CLOSE_CODES.get(problem.status, BAD_FRAME), message=problem.code.encode()
        )
        return ws
    except StoreUnavailable:
        await ws.close(code=TRY_LATER)
        return ws
    talk = _Talk(request, ws, outlet, channel, session)
    await follow(request, outlet, session, seq, talk.run)
    return ws


class _Talk:
    """What one visitor's socket says, frame by frame."""

    __slots__ = ("channel", "outlet", "request", "session", "ws")

    def __init__(
        self,
        request: web.Request,
        ws: web.WebSocketResponse,
        outlet: VisitorOutlet,
        channel: Channel,
        session: Session,
    ) -> None:
        self.request = request
        self.ws = ws
        self.outlet = outlet
        self.channel = channel
        self.session = session

    async def run(self) -> None:
        async for heard in self.ws:
            self.outlet.heard = time.monotonic()
            if self.outlet.closed:
                continue  # the loop ends when the close is through
            if heard.type is WSMsgType.PING:
                await self.ws.pong(heard.data)
            elif heard.type is WSMsgType.BINARY:
                self.outlet.close(BAD_FRAME)
            elif heard.type is WSMsgType.TEXT:
                if self.request.app[VISITS].frames.take(id_text(self.session.id)):
                    self.outlet.close(RATE_LIMITED)
                    continue
                try:
                    await self.hear(_frame(heard))
                except ValueError:
                    self.outlet.close(BAD_FRAME)

    async def hear(self, frame: Json) -> None:
        visits = self.request.app[VISITS]
        match frame.get("type"):
            case "message":
                await self._nacking(frame, self._say)
            case "identify":
                await self._nacking(frame, self._identify)
            case "read":
                await self._nacking(frame, self._read)
            case "typing":
                with suppress(StoreUnavailable):
                    await visits.show_typing(self.channel, self.session, frame)
            case "ping":
                self.outlet.put(frame_of(type="pong"))

    async def _nacking(self, frame: Json, act: Callable[[Json], Awaitable[None]]) -> None:
        nack: Json = {"type": "nack", "client_id": frame.get("client_id")}
        try:
            await act(frame)
        except Problem as problem:
            nack |= {"code": problem.code, "retryable": problem.code in RETRYABLE}
            if problem.status == 429:
                nack["retry_after"] = int(problem.headers.get("Retry-After", "1"))
            self.outlet.put(frame_of(**nack))
        except StoreUnavailable:
            self.outlet.put(frame_of(**nack, code="unavailable", retryable=True, retry_after=2))

    async def _say(self, frame: Json) -> None:
        stored = await self.request.app[VISITS].say(self.channel, self.session, frame)
        ack = {"client_id": frame["client_id"], "id": id_text(stored.id), "seq": stored.seq}
        self.outlet.put(frame_of(type="ack", **ack))

    async def _identify(self, frame: Json) -> None:
        request = self.request
        found = await request.app[VISITS].identify(request, self.channel, self.session, frame)
        if isinstance(found, Session):
            self.session = found
            return
        before, self.session = self.session, found.session
        sockets = request.app[SOCKETS]
        sockets.remove(self.outlet)
        close_session(request, before)
        self.outlet.put(frame_of(type="session", **await opened_json(request, found)))
        await sockets.join(self.outlet, self.session, 0, late=False)

    async def _read(self, frame: Json) -> None:
        await read_up_to(self.request, self.channel, self.session, frame)
