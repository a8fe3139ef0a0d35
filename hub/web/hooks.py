"""Providers' webhooks: checked over the raw bytes, stored or spooled, then answered.

Nothing else happens inside the request.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import structlog
from aiohttp import web

from hub.channels import Channel
from hub.connector import Hook
from hub.errors import HookRejected, SpoolRefused, StoreUnavailable
from hub.spool import spool_key
from hub.web.state import STATE, State

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.Response]]
APPS = ("meta",)
"""Apps with one URL for all their channels; no channel may have such a name."""


def add_hooks(app: web.Application) -> None:
    # Fixed paths are found at once; a pattern is tried one by one for every hook.
    channels = app[STATE].channels
    for name, channel in channels.by_name.items():
        app.router.add_route("*", f"/hooks/{name}", _receiver(name, [channel]))
    for name in APPS:
        take: Handler = refuse_app
        if of_app := channels.by_app.get(name):
            take = _receiver(name, of_app)
            app[STATE].metrics.begin_hooks(name)
        app.router.add_route("*", f"/hooks/{name}", take)
    app.router.add_route("*", "/hooks/{channel}", refuse)


def _receiver(name: str, channels: list[Channel]) -> Handler:
    async def receive_for_channels(request: web.Request) -> web.Response:
        return await receive(request, name, channels)

    return receive_for_channels


async def refuse(_request: web.Request) -> web.Response:
    return web.Response(status=404, text="no such channel")


async def refuse_app(request: web.Request) -> web.Response:
    app = request.path.rpartition("/")[2]
    return web.Response(status=404, text=f"no channel of the app {app} is configured")


async def receive(request: web.Request, name: str, channels: list[Channel]) -> web.Response:
    """Take a hook of the URL `name`, for the first of its channels that knows it as genuine."""
    state = request.app[STATE]
    if channels[0].kind == "webchat":
        return await refuse(request)
    if request.method not in ("GET", "POST"):
        return web.Response(status=405, headers={"Allow": "GET, POST"})
    answered = partial(state.metrics.hooks, name)
    most = max(state.settings.limits.hook_bytes, channels[0].connector.hook_bytes)
    body = await _read(request, most)
    if body is None:
        answered("too_large").inc()
        # The rest of the body is not read: the connection cannot be used again.
        return web.Response(status=413, text="too large", headers={"Connection": "close"})
    hook = make_hook(state, request, body)
    channel, reason = _genuine(channels, hook)
    if channel is None:
        answered("refused").inc()
        log.warning("hook rejected", channel=name, reason=reason)
        return web.Response(status=403, text="not genuine")
    if hook.method in channel.connector.methods:
        try:
            answered(await _keep(state, channel, hook)).inc()
        except SpoolRefused as error:
            answered("unavailable").inc()
            log.error("hook refused", channel=channel.name, error=str(error))
            return web.Response(status=503, headers={"Retry-After": "5"})
    answer = channel.connector.answer(hook)
    return web.Response(
        status=answer.status, body=answer.body, headers={"Content-Type": answer.content_type}
    )


def _genuine(channels: list[Channel], hook: Hook) -> tuple[Channel | None, str]:
    """The first channel whose check the hook passes; or none, and what the last check said."""
    reason = ""
    for channel in channels:
        try:
            channel.connector.check(hook)
        except HookRejected as rejected:
            reason = str(rejected)
        else:
            return channel, ""
    return None, reason


async def _read(request: web.Request, most: int) -> bytes | None:
    """The body, or None when it is larger than `most` bytes."""
    if (request.content_length or 0) > most:
        return None
    if request.content.is_eof():
        whole = request.content.read_nowait()  # it came with its head, as most do
        return whole if len(whole) <= most else None
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)


def make_hook(state: State, request: web.Request, body: bytes) -> Hook:
    """The request as connectors see it; its URL is the public one, not what a proxy forwarded."""
    return Hook(
        method=request.method,
        url=state.settings.hub.public_url + request.raw_path,
        query=request.rel_url.raw_query_string,
        headers=request.headers,
        body=body,
        received_at=state.clock.now(),
    )


async def _keep(state: State, channel: Channel, hook: Hook) -> str:
    """Have the hook on a disk: `accepted` in the database, or `spooled` while the database is away
    and as long as others wait there. Raises SpoolRefused."""
    if not await state.spool.holds():
        try:
            await state.intake.take(channel, hook)
        except StoreUnavailable as error:
            log.warning("hook not stored", channel=channel.name, error=str(error))
        else:
            return "accepted"
    reader = state.intake.reader(channel, hook)
    await state.spool.append(spool_key(reader.kind, reader.account), hook)
    return "spooled"
