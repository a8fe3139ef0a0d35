"""What growth costs: intake, a turn, the lists and the threads, beside a small hub's.

A hub with 1,000,000 messages and one with 1,000 run side by side and are loaded in turn; customers
that both know write, each chosen from all of them. `growth` counts processor time, so what other
processes do at the same time costs little of the truth.
"""

import asyncio
import contextlib
import secrets
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.loop import loop_of
from tests.benchmarks.processes import cpu_seconds, free_port, hub_settings, running
from tests.benchmarks.wire import text_hook
from tests.filling import Filling, fill, number_of
from tests.servers import Postgres

LARGE, SMALL, AIM = 1_000_000, 1_000, 1.3


@dataclass(frozen=True, slots=True)
class Grown:
    """A running hub with that many messages in it."""

    messages: int
    hub: int
    sink: int
    pids: tuple[int, ...]

    def cpu(self) -> float:
        return sum(cpu_seconds(pid) for pid in self.pids)

    def bodies(self, run: str, count: int) -> list[bytes]:
        """A text from each of `count` customers, spread over all who are known."""
        known, at = self.messages // 10, int(time.time())
        # Every fifth is not the bot's.
        places = ((n * 7919 + int(run, 16)) % (known // 5) * 5 + 1 + n % 4 for n in range(count))
        return [text_hook(run, n, at, number_of(place)) for n, place in enumerate(places)]


@contextlib.contextmanager
def grown(messages: int, postgres: Postgres | None) -> Iterator[Grown]:
    """A hub on a filled database: a SQLite file, or one of `postgres`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "log"
        hub, sink = free_port(), free_port()
        database = postgres.create() if postgres else f"sqlite:///{folder}/hub.db"
        fill(database, Filling(messages))
        settings = hub_settings(folder, sink, database)
        with settings.open("a") as file:
            file.write('[dialogs]\nmodules = ["tests.flows"]\ndefault = "echo"\n')
        with (
            running(hub, "-m", "hub.cli", "serve", "--config", str(settings), "--port", str(hub),
                    log=log) as process,
            running(sink, "-m", "tests.benchmarks.provider", "--port", str(sink),
                    "--receipts-to", str(hub), log=log),
        ):  # fmt: skip
            pids = (process.pid, postgres.pid) if postgres else (process.pid,)
            yield Grown(messages, hub, sink, pids)


def measure_growth(rounds: int = 5, count: int = 1000) -> None:
    _measure("growth", None, rounds, count)


def measure_growth_postgres(rounds: int = 5, count: int = 500) -> None:
    server = Postgres(durable=True, shared_buffers="512MB", max_wal_size="4GB").start()
    try:
        _measure("growth_postgres", server, rounds, count)
    finally:
        server.close()


def _measure(name: str, postgres: Postgres | None, rounds: int, count: int) -> None:
    with grown(SMALL, postgres) as small, grown(LARGE, postgres) as large:
        ratios: list[float] = []
        costs: dict[int, list[float]] = {SMALL: [], LARGE: []}
        for number in range(rounds + 1):
            spent = {}
            for one in (small, large) if number % 2 else (large, small):
                spent[one.messages] = _loop(one, count)
            if number:  # the first round warms both up
                for messages, cost in spent.items():
                    costs[messages].append(cost)
                ratios.append(spent[LARGE] / spent[SMALL])
    print(
        f"{name}: intake, turn, send and three receipts of a known customer cost"
        f" {statistics.median(costs[LARGE]):.0f} us CPU at {LARGE:,} messages,"
        f" {statistics.median(costs[SMALL]):.0f} at {SMALL:,}: ratio"
        f" {statistics.median(ratios):.2f} (runs {min(ratios):.2f} to {max(ratios):.2f};"
        f" aim at most {AIM})"
    )


def _loop(one: Grown, count: int) -> float:
    """Microseconds of processor time a message."""
    run = secrets.token_hex(3)
    before = one.cpu()
    bodies = one.bodies(run, count)
    _, void = asyncio.run(loop_of(one.hub, one.sink, run, bodies, receipts=True))
    assert not void, void
    return (one.cpu() - before) / count * 1e6
