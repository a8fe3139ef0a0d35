"""What a message costs each process, by its load: the figures that the simulation is fed with.

`python -m tests.benchmarks costs` measures them on PostgreSQL and writes costs.json beside this
file. A web process and a worker have a role of PostgreSQL each, so that its statistics tell their
statements apart. Loads from a trickle, where nearly every unit is a transaction of its own, to as
much as goes, where they share some, tell a transaction's cost from a unit's.
"""

import asyncio
import contextlib
import json
import os
import platform
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.loop import arrive, whole_loop
from tests.benchmarks.processes import (
    call,
    cpu_seconds,
    family,
    free_port,
    hub_settings,
    running,
)
from tests.benchmarks.workers import bench as waiting_bench
from tests.servers import Postgres, Redis

COSTS = Path(__file__).with_name("costs.json")
PACES = {15: 300, 60: 600, 150: 1200, 300: 1800}
"""Messages a second, and how many of them."""
FULL_COUNT, FULL_ROUNDS = 1000, 3
ROLES = {"web": "postgres", "worker": "worker"}
CALLS = """
    SELECT coalesce(sum(calls), 0), coalesce(sum(calls) FILTER (WHERE query = 'COMMIT'), 0)
    FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid
    JOIN pg_database d ON d.oid = s.dbid
    WHERE r.rolname = '{role}' AND d.datname <> 'postgres'
"""
WRITTEN = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"


class Rate(NamedTuple):
    """Messages a second, and the cores that nothing else on the machine used meanwhile."""

    rate: float
    cores: float


@dataclass
class Bench:
    """A web process, workers and their servers, all running."""

    postgres: Postgres
    redis: Redis
    database: str
    hub: int
    sink: int
    web: int
    workers: list[int]
    provider: int

    def look(self) -> dict[str, float]:
        """Processor seconds, statements, commits and bytes written ahead, so far."""
        found = {
            "web_cpu": cpu_seconds(self.web),
            "worker_cpu": sum(map(cpu_seconds, self.workers)),
            "postgres_cpu": _cpu_of_server(self.postgres.pid),
            "redis_cpu": cpu_seconds(self.redis.pid),
            "others_cpu": cpu_seconds(self.provider) + time.process_time(),
        }
        for name, role in ROLES.items():
            calls, commits = self.postgres.run(CALLS.format(role=role)).split("|")
            found |= {f"{name}_statements": float(calls), f"{name}_commits": float(commits)}
        found["wal_bytes"] = float(self.postgres.run(WRITTEN))
        found["data_bytes"] = float(
            self.postgres.run(f"SELECT pg_database_size('{self.database}')")
        )
        return found

    def measure(self, load: Callable[[], None], count: int) -> dict[str, float]:
        """What each of `count` messages costs under `load`."""
        before = self.look()
        load()
        after = self.look()
        return {name: (after[name] - before[name]) / count for name in after}

    def pace(self, rate: int, idle: dict[str, float]) -> dict[str, float]:
        """What a message costs at that rate, less what an idle hub costs meanwhile."""
        count = PACES[rate]
        found = self.measure(lambda: arrive_and_end(self.hub, self.sink, rate, count), count)
        return {name: found[name] - idle[name] / rate for name in found}

    def fill(self) -> Rate:
        """As much as goes."""
        ours, idle, start = self.spent(), idle_seconds(), time.monotonic()
        rate, void = asyncio.run(whole_loop(self.hub, self.sink, FULL_COUNT, receipts=True))
        assert not void, void
        took = time.monotonic() - start
        free = (self.spent() - ours + idle_seconds() - idle) / took
        return Rate(rate, min(free, os.cpu_count() or 1))

    def fill_up(self) -> tuple[dict[str, float], dict[str, float]]:
        """What a message costs then, and the middle one of some rates."""
        found: list[Rate] = []
        count = FULL_COUNT * FULL_ROUNDS
        costs = self.measure(lambda: found.extend(self.fill() for _ in range(FULL_ROUNDS)), count)
        return costs, sorted(found)[FULL_ROUNDS // 2]._asdict()

    def spent(self) -> float:
        """Processor seconds of all processes of the benchmark, so far."""
        pids = (self.web, *self.workers, self.postgres.pid, self.redis.pid, self.provider)
        return sum(map(_cpu_of_server, pids)) + time.process_time()


def arrive_and_end(hub: int, sink: int, rate: int, count: int) -> None:
    """Post at that rate, and wait for the last receipt."""
    run = secrets.token_hex(3)
    call(sink, f"/reset?run={run}", "POST")
    asyncio.run(arrive(hub, run, count, rate))
    end = time.monotonic() + 30
    while (stats := call(sink, "/stats"))["receipts_ok"] < 3 * count:
        assert time.monotonic() < end, stats
        time.sleep(0.1)


def on_sqlite() -> dict[str, dict[str, float]]:
    """What a message costs one process on SQLite: of the processor, and bytes written to disk."""
    with tempfile.TemporaryDirectory() as name:
        folder, hub, sink = Path(name), free_port(), free_port()
        log = folder / "log"
        config = ("--config", str(hub_settings(folder, sink)), "--port", str(hub))
        words = ("--port", str(sink), "--receipts-to", str(hub))
        with (
            running(hub, "-m", "hub.cli", "serve", *config, log=log) as process,
            running(sink, "-m", "tests.benchmarks.provider", *words, log=log),
        ):
            asyncio.run(whole_loop(hub, sink, 300, receipts=True))
            found = {}
            for load, count in (("15", PACES[15]), ("full", FULL_COUNT)):
                before = cpu_seconds(process.pid), _written(process.pid)
                if load == "full":
                    asyncio.run(whole_loop(hub, sink, count, receipts=True))
                else:
                    arrive_and_end(hub, sink, int(load), count)
                cpu, disk = cpu_seconds(process.pid) - before[0], _written(process.pid) - before[1]
                found[load] = {"cpu": cpu / count, "disk_bytes": disk / count}
            return found


def _written(pid: int) -> int:
    """Bytes that a process and its children had written to disks, so far."""
    return sum(
        int(line.split()[1])
        for one in family(pid)
        for line in Path(f"/proc/{one}/io").read_text().splitlines()
        if line.startswith("write_bytes:")
    )


def _cpu_of_server(pid: int) -> float:
    """Processor seconds of a server and its children, those that have ended included: autovacuum's
    come and go, also while one looks."""
    while True:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ended = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
            return cpu_seconds(pid) + ended


def idle_seconds() -> float:
    """Processor seconds in which no process of this machine ran, so far."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def scene(workers: int) -> Iterator[Bench]:
    postgres = Postgres(durable=True, shared_preload_libraries="pg_stat_statements").start()
    redis = Redis().start()
    try:
        with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
            log = Path(name) / "log"
            url = postgres.create()
            postgres.run(
                "CREATE EXTENSION pg_stat_statements", "CREATE ROLE worker SUPERUSER LOGIN"
            )
            hub, sink = free_port(), free_port()
            configs = {}
            for one, role in ROLES.items():
                folder = Path(name) / one
                folder.mkdir()
                own = url.replace("postgres@", f"{role}@")
                configs[one] = ("--config", str(hub_settings(folder, sink, own, redis.url)))

            def begin(port: int, *arguments: str) -> int:
                return stack.enter_context(running(port, "-m", *arguments, log=log)).pid

            web = begin(hub, "hub.cli", "serve", "--no-worker", *configs["web"], "--port", str(hub))
            ports = [free_port() for _ in range(workers)]
            working = [
                begin(port, "hub.cli", "worker", *configs["worker"], "--port", str(port))
                for port in ports
            ]
            words = ("--port", str(sink), "--receipts-to", str(hub))
            provider = begin(sink, "tests.benchmarks.provider", *words)
            database = url.rpartition("/")[2]
            made = Bench(postgres, redis, database, hub, sink, web, working, provider)
            asyncio.run(whole_loop(hub, sink, 300, receipts=True))
            yield made
    finally:
        redis.close()
        postgres.close()


def sync_seconds(rounds: int = 200) -> float:
    """How long this disk takes to keep 8 KiB: the median."""
    took = []
    with tempfile.TemporaryFile() as file:
        for _ in range(rounds):
            file.write(os.urandom(8192))
            file.flush()
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - start)
    return statistics.median(took)


def waits(count: int = 200) -> dict[str, float]:
    """Turns a second of one worker and of two, each turn waiting (see the benchmark `workers`): the
    best of three runs, which others on the machine disturbed least."""
    postgres, redis = Postgres(durable=True).start(), Redis().start()
    try:
        with (
            tempfile.TemporaryDirectory() as name,
            waiting_bench(Path(name), postgres.create(), redis.url) as bench,
        ):
            found = [(bench.run(1, count), bench.run(2, count)) for _ in range(3)]
    finally:
        redis.close()
        postgres.close()
    assert not any(one.void or two.void for one, two in found), found
    one, two = (max(runs) for runs in zip(*found, strict=True))
    return {"1": one.rate, "2": two.rate}


def measure_costs() -> None:
    """Measure and write costs.json."""
    figures: dict[str, Any] = {
        "measured_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "sync": sync_seconds(),
    }
    rates: dict[str, dict[str, float]] = {}
    with scene(1) as bench:
        time.sleep(3)
        figures["idle"] = idle = bench.measure(lambda: time.sleep(10), 10)
        figures["paced"] = {str(rate): bench.pace(rate, idle) for rate in PACES}
        figures["full"], rates["1"] = bench.fill_up()
    with scene(2) as bench:
        figures["full_2"], rates["2"] = bench.fill_up()
    figures |= {"rates": rates, "waits": waits(), "sqlite": on_sqlite()}
    COSTS.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))
