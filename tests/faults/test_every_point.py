"""The promises hold wherever intake, turn and delivery are cut off, on both databases."""

import asyncio
import json
import os
import time
from pathlib import Path

import aiohttp
import click
import pytest

from hub.store import migrate_database
from tests.faults import hooks
from tests.faults.processes import Process
from tests.servers import Postgres

STRIDES = {"sqlite": 1, "postgresql": 3}
"""Every how manieth point is cut; ONETHREAD_CUT_STRIDE=1 cuts at all, in minutes."""
TOGETHER = {"sqlite": 4, "postgresql": 10}


def _migrate(url: str) -> None:
    asyncio.run(migrate_database(url))


@pytest.mark.slow
@pytest.mark.timeout(320)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_a_cut_at_any_point_breaks_no_promise(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if database == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        template = await asyncio.to_thread(postgres.template, "hub", _migrate)
        databases = [postgres.create(template) for _ in range(TOGETHER[database])]
    else:
        databases = [
            f"sqlite:///{tmp_path / f'{number}.db'}" for number in range(TOGETHER[database])
        ]
        for url in databases:
            await asyncio.to_thread(_migrate, url)
    standin = Process("whatsapp", tmp_path, ["-m", "connectors.sandbox.whatsapp", "--port", "0"])
    try:
        url = await standin.first_line()
        account = {
            "phone_number_id": hooks.WA_ACCOUNT,
            "waba_id": hooks.WA_WABA,
            "access_token": hooks.WA_TOKEN,
            "app_secret": hooks.WA_SECRET,
            "verify_token": hooks.WA_VERIFY,
            "hook_url": "",
            "receipts": [],
        }
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url}/_sandbox/accounts", json=account) as answer,
        ):
            assert answer.status < 300, await answer.text()
        began = time.monotonic()
        stride = int(os.environ.get("ONETHREAD_CUT_STRIDE", STRIDES[database]))
        arguments = ["-m", "tests.faults.cut_turn", str(tmp_path), url, str(stride), *databases]
        cutter = Process("cutter", tmp_path, arguments)
        try:
            code = await cutter.ended(300)
        finally:
            await cutter.kill()
        assert code == 0, cutter.err.read_text()[-4000:]
    finally:
        await standin.kill()
    found = json.loads(cutter.out.read_text().splitlines()[-1])
    click.echo(f"\n{database}: {found} in {time.monotonic() - began:.1f} s")
    assert not found["failed"], cutter.err.read_text()[-4000:]
    assert stride > 1 or not found["missed"]
    assert found["points"] > 60
    for hit in ("turn", "sending", "known", "repeated"):
        assert found["hits"].get(hit, 0) > 0, hit
