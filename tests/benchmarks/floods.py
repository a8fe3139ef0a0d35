"""Two floods: receipts, three of each answer, and 1,000 customers who write 20 messages each."""

import asyncio
import contextlib
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.loop import loop_of, pump, pump_bodies, tell
from tests.benchmarks.processes import cpu_seconds, free_port, hub_settings, running
from tests.benchmarks.provider import STATUSES
from tests.benchmarks.wire import change, text_hook
from tests.servers import Postgres


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a hub with its provider and a floor with another listen; `pid` is the hub's."""

    hub: int
    sink: int
    floor: int
    plain: int
    pid: int


@contextlib.contextmanager
def echoing(folder: Path, database: str, *, storing: bool) -> Iterator[Ports]:
    """A hub whose dialog echoes, and a floor that stores (`storing`) or replies."""
    log = folder / "log"
    hub, sink, floor, plain = (free_port() for _ in range(4))
    settings = hub_settings(folder, sink, database)
    with settings.open("a") as file:
        file.write('[dialogs]\nmodules = ["tests.flows"]\ndefault = "echo"\n')
    does = ("--store", str(folder / "floor.db")) if storing else ("--reply", str(plain))
    provider = ("-m", "tests.benchmarks.provider", "--port")
    with (
        running(plain, *provider, str(plain), log=log),
        running(floor, "-m", "tests.benchmarks.floor", "--port", str(floor), *does, log=log),
        running(hub, "-m", "hub.cli", "serve", "--config", str(settings), "--port", str(hub),
                log=log) as process,
        running(sink, *provider, str(sink), log=log),
    ):  # fmt: skip
        yield Ports(hub, sink, floor, plain, process.pid)


def measure_receipts(rounds: int = 5, count: int = 2000) -> None:
    """Receipts of messages that are sent and settled, one hook each, answered after the commit."""
    with tempfile.TemporaryDirectory() as name, echoing(Path(name), "", storing=True) as ports:
        ratios, rates, costs = [], [], []
        for number in range(rounds):
            run = secrets.token_hex(3)
            sent = [text_hook(run, n, int(time.time())) for n in range(count)]
            _, void = asyncio.run(loop_of(ports.hub, ports.sink, run, sent, receipts=False))
            assert not void, void
            time.sleep(0.5)
            floor_s, _ = asyncio.run(pump(ports.floor, run, 3 * count, 16))
            before = cpu_seconds(ports.pid)
            bodies = _receipts(run, number * count + 1, count)
            hub_s, bad = asyncio.run(pump_bodies(ports.hub, bodies, 16))
            assert not bad, f"{bad} hooks were not answered 200"
            costs.append((cpu_seconds(ports.pid) - before) / len(bodies) * 1e6)
            ratios.append(floor_s / hub_s)
            rates.append(len(bodies) / hub_s)
        with contextlib.closing(sqlite3.connect(f"{name}/hub.db")) as db:
            [read] = db.execute("SELECT count(*) FROM messages WHERE state = 'read'").fetchone()
        assert read == rounds * count, f"{read} messages of {rounds * count} are read"
    tell("receipts", rates, ratios, costs)


def _receipts(run: str, first: int, count: int) -> list[bytes]:
    """Of each message of a run by the ids that the provider gave, all statuses in their order."""
    at = str(int(time.time()))
    return [
        change(
            {
                "statuses": [
                    {
                        "id": f"wamid.out{run}{serial}",
                        "status": status,
                        "timestamp": at,
                        "recipient_id": "1",
                    }
                ]
            }
        )
        for status in STATUSES
        for serial in range(first, first + count)
    ]


def measure_crowd(rounds: int = 3, people: int = 1000, each: int = 20) -> None:
    _crowd("crowd", "", rounds, people, each)


def measure_crowd_postgres(rounds: int = 3, people: int = 1000, each: int = 20) -> None:
    server = Postgres(durable=True).start()
    try:
        _crowd("crowd_postgres", server.create(), rounds, people, each)
    finally:
        server.close()


def _crowd(name: str, database: str, rounds: int, people: int, each: int) -> None:
    """All write at once: the next message of each comes when everybody's last has been taken."""
    with (
        tempfile.TemporaryDirectory() as folder,
        echoing(Path(folder), database, storing=False) as ports,
    ):
        ratios, rates, costs = [], [], []
        for _ in range(rounds):
            bodies, run = _texts(people, each)
            floor_rate, _ = asyncio.run(
                loop_of(ports.floor, ports.plain, run, bodies, receipts=False)
            )
            before = cpu_seconds(ports.pid)
            rate, void = asyncio.run(loop_of(ports.hub, ports.sink, run, bodies, receipts=False))
            if void:
                print(f"{name}: VOID ({void})")
                return
            costs.append((cpu_seconds(ports.pid) - before) / len(bodies) * 1e6)
            rates.append(rate)
            ratios.append(rate / floor_rate)
    tell(f"{name}, {people} customers with {each} each, disordered 0", rates, ratios, costs)


def _texts(people: int, each: int) -> tuple[list[bytes], str]:
    run, at = secrets.token_hex(3), int(time.time())
    whose = [str(8_801_600_000_000 + int(run, 16) * 1000 + one) for one in range(people)]
    return [
        text_hook(run, turn * people + place, at, who)
        for turn in range(each)
        for place, who in enumerate(whose)
    ], run
