"""A hub with a web-chat site, served over real HTTP on 127.0.0.1, on a real SQLite file."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from hub.app import Hub, open_hub, serving
from hub.clock import parse_id
from hub.desk.answers import Author
from hub.message import Message
from hub.settings import load_settings
from hub.store.tokens import TokenRole, create_token, hash_secret, new_secret
from tests.databases import url_of

SHOP = "https://shop.example"
SECRET = "site-secret-demo"
numbers = itertools.count(1)


@dataclass
class Site:
    hub: Hub
    url: str
    http: aiohttp.ClientSession
    token: str
    app: web.Application

    async def add_token(self, role: TokenRole = "agent", name: str = "Tania") -> tuple[bytes, str]:
        """A new token: its id and its secret."""
        secret = new_secret()
        store, now = self.hub.store, self.hub.clock.now()
        token = await store.write(create_token, name, role, hash_secret(secret), now)
        return token.id, secret

    async def call(
        self, method: str, path: str, body: Any = None, **options: Any
    ) -> tuple[int, Any]:
        """A REST call with the admin's token unless `headers` say otherwise."""
        headers = options.pop("headers", {"Authorization": f"Bearer {self.token}"})
        url = self.url + (path if path.startswith(("/chat", "/api")) else "/api/v1" + path)
        async with self.http.request(
            method, url, json=body, headers=headers, allow_redirects=False, **options
        ) as answer:
            raw = await answer.read()
            return answer.status, orjson.loads(raw) if raw else None

    async def visit(self, site: str = "shop", **said: Any) -> dict[str, Any]:
        status, session = await self.call("POST", "/chat/v1/session", {"site": site, **said})
        assert status == 200, session
        return dict(session)

    async def said(self, session: dict[str, Any], text: str, **frame: Any) -> dict[str, Any]:
        """The visitor says something over REST; the ack."""
        body = {"client_id": f"c-{next(numbers)}", "text": text, **frame}
        status, ack = await self.call("POST", "/chat/v1/messages", body, headers=bearer(session))
        assert status in (200, 201), ack
        return dict(ack)

    async def thread_of(self, session: dict[str, Any]) -> str:
        status, found = await self.call("GET", f"/customers?address={session['visitor_id']}")
        assert status == 200
        return str(found["items"][0]["conversation_id"])

    async def answered(self, conversation_id: str, text: str, **what: Any) -> list[bytes]:
        """An agent answers, by the desk itself."""
        author = Author(None, "Tania")
        id = parse_id(conversation_id)
        return await self.hub.desk.reply(id, author, Message.of(text), **what)

    @contextlib.asynccontextmanager
    async def chatting(
        self, session: dict[str, Any], last_seq: int = 0, headers: dict[str, str] | None = None
    ) -> AsyncIterator["Chat"]:
        async with self.http.ws_connect(self.url + "/chat/v1/ws", headers=headers) as ws:
            chat = Chat(ws)
            await ws.send_json({"type": "hello", "token": session["token"], "last_seq": last_seq})
            yield chat

    async def count(self, table: Any) -> int:
        from sqlalchemy import func, select

        query = select(func.count()).select_from(table)
        return int(await self.hub.store.read(lambda conn: conn.execute(query).scalar_one()))


@dataclass
class Chat:
    """A visitor's socket and what came over it."""

    ws: aiohttp.ClientWebSocketResponse
    frames: list[dict[str, Any]] = field(default_factory=list)

    async def next(self, kind: str, seconds: float = 5.0) -> dict[str, Any]:
        """The next frame of this kind; others are kept in `frames`."""
        async with asyncio.timeout(seconds):
            while True:
                frame = await self.ws.receive_json()
                self.frames.append(frame)
                if frame["type"] == kind:
                    return dict(frame)

    async def quiet(self, seconds: float = 0.3) -> list[dict[str, Any]]:
        """What comes within that time."""
        found: list[dict[str, Any]] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    found.append(await self.ws.receive_json())
        self.frames += found
        return found

    async def say(self, **frame: Any) -> None:
        await self.ws.send_json(frame)


def bearer(session: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {session['token']}"}


async def end_of(ws: aiohttp.ClientWebSocketResponse, seconds: float = 5.0) -> int | None:
    """The code the server closed it with."""
    async with asyncio.timeout(seconds):
        async for _ in ws:
            pass
    return ws.close_code


@contextlib.asynccontextmanager
async def running_site(tmp_path: Path, **changes: Any) -> AsyncIterator[Site]:
    """`changes` are settings of the `shop` channel; `ping_every` is the state's, `poll` the
    worker's."""
    ping_every, poll = changes.pop("ping_every", 25.0), changes.pop("poll", 0.2)
    settings = load_settings(
        None,
        {
            "hub": {
                "database": url_of(tmp_path, "site.db"),
                "media": str(tmp_path / "media"),
                "spool": str(tmp_path / "spool"),
                "public_url": changes.pop("public_url", "http://127.0.0.1:8080"),
                "secret_key": "k" * 32,
                "proxies": changes.pop("proxies", ["127.0.0.0/8"]),
            },
            "dialogs": {"modules": [], "default": ""},
            "limits": {"poll": poll},
            "channels": {
                "shop": {
                    "kind": "webchat",
                    "site": "shop",
                    "allowed_origins": [SHOP],
                    "identity": "optional",
                    "identity_secret": SECRET,
                    **changes,
                },
                "blog": {"kind": "webchat", "site": "blog"},
            },
        },
    )
    async with open_hub(settings) as hub:
        hub.state.ping_every = ping_every
        apps: list[web.Application] = []
        async with (
            serving(hub, "127.0.0.1", 0, apps.append) as url,
            aiohttp.ClientSession() as http,
        ):
            site = Site(hub, url, http, "", apps[0])
            _, site.token = await site.add_token("admin", "Admin")
            yield site
