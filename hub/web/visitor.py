"""Web chat for visitors over HTTP and WebSocket, as docs/webchat.md tells it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import orjson
from aiohttp import web

from hub.channels import Channel
from hub.clock import id_text
from hub.settings import require_secret_key
from hub.store.visitors import Session, earlier
from hub.web.feed import FEED
from hub.web.outlet import PING, RESTART, Frame
from hub.web.problem import Problem, unknown, wrong
from hub.web.state import STATE
from hub.web.views import LINKS
from hub.web.visitor_sockets import Collector, VisitorOutlet, VisitorSockets, frame_of
from hub.web.visitor_talk import (
    FRAME_BYTES,
    LAST_SEQ,
    SOCKETS,
    VISITS,
    Json,
    close_session,
    follow,
    open_socket,
    opened_json,
    read_object,
    read_up_to,
)
from hub.web.visitor_view import said_json
from hub.web.visits import Visits, limited

LONGEST_POLL = 25


def add_visitors(app: web.Application) -> None:
    state = app[STATE]
    app[VISITS] = Visits(state, require_secret_key(state.settings))
    app[SOCKETS] = VisitorSockets(state, app[LINKS], app[FEED])
    app[FEED].listeners.append(app[SOCKETS])
    app.cleanup_ctx.append(_watch)
    app.on_shutdown.append(_say_goodbye)
    app.on_response_prepare.append(_allow_origin)
    add = app.router.add_route
    add("POST", "/chat/v1/session", open_session)
    add("POST", "/chat/v1/identify", identify)
    add("POST", "/chat/v1/logout", log_out)
    add("POST", "/chat/v1/messages", post_message)
    add("POST", "/chat/v1/read", post_read)
    add("GET", "/chat/v1/events", get_events)
    add("GET", "/chat/v1/conversations/{conversation_id}/messages", get_history)
    add("GET", "/chat/v1/ws", open_socket)
    add("OPTIONS", "/chat/v1/{rest:.*}", preflight)


async def _watch(app: web.Application) -> AsyncIterator[None]:
    task = asyncio.create_task(app[SOCKETS].watch(), name="visitor-ping")
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _say_goodbye(app: web.Application) -> None:
    for outlet in app[SOCKETS].outlets():
        outlet.put(frame_of(type="bye", code="restart", retry_after=2))
        outlet.close(RESTART)


async def _allow_origin(request: web.Request, response: web.StreamResponse) -> None:
    """CORS for the origins that may use the chat; nothing is shared by cookie."""
    if not request.path.startswith("/chat/"):
        return
    response.headers.add("Vary", "Origin")
    origin = request.headers.get("Origin")
    if origin and request.app[VISITS].allows_anywhere(request):
        response.headers["Access-Control-Allow-Origin"] = origin


async def preflight(request: web.Request) -> web.Response:
    headers = {
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": "authorization, content-type, idempotency-key,"
        " last-event-id, x-client-version",
        "Access-Control-Max-Age": "600",
    }
    allowed = request.app[VISITS].allows_anywhere(request)
    return web.Response(status=204 if allowed else 403, headers=headers if allowed else None)


async def open_session(request: web.Request) -> web.Response:
    """A session for a page: `{site, page?, referrer?, locale?, tz?, visitor_token?}`."""
    said = await _body(request)
    site = said.get("site")
    if not isinstance(site, str):
        raise wrong("site", "is required")
    return _json(await opened_json(request, await request.app[VISITS].open(request, site, said)))


async def identify(request: web.Request) -> web.Response:
    """`{user_id, user_hash | jwt, name?, email?}`: whether it is proven, with the new session if
    it became so now."""
    channel, session = await _enter(request)
    claims = await _body(request)
    found = await request.app[VISITS].identify(request, channel, session, claims)
    if isinstance(found, Session):
        return _json({"verified": bool(found.context.get("verified"))})
    close_session(request, session)
    return _json(await opened_json(request, found) | {"verified": True})


async def log_out(request: web.Request) -> web.Response:
    _, session = await _enter(request)
    await request.app[VISITS].end(session)
    close_session(request, session)
    return web.Response(status=204)


async def post_message(request: web.Request) -> web.Response:
    """One `message` frame: 201 with its `ack`, 200 when it was there already."""
    channel, session = await _enter(request)
    frame = await _body(request)
    key = request.headers.get("Idempotency-Key")
    frame = {"client_id": key, **frame, "type": "message"} if key else {**frame, "type": "message"}
    stored = await request.app[VISITS].say(channel, session, frame)
    ack = {
        "type": "ack",
        "client_id": frame["client_id"],
        "id": id_text(stored.id),
        "seq": stored.seq,
    }
    return _json(ack, 201 if stored.new else 200)


async def post_read(request: web.Request) -> web.Response:
    channel, session = await _enter(request)
    await read_up_to(request, channel, session, await _body(request))
    return web.Response(status=204)


async def get_history(request: web.Request) -> web.Response:
    """What she may see of her own thread, backwards: `?before_seq=&limit=`. Any other thread's
    id is answered as one that does not exist."""
    _, session = await _enter(request)
    before = _number(request, "before_seq", LAST_SEQ) if "before_seq" in request.query else None
    limit = _number(request, "limit", 200) if "limit" in request.query else 50
    store = request.app[STATE].store
    thread, rows, media = await store.read(earlier, session, before, limit + 1)
    if thread is None or id_text(thread.conversation_id) != request.match_info["conversation_id"]:
        raise unknown("conversation")
    links = request.app[LINKS]
    items = [said_json(row, media.get(row.id, {}), links) for row in rows[:limit]]
    return _json({"items": items, "more": len(rows) > limit})


async def get_events(request: web.Request) -> web.StreamResponse:
    """The live frames without a WebSocket: server-sent events (`Last-Event-ID` is a seq), or a
    long poll of up to `wait` seconds."""
    _, session = await _enter(request)
    streams = "text/event-stream" in request.headers.get("Accept", "")
    given = request.headers.get("Last-Event-ID", "") if streams else ""
    seq = int(given) if given.isascii() and given.isdigit() and len(given) < 17 else None
    if seq is None:
        seq = _number(request, "after_seq", LAST_SEQ) if "after_seq" in request.query else 0
    if streams:
        return await _stream(request, session, seq)
    wait = _number(request, "wait", LONGEST_POLL) if "wait" in request.query else 0
    sockets, collector = request.app[SOCKETS], Collector()
    async with request.app[FEED].following():
        try:
            await sockets.join(collector, session, seq, late=False)
            if len(collector.frames) == 1 and wait:  # the welcome alone
                collector.some.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(collector.some.wait(), wait)
        finally:
            sockets.remove(collector)
    frames = b",".join(frame.text.encode() for frame in collector.frames)
    return web.Response(
        body=b'{"items":[' + frames + b"]}",
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


async def _stream(request: web.Request, session: Session, seq: int) -> web.StreamResponse:
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    gone = asyncio.Event()

    async def send(frame: Frame) -> None:
        if frame is PING:
            await response.write(b": ping\n\n")
        else:
            # An update's seq is of an older message: it must not set the cursor back.
            is_new = frame.cursor and frame.text.startswith('{"type":"message"')
            id = f"id: {frame.cursor}\n" if is_new else ""
            await response.write(f"{id}data: {frame.text}\n\n".encode())
        outlet.heard = time.monotonic()

    async def close(code: int) -> None:
        gone.set()
        if request.transport:
            request.transport.close()

    outlet = VisitorOutlet(send, close)
    await follow(request, outlet, session, seq, gone.wait)
    return response


async def _enter(request: web.Request) -> tuple[Channel, Session]:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Problem(401, "token_expired", "Send the session's token.")
    channel, session = await request.app[VISITS].enter(request, token.strip())
    if wait := request.app[VISITS].frames.take(id_text(session.id)):
        raise limited(wait)
    return channel, session


async def _body(request: web.Request) -> Json:
    if request.content_type != "application/json":
        raise Problem(415, "unsupported_media_type", "Send application/json.")
    if (request.content_length or 0) > FRAME_BYTES:
        raise Problem(413, "too_large", "Frames may have 64 KiB.")
    raw = await request.read()
    try:
        return read_object(raw)
    except ValueError:
        raise Problem(400, "invalid_message", "The body is not a JSON object.") from None


def _number(request: web.Request, name: str, most: int) -> int:
    text = request.query[name]
    if text.isascii() and text.isdigit() and len(text) < 17 and 0 <= int(text) <= most:
        return int(text)
    raise wrong(name, f"should be a number up to {most}")


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(value),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
