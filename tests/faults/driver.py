"""Customers who write, as their providers deliver it, and the driver's own log of the answers.

Each customer's next message is posted only after a 200 for the one before; what was not answered
200 is posted again, the same body, as a provider would.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import aiohttp

from tests.faults.hooks import Hook, Line, external_id_of, hook_of

REDELIVER_AFTER = 0.2
DOUBLED = 0.1
"""How many deliveries come twice at once, as providers do now and then."""


@dataclass(frozen=True)
class Customer:
    """A person with one line, or two that take turns."""

    name: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Said:
    """One message of a customer: `place` counts hers from 0, `token` is its text."""

    token: str
    customer: Customer
    place: int
    line: Line


@dataclass
class Post:
    """One try to deliver a message. `status` None: it never got an answer. `by` is who was asked,
    where a driver knows several."""

    token: str
    begun: float
    ended: float = 0.0
    status: int | None = None
    by: str = ""
    over: asyncio.Event = field(default_factory=asyncio.Event, repr=False)


@dataclass
class Driver:
    """`pause` is how long a customer thinks between two messages, in seconds, on average."""

    base_url: str
    customers: Sequence[Customer]
    run: str
    pause: float
    rng: random.Random
    ending: str = ""
    where: Callable[[], tuple[str, str]] | None = None
    """Chooses whom to ask, where several serve: a name and a URL. Hooks are signed for `base_url`
    all the same."""
    said: list[Said] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    in_flight: dict[int, Post] = field(default_factory=dict)
    _rushing: asyncio.Event = field(default_factory=asyncio.Event)
    _ending: bool = False
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def __aenter__(self) -> "Driver":
        """Begin to write, until `finish`."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=10)
        )
        self._tasks = [asyncio.create_task(self._write(one)) for one in self.customers]
        return self

    async def __aexit__(self, *_error: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()

    async def finish(self) -> None:
        """Write nothing new, and deliver what was written."""
        self._ending = True
        self._rushing.set()
        await asyncio.gather(*self._tasks)

    def rush(self) -> None:
        """Nobody thinks from now on."""
        self._rushing.set()

    def calm(self) -> None:
        self._rushing.clear()

    async def _write(self, customer: Customer) -> None:
        place = 0
        await asyncio.sleep(self.rng.uniform(0, self.pause))
        while not self._ending:
            line = customer.lines[place % len(customer.lines)]
            token = f"tk-{self.run}-{customer.name}-{place:04}{self.ending}"
            said = Said(token, customer, place, line)
            self.said.append(said)
            await self.deliver(said)
            place += 1
            with contextlib.suppress(TimeoutError):
                seconds = self.rng.uniform(0.5, 1.5) * self.pause
                await asyncio.wait_for(self._rushing.wait(), seconds)

    async def deliver(self, said: Said) -> None:
        """Post until it is answered 200."""
        external_id = external_id_of(said.line, said.token)
        hook = hook_of(self.base_url, said.line, external_id, said.token)
        while True:
            copies = 2 if self.rng.random() < DOUBLED else 1
            posts = await asyncio.gather(*(self._post(said.token, hook) for _ in range(copies)))
            if any(post.status == 200 for post in posts):
                return
            await asyncio.sleep(REDELIVER_AFTER * self.rng.uniform(0.5, 1.5))

    async def _post(self, token: str, hook: Hook) -> Post:
        by, url = self.where() if self.where else ("", self.base_url)
        post = Post(token, time.time(), by=by)
        self.in_flight[id(post)] = post
        try:
            async with self._session.post(
                url + hook.path, data=hook.body, headers=hook.headers
            ) as answer:
                await answer.read()
                post.status = answer.status
        except (aiohttp.ClientError, OSError, TimeoutError):
            post.status = None
        finally:
            del self.in_flight[id(post)]
            post.ended = time.time()
            post.over.set()
            self.posts.append(post)
        return post


def crowd(count: int, *, first: int = 0) -> list[Customer]:
    """Customers of whom most write on WhatsApp, some by SMS, and some on both by turns."""
    found = []
    for index in range(first, first + count):
        number = f"+88017{11_000_000 + index}"
        lines = {
            0: (Line("sms", number),),
            1: (Line("wa", number), Line("sms", number)),
        }.get(index % 4, (Line("wa", number),))
        found.append(Customer(f"c{index:03}", lines))
    return found
