"""The storm: several processes under steady load while everything around them fails at random.

    python -m tests.faults.storm --minutes 15 --seed 7             # PostgreSQL and Redis
    python -m tests.faults.storm --minutes 5 --seed 7 --sqlite     # one process on SQLite

The seed gives the plan of faults (`plan.py`) and is printed; a shorter run of it meets the
beginning of the same plan. What is held afterwards is in `checker.py` and `storm_check.py`.
"""

import asyncio
import contextlib
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no stubs
import click

from hub.spool_files import survey
from tests.faults.checker import Evidence, Findings
from tests.faults.driver import Customer, Driver, Said, crowd
from tests.faults.fleet import SITE, Fleet, Place, open_fleet, places_of, shifted
from tests.faults.hooks import external_id_of, hook_of
from tests.faults.plan import Fault, clock_of, faults
from tests.faults.storm_check import Record, Stop, check_storm, summary
from tests.faults.test_spool_kill import locked
from tests.faults.visitors import Visitor
from tests.servers import Postgres, Redis, Server

CUSTOMERS, VISITORS, PAUSE = 20, 4, 1.2
LEASE = 3.0
LIMITS = {
    "lease": LEASE,
    "send_timeout": 1.0,
    # Longer than a spool pauses at most (drain.LONGEST_PAUSE): receipts may wait in it.
    "reconcile_for": 8.0,
    "poll": 0.5,
    "shutdown": 3.0,
    # A turn may be killed and frozen again and again here; three times are for code that fails.
    "turn_claims": 50,
}
BOTH, LATE = 0.1, 0.05
"""How often a customer writes twice at once, the later hook first; how often an old hook comes
again."""
SETTLES_WITHIN = 150.0
LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Crowd(Driver):
    """Customers whose hooks also overtake each other and come again long after."""

    async def _write(self, customer: Customer) -> None:
        place = 0
        await asyncio.sleep(self.rng.uniform(0, self.pause))
        while not self._ending:
            batch = []
            for _ in range(2 if self.rng.random() < BOTH else 1):
                line = customer.lines[place % len(customer.lines)]
                token = f"tk-{self.run}-{customer.name}-{place:04}"
                batch.append(Said(token, customer, place, line))
                place += 1
            self.said += batch
            await asyncio.gather(*(self.deliver(one) for one in reversed(batch)))
            if self.rng.random() < LATE:
                mine = [one for one in self.said[-500:] if one.customer is customer]
                await self._again(self.rng.choice(mine))
            with contextlib.suppress(TimeoutError):
                seconds = self.rng.uniform(0.5, 1.5) * self.pause
                await asyncio.wait_for(self._rushing.wait(), seconds)

    async def _again(self, said: Said) -> None:
        external_id = external_id_of(said.line, said.token)
        await self._post(said.token, hook_of(self.base_url, said.line, external_id, said.token))


@dataclass
class Storm:
    """Brings the faults about, one after the other."""

    house: Fleet
    database: Server | None
    redis: Server | None
    say: Callable[[str], None]
    record: Record = field(default_factory=Record)
    counts: dict[str, int] = field(default_factory=dict)
    _mark: dict[str, int] = field(default_factory=dict)

    async def strike(self, fault: Fault) -> None:
        await asyncio.sleep(fault.calm)
        for standin in self.house.standins.values():
            await standin.clear_faults()
            await standin.post("faults", list(fault.weather))
        self.counts[fault.kind] = self.counts.get(fault.kind, 0) + 1
        match fault.kind:
            case "kill_worker":
                await self._slow_down(fault)
                await self._kill(self._one_of(self.house.hands, fault))
            case "kill_web":
                await self._kill(self._one_of(self.house.webs, fault))
            case "worker_frozen":
                await self._freeze(self._one_of(self.house.hands, fault))
            case "database_restarted":
                async with self._away(self.database, "kill" if fault.target else "stop"):
                    pass
            case "database_away":
                async with self._away(self.database, fault.how):
                    await asyncio.sleep(fault.seconds)
            case "redis_emptied":
                async with self._away(self.redis, "kill"):
                    pass
            case "redis_away":
                async with self._away(self.redis, fault.how):
                    await asyncio.sleep(fault.seconds)
            case "disk_full":
                with self._full_disk(self._one_of(self.house.webs, fault), fault.seconds):
                    async with self._away(self.database, "stop"):
                        await asyncio.sleep(fault.seconds)

    def _one_of(self, places: list[Place], fault: Fault) -> Place:
        return places[fault.target % len(places)]

    async def _slow_down(self, fault: Fault) -> None:
        """Some provider calls are accepted and answered late; returns when one is under way."""
        standin = self.house.standins[fault.provider]
        slow = {"do": "slow", "seconds": 0.9, "times": fault.times}
        await standin.clear_faults()
        await standin.post("faults", [slow])

        async def is_open() -> bool:
            calls = await standin.sends(self._mark.get(standin.name, 0))
            self._mark[standin.name] = max(
                (call.n for call in calls if call.at < time.time() - 5),
                default=self._mark.get(standin.name, 0),
            )
            return any(
                call.status is None and call.external_id and call.at > time.time() - 0.5
                for call in calls
            )

        await self.house.until(is_open, 4.0, 0.02)

    def sending(self) -> frozenset[str]:
        """The rows in `sending`, if the database can be asked."""
        with contextlib.suppress(*LOST):
            return frozenset(self.house.sending())
        return frozenset()

    async def _kill(self, place: Place) -> None:
        await self.house.sample(place)
        sending = self.sending()
        await self.house.kill(place)
        # Asked again: some sends were begun after the first look.
        self.record.stops.append(Stop(place.name, time.time(), sending | self.sending()))

    async def _freeze(self, place: Place) -> None:
        """For two lease times, in the midst of a turn."""
        await self.house.until(self._is_turning, 4.0, 0.02)
        self.house.freeze(place, signal.SIGSTOP)
        at = time.time()
        sending = self.sending()
        try:
            await asyncio.sleep(2 * LEASE)
        finally:
            self.house.freeze(place, signal.SIGCONT)
        self.record.stops.append(Stop(place.name, at, sending, time.time()))

    def _is_turning(self) -> bool:
        with contextlib.suppress(*LOST):
            return self.house.running_turns() > 0
        return False

    @contextlib.asynccontextmanager
    async def _away(self, server: Server | None, how: str) -> AsyncIterator[None]:
        if server is None:
            async with locked(self.house):
                yield
            return
        if how == "freeze":
            server.freeze()
        else:
            await asyncio.to_thread(server.kill if how == "kill" else server.stop)
        try:
            yield
        finally:
            if how == "freeze":
                server.thaw()
            else:
                await asyncio.to_thread(server.start)

    @contextlib.contextmanager
    def _full_disk(self, place: Place, seconds: float) -> Any:
        """Its files cannot grow: the next process in its place has room again."""
        process = place.process
        assert process is not None
        room = 0 if int(seconds * 10) % 2 else 1500
        with contextlib.suppress(ProcessLookupError):
            _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, hard))
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))


async def ride(
    folder: Path,
    *,
    seed: int,
    seconds: float,
    postgres: Postgres | None = None,
    redis: Redis | None = None,
    long: bool = False,
    say: Callable[[str], None] = click.echo,
) -> Findings:
    """One storm, from the first hook until all is settled, and what it came to."""
    alone = postgres is None
    places = places_of(alone)
    name, skew = clock_of(seed, [one.name for one in places])
    next(one for one in places if one.name == name).env.update(shifted(skew))
    say(f"seed {seed}: {seconds:.0f} s, the clock of {name} is {skew:+d} s off")
    urls = {
        "database_url": postgres.create() if postgres else "",
        "redis_url": redis.url if redis else "",
    }
    async with open_fleet(folder, places, seed, limits=LIMITS, delay=0.05, **urls) as house:
        storm = Storm(house, postgres, redis, say)
        customers = crowd(CUSTOMERS)
        await house.open_windows(line for one in customers for line in one.lines)
        await house.add_accounts(receipt_delay=[0.4, 0.5])
        rng = random.Random(f"load {seed}")
        session = house.standins["wa"].session
        visitors = [
            Visitor(house.url, SITE, f"v{n}-{seed}", PAUSE * 1.5, rng, session)
            for n in range(VISITORS)
        ]
        crowded = Crowd(
            house.url, customers, f"s{seed}", PAUSE, rng, where=house.choose_web
        )  # fmt: skip
        async with crowded as driver, contextlib.AsyncExitStack() as stack:
            for one in visitors:
                one.start()
                stack.push_async_callback(one.close)
            await strike_all(storm, seed, seconds, alone=alone, long=long)
            await calm_down(house, [driver, *visitors], say)
            said = [*driver.said, *(it for one in visitors for it in one.said)]
            posts = [*driver.posts, *(it for one in visitors for it in one.posts)]
            evidence = await house.evidence(said, posts)
            evidence = see_visitors(evidence, visitors)
        return judge(storm, evidence, skew)


async def strike_all(storm: Storm, seed: int, seconds: float, *, alone: bool, long: bool) -> None:
    end = time.monotonic() + seconds
    for number, fault in enumerate(faults(seed, alone=alone, long=long), 1):
        left = end - time.monotonic()
        if left < fault.seconds + 1.0:
            return
        storm.say(f"  {number:3} {left:5.0f} s left: {fault}")
        await storm.strike(fault)


async def calm_down(house: Fleet, talkers: list[Any], say: Callable[[str], None]) -> None:
    """No more faults; until nothing is left to do."""
    for standin in house.standins.values():
        await standin.clear_faults()
    await house.all_answer()
    begun = time.monotonic()
    for one in talkers:
        await one.finish()
    await house.settled(SETTLES_WITHIN)
    assert await house.until(lambda: not survey(house.folder / "spool"), 30), "hooks are spooled"
    await house.until(lambda: False, 1.0)
    for place in house.places:
        await house.sample(place)
        assert place.counted, f"{place.name} tells no numbers"
    say(f"settled {time.monotonic() - begun:.1f} s after the last fault")


def see_visitors(evidence: Evidence, visitors: list[Visitor]) -> Evidence:
    evidence.calls = [*evidence.calls, *(call for one in visitors for call in one.calls)]
    return evidence


def judge(storm: Storm, evidence: Evidence, skew: int) -> Findings:
    house, record = storm.house, storm.record
    counted = sum((one.counted for one in house.places), house.total)
    record.repeated, record.unseen, record.skew = counted["sends_repeated"], house.unseen, skew
    findings = check_storm(evidence, record)
    findings.figures.update(storm.counts)
    for name in ("turns", "turn_retries", "leases_lost", "sends_reconciled", "spool"):
        findings.figures[f"metric {name}"] = counted[name]
    dead = house.query("SELECT count(*) FROM dead_letters WHERE kind <> 'send'")[0][0]
    if dead:
        findings.say(f"{dead} dead letters")
    return findings


@click.command()
@click.option("--minutes", type=float, default=15.0, show_default=True)
@click.option("--seed", type=int, default=lambda: int(os.environ.get("ONETHREAD_FAULT_SEED", "0")))
@click.option("--sqlite", is_flag=True, help="One process on SQLite.")
@click.option("--keep", is_flag=True, help="Leave the folder with the processes' logs.")
def main(minutes: float, seed: int, sqlite: bool, keep: bool) -> None:
    """A long storm; exits 1 when a promise was broken."""
    seed = seed or random.SystemRandom().randrange(1, 10**6)
    folder = Path(tempfile.mkdtemp(prefix="onethread-storm-"))
    click.echo(f"logs in {folder}")
    with contextlib.ExitStack() as stack:
        servers: dict[str, Any] = {}
        if not sqlite:
            for name, kind in (("postgres", Postgres), ("redis", Redis)):
                servers[name] = kind().start()
                stack.callback(servers[name].close)
        findings = asyncio.run(ride(folder, seed=seed, seconds=minutes * 60, long=True, **servers))
    click.echo(summary(findings.figures))
    click.echo(f"seed {seed}: {len(findings.problems)} broken promises\n{findings}")
    if not keep and not findings.problems:
        shutil.rmtree(folder)
    sys.exit(bool(findings.problems))


if __name__ == "__main__":
    main()
