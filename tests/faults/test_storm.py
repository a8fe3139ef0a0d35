"""The short storms of CI; the long ones are `python -m tests.faults.storm`."""

import itertools
import os
import random
from pathlib import Path

import click
import pytest

from tests.faults.checker import Findings
from tests.faults.plan import SCALED, clock_of, faults
from tests.faults.storm import ride
from tests.faults.storm_check import summary
from tests.servers import Postgres, Redis

SEED = int(os.environ.get("ONETHREAD_FAULT_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
SECONDS = 45.0
SECONDS_ALONE = 30.0


def test_a_seed_replays_its_faults() -> None:
    def first(count: int, seed: int) -> list[str]:
        plan = faults(seed, alone=False, long=False)
        return [str(one) for one in itertools.islice(plan, count)]

    assert first(40, SEED)[:20] == first(20, SEED)
    assert first(20, SEED) != first(20, SEED + 1)
    assert clock_of(SEED, ["a", "b"]) == clock_of(SEED, ["a", "b"])


def test_every_kind_of_fault_strikes_in_each_deck() -> None:
    size = sum(SCALED.values())
    plan = faults(SEED, alone=False, long=False)
    for _ in range(3):
        assert {one.kind for one in itertools.islice(plan, size)} == set(SCALED)


@pytest.mark.slow
@pytest.mark.timeout(420)
async def test_a_storm_on_postgresql_and_redis_breaks_no_promise(tmp_path: Path) -> None:
    postgres, redis = Postgres().start(), Redis().start()
    try:
        findings = await ride(tmp_path, seed=SEED, seconds=SECONDS, postgres=postgres, redis=redis)
    finally:
        postgres.close()
        redis.close()
    assert_held(findings, 100)
    assert findings.figures["kills"] >= 3


@pytest.mark.slow
@pytest.mark.timeout(420)
async def test_a_storm_on_sqlite_breaks_no_promise(tmp_path: Path) -> None:
    assert_held(await ride(tmp_path, seed=SEED, seconds=SECONDS_ALONE), 30)


def assert_held(findings: Findings, messages: int) -> None:
    """No promise was broken, and there was a storm."""
    click.echo(summary(findings.figures))
    assert not findings.problems, f"seed {SEED}\n{findings}"
    assert findings.figures["messages"] > messages
