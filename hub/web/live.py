"""Live updates for agents' screens: a WebSocket, or server-sent events, from a hub-wide cursor.

The client says hello with the cursor it has got to. It is then told every change after that, in
batches, each thing as it is now; or `resync` when its cursor is no longer kept.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal, NotRequired

import orjson
from aiohttp import WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from typing_extensions import TypedDict

from hub.clock import id_text
from hub.errors import StoreUnavailable
from hub.store.changes import START, Change, Place, changes_after, is_kept, load_changed
from hub.store.tokens import valid_tokens
from hub.web.auth import is_own_origin
from hub.web.feed import FEED, PAGE, Feed
from hub.web.outlet import (
    BAD_FRAME,
    RESTART,
    TOKEN_EXPIRED,
    TRY_LATER,
    Frame,
    Outlet,
    ping_all,
)
from hub.web.problem import Problem
from hub.web.route import Api, Call, Query
from hub.web.shapes import ConversationJson, IdText, MessageJson
from hub.web.state import STATE, State
from hub.web.views import LINKS, MediaLinks, conversations_json, messages_json

live = Api()

HELLO_SECONDS = 10.0
FRAME_BYTES = 16 * 1024


class LiveItem(TypedDict):
    """`kind`: message, receipt, edit, owner, status, customer or channel. The conversation is given
    once in a batch, with the last item about it. `channel` names the channel that was paused or
    goes on; such an item is about no conversation, and its `conversation_id` is the channel's."""

    kind: str
    conversation_id: IdText
    message: MessageJson | None
    conversation: ConversationJson | None
    channel: NotRequired[str]


class Hello(BaseModel):
    model_config = ConfigDict(strict=True)

    type: Literal["hello"]
    cursor: str | None = Field(None, max_length=100)


class LiveQuery(Query):
    cursor: str | None = Field(None, max_length=100)


class AgentOutlet(Outlet):
    __slots__ = ("token_id",)

    token_id: bytes


class AgentSockets:
    """All connections of agents to this process; a change is loaded and written out once."""

    def __init__(self, state: State, links: MediaLinks, feed: Feed) -> None:
        self.outlets: set[AgentOutlet] = set()
        self._state = state
        self._links = links
        self._feed = feed

    async def load(self, changes: list[Change]) -> Callable[[], None]:
        if not self.outlets:
            return lambda: None
        frame = await self._frame(changes)

        def hand() -> None:
            for outlet in tuple(self.outlets):
                outlet.put(frame)

        return hand

    async def _frame(self, changes: list[Change]) -> Frame:
        messages, threads = await self._state.store.read(load_changed, changes)
        shown = {m["id"]: m for m in messages_json(messages, self._links)}
        conversations = {c["id"]: c for c in conversations_json(threads, self._links)}
        items = coalesce(changes, shown, conversations)
        for change, item in _of_channels(changes, items):
            item["channel"] = self._state.channels.name_of(change.conversation_id)
        return _frame(changes[-1].place, type="changes", items=items)

    @asynccontextmanager
    async def joined(self, outlet: AgentOutlet, cursor: str | None) -> AsyncIterator[None]:
        """Send what follows `cursor`, then all that happens while inside."""
        async with self._feed.following():
            try:
                await self._catch_up(outlet, cursor)
                yield
            finally:
                self.outlets.discard(outlet)

    async def _catch_up(self, outlet: AgentOutlet, cursor: str | None) -> None:
        place = _read_cursor(cursor) if cursor is not None else None
        if place is None or not await self._state.store.read(is_kept, place):
            # No await between reading the place and joining: nothing falls between them.
            kind = "welcome" if cursor is None else "resync"
            outlet.put(_frame(self._feed.place, type=kind))
            self.outlets.add(outlet)
            return
        await outlet.send(_frame(place, type="welcome"))
        await self._feed.reach(place)
        while place < self._feed.place:
            found = await self._state.store.read(changes_after, place, PAGE)
            # What lies beyond the feed's place comes by the feed.
            found = [change for change in found if change.place <= self._feed.place]
            if not found:
                break
            frame = await self._frame(found)
            await outlet.send(frame)
            place = found[-1].place
        self.outlets.add(outlet)

    async def watch(self) -> None:
        """Ping everybody and drop whose token was revoked."""
        every = self._state.ping_every
        ping = _frame(None, type="ping")
        while True:
            await asyncio.sleep(every)
            ping_all(self.outlets, ping, every)
            with suppress(StoreUnavailable):
                ids = {outlet.token_id for outlet in self.outlets}
                valid = await self._state.store.read(valid_tokens, list(ids)) if ids else {}
                for outlet in tuple(self.outlets):
                    if outlet.token_id in ids and outlet.token_id not in valid:
                        outlet.close(TOKEN_EXPIRED)


SOCKETS: web.AppKey[AgentSockets] = web.AppKey("agent_sockets", AgentSockets)


def coalesce(
    changes: list[Change],
    messages: dict[str, MessageJson],
    conversations: dict[str, ConversationJson],
) -> list[LiveItem]:
    """One item for each message, under the kind of its first change, and one for each kind of
    change to a conversation alone."""
    kinds: dict[tuple[bytes, bytes | str], str] = {}
    last: dict[bytes, tuple[bytes, bytes | str]] = {}
    for change in changes:
        key = (change.conversation_id, change.message_id or change.kind)
        kinds.setdefault(key, change.kind)
        last[change.conversation_id] = key
    items: list[LiveItem] = []
    for (conversation_id, what), kind in kinds.items():
        thread = id_text(conversation_id)
        is_last = last[conversation_id] == (conversation_id, what)
        items.append(
            {
                "kind": kind,
                "conversation_id": thread,
                "message": messages.get(id_text(what)) if isinstance(what, bytes) else None,
                "conversation": conversations.get(thread) if is_last else None,
            }
        )
    return items


def _of_channels(changes: list[Change], items: list[LiveItem]) -> Iterator[tuple[Change, LiveItem]]:
    by_id = {id_text(one.conversation_id): one for one in changes if one.kind == "channel"}
    for item in items:
        if item["kind"] == "channel" and (change := by_id.get(item["conversation_id"])):
            yield change, item


def _frame(place: Place | None, **fields: Any) -> Frame:
    cursor = ""
    if place:
        cursor = f"{place.id}-{place.at}" + (f"-{place.tx}" if place.tx else "")
        fields["cursor"] = cursor
    return Frame(orjson.dumps(fields).decode(), cursor)


def _read_cursor(text: str) -> Place | None:
    parts = text.split("-")
    if len(parts) not in (2, 3) or not all(p.isascii() and p.isdigit() for p in parts):
        return None
    id, at, tx = map(int, [*parts, "0"][:3])
    place = Place(tx, id, at)
    return place if place == START or (0 < id < 2**63 > max(at, tx)) else None


@live.route("GET", "/live", tag="live", errors=(426,))
async def follow_changes(call: Call, query: LiveQuery) -> web.StreamResponse:
    """Follow what changes. As a WebSocket: say `{"type":"hello","cursor":null}`, or with the
    cursor last seen; answer each `ping` with `{"type":"pong"}`. With
    `Accept: text/event-stream`: server-sent events, whose ids are cursors. The frames are
    `welcome` or `resync` (load everything again), then `changes` with `cursor` and `items`."""
    _check_origin(call)
    if _is_upgrade(call.request):
        return await _socket(call, query)
    return await _stream(call, query)


def _check_origin(call: Call) -> None:
    """A page of another site may not listen with this browser's cookie. Programs send no Origin,
    and for events browsers send none to their own site."""
    origin = call.request.headers.get("Origin")
    if origin is None and not (call.caller.cookie and _is_upgrade(call.request)):
        return
    if origin is None or not is_own_origin(call.request, origin):
        raise Problem(403, "foreign_origin", "This was sent by a page of another site.")


def _is_upgrade(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


async def _socket(call: Call, query: LiveQuery) -> web.StreamResponse:
    request, sockets = call.request, call.request.app[SOCKETS]
    ws = web.WebSocketResponse(max_msg_size=FRAME_BYTES, compress=False, timeout=2.0)
    await ws.prepare(request)
    outlet = AgentOutlet.over(request, ws)
    outlet.token_id = call.caller.id
    try:
        first = await ws.receive(timeout=HELLO_SECONDS)
        hello = Hello.model_validate_json(first.data if first.type is WSMsgType.TEXT else "")
    except (ValidationError, TimeoutError):
        await ws.close(code=BAD_FRAME, message=b"say hello first")
        return ws
    try:
        cursor = query.cursor if hello.cursor is None else hello.cursor
        async with sockets.joined(outlet, cursor):
            async for _ in ws:  # whatever the client says, it is alive
                outlet.heard = time.monotonic()
    except ConnectionError:
        pass
    except StoreUnavailable:
        await ws.close(code=TRY_LATER)
    outlet.closed = True
    return ws


async def _stream(call: Call, query: LiveQuery) -> web.StreamResponse:
    request, sockets = call.request, call.request.app[SOCKETS]
    if "text/event-stream" not in request.headers.get("Accept", ""):
        raise Problem(426, "upgrade_required", "Open a WebSocket, or accept text/event-stream.")
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    gone = asyncio.Event()

    async def send(frame: Frame) -> None:
        id = f"id: {frame.cursor}\n" if frame.cursor else ""
        await response.write(f"{id}data: {frame.text}\n\n".encode())
        # There is no answer to hear: what could be written was heard.
        outlet.heard = time.monotonic()

    async def close(code: int) -> None:
        gone.set()
        if request.transport:
            request.transport.close()

    outlet = AgentOutlet(send, close)
    outlet.token_id = call.caller.id
    with suppress(ConnectionError, StoreUnavailable):
        cursor = request.headers.get("Last-Event-ID") or query.cursor
        async with sockets.joined(outlet, cursor):
            await gone.wait()
    outlet.closed = True
    return response


def add_live(app: web.Application) -> None:
    sockets = AgentSockets(app[STATE], app[LINKS], app[FEED])
    app[SOCKETS] = sockets
    app[FEED].listeners.append(sockets)
    app.cleanup_ctx.append(_watch)
    app.on_shutdown.append(_say_goodbye)


async def _watch(app: web.Application) -> AsyncIterator[None]:
    task = asyncio.create_task(app[SOCKETS].watch(), name="live-ping")
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _say_goodbye(app: web.Application) -> None:
    for outlet in tuple(app[SOCKETS].outlets):
        outlet.close(RESTART)
