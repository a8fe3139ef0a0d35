"""One worker beside two, where a turn waits for somebody else: an action server that answers after
100 ms. `limits.workers` is small, so that waiting bounds the turns and not the processor."""

import asyncio
import contextlib
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.loop import whole_loop
from tests.benchmarks.processes import call, free_port, hub_settings, running
from tests.benchmarks.waiting import ANSWERS_AFTER, SERVER
from tests.servers import Postgres, Redis

AT_ONCE = 4
"""Conversations that a worker handles at once (`limits.workers`)."""
AIM = 1.6


@dataclass(frozen=True, order=True)
class Shared:
    """What a run came to: turns a second, how many each worker did, and what makes it void."""

    rate: float
    turns: tuple[int, ...]
    void: str


@dataclass(frozen=True)
class Bench:
    """A web process, an action server and a provider that run; workers come and go."""

    settings: Path
    log: Path
    web: int
    actions: int
    sink: int

    def run(self, workers: int, count: int) -> Shared:
        """Have `workers` processes answer `count` messages of as many customers."""
        with contextlib.ExitStack() as stack:
            for _ in range(workers):
                port = free_port()
                arguments = ("worker", "--config", str(self.settings), "--port", str(port))
                stack.enter_context(running(port, "-m", "hub.cli", *arguments, log=self.log,
                                            env=self.environment()))  # fmt: skip
            asyncio.run(whole_loop(self.web, self.sink, 10 * workers, receipts=False))
            call(self.actions, "/reset", "POST")
            rate, void = asyncio.run(whole_loop(self.web, self.sink, count, receipts=False))
            stats = call(self.actions, "/stats")
        again = stats.pop("again")
        if again:
            void = ", ".join(filter(None, (void, f"called again {again:.0f}")))
        return Shared(rate, tuple(sorted(map(int, stats.values()))), void)

    def environment(self) -> dict[str, str]:
        return {SERVER: f"http://127.0.0.1:{self.actions}"}


@contextlib.contextmanager
def bench(folder: Path, database: str, redis: str, at_once: int = AT_ONCE) -> Iterator[Bench]:
    """`at_once`: `limits.workers` of each worker."""
    log = folder / "log"
    web, actions, sink = free_port(), free_port(), free_port()
    settings = hub_settings(folder, sink, database, redis)
    with settings.open("a") as file:
        file.write(
            '[dialogs]\nmodules = ["tests.benchmarks.waiting"]\ndefault = "waiting"\n'
            f"[limits]\nworkers = {at_once}\n"
        )
    made = Bench(settings, log, web, actions, sink)
    serve = ("serve", "--no-worker", "--config", str(settings), "--port", str(web))
    with (
        running(sink, "-m", "tests.benchmarks.provider", "--port", str(sink), log=log),
        running(actions, "-m", "tests.benchmarks.waiting", "--port", str(actions), log=log),
        running(web, "-m", "hub.cli", *serve, log=log, env=made.environment()),
    ):
        yield made


def measure_workers(rounds: int = 5, count: int = 300) -> None:
    """The same messages with one worker and with two, in turn."""
    postgres, redis = Postgres(durable=True).start(), Redis().start()
    try:
        with (
            tempfile.TemporaryDirectory() as name,
            bench(Path(name), postgres.create(), redis.url) as scene,
        ):
            ratios, ones, twos = [], [], []
            for _ in range(rounds):
                one, two = scene.run(1, count), scene.run(2, count)
                if void := one.void or two.void:
                    print(f"workers: VOID ({void})")
                    return
                ones.append(one.rate)
                twos.append(two.rate)
                ratios.append(two.rate / one.rate)
            most = AT_ONCE / ANSWERS_AFTER
            print(
                f"workers: {statistics.median(ones):.1f} turns/s with one,"
                f" {statistics.median(twos):.1f} with two, ratio {statistics.median(ratios):.2f}"
                f" (runs {min(ratios):.2f} to {max(ratios):.2f}; aim at least {AIM});"
                f" one can do {most:.0f} at most (limits.workers = {AT_ONCE}, {ANSWERS_AFTER} s"
                " a turn); lost 0, doubled 0, called again 0"
            )
    finally:
        redis.close()
        postgres.close()
