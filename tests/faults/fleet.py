"""Several processes of one hub behind a balancer, each of which may die at any time and is started
again, as systemd or Docker would."""

import asyncio
import contextlib
import importlib.util
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from tests.faults import dialogs
from tests.faults.processes import House, Process, free_port, open_house
from tests.faults.scaled import Scaled

PAUSE = 0.2
SAMPLE_EVERY = 0.5
SITE = "storm"


@dataclass
class Place:
    """A process of the hub that is always started again. `port` serves the web or its metrics."""

    name: str
    command: tuple[str, ...]
    port: int
    is_web: bool
    env: dict[str, str] = field(default_factory=dict)
    process: Process | None = None
    counted: Counter[str] = field(default_factory=Counter)
    sampled: float = 0.0
    starts: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def life(self) -> str:
        """This process and no other in the same place."""
        return f"{self.name}/{self.starts}"


@dataclass
class Fleet(Scaled):
    """`total` is what all processes have counted that are gone; `unseen` the times between a
    process's last sample and its end, in which it may have counted more."""

    redis_url: str = ""
    places: list[Place] = field(default_factory=list)
    total: Counter[str] = field(default_factory=Counter)
    unseen: list[tuple[float, float]] = field(default_factory=list)
    rng: random.Random = field(default_factory=random.Random)

    def settings(self) -> str:
        text = super().settings() if self.database_url else House.settings(self)
        hub = f'[hub]\nmetrics = "open"\nredis = "{self.redis_url}"\n'
        site = f'[channels.site]\nkind = "webchat"\nsite = "{SITE}"\n'
        return f"{text.replace('[hub]', hub, 1)}\n{site}"

    def query(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        return (
            super().query(text, *values) if self.database_url else House.query(self, text, *values)
        )

    @property
    def webs(self) -> list[Place]:
        return [one for one in self.places if one.is_web]

    @property
    def hands(self) -> list[Place]:
        """Who handles conversations."""
        return [one for one in self.places if not one.is_web] or self.places

    def choose_web(self) -> tuple[str, str]:
        """As a balancer without memory does."""
        place = self.rng.choice(self.webs)
        return place.life, place.url

    def launch(self, place: Place) -> None:
        arguments = ["-m", "hub.cli", *place.command, "--port", str(place.port)]
        env = {
            dialogs.RECORD: str(self.record),
            dialogs.GATE: str(self.gate),
            dialogs.DELAY: str(self.delay),
            **place.env,
        }
        place.starts += 1
        place.counted, place.sampled = Counter(), time.time()
        arguments += ["--config", str(self.folder / "onethread.toml")]
        place.process = Process(place.name, self.folder, arguments, env)

    async def answers(self, place: Place) -> bool:
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self._session.get(
                f"{place.url}/healthz", timeout=aiohttp.ClientTimeout(total=2)
            ) as answer:
                return answer.status == 200
        return False

    async def all_answer(self, seconds: float = 60.0) -> None:
        for place in self.places:
            assert await self.until(partial(self.answers, place), seconds), (
                f"{place.name} does not answer\n{self.errors(place)}"
            )

    def errors(self, place: Place) -> str:
        return (self.folder / f"{place.name}.err").read_text()[-2000:]

    @property
    def _session(self) -> aiohttp.ClientSession:
        return self.standins["wa"].session

    async def sample(self, place: Place) -> None:
        """Read what the process has counted; what does not answer is read the next time."""
        life, begun = place.life, time.time()
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self._session.get(
                f"{place.url}/metrics", timeout=aiohttp.ClientTimeout(total=1.0)
            ) as answer:
                text = await answer.text()
            if answer.status == 200 and place.life == life:
                place.counted, place.sampled = read_counters(text), begun

    async def kill(self, place: Place) -> None:
        """SIGKILL of the process and what it started. It is started again by `keep`."""
        if place.process is not None:
            await place.process.kill()

    def freeze(self, place: Place, number: signal.Signals) -> None:
        """SIGSTOP or SIGCONT to the process and what it started."""
        assert place.process is not None
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            for pid in (place.process.pid, *place.process.children()):
                os.kill(pid, number)

    async def keep(self) -> None:
        """Start again what has ended, for ever."""
        while True:
            for place in self.places:
                if place.process is None or place.process.code is not None:
                    self.bury(place)
                    self.launch(place)
            await asyncio.sleep(PAUSE)

    def bury(self, place: Place) -> None:
        """Keep what an ended process had counted."""
        self.total += place.counted
        if place.starts:
            self.unseen.append((place.sampled, time.time()))
        place.counted = Counter()

    async def watch(self) -> None:
        while True:
            await asyncio.gather(*(self.sample(place) for place in self.places))
            await asyncio.sleep(SAMPLE_EVERY)

    async def balance(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection to the public port goes to one web process that takes it."""
        for place in self.rng.sample(self.webs, len(self.webs)):
            with contextlib.suppress(OSError):
                there = await asyncio.open_connection("127.0.0.1", place.port)
                break
        else:
            writer.close()
            return
        tasks = {
            asyncio.create_task(pipe(reader, there[1])),
            asyncio.create_task(pipe(there[0], writer)),
        }
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            writer.close()
            there[1].close()


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


def read_counters(text: str) -> Counter[str]:
    """The sums of all counters over their labels."""
    found: Counter[str] = Counter()
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        name = name.partition("{")[0]
        if name.endswith("_total") and not line.startswith("#"):
            found[name.removeprefix("onethread_").removesuffix("_total")] += int(float(value))
    return found


def shifted(seconds: int) -> dict[str, str]:
    """The environment of a process whose wall clock is off, for all that asks for it. The
    monotonic clock is left alone, as it is where clocks are set wrong."""
    spec = importlib.util.find_spec("libfaketime")
    if spec is None or spec.origin is None:
        raise LookupError("no shifted clock: pip install libfaketime")
    library = Path(spec.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": f"{seconds:+d}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


@contextlib.asynccontextmanager
async def open_fleet(
    folder: Path, places: Sequence[Place], seed: int, **options: Any
) -> AsyncIterator[Fleet]:
    """Stand-ins and a balancer; `async with` ends all of it, and all that was started."""
    urls = {name: options.pop(name, "") for name in ("database_url", "redis_url")}
    async with open_house(folder, **options) as plain:
        fleet = Fleet(
            plain.folder, plain.port, plain.standins, plain.limits, plain.delay, **urls,
            places=list(places), rng=random.Random(f"balancer {seed}"),
        )  # fmt: skip
        (folder / "onethread.toml").write_text(fleet.settings())
        connections: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(fleet.balance(reader, writer))
            connections.add(task)
            task.add_done_callback(connections.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", fleet.port)
        tasks = [asyncio.create_task(one) for one in (fleet.keep(), fleet.watch())]
        try:
            await fleet.all_answer()
            yield fleet
        finally:
            server.close()
            for task in (*tasks, *connections):
                task.cancel()
            await asyncio.gather(*tasks, *connections, return_exceptions=True)
            for place in fleet.places:
                await fleet.kill(place)


def places_of(alone: bool) -> list[Place]:
    """Two web processes and two workers, or one of both on SQLite. The second web has room in its
    spool for a few hooks only."""
    if alone:
        return [Place("hub", ("serve",), free_port(), is_web=True)]
    tight = {"ONETHREAD_LIMITS__SPOOL_BYTES": "20000"}
    return [
        Place("web0", ("serve", "--no-worker"), free_port(), is_web=True),
        Place("web1", ("serve", "--no-worker"), free_port(), is_web=True, env=tight),
        Place("worker0", ("worker",), free_port(), is_web=False),
        Place("worker1", ("worker",), free_port(), is_web=False),
    ]
