"""The process that writes the database dies alone: the hub says so and stops, and after the next
start nothing is lost or doubled."""

import os
import random
import signal
from pathlib import Path

import click
import pytest

from tests.faults.checker import check
from tests.faults.driver import Driver, crowd
from tests.faults.processes import open_house

SEED = int(os.environ.get("ONETHREAD_FAULT_SEED", "5"))
KILLS = 3
CUSTOMERS, PAUSE = 24, 0.4


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_a_dead_writer_ends_the_hub_and_loses_nothing(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    async with open_house(tmp_path) as house:
        customers = crowd(CUSTOMERS)
        await house.open_windows(line for one in customers for line in one.lines)
        hub = await house.start()
        async with Driver(house.url, customers, f"w{SEED}", PAUSE, rng) as driver:
            for _ in range(KILLS):
                await house.until(lambda: False, rng.uniform(0.8, 1.6))
                [writer] = hub.children()
                os.kill(writer, signal.SIGKILL)
                assert await hub.ended(15) == 1
                said = hub.err.read_text()
                assert "the process that writes it has ended" in said, said[-2000:]
                hub = await house.start()
            await driver.finish()
        await house.settled()
        findings = check(await house.evidence(driver.said, driver.posts))
        click.echo(f"\n{findings.figures}")
        assert not findings.problems, f"seed {SEED}\n{findings}"


@pytest.mark.slow
async def test_the_writer_ends_with_a_killed_hub(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        hub = await house.start()
        assert len(hub.children()) == 1
        await hub.kill()
        again = await house.start()
        again.send(signal.SIGTERM)
        assert await again.ended(15) == 0
