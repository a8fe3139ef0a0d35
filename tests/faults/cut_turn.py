"""Intake, turn and delivery in a process that is killed at its n-th point, for every n until it
gets through; then another process takes over, and the promises are held against what is there.

A point is before a statement, before a COMMIT, or after a COMMIT and before anybody hears of it.
Prints a line of JSON: how many points were cut, and how many cuts hit what.
"""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import sqlalchemy as sa

from hub.app import Hub, open_hub, serving
from hub.clock import Clock
from hub.settings import Settings, load_settings
from tests.faults import cut_scene, dialogs, hooks
from tests.faults.cut_check import After, check_all, look_at, read_state
from tests.statements import heard_by

NEVER = 600.0
CUT = {"lease": 1.0, "send_timeout": 0.7, "reconcile_for": 0.2, "poll": NEVER}
AFTERWARDS = {"lease": 20.0, "send_timeout": 5.0, "reconcile_for": 20.0, "poll": 0.1}
PAST_ALL_WAITING = 120.0


@dataclass(frozen=True)
class Case:
    """One cut and what came of it; `early`: the receipts come before anything is sent again."""

    number: int
    early: bool
    folder: Path
    standin: str
    database: str

    @property
    def line(self) -> hooks.Line:
        return hooks.Line("wa", f"+88017{self.early:d}{self.number:07}")

    @property
    def record(self) -> Path:
        return self.folder / f"{self.line.digits}.steps"

    def settings(self, limits: dict[str, float]) -> Settings:
        return load_settings(
            None,
            {
                "hub": {
                    "database": self.database,
                    "media": str(self.folder / f"{self.line.digits}.media"),
                    "spool": str(self.folder / f"{self.line.digits}.spool"),
                    "secret_key": "k" * 40,
                },
                "dialogs": {"modules": ["tests.faults.cut_scene"], "default": "cut"},
                "limits": limits,
                "channels": {
                    "wa": {
                        "kind": "whatsapp",
                        "phone_number_id": hooks.WA_ACCOUNT,
                        "access_token": hooks.WA_TOKEN,
                        "app_secret": hooks.WA_SECRET,
                        "verify_token": hooks.WA_VERIFY,
                        "api_base": self.standin,
                        "rate": 0,
                    }
                },
            },
        )

    def tell(self, what: str, value: str) -> None:
        """Note a fact that the kill must not take away."""
        with (self.folder / f"{self.line.digits}.told").open("a") as file:
            file.write(json.dumps([what, value]) + "\n")

    def told(self, what: str) -> list[str]:
        path = self.folder / f"{self.line.digits}.told"
        lines = path.read_text().splitlines() if path.exists() else []
        return [value for about, value in map(json.loads, lines) if about == what]

    @property
    def after(self) -> int:
        return int(self.told("after")[0])


@dataclass
class Points:
    """Counts the points, once armed, and dies at one of them."""

    at: int
    tell: Callable[[str], None]
    armed: bool = False
    passed: int = 0
    texts: list[str] = field(default_factory=list)

    def heard(self, _conn: Any, _cursor: Any, text: str, *_more: Any) -> None:
        self.pass_by(" ".join(text.split())[:60])

    def commits(self, conn: sa.Connection) -> None:
        self.pass_by("before COMMIT")
        if self.armed and self.passed + 1 == self.at:
            conn.dialect.do_commit(conn.connection)
        self.pass_by("after COMMIT")

    def pass_by(self, text: str) -> None:
        self.passed += 1
        if not self.armed:
            return
        self.texts.append(text)
        if self.passed == self.at:
            self.tell(text)
            os.kill(os.getpid(), signal.SIGKILL)

    def arm(self) -> None:
        self.armed, self.passed = True, 0


@contextlib.asynccontextmanager
async def opened(
    case: Case, limits: dict[str, float], clock: Clock | None = None
) -> AsyncIterator[tuple[Hub, str, aiohttp.ClientSession]]:
    async with (
        aiohttp.ClientSession() as session,
        open_hub(case.settings(limits), clock) as hub,
        serving(hub, "127.0.0.1", 0) as url,
    ):
        yield hub, url, session


async def run_and_die(case: Case) -> list[str]:
    """Die at the case's point, or come to the end: then all points that were passed."""
    points = Points(case.number, lambda text: case.tell("died", text))
    with heard_by(points.heard):
        sa.event.listen(sa.Engine, "commit", points.commits)
        async with opened(case, CUT) as (hub, url, session):
            provider = cut_scene.Provider(
                session, case.standin, url, case.line, case.after,
                told=lambda name: case.tell("answered", name),
            )  # fmt: skip

            async def rested(count: int) -> bool:
                sent = {call.row for call in await provider.calls()}
                return len(sent) >= count and hub.worker.is_idle()

            await rest(points)
            points.arm()
            await provider.plays(rested)
            await asyncio.sleep(0.05)
            points.armed = False
        sa.event.remove(sa.Engine, "commit", points.commits)
    return points.texts


async def rest(points: Points) -> None:
    """Until all that a start does has been done."""
    passed = -1
    while passed != points.passed:
        passed = points.passed
        await asyncio.sleep(0.04)


async def take_over(case: Case) -> None:
    """Bring to its end what the dead process left, and judge it."""
    found = await look_at(case.database, case.line)
    clock = Clock()
    async with opened(case, AFTERWARDS, clock) as (hub, url, session):
        provider = cut_scene.Provider(
            session, case.standin, url, case.line, case.after, case.told("answered")
        )

        async def rested(_count: int) -> bool:
            return not (await hub.store.read(read_state, case.line)).open

        known = set()
        if case.early:
            known = {call.row for call in await provider.calls() if call.external_id}
            await provider.reports()
        clock.move(PAST_ALL_WAITING)
        await provider.plays(rested)
        await provider.repeats()
        await cut_scene.until(lambda: rested(0))
        end = await hub.store.read(read_state, case.line)
        after = After(found, end, await provider.calls(), known)
        check_all(after, hub.metrics.registry, case.record, float(case.told("ended")[0]))
    for hit in after.hits():
        case.tell("hit", hit)


class Cutter:
    """Forks the processes of all cases; itself it never has a loop or a thread while it does."""

    def __init__(self, folder: Path, standin: str, databases: list[str]) -> None:
        """`databases`: of as many cases as may run at once, each over and over."""
        self._folder = folder
        self._standin = standin
        self._free = databases
        self._running: dict[int, tuple[int, str]] = {}
        self.cases: list[Case] = []
        self.failed: list[int] = []
        self.is_through = False

    def start(self, number: int) -> None:
        """Cut at this point in a process of its own, as soon as a database is free."""
        while not self._free:
            self._reap()
        database = self._free.pop()
        self._running[_fork(lambda: self._follow(number, database))] = (number, database)

    def finish(self) -> None:
        while self._running:
            self._reap()

    def _reap(self) -> None:
        pid, status = os.wait()
        number, database = self._running.pop(pid)
        self._free.append(database)
        if os.waitstatus_to_exitcode(status):
            self.failed.append(number)
        cases = [self.case(number, early, database) for early in (False, True)]
        self.cases += [case for case in cases if case.told("died")]
        self.is_through |= not cases[0].told("died")

    def case(self, number: int, early: bool, database: str) -> Case:
        return Case(number, early, self._folder, self._standin, database)

    def _follow(self, number: int, database: str) -> None:
        case = self.case(number, False, database)
        if not cut(case):
            return
        in_hand = asyncio.run(look_at(database, case.line)).sending()
        asyncio.run(take_over(case))
        twin = self.case(number, True, database)
        if in_hand and cut(twin):
            asyncio.run(take_over(twin))


def cut(case: Case) -> bool:
    """Run the case until it dies; False when it came through."""
    os.environ[dialogs.RECORD] = str(case.record)
    asyncio.run(open_window(case))
    _, status = os.waitpid(_fork(lambda: asyncio.run(run_and_die(case))), 0)
    case.tell("ended", str(time.time()))
    if code := os.waitstatus_to_exitcode(status):
        assert code == -signal.SIGKILL, "the run failed by itself"
    return bool(code)


async def open_window(case: Case) -> None:
    """WhatsApp lets a business answer only who wrote: she did, with no hook to hear it."""
    async with aiohttp.ClientSession() as session:
        url = f"{case.standin}/_sandbox"
        message = session.post(f"{url}/phones/{case.line.digits}/messages", json={"text": "hello"})
        async with message as answer:
            assert answer.status < 300, await answer.text()
        async with session.get(f"{url}/log") as answer:
            found = (await answer.json())["items"]
    case.tell("after", str(found[-1]["n"] if found else 0))


def _fork(work: Callable[[], Any]) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def main(folder: Path, standin: str, stride: int, databases: list[str]) -> None:
    os.environ[dialogs.DELAY] = "0.001"
    cutter = Cutter(folder, standin, databases)
    warm = cutter.case(0, False, databases[0])
    os.environ[dialogs.RECORD] = str(warm.record)
    asyncio.run(open_window(warm))
    texts = asyncio.run(run_and_die(warm))
    numbers = itertools.count(1, stride)
    while not cutter.is_through:
        cutter.start(next(numbers))
    cutter.finish()
    died = [text for case in cutter.cases for text in case.told("died")]
    found = {
        "points": len(texts),
        "cuts": len(died),
        "missed": sorted(set(texts) - set(died)),
        "hits": Counter(hit for case in cutter.cases for hit in case.told("hit")),
        "failed": cutter.failed,
    }
    os.write(1, json.dumps(found).encode() + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:])
