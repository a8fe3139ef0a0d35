"""The database is away, hooks go into the spool, and the hub is killed: while it spools, and while
it replays what it spooled. Every hook that was answered 200 is in its thread once and in order."""

import contextlib
import os
import random
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import click
import pytest

from hub.spool_files import survey
from tests.faults.checker import check, check_steps
from tests.faults.driver import Driver, crowd
from tests.faults.hooks import Line, external_id_of, hook_of
from tests.faults.processes import House, open_house

SEED = int(os.environ.get("ONETHREAD_FAULT_SEED", "11"))
ROUNDS = 3
CUSTOMERS, PAUSE = 32, 0.15


def waiting(house: House) -> int:
    """Hooks on the disk that are not noted as stored."""
    return sum(one.records for one in survey(house.folder / "spool").values())


@contextlib.asynccontextmanager
async def locked(house: House) -> AsyncIterator[None]:
    """Another process holds the database's write lock."""
    with contextlib.closing(sqlite3.connect(house.database, isolation_level=None)) as other:
        other.execute("PRAGMA busy_timeout = 20000")
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def killed_while_replaying(house: House) -> bool:
    """Start the hub and kill it when a part of what waits is replayed."""
    assert house.hub is not None
    before = waiting(house)
    house.hub = house.spawn(house.port)
    left = before

    def is_under_way() -> bool:
        nonlocal left
        left = waiting(house)
        return left < before

    assert await house.until(is_under_way, 30, 0.001), house.hub.err.read_text()[-2000:]
    await house.hub.kill()
    return waiting(house) > 0


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_kills_cost_no_spooled_hook(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    spooled: list[int] = []
    cut = 0
    async with open_house(tmp_path, delay=0.0) as house:
        customers = crowd(CUSTOMERS)
        await house.open_windows(line for one in customers for line in one.lines)
        hub = await house.start()
        async with Driver(house.url, customers, f"sp{SEED}", PAUSE, rng) as driver:
            for _ in range(ROUNDS):
                await house.until(lambda: False, rng.uniform(0.3, 0.8))
                async with locked(house):
                    assert await house.until(lambda: waiting(house) > 0, 20), "nothing was spooled"
                    await house.until(lambda: False, rng.uniform(1.0, 2.5))
                    await hub.kill()
                    spooled.append(waiting(house))
                cut += await killed_while_replaying(house)
                hub = await house.start()
            await driver.finish()
        assert await house.until(lambda: not waiting(house), 30)
        await house.settled()
        findings = check(await house.evidence(driver.said, driver.posts))
        findings.problems += check_steps(house.steps())
    click.echo(f"\nseed {SEED}: spooled at the kills {spooled}, kills in mid-replay {cut}")
    click.echo(f"{dict(findings.figures)}")
    assert not findings.problems, f"seed {SEED}\n{findings}"
    assert {post.status for post in driver.posts} <= {200, None}, "no hook was refused"
    assert min(spooled) > 20
    assert cut, "no kill hit a replay"


@pytest.mark.slow
async def test_a_channels_hooks_are_stored_in_the_order_of_their_answers(tmp_path: Path) -> None:
    """Posted one after the other, from before the outage until after it."""
    async with open_house(tmp_path, delay=0.0) as house:
        hub = await house.start()
        said: list[str] = []

        async def post(count: int) -> None:
            for _ in range(count):
                text = f"line {len(said):04}"
                line = Line("wa", f"+88017110{len(said) % 7:05}")
                hook = hook_of(house.url, line, external_id_of(line, text), text)
                session = house.standins["wa"].session
                async with session.post(
                    house.url + hook.path, data=hook.body, headers=hook.headers
                ) as answer:
                    assert answer.status == 200
                said.append(text)

        await post(20)
        async with locked(house):
            await post(150)
            assert waiting(house) == 150
        await post(150)
        await house.until(lambda: not waiting(house), 20)
        await post(20)
        async with locked(house):
            await post(50)
            await hub.kill()
        await house.start()
        await post(50)
        await house.until(lambda: not waiting(house), 20)
        found = house.query("SELECT text FROM messages WHERE direction = 'in' ORDER BY id")
        assert [text for (text,) in found] == said
        assert not list((house.folder / "spool").rglob("*.log")), "files are gone when replayed"
