"""Visitors of the web chat: each over one socket at a time, coming back whenever it breaks.

What a visitor says is sent again until it is acknowledged, as docs/webchat.md asks for.
"""

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.faults.checker import Call
from tests.faults.driver import Customer, Post, Said
from tests.faults.hooks import Line

AGAIN_AFTER = 1.5
TIMEOUT = aiohttp.ClientTimeout(total=10)
LOST = (aiohttp.ClientError, OSError, TimeoutError)


@dataclass
class Visitor:
    """`calls` are the answers she has seen, each once, in the order in which they were shown."""

    url: str
    site: str
    name: str
    pause: float
    rng: random.Random
    session: aiohttp.ClientSession
    said: list[Said] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    _opened: dict[str, Any] = field(default_factory=dict)
    _known: asyncio.Event = field(default_factory=asyncio.Event)
    _seq: int = 0
    _seen: set[str] = field(default_factory=set)
    _open: Post | None = None
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _ws: aiohttp.ClientWebSocketResponse | None = None
    _ending: bool = False

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._follow())]

    async def finish(self) -> None:
        """Say nothing new, and go on until all of it is acknowledged."""
        self._ending = True
        await self._tasks[0]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _write(self) -> None:
        place = 0
        await self._known.wait()
        line = Line("site", self._opened["visitor_id"])
        while not self._ending:
            token = f"tk-{self.name}-{place:04}"
            self.said.append(Said(token, Customer(self.name, (line,)), place, line))
            await self._insist(token)
            place += 1
            await asyncio.sleep(self.rng.uniform(0.5, 1.5) * self.pause)

    async def _insist(self, token: str) -> None:
        done = False
        while not done:
            done = await self._say(token)
            if not done:
                await asyncio.sleep(self.rng.uniform(0.2, 0.6))

    async def _say(self, token: str) -> bool:
        """One try; whether it was acknowledged."""
        ws = self._ws
        if ws is None or ws.closed:
            return False
        self._open = post = Post(token, time.time())
        with contextlib.suppress(*LOST, RuntimeError):
            await ws.send_json({"type": "message", "client_id": token, "text": token})
            await asyncio.wait_for(post.over.wait(), AGAIN_AFTER)
        self._open = None
        post.ended = post.ended or time.time()
        self.posts.append(post)
        return post.status == 200

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(*LOST, TypeError):
                await self._enter()
                async with self.session.ws_connect(f"{self.url}/chat/v1/ws", heartbeat=3) as ws:
                    hello = {"token": self._opened["token"], "last_seq": self._seq}
                    await ws.send_json({"type": "hello", **hello})
                    self._ws = ws
                    async for heard in ws:
                        if heard.type is aiohttp.WSMsgType.TEXT:
                            self._hear(heard.json())
            self._ws = None
            await asyncio.sleep(self.rng.uniform(0.2, 0.6))

    async def _enter(self) -> None:
        """Open the session, once: the token is good for longer than a storm."""
        if self._opened:
            return
        async with self.session.post(
            f"{self.url}/chat/v1/session", json={"site": self.site}, timeout=TIMEOUT
        ) as answer:
            if answer.status < 300:
                self._opened = await answer.json()
                self._known.set()
                return
        raise aiohttp.ClientConnectionError(f"no session: {answer.status}")

    def _hear(self, frame: dict[str, Any]) -> None:
        kind, post = frame.get("type"), self._open
        if kind in ("ack", "nack") and post is not None and frame.get("client_id") == post.token:
            post.status = 200 if kind == "ack" else 503
            post.ended = time.time()
            post.over.set()
        elif kind == "message":
            self._seq = max(self._seq, frame["seq"])
            if frame["dir"] == "in" and frame["id"] not in self._seen:
                self._seen.add(frame["id"])
                to, row = self._opened["visitor_id"], frame["id"].replace("-", "")
                at, n = time.time(), len(self.calls)
                self.calls.append(Call("site", n, at, to, frame["text"], row, 200, frame["id"]))
