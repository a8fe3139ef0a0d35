"""The bus over a real Redis: who hears what, and what a loss of Redis costs.

Hints only: each test that loses Redis shows that hints flow again afterwards, by themselves.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis as Client

from hub.bus import Signal, Topic
from hub.errors import SettingsError
from hub.redis_bus import (
    CLAIM_IDLE,
    GROUP,
    MOST,
    RedisBus,
    ask_version,
    connect,
    end,
    open_redis_bus,
)
from tests.servers import Redis


class Heard:
    """What one process's listeners were told."""

    def __init__(self, bus: RedisBus, *topics: Topic, room: Callable[[], bool] = lambda: True):
        self.bus = bus
        self.topics = topics
        self.keys: list[tuple[Topic, bytes]] = []
        self._stops = [bus.listen(t, self._note(t), lambda _key: room()) for t in topics]

    def _note(self, topic: Topic) -> Callable[[bytes], None]:
        return lambda key: self.keys.append((topic, key))

    def stop(self) -> None:
        for stop in self._stops * 2:  # a second time does nothing
            stop()

    def count(self, key: bytes) -> int:
        return sum(1 for _topic, heard in self.keys if heard == key)


async def until(condition: Callable[[], object], seconds: float = 15.0) -> float:
    """Wait for it; returns the seconds that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "not in time"
        await asyncio.sleep(0.005)
    return time.monotonic() - began


class Process:
    """Opens buses as so many processes would, and closes them after the test."""

    def __init__(self, server: Redis, stack: AsyncExitStack) -> None:
        self.server = server
        self._stack = stack

    async def web(self) -> Heard:
        bus = await self._stack.enter_async_context(open_redis_bus(self.server.url))
        return Heard(bus, "change", "typing")

    async def worker(self, room: Callable[[], bool] = lambda: True) -> Heard:
        bus = await self._stack.enter_async_context(open_redis_bus(self.server.url))
        return Heard(bus, "conversation", "address", "media", room=room)

    async def both(self) -> Heard:
        bus = await self._stack.enter_async_context(open_redis_bus(self.server.url))
        return Heard(bus, "conversation", "address", "media", "change", "typing")

    async def client(self) -> Client:
        client = connect(self.server.url)
        self._stack.push_async_callback(client.aclose)
        return client


@pytest.fixture
async def start(fresh_redis: Redis) -> AsyncIterator[Process]:
    async with AsyncExitStack() as stack:
        yield Process(fresh_redis, stack)


async def reaches(sender: Heard, hearer: Heard, topic: Topic, key: bytes) -> float:
    """Poke until it is heard, as one who cannot know whether Redis is there; the seconds."""
    began = time.monotonic()
    while not hearer.count(key):
        assert time.monotonic() - began < 15, f"{topic} does not flow"
        sender.bus.poke(topic, key)
        await asyncio.sleep(0.02)
    return time.monotonic() - began


async def flowing(sender: Heard, *hearers: Heard) -> None:
    """Wait until subscriptions and groups stand."""
    for number, hearer in enumerate(hearers):
        for topic in hearer.topics:
            if topic in ("change", "conversation"):
                await reaches(sender, hearer, topic, b"first %d" % number)
    await asyncio.sleep(0.1)


async def test_work_goes_to_one_worker_and_news_to_every_process(start: Process) -> None:
    web, other = await start.web(), await start.web()
    first, second = await start.worker(), await start.worker()
    await flowing(web, other)
    keys = [b"key %d" % number for number in range(300)]
    for key in keys:
        web.bus.poke("conversation", key)
    await until(lambda: all(first.count(key) + second.count(key) for key in keys))
    await asyncio.sleep(0.2)
    assert {first.count(key) + second.count(key) for key in keys} == {1}
    assert min(len(first.keys), len(second.keys)) > 10, "both took part"
    web.bus.poke("typing", b"who")
    await until(lambda: other.count(b"who"))
    assert (web.count(b"who"), other.count(b"who")) == (1, 1)
    assert first.count(b"who") == 0


async def test_each_topic_comes_as_itself(start: Process) -> None:
    web, worker = await start.web(), await start.both()
    await flowing(web, worker)
    for topic in ("conversation", "address", "media", "change", "typing"):
        web.bus.poke(topic, b"\x00\xff:k")
    await until(lambda: worker.count(b"\x00\xff:k") == 5)
    heard = {topic for topic, key in worker.keys if key == b"\x00\xff:k"}
    assert heard == {"conversation", "address", "media", "change", "typing"}


async def test_a_process_keeps_the_work_it_can_begin_with(start: Process) -> None:
    own, other = await start.both(), await start.worker()
    await flowing(await start.web(), other)
    for number in range(50):
        own.bus.poke("conversation", b"own %d" % number)
        assert own.count(b"own %d" % number) == 1, "at once, in the same step"
    await asyncio.sleep(0.3)
    assert not [key for _topic, key in other.keys if key.startswith(b"own")]


async def test_work_without_room_goes_to_a_worker_with_room(start: Process) -> None:
    full, idle = await start.worker(room=lambda: False), await start.worker()
    for number in range(40):
        full.bus.poke("conversation", b"work %d" % number)
    await until(lambda: len(idle.keys) == 40)
    assert full.keys == []


async def test_a_worker_that_stopped_listening_hands_its_work_on(start: Process) -> None:
    leaving, staying = await start.both(), await start.worker()
    leaving.stop()
    leaving.bus.poke("address", b"left")
    await until(lambda: staying.count(b"left"))


async def test_what_a_dead_process_had_read_is_taken_over(start: Process) -> None:
    web, client = await start.web(), await start.client()
    stream = "{onethread}:wake:conversation"
    await client.xgroup_create(stream, GROUP, id="0", mkstream=True)
    web.bus.poke("conversation", b"hers")
    await until(lambda: not web.bus.waiting)
    assert await client.xreadgroup(GROUP, "died", {stream: ">"}, count=5, block=400)
    worker = await start.worker()
    took = await until(lambda: worker.count(b"hers"))
    assert took < CLAIM_IDLE + 3
    await asyncio.sleep(0.2)
    assert (await client.xpending(stream, GROUP))["pending"] == 0
    assert worker.count(b"hers") == 1


async def test_who_leaves_in_order_leaves_no_consumer(start: Process) -> None:
    client = await start.client()
    async with open_redis_bus(start.server.url) as bus:
        worker = Heard(bus, "conversation")
        await reaches(await start.web(), worker, "conversation", b"one")
    assert await client.xinfo_consumers("{onethread}:wake:conversation", GROUP) == []


async def test_a_killed_redis_comes_back_empty_and_hints_flow_again(start: Process) -> None:
    web, other, worker = await start.web(), await start.web(), await start.worker()
    await flowing(web, other, worker)
    start.server.kill()
    before = web.count(b"")
    poked = time.monotonic()
    for number in range(500):
        web.bus.poke("conversation", b"lost %d" % number)
        web.bus.poke("change")
    assert time.monotonic() - poked < 0.2, "a poke waits for nobody"
    assert web.count(b"") - before == 500
    await until(lambda: not web.bus.is_connected and not worker.bus.is_connected)
    await asyncio.sleep(1)
    start.server.start()
    took = time.monotonic()
    await reaches(web, worker, "conversation", b"again")
    await reaches(web, other, "typing", b"again")
    assert time.monotonic() - took < 5
    await until(lambda: web.bus.is_connected and worker.bus.is_connected)


async def test_while_redis_is_away_a_worker_keeps_even_what_it_has_no_room_for(
    start: Process,
) -> None:
    full = await start.worker(room=lambda: False)
    start.server.kill()
    full.bus.poke("address", b"tried")
    await until(lambda: not full.bus.is_connected)
    full.bus.poke("address", b"kept")
    assert full.count(b"kept") == 1


async def test_one_who_pokes_nothing_notices_that_redis_is_back(start: Process) -> None:
    web = await start.web()
    await flowing(web, await start.worker())
    start.server.kill()
    web.bus.poke("conversation", b"lost")
    await until(lambda: not web.bus.is_connected)
    start.server.start()
    await until(lambda: web.bus.is_connected)


async def test_a_cancellation_that_gets_lost_is_repeated() -> None:
    lost = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            lost.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    await asyncio.wait_for(end([task]), 10)
    assert lost.is_set()
    assert task.cancelled()


async def test_followers_look_again_after_their_subscription_was_cut(start: Process) -> None:
    """What was said meanwhile nobody will repeat."""
    web = await start.web()
    await flowing(await start.web(), web)
    signal = Signal(web.bus, "change")
    start.server.kill()
    await until(lambda: not web.bus.is_connected)
    await signal.wait(0)
    start.server.start()
    assert await signal.wait(10)


async def test_a_flushed_redis_is_set_up_again(start: Process) -> None:
    web, worker = await start.web(), await start.worker()
    await flowing(web, worker)
    assert start.server.ask("FLUSHALL") == "+OK"
    await reaches(web, worker, "conversation", b"again")
    assert web.bus.is_connected


async def test_a_frozen_redis_holds_nobody_up(start: Process) -> None:
    web, other, worker = await start.web(), await start.web(), await start.worker()
    await flowing(web, other, worker)
    with start.server.frozen():
        late = 0.0
        began = time.monotonic()
        while time.monotonic() - began < 4:
            before = time.monotonic()
            web.bus.poke("conversation", b"lost")
            web.bus.poke("change", b"local")
            late = max(late, time.monotonic() - before)
            await asyncio.sleep(0.01)
        assert late < 0.1
        assert not web.bus.is_connected
        assert web.count(b"local") > 50
    await reaches(web, worker, "conversation", b"again")
    await reaches(web, other, "typing", b"again")


async def test_hints_that_nobody_takes_are_bounded(start: Process) -> None:
    start.server.kill()
    web = await start.web()
    for number in range(MOST * 3):
        web.bus.poke("conversation", number.to_bytes(16, "big"))
    assert 0 < web.bus.waiting <= MOST


async def test_opening_without_redis_is_no_error(start: Process) -> None:
    start.server.kill()
    worker, web = await start.worker(), await start.web()
    await until(lambda: not worker.bus.is_connected)
    start.server.start()
    await reaches(web, worker, "conversation", b"at last")


async def test_hints_arrive_soon(start: Process) -> None:
    web, worker = await start.web(), await start.worker()
    await flowing(web, worker)
    signal = Signal(worker.bus, "conversation")
    times = []
    for number in range(50):
        began = time.perf_counter()
        web.bus.poke("conversation", b"quick %d" % number)
        assert await signal.wait(10)
        times.append(time.perf_counter() - began)
        await asyncio.sleep(0.005)
    assert sorted(times)[25] < 0.5, "far from the sweepers' pace"


async def test_redis_says_its_release(fresh_redis: Redis) -> None:
    assert (await ask_version(fresh_redis.url))[0].isdigit()
    fresh_redis.stop()
    with pytest.raises(ConnectionError):
        await ask_version(fresh_redis.url)
    with pytest.raises(SettingsError, match=r"^hub\.redis: "):
        connect("http://somewhere")
