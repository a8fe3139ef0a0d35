"""The database cannot be written for a while under load: nothing is acknowledged that is not kept,
and when it can be again everything goes on by itself."""

import asyncio
import contextlib
import random
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import click
import pytest

from tests.faults.checker import check, check_steps
from tests.faults.driver import Driver, crowd
from tests.faults.processes import ROOT, House, open_house

ROOM = 400_000
FULL_FOR = 3.0
LOCKED_FOR = 7.0


@contextlib.asynccontextmanager
async def load(house: House, run: str) -> AsyncIterator[Driver]:
    """Customers write before, during and after the block; then all is judged."""
    customers = crowd(8)
    await house.open_windows(line for one in customers for line in one.lines)
    await house.start()
    async with Driver(house.url, customers, run, 0.2, random.Random(3)) as driver:
        await house.until(lambda: False, 1.5)
        yield driver
        await house.until(lambda: False, 1.5)
        await driver.finish()
    await house.settled()
    findings = check(await house.evidence(driver.said, driver.posts))
    findings.problems += check_steps(house.steps())
    assert not findings.problems, str(findings)


def is_refused(driver: Driver) -> bool:
    return any(post.status == 503 for post in driver.posts)


@pytest.mark.slow
async def test_a_full_disk_is_answered_503_and_loses_nothing(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, load(house, "full") as driver:
        assert house.hub is not None
        [writer] = house.hub.children()
        limit = resource.RLIMIT_FSIZE
        soft, hard = resource.prlimit(writer, limit)
        resource.prlimit(writer, limit, (ROOM, hard))
        assert await house.until(lambda: is_refused(driver), 20), "no hook was refused"
        since = time.time()
        await house.until(lambda: False, FULL_FOR)
        statuses = [post.status for post in driver.posts if post.begun > since]
        click.echo(f"\nfull for {FULL_FOR} s: {len(statuses)} hooks refused")
        assert set(statuses) == {503}
        assert house.hub.code is None
        resource.prlimit(writer, limit, (soft, hard))


@pytest.mark.slow
async def test_a_lock_held_by_another_process_is_waited_out_or_answered_503(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, load(house, "lock") as driver:
        with contextlib.closing(sqlite3.connect(house.database, isolation_level=None)) as other:
            other.execute("PRAGMA busy_timeout = 5000")
            other.execute("BEGIN IMMEDIATE")
            since = time.time()
            await house.until(lambda: False, LOCKED_FOR)
            answered = [post.status for post in driver.posts if post.begun > since]
            other.execute("ROLLBACK")
        click.echo(f"\nlocked for {LOCKED_FOR} s: {len(answered)} hooks refused")
        assert set(answered) == {503}


@pytest.mark.slow
async def test_commands_beside_a_busy_hub_cost_nothing(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, load(house, "cli") as driver:
        for number in range(4):
            config = str(house.folder / "onethread.toml")
            command = ["token", "create", "--name", f"t{number}", "--role", "agent"]
            done = await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-m", "hub.cli", *command, "--config", config],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
        assert {post.status for post in driver.posts} == {200}
        assert house.query("SELECT count(*) FROM tokens") == [(4,)]
