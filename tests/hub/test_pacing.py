"""Rates: each who must wait keeps one place and wakes for it, and a row that waits goes back.

Places are compared with the monotonic clock that they are reckoned by.
"""

import asyncio
import dataclasses
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hub.channels import Channel, Channels
from hub.clock import SECOND, new_id
from hub.connector import ChannelRef, ChannelSettings, Connector, Http, Limits
from hub.message import Message, Outbound, Sent
from hub.outreach.gate import make_gate
from hub.rate import LocalRates, Rates
from hub.store.rows import Row, outbound_row
from hub.store.schema import addresses, messages
from hub.store.sends import Attempt, SendClaim, Wait, abandon, begin
from tests.faults.scene import FLOWS
from tests.hub.line import AT, Line, open_line
from tests.running import CUSTOMER, House, running_hub

OTHER = "+8801711000002"


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with open_line(tmp_path) as opened:
        yield opened


class Rated(Connector):
    """A connector of which only the limits matter here."""

    Settings = ChannelSettings
    limits = Limits(text=100)

    @classmethod
    def account(cls, settings: Any) -> str:
        return "1"

    def check(self, hook: Any) -> None:
        return

    def parse(self, hook: Any) -> list[Any]:
        return []

    async def send(self, out: Outbound) -> Sent:
        return Sent("1")


class OneEachMinute(Rated):
    limits = Limits(text=100, pair_rate=(1, 60.0, 1))


def rated(rate: float, kind: type[Rated] = Rated, id: bytes = b"") -> Channels:
    """One channel of that rate."""
    settings = ChannelSettings(kind="rated", rate=rate)
    http = Http(None)  # type: ignore[arg-type]  # makes no calls
    connector = kind(ChannelRef(id, "rated", "rated", ""), settings, http)
    return Channels([Channel(id, "rated", "rated", "1", settings, connector)])


def rates(rate: float, kind: type[Rated] = Rated) -> tuple[Rates, bytes]:
    id = new_id()
    return LocalRates(rated(rate, kind, id)), id


class Places:
    """Asks for places and tells them in seconds since the first call, by the clock itself."""

    def __init__(self, rate: float, kind: type[Rated] = Rated) -> None:
        self.paced, self.channel = rates(rate, kind)
        self.began: tuple[float, float] | None = None

    async def assert_due(self, name: str, expected: float) -> None:
        """`name` may go `expected` seconds after the first who asked: between the two times at
        which the calls can have read the clock."""
        before = time.monotonic()
        seconds = await self.paced.wait(self.channel, name)
        after = time.monotonic()
        self.began = self.began or (before, after)
        assert before + seconds <= self.began[1] + expected + TINY
        assert after + seconds >= self.began[0] + expected - TINY


TINY = 1e-6  # seconds: more than sums of floats can be off


async def test_a_hundred_who_come_first_are_spread_one_by_one() -> None:
    places = Places(2)
    for number in range(100):
        await places.assert_due(f"a{number}", number / 2)


async def test_asking_again_moves_nobody() -> None:
    places = Places(2)
    for number in range(10):
        await places.assert_due(f"a{number}", number / 2)
    for number in [*range(1, 10)] * 5:
        await places.assert_due(f"a{number}", number / 2)
    await places.assert_due("the next", 5)


async def test_a_place_is_for_one_send() -> None:
    """Who went once asks for a place of her own the next time."""
    places = Places(2)
    for expected in (0, 0.5, 0.5):
        await places.assert_due("a", expected)
    await places.assert_due("b", 1)


async def test_who_waits_for_her_own_rate_takes_one_place_of_the_channels() -> None:
    places = Places(2, OneEachMinute)
    await places.assert_due("a", 0)
    for _ in range(20):
        await places.assert_due("a", 60)
    await places.assert_due("b", 1)
    await places.assert_due("c", 1.5)


async def test_each_wakes_once() -> None:
    paced, channel = rates(100)
    calls: Counter[str] = Counter()
    order: list[str] = []

    async def go(name: str) -> None:
        while True:
            calls[name] += 1
            seconds = await paced.wait(channel, name)
            if seconds == 0:
                order.append(name)
                return
            await asyncio.sleep(seconds)

    names = [f"a{number}" for number in range(40)]
    await asyncio.gather(*(go(name) for name in names))
    assert set(order) == set(names)
    assert max(calls.values()) <= 2


async def test_no_rate_means_no_waiting() -> None:
    paced, channel = rates(0)
    assert {await paced.wait(channel, "a") for _ in range(1000)} == {0.0}


# Rows that wait


async def add_row(line: Line, address: Row, text: str, lane: int) -> bytes:
    """A row of the outbox as whoever writes to that lane would leave it."""

    def insert(conn: Any) -> bytes:
        row = outbound_row(
            Message(text=text),
            channel_id=line.channel_id,
            address_id=address["id"],
            at=AT,
            expires_at=AT * 2,
            author_kind="agent",
        )
        row |= {"conversation_id": address["conversation_id"], "seq": next(numbers), "lane": lane}
        conn.execute(messages.insert().values(row))
        return bytes(row["id"])

    return await line.store.write(insert)


def _numbers() -> Iterator[int]:
    yield from range(1000, 2000)


numbers = _numbers()


async def her_address(line: Line) -> Row:
    await line.accept(line.arrival("her"))
    [address] = await line.rows(table=addresses)
    return address


async def begin_send(line: Line, address: Row, at: int = AT) -> Any:
    claim = SendClaim(address["id"], at, 60 * SECOND, 60 * SECOND, make_gate({}))
    return await line.store.each(begin, claim)


async def hold_back(line: Line, begun: Any, seconds: float) -> None:
    assert isinstance(begun, Attempt)
    await line.store.write(abandon, begun, AT + round(seconds * SECOND))


async def test_a_row_that_waits_for_the_rate_is_as_it_was_but_due_later(line: Line) -> None:
    address = await her_address(line)
    id = await add_row(line, address, "push", 2)
    [before] = await line.rows(messages.c.id == id)
    await hold_back(line, await begin_send(line, address), 2.5)
    for _ in range(3):
        assert await begin_send(line, address) == Wait(AT + 2_500_000)
    [after] = await line.rows(messages.c.id == id)
    assert after == before | {"due_at": AT + 2_500_000}
    [held] = await line.rows(table=addresses)
    assert held["lease_until"] == 0, "nobody holds the address meanwhile"
    assert isinstance(await begin_send(line, address, AT + 2_500_000), Attempt)


async def test_a_reply_passes_a_push_that_waits_for_the_rate(line: Line) -> None:
    address = await her_address(line)
    push = await add_row(line, address, "push", 2)
    await hold_back(line, await begin_send(line, address), 2.5)
    reply = await add_row(line, address, "reply", 1)
    begun = await begin_send(line, address)
    assert isinstance(begun, Attempt)
    assert begun.row["id"] == reply
    await line.answer(begun, Sent("wamid.1"))
    begun = await begin_send(line, address, AT + 2_500_000)
    assert isinstance(begun, Attempt)
    assert (begun.row["id"], begun.row["attempt"]) == (push, 1)


async def test_a_lost_attempt_holds_nothing_back(line: Line) -> None:
    attempt = await line.begin_send()
    [address] = await line.rows(table=addresses)

    def lapse(conn: Any) -> None:
        conn.execute(addresses.update().values(lease_until=0))

    await line.store.write(lapse)
    assert isinstance(await begin_send(line, address), Wait)
    before = await line.row(attempt)
    await hold_back(line, attempt, 2.5)
    assert before["state"] == "unknown"
    assert await line.row(attempt) == before


@asynccontextmanager
async def slow_channel(tmp_path: Path) -> AsyncIterator[House]:
    """A hub whose channel `wa` lets one message go in a hundred seconds, and one has gone."""
    channels = {"wa": {"rate": 0.01}}
    async with running_hub(tmp_path, dialogs=FLOWS, channels=channels) as house:
        await house.writes("wa", "first", number=OTHER)
        await house.settled()
        yield house


async def test_a_reply_of_the_hub_that_waits_for_the_rate(tmp_path: Path) -> None:
    async with slow_channel(tmp_path) as house:
        await house.writes("wa", "hello")

        async def answered() -> list[Row]:
            return await house.rows(messages.c.text == "echo hello", messages.c.due_at.isnot(None))

        [row] = await house.until(answered)
        for _ in range(3):
            await house.hub.worker.sweep()
            await house.until(house.hub.worker.is_idle)
        [after] = await house.rows(messages.c.text == "echo hello")
        assert after == row
        assert (after["state"], after["lane"], after["attempt"]) == ("queued", 1, 0)
        assert after["sending_at"] is None
        assert after["due_at"] > house.hub.clock.now(), "it is not asked for before its place"
        assert await house.heard("wa", OTHER) == ["echo first"]
        assert await house.heard("wa", CUSTOMER) == []


async def test_a_push_that_waits_in_the_hub_lets_a_reply_by(tmp_path: Path) -> None:
    async with slow_channel(tmp_path) as house:
        channel = house.hub.channels.by_name["wa"]
        line = Line(house.hub.store, channel.id)
        await house.writes("wa", "hello")

        async def waits() -> list[Row]:
            return await house.rows(messages.c.text == "echo hello", messages.c.due_at.isnot(None))

        [reply] = await house.until(waits)
        [address] = await line.rows(addresses.c.id == reply["address_id"], table=addresses)
        push = await add_row(line, address, "push", 2)
        await house.hub.worker.sweep()
        await house.until(house.hub.worker.is_idle)
        claim = house.hub.outbox.claim(address["id"])
        begun = await house.hub.store.each(begin, dataclasses.replace(claim, at=reply["due_at"]))
        assert isinstance(begun, Attempt)
        assert begun.row["id"] == reply["id"]
        [waiting] = await house.rows(messages.c.id == push)
        assert (waiting["state"], waiting["lane"], waiting["attempt"]) == ("queued", 2, 0)
        await house.hub.outbox.give_up(begun)
