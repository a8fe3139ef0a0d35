"""What several processes come to, reckoned from what was measured on one machine.

A message is followed through the parts that take time: the interpreter of each process (one thing
at a time), the cores of PostgreSQL, and the disk. Units that wait for a process's transaction share
the next one, up to 64 of a kind, as hub/store/postgres.py has it. So more of them share a
transaction's cost the fuller a process is. Not in it: locks, a full disk, vacuum, the network but
for its way to PostgreSQL.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from tests.benchmarks.events import Gathering, Place, Work, World, spend

GROUP, LANES, PATIENCE = 64, 4, 0.02  # as in hub/store/postgres.py
UNITS = 7  # of a message: hook, claim, turn, settled send, three receipts
HOOKS, STEPS = 4, 3
FULL = 0.85
WARM = 60  # messages a second
RTT = 0.0002
"""Seconds to PostgreSQL on a machine of its own and back, once for each step of a transaction."""
STEPS_OF_GROUP = 12


@dataclass(frozen=True)
class Costs:
    """Seconds: `hook` and `step` of Python for each of a message's four webhooks and three steps
    in a worker, `web_group` and `worker_group` for each transaction; of PostgreSQL `unit` for each
    unit and `group` for each transaction; `sync` of the disk."""

    hook: float
    web_group: float
    step: float
    worker_group: float
    unit: float
    group: float
    sync: float
    others: float
    wal_bytes: float

    @classmethod
    def fit(cls, measured: dict[str, Any]) -> "Costs":
        """By loads that differ in how many units share a transaction. The slowest is left out: a
        processor that sleeps between two messages is slow to wake."""
        paced = [load for rate, load in measured["paced"].items() if int(rate) >= WARM]
        loads = [
            {**load, "commits": load["web_commits"] + load["worker_commits"]}
            for load in (*paced, measured["full"], measured["full_2"])
        ]
        web_group, web = _line(loads, "web_commits", "web_cpu")
        worker_group, worker = _line(loads, "worker_commits", "worker_cpu")
        group, postgres = _line(loads, "commits", "postgres_cpu")
        many = measured["full"]
        return cls(
            hook=web / HOOKS,
            web_group=web_group,
            step=worker / STEPS,
            worker_group=worker_group,
            unit=postgres / UNITS,
            group=group,
            sync=measured["sync"],
            others=many["others_cpu"] + many["redis_cpu"],
            wal_bytes=many["wal_bytes"],
        )


def _line(loads: list[dict[str, float]], by: str, cost: str) -> tuple[float, float]:
    """Cost for each of `by`, and what is left of a message's: the line that is nearest to all loads
    in parts of their cost."""
    points = [(load[by], load[cost], load[cost] ** -2) for load in loads]
    weight = sum(w for _, _, w in points)
    x = sum(w * x for x, _, w in points) / weight
    y = sum(w * y for _, y, w in points) / weight
    slope = sum(w * (a - x) * (b - y) for a, b, w in points)
    slope /= sum(w * (a - x) ** 2 for a, _, w in points)
    return slope, max(y - slope * x, 0.0)


def slowed(costs: Costs, times: float) -> Costs:
    """The costs where others take part of the processors."""
    kept = ("sync", "wal_bytes")
    return Costs(**{n: v if n in kept else v * times for n, v in asdict(costs).items()})


@dataclass(frozen=True)
class House:
    """`cores`: shared by all processes of one machine, PostgreSQL and the load included; 0 where
    each process has one of its own and PostgreSQL has `postgres` of them on another machine."""

    webs: int
    workers: int
    postgres: int = 0
    cores: int = 0
    waits: float = 0.0
    at_once: int = 64

    @property
    def processes(self) -> int:
        return self.webs + self.workers


@dataclass(frozen=True)
class Outcome:
    """Messages a second, transactions each, seconds each took, and how busy each part was (0 to
    1)."""

    rate: float
    groups: float
    took: float
    web: float
    worker: float
    slots: float
    postgres: float

    @property
    def limit(self) -> str:
        """What is full. Turns in hand are so too wherever they wait for it: they come last."""
        parts = {"web": self.web, "workers": self.worker, "PostgreSQL": self.postgres}
        name = max(parts, key=lambda one: parts[one])
        if parts[name] > FULL:
            return name
        return "`limits.workers`" if self.slots > FULL else "waiting"


class Process:
    """One process: its interpreter, and the transactions it has under way."""

    def __init__(self, city: "City", per_group: float) -> None:
        self.city = city
        self.per_group = per_group
        self.python = Place(city.world, 1)
        self.slots = Place(city.world, city.house.at_once)
        self.waiting: dict[str, deque[tuple[float, Gathering]]] = {}
        self.lanes = 0

    def think(self, seconds: float) -> Work:
        yield from spend(seconds, self.python, *self.city.shared)

    def store(self, kind: str) -> Work:
        """Have one unit committed."""
        world, done = self.city.world, Gathering(self.city.world)
        self.waiting.setdefault(kind, deque()).append((world.now, done))
        if not self.lanes:
            world.after(0.0, self._lane())
        else:
            world.after(PATIENCE, self._look(done))
        yield done

    def _look(self, done: Gathering) -> Work:
        """One more lane where a unit still waits to be taken."""
        untaken = any(one is done for queue in self.waiting.values() for _, one in queue)
        if untaken and self.lanes < LANES:
            yield from self._lane()

    def _lane(self) -> Work:
        self.lanes += 1
        while group := self._take():
            yield from self.think(self.per_group)
            yield from self.city.transact(len(group))
            for done in group:
                done.end()
        self.lanes -= 1

    def _take(self) -> list[Gathering]:
        if not self.waiting:
            return []
        kind = next(iter(self.waiting))
        queue = self.waiting.pop(kind)
        taken = [queue.popleft()[1] for _ in range(min(GROUP, len(queue)))]
        if queue:
            self.waiting[kind] = queue
        return taken


class City:
    """All processes of a house and what they share."""

    def __init__(self, costs: Costs, house: House) -> None:
        self.costs, self.house = costs, house
        self.world = World()
        self.postgres = Place(self.world, house.cores or house.postgres)
        self.shared = (self.postgres,) if house.cores else ()
        self.postgres_busy = 0.0
        self.webs = [Process(self, costs.web_group) for _ in range(house.webs)]
        self.workers = [Process(self, costs.worker_group) for _ in range(house.workers)]
        self.done = self.groups = 0
        self.last = 0.0

    def transact(self, units: int) -> Work:
        seconds = self.costs.group + units * self.costs.unit
        yield from spend(seconds, self.postgres)
        self.postgres_busy += seconds
        self.groups += 1
        yield self.costs.sync + (0.0 if self.house.cores else RTT * STEPS_OF_GROUP)

    def hook(self, web: Process) -> Work:
        yield from web.think(self.costs.hook)
        yield from web.store("hook")

    def circle(self, number: int) -> Work:
        """A customer whose next message comes when this one is done."""
        web = self.webs[number % len(self.webs)]
        while True:
            yield from self.hook(web)
            yield from self.answer(number, web)

    def connection(self, numbers: Iterator[int]) -> Work:
        """Webhooks one after the other, each when the last one is answered."""
        for number in numbers:
            web = self.webs[number % len(self.webs)]
            yield from self.hook(web)
            self.world.after(0.0, self.answer(number, web))

    def answer(self, number: int, web: Process) -> Work:
        """All that follows a webhook's answer, to the last receipt."""
        costs, worker = self.costs, self.workers[number % len(self.workers)]
        yield worker.slots
        begun = self.world.now
        yield from worker.store("claim")
        yield from worker.think(costs.step)
        if self.house.waits:
            yield self.house.waits
            yield from worker.store("step")
        yield from worker.think(costs.step)
        yield from worker.store("turn")
        worker.slots.busy += self.world.now - begun
        worker.slots.leave()
        yield from worker.think(costs.step)
        if self.house.cores:
            yield from spend(costs.others, self.postgres)
        ends = [Gathering(self.world) for _ in range(HOOKS)]
        self.world.after(0.0, self._settle(worker, ends[0]))
        for end in ends[1:]:
            self.world.after(0.0, self._receipt(web, end))
        yield from ends
        self.done += 1
        self.last = self.world.now

    def _settle(self, worker: Process, end: Gathering) -> Work:
        yield from worker.store("settle")
        end.end()

    def _receipt(self, web: Process, end: Gathering) -> Work:
        yield from web.think(self.costs.hook)
        yield from web.store("receipt")
        end.end()


def burst(costs: Costs, house: House, count: int, connections: int = 16) -> float:
    """Messages a second from the first webhook to the last receipt, as the benchmarks have it."""
    city = City(costs, house)
    numbers = iter(range(count))
    for _ in range(connections):
        city.world.after(0.0, city.connection(numbers))
    city.world.run(3600.0)
    assert city.done == count
    return count / city.last


def simulate(costs: Costs, house: House, at_once: int, seconds: float = 1.0) -> Outcome:
    """The steady state with `at_once` messages under way; the first quarter is not counted."""
    city = City(costs, house)
    for number in range(at_once):
        city.world.after(number * 1e-5, city.circle(number))
    city.world.run(seconds / 4)
    before = _tally(city)
    city.world.run(seconds)
    done, groups, postgres, web, worker, slots = (
        b - a for a, b in zip(before, _tally(city), strict=True)
    )
    span = seconds * 3 / 4
    return Outcome(
        rate=done / span,
        groups=groups / done,
        took=at_once * span / done,
        web=web / span / house.webs,
        worker=worker / span / house.workers,
        slots=slots / span / house.workers / house.at_once,
        postgres=postgres / span / (house.cores or house.postgres),
    )


def _tally(city: City) -> tuple[float, ...]:
    busy = (sum(one.python.busy for one in some) for some in (city.webs, city.workers))
    slots = sum(one.slots.busy for one in city.workers)
    return (city.done, city.groups, city.postgres_busy, *busy, slots)
