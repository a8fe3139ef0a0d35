"""A hook on loopback that takes a stand-in's webhooks, and a clock moved by hand."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

START = 1_795_176_000.0


@dataclass
class Clock:
    """Seconds UTC, moved by hand."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Delivery:
    """One webhook as it came over the wire."""

    url: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        content: dict[str, Any] = orjson.loads(self.body)
        return content

    @property
    def value(self) -> dict[str, Any]:
        """The value of WhatsApp's only change."""
        value: dict[str, Any] = self.json["entry"][0]["changes"][0]["value"]
        return value

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def status(self) -> str | None:
        """The receipt's status, None for a message; of either platform."""
        if self.body.startswith(b"{"):
            statuses = self.value.get("statuses")
            return str(statuses[0]["status"]) if statuses else None
        return self.form.get("MessageStatus")


class Hook:
    """Records deliveries. `answers` are HTTP statuses for the next ones; then 200."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.answers: list[int] = []
        self.reply: Callable[[], web.Response] = _empty_twiml
        self.url = ""
        self._came = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hooks/x"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def wait(self, count: int) -> list[Delivery]:
        """The deliveries, once there are `count`."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.deliveries) >= count)
        return self.deliveries

    async def receipts(self, count: int) -> list[str]:
        """The statuses of the receipts in the order they came, once there are `count`."""
        async with self._came:
            await self._came.wait_for(lambda: len(self._statuses()) >= count)
        return self._statuses()

    def _statuses(self) -> list[str]:
        return [each.status for each in self.deliveries if each.status is not None]

    async def _take(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.Response(text=request.query.get("hub.challenge", ""))
        body = await request.read()
        async with self._came:
            self.deliveries.append(Delivery(str(request.url), dict(request.headers), body))
            self._came.notify_all()
        if self.answers and (status := self.answers.pop(0)) != 200:
            return web.Response(status=status)
        return self.reply()


async def until(fact: Callable[[], object]) -> None:
    """Wait for a fact of the stand-in that announces itself to nobody."""
    while not fact():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.005)


def _empty_twiml() -> web.Response:
    return web.Response(text="<Response/>", content_type="text/xml")
