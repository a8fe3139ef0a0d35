"""The disk fills up under load: nothing is acknowledged that is not kept, and when there is room
again everything goes on by itself."""

import random
import resource
import time
from pathlib import Path

import click
import pytest

from tests.faults.checker import check, check_steps
from tests.faults.driver import Driver, crowd
from tests.faults.processes import open_house

ROOM = 400_000
FULL_FOR = 3.0


@pytest.mark.slow
async def test_a_full_disk_is_answered_503_and_loses_nothing(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        customers = crowd(8)
        await house.open_windows(line for one in customers for line in one.lines)
        hub = await house.start()
        async with Driver(house.url, customers, "full", 0.2, random.Random(3)) as driver:
            await house.until(lambda: False, 1.5)
            limit = resource.RLIMIT_FSIZE
            soft, hard = resource.prlimit(hub.pid, limit)
            resource.prlimit(hub.pid, limit, (ROOM, hard))
            refused = await house.until(lambda: any(p.status == 503 for p in driver.posts), 20)
            assert refused, "no hook was refused"
            since = time.time()
            await house.until(lambda: False, FULL_FOR)
            statuses = [post.status for post in driver.posts if post.begun > since]
            assert hub.code is None
            resource.prlimit(hub.pid, limit, (soft, hard))
            await house.until(lambda: False, 1.5)
            await driver.finish()
        await house.settled()
        findings = check(await house.evidence(driver.said, driver.posts))
        findings.problems += check_steps(house.steps())
        click.echo(
            f"\nfull for {FULL_FOR} s: {statuses.count(503)} hooks refused; {findings.figures}"
        )
        assert not findings.problems, str(findings)
        assert set(statuses) == {503}
