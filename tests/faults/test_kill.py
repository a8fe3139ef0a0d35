"""Kill -9 under load, again and again, and hold what comes out against the promises.

ONETHREAD_FAULT_SEED replays a run, ONETHREAD_FAULT_KILLS and ONETHREAD_FAULT_SECONDS make it
longer: it ends when both are reached.
"""

import asyncio
import os
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import pytest

from tests.faults.checker import check, check_steps
from tests.faults.driver import Driver, crowd
from tests.faults.processes import House, open_house

KILLS = int(os.environ.get("ONETHREAD_FAULT_KILLS", "10"))
SECONDS = float(os.environ.get("ONETHREAD_FAULT_SECONDS", "0"))
SEED = int(os.environ.get("ONETHREAD_FAULT_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
CUSTOMERS = 24
PAUSE = 0.4

SLOW: dict[str, Any] = {"do": "slow", "seconds": 0.9}
HANG: dict[str, Any] = {"do": "hang"}
SILENT: dict[str, Any] = {"do": "accept_silent"}
NO_RECEIPTS: dict[str, Any] = {"do": "no_receipts"}
FAULTS = {
    "accepted, not answered": [SLOW],
    "accepted, never answered": [SILENT],
    "not accepted": [HANG],
    "accepted, not answered, no receipt": [SLOW, NO_RECEIPTS],
}
WEATHER: list[dict[str, Any]] = [
    {"do": "status", "status": 429, "retry_after": 0.2},
    {"do": "status", "status": 500},
    {"do": "accept_reset"},
    {"do": "receipt_first"},
    {"do": "reorder_receipts"},
    {"do": "duplicate_receipts"},
]
"""What goes wrong beside the kills."""


@dataclass(frozen=True)
class Kill:
    """A kill and what it hit; it counts when it hit all three."""

    fault: str
    at: float
    hooks: int
    turns: int
    sends: int
    recorded: set[str] = field(repr=False)

    @property
    def counts(self) -> bool:
        return min(self.hooks, self.turns, self.sends) > 0


async def kill_in_the_midst(house: House, driver: Driver, rng: random.Random) -> Kill:
    """Wait until all three kinds of work are in hand, kill, and look what was hit."""
    hub = house.hub
    assert hub is not None
    name = rng.choice(list(FAULTS))
    standin = house.standins[rng.choice(("wa", "wa", "sms"))]
    times = rng.randint(1, 3)
    for one in house.standins.values():
        await one.post("faults", rng.sample(WEATHER, 3))
    mark = max((call.n for call in await standin.sends()), default=0)
    await standin.post("faults", [{**fault, "times": times} for fault in FAULTS[name]])

    async def is_open() -> bool:
        return any(call.status is None and call.fault for call in await standin.sends(mark))

    assert await house.until(is_open, 10, 0.02), f"no send met the fault {name!r}"
    await house.until(lambda: False, rng.uniform(0, 0.2))
    driver.rush()
    await house.until(lambda: is_busy(house, driver), 1, 0.002)
    under_way = list(driver.in_flight.values())
    at = time.time()
    await hub.kill()
    driver.calm()
    await asyncio.gather(*(post.over.wait() for post in under_way))
    sending = house.sending()
    calls = [call for call in await standin.sends(mark) if call.status is None]
    steps = [step for step in house.steps() if step["pid"] == hub.pid]
    ran = {step["text"] for step in steps}
    ended = {step["text"] for step in steps if step["what"] == "end"}
    await standin.clear_faults()
    return Kill(
        fault=f"{standin.name}: {name}",
        at=at,
        hooks=sum(post.status is None for post in under_way),
        turns=min(house.running_turns(), len(ran - ended)),
        sends=sum(call.row in sending for call in calls),
        recorded=house.recorded_steps(),
    )


def is_busy(house: House, driver: Driver) -> bool:
    """Enough is in hand that some of it still is when the kill comes."""
    return len(driver.in_flight) >= 4 and house.running_turns() >= 2


@pytest.mark.slow
@pytest.mark.timeout(240 + SECONDS * 2 + KILLS * 10)
async def test_kills_under_load_lose_and_double_nothing(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    began = time.monotonic()
    kills: list[Kill] = []
    missed = 0
    async with open_house(tmp_path) as house:
        customers = crowd(CUSTOMERS)
        await house.open_windows(line for one in customers for line in one.lines)
        # Receipts that come later than the kill, so that the send is open until then.
        await house.add_accounts(receipt_delay=[0.4, 0.5])
        await house.start()
        async with Driver(house.url, customers, f"k{SEED}", PAUSE, rng) as driver:
            while len(kills) < KILLS or time.monotonic() - began < SECONDS:
                await house.until(lambda: False, rng.uniform(0.6, 1.6))
                kill = await kill_in_the_midst(house, driver, rng)
                if kill.counts:
                    kills.append(kill)
                else:
                    missed += 1
                    assert missed <= KILLS, f"too many kills hit too little: {kill}"
                await house.start()
            for one in house.standins.values():
                await one.clear_faults()
            await driver.finish()
        await house.settled()
        findings = check(await house.evidence(driver.said, driver.posts))
        findings.problems += check_steps(
            house.steps(), [(kill.at, kill.recorded) for kill in kills]
        )
        report(findings.figures, kills, missed, time.monotonic() - began, house.starts)
        assert not findings.problems, f"seed {SEED}\n{findings}"
    assert findings.figures["hooks unanswered"] >= KILLS


def report(
    figures: dict[str, int], kills: list[Kill], missed: int, seconds: float, starts: list[float]
) -> None:
    click.echo(
        f"\nseed {SEED}: {len(kills)} kills in {seconds:.1f} s, {missed} more hit too little"
    )
    for kill in kills:
        click.echo(
            f"  {kill.fault}: {kill.hooks} hooks, {kill.turns} turns, {kill.sends} sends in hand"
        )
    for name, count in figures.items():
        click.echo(f"  {name}: {count}")
    click.echo(f"  ready again after {min(starts):.2f} to {max(starts):.2f} s")
