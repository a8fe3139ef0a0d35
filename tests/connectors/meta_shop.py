"""A Page or an Instagram account in business: its stand-in, and the connector behind a hook."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from connectors.sandbox import instagram, messenger
from connectors.sandbox.media import Media as Stored
from hub.connector import Hook, Http
from hub.message import Address, Inbound, Message, Outbound
from hub.signal import Parsed
from tests.connectors.kit import HOOK_URL, RECEIVED_AT
from tests.connectors.meta_words import (
    ACCOUNT,
    APP_SECRET,
    PAGE,
    TOKEN,
    VERIFY_TOKEN,
    make_account,
    make_page,
)

RIMA, NADIA = "7700000000000001", "7700000000000002"
LINES = ("messenger", "instagram", "facebook")
"""Messenger, and Instagram by either login."""


@dataclass
class Shop:
    """One Page or account: the stand-in, and the connector behind a hook."""

    sandbox: Any
    connector: Any
    key: str
    said: asyncio.Queue[Parsed] = field(default_factory=asyncio.Queue)

    async def take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        query = request.rel_url.raw_query_string
        body = await request.read()
        hook = Hook(request.method, HOOK_URL, query, headers, body, RECEIVED_AT)
        self.connector.check(hook)
        for item in self.connector.parse(hook):
            self.said.put_nowait(item)
        answer = self.connector.answer(hook)
        return web.Response(body=answer.body, content_type=answer.content_type)

    async def hear(self, **deed: Any) -> list[Parsed]:
        """What the hook makes of one deed of hers."""
        await self.sandbox.customer_writes(RIMA, wait=True, **deed)
        return [self.said.get_nowait() for _ in range(self.said.qsize())]

    async def hear_message(self, **deed: Any) -> Inbound:
        [item] = await self.hear(**deed)
        assert isinstance(item, Inbound)
        assert (item.account, item.sender) == (self.key, RIMA)
        return item

    async def next(self) -> Parsed:
        return await asyncio.wait_for(self.said.get(), 5)

    async def send(self, message: Message, to: str = RIMA, reply_to: str = "") -> str:
        out = Outbound(bytes(16), Address(self.key, to), message, "m-42", 1, reply_to)
        sent: str = (await self.connector.send(out)).external_id
        return sent

    async def say(self, words: str = "আপনার অর্ডার আসছে", **how: Any) -> str:
        return await self.send(Message.of(words), **how)

    def put_file(self, mime: str, size: int) -> str:
        """A file on this machine that a send may link to."""
        media = Stored("1", self.key, "x", mime, bytes(size), float("inf"))
        self.sandbox.media["1"] = media
        url: str = self.sandbox.media_url(media)
        return url


@asynccontextmanager
async def trading(line: str, **facts: Any) -> AsyncIterator[Shop]:
    sandbox: Any = messenger.Sandbox() if line == "messenger" else instagram.Sandbox()
    base = await sandbox.start()
    async with aiohttp.ClientSession() as session:
        if line == "messenger":
            connector, account = make_page(Http(session), base), {"page_id": PAGE}
        else:
            connector = make_account(Http(session), base, login=line)
            account = {"ig_id": ACCOUNT, "login": line}
        shop = Shop(sandbox, connector, PAGE if line == "messenger" else ACCOUNT)
        app = web.Application()
        app.router.add_route("*", "/hooks/meta", shop.take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        common = {
            "access_token": TOKEN,
            "app_secret": APP_SECRET,
            "verify_token": VERIFY_TOKEN,
            "hook_url": f"http://127.0.0.1:{runner.addresses[0][1]}/hooks/meta",
            "receipt_delay": 0,
            "receipts": (),
        }
        sandbox.add_account({**common, **account, **facts})
        try:
            yield shop
        finally:
            await sandbox.stop()
            await runner.cleanup()
