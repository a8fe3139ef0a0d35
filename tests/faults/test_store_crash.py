"""A killed writer has lost nothing it acknowledged and left nothing by half."""

import asyncio
import contextlib
import os
import random
import sqlite3
from collections import Counter
from pathlib import Path

import click
import pytest

from tests.faults.processes import Process

KILLS = 5
ENOUGH = 500
STRIDE = int(os.environ.get("ONETHREAD_FAULT_STRIDE", "4"))


@pytest.mark.slow
async def test_a_killed_store_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    rng = random.Random(11)
    database = tmp_path / "store.db"
    acknowledged: set[str] = set()
    for kill in range(KILLS):
        arguments = ["-m", "tests.faults.writer", str(database), f"run{kill}"]
        writer = Process(f"writer{kill}", tmp_path, arguments)
        try:
            for _ in range(600):
                if writer.out.read_bytes().count(b"\n") >= ENOUGH:
                    break
                await asyncio.sleep(0.02)
            await asyncio.sleep(rng.uniform(0, 0.2))
        finally:
            await writer.kill()
        whole_lines = writer.out.read_text().rpartition("\n")[0]
        told = set(whole_lines.splitlines())
        assert len(told) >= ENOUGH, writer.err.read_text()
        acknowledged |= told
        with contextlib.closing(sqlite3.connect(database)) as connection:
            [(sound,)] = connection.execute("PRAGMA integrity_check").fetchall()
            found = connection.execute("SELECT name, half FROM pairs").fetchall()
        assert sound == "ok"
        halves = Counter(name for name, _ in found)
        assert set(halves.values()) == {2}, "a unit was written by half"
        assert acknowledged <= halves.keys(), "an acknowledged write is lost"
        assert not [name for name in halves if name.endswith(("0", "3", "6", "9"))]
    click.echo(f"\n{KILLS} kills, {len(acknowledged)} acknowledged writes kept")


@pytest.mark.slow
async def test_a_kill_between_statements_of_the_first_start_spoils_nothing(tmp_path: Path) -> None:
    arguments = ["-m", "tests.faults.cut_migration", str(tmp_path), str(STRIDE)]
    cutter = Process("cutter", tmp_path, arguments)
    assert await cutter.ended(100) == 0, cutter.err.read_text()
    cuts = int(cutter.out.read_text())
    click.echo(f"\n{cuts} cuts of the migration")
    assert cuts > 40 / STRIDE
