"""A web process and two workers on PostgreSQL without Redis: kill -9 of any of them under load."""

import os
import random
import signal
import time
from pathlib import Path

import click
import pytest

from tests.faults.checker import check, check_steps
from tests.faults.driver import Driver, crowd
from tests.faults.scaled import WORKERS, open_scaled

KILLS = int(os.environ.get("ONETHREAD_FAULT_KILLS", "8"))
SEED = int(os.environ.get("ONETHREAD_FAULT_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
CUSTOMERS = 24
PAUSE = 0.4


@pytest.mark.slow
@pytest.mark.timeout(200 + KILLS * 10)
async def test_kills_of_any_process_lose_and_double_nothing(
    tmp_path: Path, fresh_postgres: str
) -> None:
    rng = random.Random(SEED)
    kills: list[tuple[float, set[str]]] = []
    hit = {"web": 0, "worker": 0, "sending": 0}
    async with open_scaled(tmp_path, fresh_postgres) as house:
        customers = crowd(CUSTOMERS)
        await house.open_windows(line for one in customers for line in one.lines)
        await house.start()
        async with Driver(house.url, customers, f"p{SEED}", PAUSE, rng) as driver:
            for _ in range(KILLS):
                await house.until(lambda: False, rng.uniform(0.6, 1.6))
                driver.rush()
                await house.until(lambda: False, rng.uniform(0, 0.3))
                number = rng.randrange(WORKERS + 1)
                hit["sending"] += len(house.sending()) > 0
                if number == WORKERS:
                    assert house.hub is not None
                    await house.hub.kill()
                    await house.start()
                    hit["web"] += 1
                else:
                    await house.replace_worker(number)
                    hit["worker"] += 1
                driver.calm()
                recorded = house.recorded_steps()
                kills.append((time.time(), recorded))
            await driver.finish()
        await house.settled(60)
        findings = check(await house.evidence(driver.said, driver.posts))
        findings.problems += check_steps(house.steps(), kills)
        click.echo(f"\nseed {SEED}: killed {hit}\n{findings.figures}")
        assert not findings.problems, f"seed {SEED}\n{findings}"


def heeds_stop(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


@pytest.mark.slow
async def test_a_worker_and_a_web_process_stop_in_order(
    tmp_path: Path, fresh_postgres: str
) -> None:
    async with open_scaled(tmp_path, fresh_postgres) as house:
        hub = await house.start()
        for process in (*house.workers, hub):
            # A worker says nothing when it is ready; until it listens, a signal ends any process.
            assert await house.until(lambda one=process: heeds_stop(one.pid), 30)
            process.send(signal.SIGTERM)
            assert await process.ended(15) == 0, process.err.read_text()
