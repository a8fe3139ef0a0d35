"""The steps of docs/operating.md for PostgreSQL, as they are printed there, on a real server."""

import asyncio
import contextlib
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.clock import Clock
from hub.store import migrate_database, open_store, tokens
from hub.store.schema import metadata
from tests.servers import Postgres

ROOT = Path(__file__).resolve().parents[2]
COUNT = "SELECT count(*) FROM "

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with contextlib.closing(Postgres().start()) as running:
        yield running


def printed() -> list[list[str]]:
    text = (ROOT / "docs/operating.md").read_text("utf-8")
    found = re.search(r"^```\n(pg_dump.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found, "docs/operating.md shows no pg_dump"
    return [shlex.split(line) for line in found[1].splitlines()]


async def fill(url: str) -> None:
    await migrate_database(url)
    store = open_store(url)
    for number in range(20):
        secret = tokens.hash_secret(f"ot_{number}")
        await store.write(tokens.create_token, f"নাম {number}", "agent", secret, Clock().now())
    await store.close()


def test_the_printed_steps_bring_a_hub_back(server: Postgres, tmp_path: Path) -> None:
    server.run("CREATE DATABASE onethread")
    asyncio.run(fill(server.url("onethread")))
    tools = {"PATH": f"{server.tools}:{os.environ['PATH']}", "PGPORT": str(server.port)}
    for words in printed():
        said = [word.replace("USER", "postgres").replace("HOST", "127.0.0.1") for word in words]
        done = subprocess.run(
            said, cwd=tmp_path, env=os.environ | tools, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    for table in metadata.tables:
        before, after = (
            server.run(COUNT + table, database=name) for name in ("onethread", "onethread_new")
        )
        assert before == after, table
    rows = "SELECT name, encode(hash, 'hex') FROM tokens ORDER BY id"
    assert server.run(rows, database="onethread_new") == server.run(rows, database="onethread")
    assert server.run(COUNT + "tokens", database="onethread_new") == "20"
    assert asyncio.run(migrate_database(server.url("onethread_new"))) is False
