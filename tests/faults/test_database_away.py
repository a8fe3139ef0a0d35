"""The database cannot be written for a while under load: hooks are spooled as long as there is
room, nothing is acknowledged that is not kept, and when it can be written again everything goes
on by itself."""

import asyncio
import contextlib
import random
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import click
import pytest

from hub.spool_files import survey
from tests.faults.checker import check, check_steps
from tests.faults.driver import Driver, crowd
from tests.faults.processes import ROOT, House, open_house
from tests.faults.test_spool_kill import locked

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


def is_spooled(house: House) -> bool:
    return bool(survey(house.folder / "spool"))


@pytest.mark.slow
async def test_hooks_are_spooled_while_the_databases_disk_is_full(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        async with load(house, "full") as driver:
            assert house.hub is not None
            limit = resource.RLIMIT_FSIZE
            [writer] = house.hub.children()
            soft, hard = resource.prlimit(writer, limit)
            resource.prlimit(writer, limit, (ROOM, hard))
            assert await house.until(lambda: is_spooled(house), 20), "no hook was spooled"
            since = time.time()
            await house.until(lambda: False, FULL_FOR)
            statuses = [post.status for post in driver.posts if post.begun > since]
            click.echo(f"\nfull for {FULL_FOR} s: {len(statuses)} hooks spooled")
            assert set(statuses) == {200}
            assert house.hub.code is None
            resource.prlimit(writer, limit, (soft, hard))
            assert await house.until(lambda: not is_spooled(house), 20)
        assert {post.status for post in driver.posts} == {200}


@pytest.mark.slow
async def test_hooks_are_spooled_while_another_process_holds_the_lock(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, load(house, "lock") as driver:
        async with locked(house):
            since = time.time()
            await house.until(lambda: False, LOCKED_FOR)
            answered = [post for post in driver.posts if post.begun > since]
        click.echo(f"\nlocked for {LOCKED_FOR} s: {len(answered)} hooks spooled")
        assert {post.status for post in answered} == {200}
        assert await house.until(lambda: not is_spooled(house), 20)


@pytest.mark.slow
async def test_with_a_full_spool_hooks_are_answered_503_and_none_is_lost(tmp_path: Path) -> None:
    room = {"spool_bytes": 20_000}
    async with open_house(tmp_path, limits=room) as house, load(house, "no room") as driver:
        async with locked(house):
            assert await house.until(lambda: is_refused(driver), 20), "no hook was refused"
            since = time.time()
            await house.until(lambda: False, FULL_FOR)
            statuses = [post.status for post in driver.posts if post.begun > since]
            click.echo(f"\nfull for {FULL_FOR} s: {len(statuses)} hooks refused")
            # A small one may still fit where a larger one did not.
            assert statuses.count(503) > 0.9 * len(statuses)
            assert set(statuses) <= {200, 503}
            kept = sum(one.bytes for one in survey(house.folder / "spool").values())
            assert 10_000 < kept <= 20_000
        assert await house.until(lambda: not is_spooled(house), 20)


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
