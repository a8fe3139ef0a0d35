"""The tables of docs/scaling.md, from the figures that are checked in as costs.json.

`python -m tests.benchmarks simulate` prints them; a test holds that the page shows the same.
"""

import json
from collections.abc import Iterator
from typing import Any

from tests.benchmarks.costs import COSTS
from tests.benchmarks.simulation import (
    UNITS,
    Costs,
    House,
    Outcome,
    burst,
    simulate,
    slowed,
)
from tests.benchmarks.waiting import ANSWERS_AFTER
from tests.benchmarks.workers import AT_ONCE

CORES, BURST = 2, 1000  # of the machine and the load that were measured
UNDER_WAY = 256
"""Messages for each web process and worker: each takes about a quarter of a second then."""


def price(measured: dict[str, Any]) -> Iterator[str]:
    """What a message costs, by load."""
    heads = ("load", "web", "worker", "PostgreSQL", "Redis", "transactions", "statements", "log")
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    loads = {f"{rate} messages/s": load for rate, load in measured["paced"].items()}
    for name, load in (loads | {"as much as goes": measured["full"]}).items():
        cpu = (
            f"{load[one + '_cpu'] * 1000:.2f} ms" for one in ("web", "worker", "postgres", "redis")
        )
        commits = load["web_commits"] + load["worker_commits"]
        statements = load["web_statements"] + load["worker_statements"]
        yield (
            f"| {name} | {' | '.join(cpu)} | {commits:.1f} | {statements:.0f}"
            f" | {load['wal_bytes'] / 1000:.0f} kB |"
        )
    few, many = (measured["sqlite"][load] for load in ("15", "full"))
    yield ""
    yield (
        f"On SQLite one `serve` takes {few['cpu'] * 1000:.1f} ms of processor for a message at 15"
        f" messages a second, {many['cpu'] * 1000:.1f} ms for as many as go, and writes"
        f" {few['disk_bytes'] / 1000:.0f} kB and {many['disk_bytes'] / 1000:.0f} kB to the disk."
        f" Measured {measured['measured_at']}: {measured['machine']}, a sync of 8 KiB in"
        f" {measured['sync'] * 1000:.1f} ms."
    )


def compare(measured: dict[str, Any]) -> Iterator[str]:
    """What the simulation says of what was measured too."""
    costs = Costs.fit(measured)
    yield "| 2 cores for all, PostgreSQL and the load included | measured | simulated |"
    yield "|---|---|---|"
    for workers in (1, 2):
        found = measured["rates"][str(workers)]
        slow = slowed(costs, CORES / found["cores"])
        rate = burst(slow, House(1, workers, cores=CORES), BURST)
        what = f"1 web, {workers} worker{'s' * (workers > 1)}, as much as goes"
        yield (
            f"| {what} ({found['cores']:.1f} cores were free) | {found['rate']:.0f} messages/s"
            f" | {rate:.0f} |"
        )
    for workers in (1, 2):
        house = House(1, workers, cores=CORES, waits=ANSWERS_AFTER, at_once=AT_ONCE)
        what = f"1 web, {workers} worker{'s' * (workers > 1)}, turns wait {ANSWERS_AFTER:g} s"
        yield (
            f"| {what}, {AT_ONCE} at once in each | {measured['waits'][str(workers)]:.0f} turns/s"
            f" | {burst(costs, house, 200):.0f} |"
        )


def grow(measured: dict[str, Any]) -> Iterator[str]:
    """What limits how many processes, and PostgreSQL of how many cores."""
    costs = Costs.fit(measured)
    cores = (2, 4, 8, 16)
    yield "| processes | " + " | ".join(f"PostgreSQL on {n} cores" for n in cores) + " |"
    yield "|---" * (len(cores) + 1) + "|"
    full: list[tuple[int, Outcome]] = []
    for pairs in (2, 8, 32):
        cells = []
        for number in cores:
            found = simulate(costs, House(pairs, pairs, postgres=number), UNDER_WAY * pairs)
            if found.limit == "PostgreSQL":
                full.append((number, found))
            cells.append(f"{_round(found.rate * 60):,}/min, {found.limit}")
        yield f"| {pairs} web, {pairs} workers | " + " | ".join(cells) + " |"
    rates = [found.rate / number * 60 for number, found in full]
    commits = [found.rate * found.groups / number for number, found in full]
    alone = UNITS * (costs.group + costs.unit)
    yield ""
    yield (
        f"PostgreSQL is full at {_round(min(rates)):,} to {_round(max(rates)):,} messages a minute"
        f" for each of its cores, in {_round(min(commits)):,} to {_round(max(commits)):,}"
        f" transactions a second. With a transaction for each unit it would be"
        f" {_round(60 / alone):,} messages and {_round(UNITS / alone):,} transactions."
    )


def _round(number: float) -> int:
    """To two digits: the model is no better."""
    digits = len(str(round(number))) - 2
    return int(round(number, -digits)) if digits > 0 else round(number)


def parts() -> list[str]:
    """What each costs, what was measured too, and what was not."""
    measured = json.loads(COSTS.read_text())
    return ["\n".join(part(measured)) for part in (price, compare, grow)]


def tell_tables() -> None:
    print("\n\n".join(parts()))
