"""The servers that other tests stand on: they start as anyone, survive what tests do, and go."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest

from tests.servers import Postgres, Redis

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.slow


def test_each_database_is_a_copy_of_the_template_and_of_nothing_else(postgres: Postgres) -> None:
    fills: list[str] = []

    def fill(url: str) -> None:
        fills.append(url)
        postgres.run("CREATE TABLE kept (word text)", database=url.rpartition("/")[2])

    first, second = (postgres.create(postgres.template("words", fill)) for _ in range(2))
    name, other = (url.rpartition("/")[2] for url in (first, second))
    postgres.run("INSERT INTO kept VALUES ('ধন্যবাদ')", database=name)
    assert postgres.run("SELECT word FROM kept", database=name) == "ধন্যবাদ"
    assert postgres.run("SELECT word FROM kept", database=other) == ""
    assert len(fills) == 1
    for url in (first, second):
        postgres.drop(url)


async def test_postgres_comes_back_on_its_port_after_a_kill(
    postgres: Postgres, fresh_postgres: str
) -> None:
    conn = await asyncpg.connect(fresh_postgres)
    await conn.execute("CREATE TABLE kept (word text); INSERT INTO kept VALUES ('one')")
    postgres.kill()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await conn.fetch("SELECT 1")
    with pytest.raises(OSError, match=r"[Cc]onnect"):
        await asyncpg.connect(fresh_postgres)
    postgres.start()
    back = await asyncpg.connect(fresh_postgres)
    assert await back.fetchval("SELECT word FROM kept") == "one"
    await back.close()


async def test_a_frozen_postgres_answers_nobody_until_it_thaws(
    postgres: Postgres, fresh_postgres: str
) -> None:
    conn = await asyncpg.connect(fresh_postgres)
    with postgres.frozen(), pytest.raises(TimeoutError):
        await conn.fetch("SELECT 1", timeout=0.3)
    await conn.close(timeout=5)
    fresh = await asyncpg.connect(fresh_postgres)
    assert await fresh.fetchval("SELECT 1") == 1
    await fresh.close()


async def test_a_durable_cluster_waits_for_the_disk() -> None:
    server = Postgres(durable=True).start()
    try:
        assert server.run("SHOW fsync") == "on"
    finally:
        server.close()
    assert not server.folder.exists()


def test_postgres_runs_without_being_root(postgres: Postgres) -> None:
    assert Path(f"/proc/{postgres.pid}").stat().st_uid != 0


def test_redis_comes_back_empty_on_its_port(fresh_redis: Redis) -> None:
    assert fresh_redis.ask("SET word one") == "+OK"
    with fresh_redis.frozen(), pytest.raises(TimeoutError):
        fresh_redis.ask("GET word")
    assert fresh_redis.ask("STRLEN word") == ":3"
    fresh_redis.kill()
    with pytest.raises(ConnectionRefusedError):
        fresh_redis.ask("PING")
    fresh_redis.start()
    assert fresh_redis.ask("EXISTS word") == ":0"


@pytest.mark.parametrize("frozen", [False, True])
def test_servers_do_not_outlive_a_killed_test_process(frozen: bool) -> None:
    code = (
        "import time; from tests.servers import Postgres, Redis\n"
        "both = [Postgres().start(), Redis().start()]\n"
        f"if {frozen}: [server.freeze() for server in both]\n"
        "for server in both: print(server.pid, server.port, server.folder, flush=True)\n"
        "time.sleep(60)"
    )
    run = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert run.stdout is not None
    lines = [run.stdout.readline().decode().split() for _ in range(2)]
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    end = time.monotonic() + 20
    for pid, port, folder in lines:
        while Path(folder).exists() or _listens(int(port)) or _exists(int(pid)):
            assert time.monotonic() < end, (pid, port, folder)
            time.sleep(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
