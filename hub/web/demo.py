"""The demo page and its way to the stand-ins' phones, which listen on ports of their own.

Only for those who are logged in; mounted by `onethread demo` alone.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from hub.web.assets import page
from hub.web.auth import find_caller, require_caller

LONGEST_WAIT = 25
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
    app.router.add_get("/demo/follow", follow)
    app.router.add_get("/demo/sandbox/{kind}/{path:(phones|media)/.+}", pass_on)
    app.router.add_post("/demo/sandbox/{kind}/{path:phones/.+}", pass_on)


async def show(request: web.Request) -> web.StreamResponse:
    if await find_caller(request) is None:
        raise web.HTTPFound("/login?next=/demo")
    return page("phones", {"config": request.app[DEMO].config})


async def tell_config(request: web.Request) -> web.StreamResponse:
    await require_caller(request)
    return web.json_response(request.app[DEMO].config)


async def follow(request: web.Request) -> web.StreamResponse:
    """What came or changed on the phones, by kind, as soon as one of them has something.

    The query has a cursor for each kind asked about, and `wait` in seconds; without it all are
    read at once. A stand-in that does not answer has null. One call for all of them, since a
    browser opens six connections to a host and every phone would hold one.
    """
    await require_caller(request)
    demo = request.app[DEMO]
    try:
        wait = min(int(request.query.get("wait", 0)), LONGEST_WAIT)
        after = {kind: int(n) for kind, n in request.query.items() if kind in demo.sandboxes}
        if wait < 0:
            raise web.HTTPBadRequest
    except ValueError:
        raise web.HTTPBadRequest from None
    phones = [phone for phone in demo.config["phones"] if phone["kind"] in after]
    async with asyncio.TaskGroup() as group:
        reads = {
            phone["kind"]: group.create_task(_read(demo, phone, after[phone["kind"]], wait))
            for phone in phones
        }
        if reads:
            when = asyncio.FIRST_COMPLETED if wait > 0 else asyncio.ALL_COMPLETED
            await asyncio.wait(reads.values(), return_when=when)
        found = {kind: read.result() for kind, read in reads.items() if read.done()}
        for read in reads.values():
            read.cancel()
    return web.json_response(found)


async def _read(demo: Demo, phone: Mapping[str, Any], after: int, wait: int) -> Any:
    url = URL(demo.sandboxes[phone["kind"]]) / "_sandbox" / "phones" / phone["number"]
    query = {"account": phone["account"], "after": str(after), "wait": str(wait)}
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with demo.session.get(url.with_query(query), timeout=PHONE_WAIT) as answer:
            answer.raise_for_status()
            return await answer.json()


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
