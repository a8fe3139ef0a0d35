"""The demo's way to the stand-ins leads to their phones, and to nothing else of theirs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from hub.app import open_hub, serving
from hub.settings import load_settings
from hub.store.tokens import create_token, hash_secret, new_secret
from hub.web.demo import Demo, add_demo
from tests.hub.hosts import Server, serve

PHONES = "/demo/sandbox/whatsapp/phones"


@dataclass
class DemoSite:
    url: str
    standin: Server
    session: aiohttp.ClientSession
    token: str

    async def call(self, method: str, path: str) -> int:
        """The status of a call of this very path, which no client has tidied."""
        async with self.session.request(
            method,
            URL(self.url + path, encoded=True),
            headers={"Authorization": f"Bearer {self.token}"},
        ) as answer:
            return answer.status

    @property
    def seen(self) -> list[str]:
        return [path for path, _ in self.standin.seen]


@asynccontextmanager
async def demo_site(tmp_path: Path) -> AsyncIterator[DemoSite]:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"items": [], "next": 7})

    settings = load_settings(
        None,
        {
            "hub": {
                "database": f"sqlite:///{tmp_path / 'demo.db'}",
                "media": str(tmp_path / "media"),
                "spool": str(tmp_path / "spool"),
                "secret_key": "k" * 32,
            },
            "dialogs": {"modules": [], "default": ""},
        },
    )
    async with (
        serve(answer) as standin,
        aiohttp.ClientSession() as session,
        open_hub(settings) as hub,
    ):
        phones = [
            {"kind": "whatsapp", "account": "106", "number": "8801711000001"},
            {"kind": "twilio", "account": "+15550100", "number": "+8801711000001"},
        ]
        bases = {"whatsapp": standin.url(""), "twilio": "http://127.0.0.1:1"}
        demo = Demo({"phones": phones}, bases, session)
        secret = new_secret()
        await hub.store.write(create_token, "test", "agent", hash_secret(secret), hub.clock.now())
        async with serving(hub, "127.0.0.1", 0, lambda app: add_demo(app, demo)) as url:
            yield DemoSite(url, standin, session, secret)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[DemoSite]:
    async with demo_site(tmp_path) as opened:
        yield opened


async def test_a_phones_calls_come_through_as_they_are(site: DemoSite) -> None:
    for tail in (
        "/8801711000001",
        "/%2B8801711000001/messages?after=3&account=%2B15550100",
        "/8801711000001/messages?q=%E0%A6%AC%20x%26y",
        "/%252e%252e/x",
    ):
        assert await site.call("GET", PHONES + tail) == 200
        seen = URL(site.seen[-1], encoded=True)
        meant = URL("/_sandbox/phones" + tail, encoded=True)
        assert (seen.path, dict(seen.query)) == (meant.path, dict(meant.query))


async def follow(site: DemoSite, query: str, token: str) -> tuple[int, object]:
    headers = {"Authorization": f"Bearer {token}"}
    async with site.session.get(f"{site.url}/demo/follow{query}", headers=headers) as answer:
        return answer.status, await answer.json() if answer.status == 200 else None


async def test_all_phones_are_followed_by_one_call(site: DemoSite) -> None:
    news = {"items": [], "next": 7}
    found = await follow(site, "?whatsapp=3&twilio=0&faults=1", site.token)
    assert found == (200, {"whatsapp": news, "twilio": None})
    seen = URL(site.seen[-1], encoded=True)
    assert seen.path == "/_sandbox/phones/8801711000001"
    assert dict(seen.query) == {"account": "106", "after": "3", "wait": "0"}
    assert await follow(site, "?whatsapp=7&wait=20", site.token) == (200, {"whatsapp": news})
    for query in ("?whatsapp=x", "?wait=x", "?wait=nan", "?wait=-1"):
        assert await follow(site, query, site.token) == (400, None)
    assert await follow(site, "?whatsapp=3", "") == (401, None)


OUTSIDE = [
    "/%2e%2e/%2e%2e/x",
    "/%2e%2e/faults",
    "/%2E%2E/log",
    "/a/%2e%2e/%2e%2e/%2e%2e/x",
    "/..%2f..%2fx",
    "/%2e%2e%2fx",
    "/%2e/x",
    "/a/%2e%2e",
    "/..%5c..%5cx",
    "/%2e%2e%5cx",
    "/%252e%252e/%252e%252e/x",
    "//evil.example/x",
    "/%2f%2fevil.example/x",
    "/a%3fb%3dc/%2e%2e/%2e%2e/x",
    "/a%23/%2e%2e/%2e%2e/x",
    "/@127.0.0.1:1/x",
]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("tail", OUTSIDE)
async def test_no_path_leads_out_of_the_phones(site: DemoSite, tail: str, method: str) -> None:
    await site.call(method, PHONES + tail)
    for path in site.seen:
        assert path.startswith("/_sandbox/phones/")
        assert ".." not in path.replace("%2e", ".").replace("%2E", ".").split("/")
        # As a server reads it that takes what is quoted once more.
        assert ".." not in URL(path, encoded=True).path.split("/")


@pytest.mark.parametrize("tail", OUTSIDE[:4])
async def test_steps_out_of_them_are_not_found(site: DemoSite, tail: str) -> None:
    assert await site.call("GET", PHONES + tail) == 404
    assert site.seen == []
