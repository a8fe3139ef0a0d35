"""The demo page and its way to the stand-ins' phones, which listen on ports of their own.

Only for those who are logged in; mounted by `onethread demo` alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from hub.web.assets import page
from hub.web.auth import find_caller, require_caller

PHONE_WAIT = aiohttp.ClientTimeout(total=40)
MEDIA_HEADERS = {"Content-Security-Policy": "sandbox; default-src 'none'"}


@dataclass(frozen=True, slots=True)
class Demo:
    """`config` is what the page is told; `sandboxes` are the stand-ins' base URLs by kind."""

    config: dict[str, Any]
    sandboxes: Mapping[str, str]
    session: aiohttp.ClientSession


DEMO: web.AppKey[Demo] = web.AppKey("demo", Demo)


def add_demo(app: web.Application, demo: Demo) -> None:
    app[DEMO] = demo
    app.router.add_get("/demo", show)
    app.router.add_get("/demo/config", tell_config)
    app.router.add_get("/demo/sandbox/{kind}/{path:(phones|media)/.+}", pass_on)
    app.router.add_post("/demo/sandbox/{kind}/{path:phones/.+}", pass_on)


async def show(request: web.Request) -> web.StreamResponse:
    if await find_caller(request) is None:
        raise web.HTTPFound("/login?next=/demo")
    return page("phones", {"config": request.app[DEMO].config})


async def tell_config(request: web.Request) -> web.StreamResponse:
    await require_caller(request)
    return web.json_response(request.app[DEMO].config)


async def pass_on(request: web.Request) -> web.StreamResponse:
    """Hand a phone's call to its stand-in."""
    await require_caller(request)
    demo = request.app[DEMO]
    base = demo.sandboxes.get(request.match_info["kind"])
    if base is None:
        raise web.HTTPNotFound
    steps = request.match_info["path"].split("/")
    if ".." in steps or "." in steps:
        raise web.HTTPNotFound
    url = (URL(base) / "_sandbox").joinpath(*steps).with_query(request.rel_url.query)
    try:
        async with demo.session.request(
            request.method,
            url,
            data=await request.read() or None,
            headers={"Content-Type": request.content_type},
            timeout=PHONE_WAIT,
        ) as answer:
            return web.Response(
                status=answer.status,
                body=await answer.read(),
                headers={"Content-Type": answer.content_type, **MEDIA_HEADERS},
            )
    except (aiohttp.ClientError, TimeoutError):
        return web.json_response({"detail": "the phone's stand-in does not answer"}, status=502)
