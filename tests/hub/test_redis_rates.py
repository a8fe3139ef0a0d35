"""Send rates shared over a real Redis: together as fast as the channel allows, and no faster."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from hub.clock import new_id
from hub.rate import LocalRates, Rates
from hub.redis_bus import connect
from hub.redis_rate import AWAY, SharedRates
from tests.hub.test_pacing import OneEachMinute, Rated, rated
from tests.servers import Redis

ROOT = Path(__file__).resolve().parent.parent.parent
CHANNEL = new_id()
SENDER = """
import asyncio, json, sys, time
from hub.redis_bus import connect
from hub.redis_rate import SharedRates
from tests.hub.test_pacing import rated

async def main():
    url, channel, name, seconds = json.loads(sys.argv[1])
    client = connect(url)
    rates = SharedRates(client, rated(30, id=bytes.fromhex(channel)))
    sent = []

    async def send(number):
        while time.time() < begin + seconds:
            wait = await rates.wait(bytes.fromhex(channel), f"{name}{number}")
            if wait == 0:
                sent.append(time.time() - begin)
            await asyncio.sleep(wait)

    print(flush=True)
    begin = float(sys.stdin.readline())
    await asyncio.sleep(begin - time.time())
    await asyncio.gather(*(send(number) for number in range(20)))
    await client.aclose()
    print(json.dumps(sent))

asyncio.run(main())
"""


class Hubs:
    """As many processes' rates as wanted, over one Redis."""

    def __init__(self, server: Redis, stack: AsyncExitStack) -> None:
        self.server = server
        self._stack = stack

    def open(self, rate: float, kind: type[Rated] = Rated) -> SharedRates:
        client = connect(self.server.url)
        self._stack.push_async_callback(client.aclose)
        return SharedRates(client, rated(rate, kind, CHANNEL))


@pytest.fixture
async def hubs(fresh_redis: Redis) -> AsyncIterator[Hubs]:
    async with AsyncExitStack() as stack:
        yield Hubs(fresh_redis, stack)


async def test_two_processes_share_thirty_a_second(fresh_redis: Redis) -> None:
    seconds = 4.0
    runs = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            SENDER,
            json.dumps([fresh_redis.url, CHANNEL.hex(), name, seconds]),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for name in "ab"
    ]
    for run in runs:
        assert run.stdout
        await run.stdout.readline()  # both are up, however slow the machine is
    begin = f"{time.time() + 0.2}\n".encode()
    told = await asyncio.gather(*(run.communicate(begin) for run in runs))
    sent = [json.loads(out) for out, _ in told]
    assert all(len(times) > 20 for times in sent), "both were served"
    times = sorted(time for times in sent for time in times if time < seconds)
    burst = 30 / 4
    allowed = burst + 30 * seconds
    assert len(times) <= 1.01 * allowed + 1
    # No window of a second holds more than the rate and the burst.
    for first in range(len(times)):
        assert sum(1 for t in times[first:] if t < times[first] + 0.95) <= 30 + burst + 1


async def test_places_are_one_after_another_whoever_asks(hubs: Hubs) -> None:
    both = hubs.open(2), hubs.open(2)
    waits = [await both[number % 2].wait(CHANNEL, f"a{number}") for number in range(20)]
    for number, seconds in enumerate(waits):
        assert number / 2 - 0.5 < seconds <= number / 2


async def test_a_place_is_known_to_the_other_process_and_is_for_one_send(hubs: Hubs) -> None:
    one, other = hubs.open(4), hubs.open(4)
    assert await one.wait(CHANNEL, "first") == 0
    kept = await one.wait(CHANNEL, "second")
    for rates in (other, one, other):
        assert 0 < await rates.wait(CHANNEL, "second") <= kept, "asking again moves nobody"
    assert await one.wait(CHANNEL, "third") > kept
    await asyncio.sleep(kept + 0.01)
    assert await other.wait(CHANNEL, "second") == 0
    assert await other.wait(CHANNEL, "second") > 0


async def test_who_waits_for_her_own_rate_takes_one_place_of_the_channels(hubs: Hubs) -> None:
    one, other = hubs.open(2, OneEachMinute), hubs.open(2, OneEachMinute)
    assert await one.wait(CHANNEL, "a") == 0
    for rates in (one, other) * 10:
        assert 55 < await rates.wait(CHANNEL, "a") <= 60
    assert await one.wait(CHANNEL, "b") <= 1
    assert await other.wait(CHANNEL, "c") <= 1.5


async def test_a_channel_without_a_rate_asks_nobody(hubs: Hubs) -> None:
    hubs.server.kill()
    rates = hubs.open(0)
    began = time.monotonic()
    assert {await rates.wait(CHANNEL, "a") for _ in range(1000)} == {0.0}
    assert time.monotonic() - began < 0.5


async def test_redis_learns_no_number_of_a_customer(hubs: Hubs) -> None:
    rates = hubs.open(1, OneEachMinute)
    for _ in range(2):
        await rates.wait(CHANNEL, "+8801711000001")
    client = connect(hubs.server.url)
    keys = [key.decode() async for key in client.scan_iter()]
    times = [await client.pttl(key) for key in keys]
    await client.aclose()
    assert len(keys) == 3
    assert not [key for key in keys if "1711" in key]
    assert all(0 < time <= 180_000 for time in times), "nothing stays for ever"


async def first_ones(rates: Rates, name: str, count: int = 5) -> list[float]:
    return [await rates.wait(CHANNEL, f"{name}{number}") for number in range(count)]


async def test_without_redis_each_process_keeps_the_rate_itself(hubs: Hubs) -> None:
    one, other = hubs.open(2), hubs.open(2)
    await one.wait(CHANNEL, "a")
    hubs.server.kill()
    for rates in (one, other):
        waits = await first_ones(rates, "away")
        assert waits[0] == 0
        assert waits[4] == pytest.approx(2, abs=0.2), "it is the channel's own pace"
    began = time.monotonic()
    await first_ones(one, "quick", 200)
    assert time.monotonic() - began < 1, "who was away is not asked for each send"
    hubs.server.start()
    await asyncio.sleep(AWAY + 0.2)
    await one.wait(CHANNEL, "back")
    shared = await first_ones(one, "b", 3), await first_ones(other, "c", 3)
    # The places of both follow one another again.
    assert min(shared[1]) > max(shared[0])


async def test_a_frozen_redis_costs_a_send_a_second_at_most(hubs: Hubs) -> None:
    rates = hubs.open(2)
    await rates.wait(CHANNEL, "a")
    with hubs.server.frozen():
        began = time.monotonic()
        await asyncio.gather(*(rates.wait(CHANNEL, f"b{number}") for number in range(50)))
        assert time.monotonic() - began < 2
        began = time.monotonic()
        await first_ones(rates, "c", 50)
        assert time.monotonic() - began < 0.2


async def test_a_redis_that_came_back_empty_learns_the_script_again(hubs: Hubs) -> None:
    rates = hubs.open(2)
    await rates.wait(CHANNEL, "a")
    hubs.server.restart()
    assert await rates.wait(CHANNEL, "b") == 0
    assert await rates.wait(CHANNEL, "c") > 0
    local = LocalRates(rated(2, id=CHANNEL))
    assert await local.wait(CHANNEL, "c") == 0, "that was not the process's own rate"
