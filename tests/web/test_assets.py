"""The built pages as served: never mixed, never stale, and nothing runs that is not ours."""

import gzip
import json
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from hub.web.assets import add_assets, page

HOSTILE = {"name": "</script><script>alert(1)</script>", "line": "a\u2028b & আয়েশা"}
# Over the wire, compressed: docs of the UI set 60 KB of script and 14 KB of style for a page.
SCRIPT_BYTES, STYLE_BYTES, REQUESTS = 60_000, 14_000, 10


@pytest.fixture
async def site() -> AsyncIterator[str]:
    async def show(request: web.Request) -> web.Response:
        return page("phones", HOSTILE)

    app = web.Application()
    app.router.add_get("/demo", show)
    add_assets(app)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def http(site: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(site, auto_decompress=False) as session:
        yield session


async def loaded(http: aiohttp.ClientSession) -> list[str]:
    """What the page's HTML asks for."""
    async with http.get("/demo") as answer:
        return re.findall(r'(?:href|src)="([^"]+)"', await answer.text())


async def test_the_boot_json_cannot_end_its_element(http: aiohttp.ClientSession) -> None:
    async with http.get("/demo") as answer:
        html = await answer.text()
    found = re.search(r'<script type="application/json" id="boot">(.*?)</script>', html, re.S)
    assert found
    assert json.loads(found[1]) == HOSTILE
    assert not set(found[1]) & set("<>&\u2028")


async def test_the_policy_lets_nothing_foreign_run(http: aiohttp.ClientSession) -> None:
    async with http.get("/demo") as answer:
        html, headers = await answer.text(), answer.headers
    assert headers["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " img-src 'self' data: blob:; font-src 'self'; base-uri 'none'; form-action 'self';"
        " frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
    assert headers["Cache-Control"] == "no-store"
    scripts = re.findall(r"<script([^>]*)>", html)
    assert all("src=" in script or "application/json" in script for script in scripts)
    assert not re.search(r"<style|\sstyle=|\son\w+=", html)


async def test_every_file_of_the_page_is_kept_for_good(http: aiohttp.ClientSession) -> None:
    paths = await loaded(http)
    assert len({path.split("/")[2] for path in paths}) == 1
    for path in paths:
        async with http.get(path) as answer:
            assert answer.status == 200, path
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.content_type in ("text/javascript", "text/css", "image/svg+xml")
            etag = answer.headers["ETag"]
        async with http.get(path, headers={"If-None-Match": f'"x", W/{etag}'}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")


async def test_modules_ask_for_nothing_the_page_did_not_announce(
    http: aiohttp.ClientSession,
) -> None:
    announced = {path.rsplit("/", 1)[1] for path in await loaded(http)}
    for path in await loaded(http):
        if path.endswith(".js"):
            async with http.get(path, headers={"Accept-Encoding": ""}) as answer:
                imported = re.findall(r'^import .*?"\./([^"]+)"', await answer.text(), re.M)
            assert set(imported) <= announced, path


async def test_the_first_load_stays_small(http: aiohttp.ClientSession) -> None:
    sizes = {".js": 0, ".css": 0}
    paths = await loaded(http)
    for path in paths:
        async with http.get(path, headers={"Accept-Encoding": "gzip"}) as answer:
            body = await answer.read()
        for suffix in sizes:
            sizes[suffix] += len(body) if path.endswith(suffix) else 0
    assert 1 + len(paths) <= REQUESTS
    assert 0 < sizes[".js"] <= SCRIPT_BYTES
    assert 0 < sizes[".css"] <= STYLE_BYTES


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=0.0, deflate", None),
        ("GZIP;q=0.5", "gzip"),
    ],
)
async def test_the_coding_is_one_the_browser_takes(
    http: aiohttp.ClientSession, accepted: str, coding: str | None
) -> None:
    [path] = [path for path in await loaded(http) if path.endswith("app.css")]
    async with http.get(path, headers={"Accept-Encoding": ""}) as answer:
        plain, tag = await answer.read(), answer.headers["ETag"]
    async with http.get(path, headers={"Accept-Encoding": accepted}) as answer:
        body = await answer.read()
        assert answer.headers.get("Content-Encoding") == coding
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert (answer.headers["ETag"] == tag) == (coding is None)
    assert (gzip.decompress(body) if coding else body) == plain


@pytest.mark.parametrize(
    "path",
    [
        "/static/000000000000/js/phones.js",
        "/static/{tree}/js/missing.js",
        "/static/{tree}/../assets.py",
        "/static/{tree}/..%2f..%2fassets.py",
        "/static/{tree}/",
    ],
)
async def test_another_releases_or_no_file_is_not_found_and_not_kept(
    http: aiohttp.ClientSession, path: str
) -> None:
    tree = (await loaded(http))[0].split("/")[2]
    async with http.get(path.format(tree=tree)) as answer:
        assert answer.status == 404
        assert "immutable" not in answer.headers.get("Cache-Control", "")
