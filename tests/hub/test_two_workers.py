"""A web process and two workers on one PostgreSQL and one Redis, as three hubs in this process.

They look for missed work once in ten minutes, so whatever happens here was told over the bus.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connectors.sandbox import twilio, whatsapp
from hub.app import Hub, open_hub, serving
from hub.bus import Signal
from hub.check import find
from hub.settings import Settings, load_settings
from hub.store import migrate_database
from tests.faults.scene import FLOWS
from tests.flows import bench
from tests.running import House, add_accounts, free_port, overrides
from tests.servers import Redis

NEVER = 600.0  # seconds


@dataclass
class Three:
    settings: Settings
    house: House
    workers: list[Hub]

    async def told(self) -> asyncio.Event:
        """Set once a worker found that the other has what it was woken for."""
        event = asyncio.Event()
        for worker in self.workers:
            worker.bus.listen("held", lambda _key: event.set())
        await asyncio.sleep(1.2)  # until what is listened to is subscribed to
        return event


@pytest.fixture
async def three(fresh_postgres: str, fresh_redis: Redis, tmp_path: Path) -> AsyncIterator[Three]:
    await migrate_database(fresh_postgres)
    port = free_port()
    public_url = f"http://127.0.0.1:{port}"
    async with contextlib.AsyncExitStack() as stack:
        sandboxes: dict[str, Any] = {"wa": whatsapp.Sandbox(), "sms": twilio.Sandbox()}
        for one in sandboxes.values():
            await one.start()
            stack.push_async_callback(one.stop)
        limits = {"poll": NEVER, "lease": 60.0}
        values = overrides(tmp_path, sandboxes, public_url, dialogs=FLOWS, limits=limits)
        values["hub"] |= {"database": fresh_postgres, "redis": fresh_redis.url}
        settings = load_settings(None, values)
        hubs = [await stack.enter_async_context(open_hub(settings)) for _ in range(3)]
        await stack.enter_async_context(serving(hubs[0], "127.0.0.1", port, worker=False))
        for hub in hubs[1:]:
            hub.worker.start()
            stack.push_async_callback(hub.worker.stop)
        add_accounts(sandboxes, public_url)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Three(settings, House(hubs[0], public_url, sandboxes, session, ""), hubs[1:])


async def test_what_the_web_takes_in_a_worker_answers_and_the_web_is_told(three: Three) -> None:
    house = three.house
    changed = Signal(house.hub.bus, "change")
    for number in range(8):
        await house.writes("wa", f"hello {number}", number=f"+88017110000{number:02}")

    async def answered() -> bool:
        heard = [await house.heard("wa", f"+88017110000{n:02}") for n in range(8)]
        return all(len(texts) == 1 for texts in heard)

    await house.until(answered, 15)
    await changed.wait(0)
    await house.writes("wa", "once more")
    while len(await house.heard("wa")) < 1:
        assert await changed.wait(10)


async def test_what_comes_while_another_has_the_conversation_is_answered_after_it(
    three: Three,
) -> None:
    """The worker that is woken cannot claim it; the one that has it looks again."""
    bench.reset()
    house, told = three.house, await three.told()
    await house.writes("wa", "hold on")
    await house.until(lambda: bench.calls)
    written: list[str] = []
    while not told.is_set():  # a hint goes to either worker: wait for one to the wrong one
        written.append(f"and {len(written)}")
        await house.writes("wa", written[-1])
        await asyncio.sleep(0.05)
    bench.go.set()

    said = ["holding", "went hold", *(f"echo {text}" for text in written)]

    async def all_answered() -> bool:
        return await house.heard("wa") == said

    await house.until(all_answered, 20)


async def test_check_asks_redis(three: Three, fresh_redis: Redis) -> None:
    async def said() -> tuple[bool, str]:
        [line] = [one for one in await find(three.settings) if one.name == "hub.redis"]
        return line.ok, line.text

    ok, text = await said()
    assert ok
    assert text.startswith("answers, release ")
    fresh_redis.kill()
    ok, text = await said()
    assert not ok
    assert "does not answer" in text
