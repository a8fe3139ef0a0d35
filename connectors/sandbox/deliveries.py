"""Webhooks on their way to the hub: in order per customer, retried as the provider does."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

import aiohttp
from yarl import URL

from connectors.sandbox.calls import later_than

LONGEST_RETRY = 5.0


@dataclass(slots=True)
class Post:
    """One webhook. Posts of one `queue` go out one after the other, by `due`.

    `due` is in seconds of `time.monotonic`. `retries` None means until a 2xx. An empty `url`
    posts nothing, but its `begun` still runs when due. `done` gets the last HTTP status, or
    None when the hook was never reached. The wait before a retry starts at `first_retry`
    seconds and doubles to 5 s.
    """

    queue: str
    account: str
    phone: str
    url: str
    body: bytes
    headers: dict[str, str]
    kind: str
    external_ids: tuple[str, ...]
    receipt: str | None = None
    retries: int | None = None
    first_retry: float = 0.2
    timeout: float = 15.0
    due: float = 0.0
    begun: Callable[[], None] | None = None
    answered: Callable[[int, str, bytes], None] | None = None
    done: asyncio.Future[int | None] | None = None
    attempt: int = 0


@dataclass(slots=True)
class Attempt:
    """One try to deliver a post: the hook's HTTP `status`, or the `error` that came instead."""

    n: int
    at: float
    account: str
    phone: str
    kind: str
    external_ids: tuple[str, ...]
    receipt: str | None
    attempt: int
    status: int | None = None
    error: str | None = None


@dataclass(slots=True)
class _Queue:
    heap: list[tuple[float, int, Post]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    open: int = 0


class Deliveries:
    """The posts that wait and the attempts made. Posts wait out a stop and go on after a start."""

    def __init__(self, now: Callable[[], float], keep: int | None = None) -> None:
        self._now = now
        self._session: aiohttp.ClientSession | None = None
        self._running = False
        self._queues: dict[str, _Queue] = {}
        self._count = 0
        self._posts = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.attempts: deque[Attempt] = deque(maxlen=keep)

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the stand-in is stopped")
        return self._session

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=100), cookie_jar=aiohttp.DummyCookieJar()
        )
        self._running = True
        for name, queue in self._queues.items():
            queue.task = asyncio.create_task(self._drain(name, queue))

    async def pause(self) -> None:
        """Deliver nothing more until the next start; the session stays open until `close`."""
        self._running = False
        tasks = [queue.task for queue in self._queues.values() if queue.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for queue in self._queues.values():
            queue.task = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def put(self, post: Post) -> None:
        queue = self._queues.get(post.queue)
        if queue is None:
            queue = self._queues[post.queue] = _Queue()
        self._idle.clear()
        self._posts += 1
        queue.open += 1
        heappush(queue.heap, (post.due, self._posts, post))
        if queue.task is None:
            if self._running:
                queue.task = asyncio.create_task(self._drain(post.queue, queue))
        elif queue.heap[0][2] is post:
            queue.woken.set()

    def put_twice(self, post: Post) -> None:
        self.put(post)
        self.put(replace(post, begun=None, answered=None, done=None))

    def log(self, after: int = 0) -> list[Attempt]:
        """The attempts numbered above `after`."""
        return later_than(self.attempts, after)

    def waiting(self) -> int:
        """How many posts are not delivered yet."""
        return sum(queue.open for queue in self._queues.values())

    async def drained(self) -> None:
        """Wait until every post is delivered or given up."""
        await self._idle.wait()

    def clear(self) -> None:
        """Forget the attempts and the posts that wait."""
        self.attempts.clear()
        for queue in self._queues.values():
            for _, _, post in queue.heap:
                _settle(post, None)
            if queue.task is not None:
                queue.task.cancel()
        self._queues.clear()
        self._idle.set()

    async def _drain(self, name: str, queue: _Queue) -> None:
        while queue.heap:
            delay = queue.heap[0][0] - time.monotonic()
            if delay > 0:
                await _sleep_until_woken(queue.woken, delay)
                continue
            entry = heappop(queue.heap)
            try:
                status = await self._deliver(entry[2])
            except asyncio.CancelledError:
                if self._queues.get(name) is queue:
                    heappush(queue.heap, entry)
                else:
                    _settle(entry[2], None)
                raise
            queue.open -= 1
            _settle(entry[2], status)
        if self._queues.get(name) is queue:
            del self._queues[name]
            if not self._queues:
                self._idle.set()

    async def _deliver(self, post: Post) -> int | None:
        if post.begun is not None:
            post.begun()
            post.begun = None
        if not post.url:
            return None
        while True:
            attempt = await self._try(post)
            if attempt.status is not None and 200 <= attempt.status < 300:
                return attempt.status
            if post.retries is not None and post.attempt > post.retries:
                return attempt.status
            doubled = post.first_retry * 2.0 ** min(post.attempt - 1, 20)
            await asyncio.sleep(min(doubled, LONGEST_RETRY))

    async def _try(self, post: Post) -> Attempt:
        post.attempt += 1
        self._count += 1
        attempt = Attempt(
            n=self._count,
            at=self._now(),
            account=post.account,
            phone=post.phone,
            kind=post.kind,
            external_ids=post.external_ids,
            receipt=post.receipt,
            attempt=post.attempt,
        )
        self.attempts.append(attempt)
        try:
            # The signature covers the URL as it was written, so it must not be quoted anew.
            async with self.session.post(
                URL(post.url, encoded=True),
                data=post.body,
                headers=post.headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=post.timeout),
            ) as response:
                content = await response.read()
                attempt.status = response.status
                if post.answered is not None:
                    post.answered(response.status, response.content_type, content)
        except (aiohttp.ClientError, OSError) as error:
            attempt.error = type(error).__name__
        except asyncio.CancelledError:
            attempt.error = "stopped"
            raise
        return attempt


async def _sleep_until_woken(woken: asyncio.Event, seconds: float) -> None:
    woken.clear()
    try:
        async with asyncio.timeout(seconds):
            await woken.wait()
    except TimeoutError:
        return


def _settle(post: Post, status: int | None) -> None:
    if post.done is not None and not post.done.done():
        post.done.set_result(status)
