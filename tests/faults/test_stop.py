"""Stops by signal, with work in hand and without: nothing new begins, the end comes in time and
says 0, and after the next start all is as if there had been no stop."""

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import click
import pytest

from tests.faults.barrier import connections
from tests.faults.checker import check, check_steps
from tests.faults.driver import Customer, Driver, Post, Said, crowd
from tests.faults.hooks import Line, external_id_of, hook_of, whatsapp_hook
from tests.faults.processes import House, free_port, open_house

# Not accepted; accepted with receipts, which settle it; accepted and never heard of again.
# Two more are answered while the stop still waits for the others.
HANGS = [("hang",)] * 4 + [("accept_silent",)] * 3 + [("accept_silent", "no_receipts")] * 3
HANGS += [("slow", "no_receipts")] * 2
TURNS, HANGING = 100, len(HANGS)
SENDING = 9
AFTER_A_STOP = {"sends of unknown outcome": 7, "repeats": 3}
CUT_OFF = {"sends of unknown outcome": 9, "repeats": 5}
SLOW = 4.0
WITHIN = 10.0
# Sends that would hang longer than any stop may take.
PATIENT = {"workers": 128, "send_timeout": 30.0, "lease": 40.0}


class Talk:
    """Messages posted one by one, in the driver's own words."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.said: list[Said] = []
        self.posts: list[Post] = []

    async def say(self, customer: Customer, *endings: str, place: int = 0) -> None:
        """Post a message for each ending, all in one hook: they become durable together."""
        line = customer.lines[0]
        said = [
            Said(f"tk-stop-{customer.name}-{place + index}{ending}", customer, place + index, line)
            for index, ending in enumerate(endings)
        ]
        found = [(line, external_id_of(line, one.token), one.token) for one in said]
        hook = hook_of(self.house.url, *found[0]) if line.channel == "sms" else whatsapp_hook(found)
        async with aiohttp.ClientSession() as session:
            url = self.house.url + hook.path
            async with session.post(url, data=hook.body, headers=hook.headers) as answer:
                assert answer.status == 200
        self.said += said
        self.posts += [Post(one.token, 0.0, status=200) for one in said]

    def begun(self) -> int:
        return sum(step["what"] == "begin" for step in self.house.steps())

    async def fill_hands(self) -> None:
        """100 turns that wait in their step, each with another message behind it, and 10 sends
        that hang, each with another behind it."""
        house = self.house
        people = [Customer(f"w{i:03}", (Line("wa", f"+88018{i:08}"),)) for i in range(TURNS)]
        hung = [Customer(f"h{i:03}", (Line("wa", f"+88019{i:08}"),)) for i in range(HANGING)]
        await house.open_windows(one.lines[0] for one in people + hung)
        await house.start()
        standin = house.standins["wa"]
        for one, fault in zip(hung, HANGS, strict=True):
            match = {"to": one.lines[0].digits}
            await standin.post(
                "faults", [{"do": do, "match": match, "seconds": SLOW} for do in fault]
            )
        await asyncio.gather(*(self.say(one, "") for one in hung))

        async def all_hang() -> bool:
            return sum(call.status is None for call in await standin.sends()) == HANGING

        assert await house.until(all_hang, 20)
        for part in range(0, TURNS, 20):
            few = people[part : part + 20]
            await asyncio.gather(*(self.say(one, " wait", " wait") for one in few))
        assert await house.until(lambda: self.begun() == TURNS + HANGING, 20)

    async def stop(self, signals: tuple[signal.Signals, ...] = (signal.SIGTERM,)) -> int:
        """Send the signals, half a second apart; the exit code."""
        hub = self.house.hub
        assert hub is not None
        for number in signals:
            if hub.code is None:
                hub.send(number)
                await self.house.until(lambda: hub.code is not None, 0.5)
        return await hub.ended()

    async def judge(self, expected: dict[str, int]) -> None:
        """After the next start: everything as the checker demands, and nothing sent again but
        what nobody could know of."""
        self.house.gate.touch()
        await self.house.start()
        await self.house.settled()
        findings = check(await self.house.evidence(self.said, self.posts))
        findings.problems += check_steps(self.house.steps())
        assert not findings.problems, str(findings)
        assert {name: findings.figures[name] for name in expected} == expected


@contextlib.contextmanager
def timed(name: str) -> Iterator[list[float]]:
    began = time.monotonic()
    seconds: list[float] = []
    yield seconds
    seconds.append(time.monotonic() - began)
    click.echo(f"\n{name}: {seconds[0]:.2f} s")


@pytest.mark.slow
async def test_a_stop_gives_back_what_does_not_end_in_time(tmp_path: Path) -> None:
    async with open_house(tmp_path, limits=PATIENT) as house:
        talk = Talk(house)
        await talk.fill_hands()
        assert house.running_turns() == TURNS
        assert len(house.sending()) == SENDING
        calls = len(await house.standins["wa"].sends())
        async with connections(house.port, 5) as half_sent:
            line = Line("wa", "+8801700000000")
            hook = hook_of(house.url, line, external_id_of(line, "half"), "half")
            for one in half_sent:
                await one.hold(hook, "127.0.0.1")
            with timed("100 turns and 10 sends that do not end") as seconds:
                assert await talk.stop() == 0
        assert seconds[0] < WITHIN
        assert talk.begun() == TURNS + HANGING
        assert len(await house.standins["wa"].sends()) == calls
        assert house.running_turns() == 0
        [(claims,)] = house.query("SELECT max(claims) FROM conversations")
        assert claims <= 1, "stops must not add up to a turn that is given up"
        assert house.sending() == set()
        await talk.judge(AFTER_A_STOP)


@pytest.mark.slow
async def test_a_stop_lets_turns_end_and_begins_nothing_new(tmp_path: Path) -> None:
    async with open_house(tmp_path, limits=PATIENT) as house:
        talk = Talk(house)
        await talk.fill_hands()
        standin = house.standins["wa"]
        calls = len(await standin.sends())
        hub = house.hub
        assert hub is not None
        hub.send(signal.SIGTERM)
        refused = await house.until(lambda: is_refused(house), 5)
        house.gate.touch()
        with timed("stop after the turns have ended") as seconds:
            assert await hub.ended() == 0
        assert refused
        assert seconds[0] < WITHIN
        ended = [step for step in house.steps() if step["what"] == "end"]
        assert len(ended) == TURNS + HANGING, "a turn in hand was cut off"
        handled = {row.text for row in house.rows() if row.direction == "in" and row.handled}
        assert handled == {one.token for one in talk.said if one.place == 0}
        assert talk.begun() == TURNS + HANGING, "an event was begun after the stop"
        assert len(await standin.sends()) == calls, "a send was begun after the stop"
        await talk.judge(AFTER_A_STOP)


async def is_refused(house: House) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", house.port)
    except ConnectionRefusedError:
        return True
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return False


@pytest.mark.slow
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_it_at_once_and_loses_nothing(
    tmp_path: Path, second: signal.Signals
) -> None:
    async with open_house(tmp_path, limits=PATIENT) as house:
        talk = Talk(house)
        await talk.fill_hands()
        with timed(f"SIGTERM, then {second.name}") as seconds:
            code = await talk.stop((signal.SIGTERM, second))
        assert code != 0
        assert seconds[0] < 4
        await talk.judge(CUT_OFF)


@pytest.mark.slow
async def test_a_stop_under_load_answers_what_it_took(tmp_path: Path) -> None:
    """Three stops while hooks, turns and sends go on: each says 0, nothing is lost or doubled."""
    async with open_house(tmp_path) as house:
        customers = crowd(16)
        await house.open_windows(line for one in customers for line in one.lines)
        await house.start()
        async with Driver(house.url, customers, "load", 0.3, random.Random(5)) as driver:
            for _ in range(3):
                await house.until(lambda: False, 1.5)
                assert house.hub is not None
                house.hub.send(signal.SIGTERM)
                with timed("stop under load") as seconds:
                    assert await house.hub.ended() == 0
                assert seconds[0] < WITHIN
                await house.start()
            await driver.finish()
        await house.settled()
        findings = check(await house.evidence(driver.said, driver.posts))
        findings.problems += check_steps(house.steps())
        assert not findings.problems, str(findings)
        assert findings.figures["repeats"] == 0
        assert findings.figures["sends of unknown outcome"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_idle_hub_stops_at_once(tmp_path: Path, number: signal.Signals) -> None:
    async with open_house(tmp_path) as house:
        hub = await house.start()
        hub.send(number)
        with timed(f"idle, {number.name}") as seconds:
            assert await hub.ended() == 0
        assert seconds[0] < 5
        assert hub.err.read_text() == ""


@pytest.mark.slow
async def test_a_second_hub_on_the_same_file_refuses_with_one_line(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        first = await house.start()
        second = house.spawn(free_port(), "second")
        assert await second.ended() == 1
        said = second.err.read_text()
        assert said.count("\n") == 1, said
        assert said.startswith("onethread: hub.database: ")
        assert "hub.db is in use by another onethread process" in said
        await Talk(house).say(Customer("one", (Line("sms", "+8801711999999"),)), "")
        assert first.code is None
        first.send(signal.SIGKILL)
        await first.ended()
        again = await house.start()
        assert again.code is None
