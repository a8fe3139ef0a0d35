"""The whole loop on PostgreSQL and Redis: a web process and a worker, against the same floor."""

import asyncio
import tempfile
from pathlib import Path

from tests.benchmarks.loop import tell, whole_loop
from tests.benchmarks.processes import cpu_seconds, free_port, hub_settings, running
from tests.servers import Postgres, Redis


def measure_scaled(rounds: int = 5, count: int = 1000) -> None:
    """Hook in at the web process, dialog and send in the worker, receipts back at the web."""
    postgres, redis = Postgres(durable=True).start(), Redis().start()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            log = folder / "log"
            hub, worker, floor, sink, plain = (free_port() for _ in range(5))
            settings = hub_settings(folder, sink, postgres.create(), redis.url)
            command = ("-m", "hub.cli")
            config = ("--config", str(settings))
            with (
                running(plain, "-m", "tests.benchmarks.provider", "--port", str(plain), log=log),
                running(floor, "-m", "tests.benchmarks.floor", "--port", str(floor), "--reply",
                        str(plain), log=log),
                running(hub, *command, "serve", "--no-worker", *config, "--port", str(hub),
                        log=log) as web,
                running(worker, *command, "worker", *config, "--port", str(worker),
                        log=log) as working,
                running(sink, "-m", "tests.benchmarks.provider", "--port", str(sink),
                        "--receipts-to", str(hub), log=log),
            ):  # fmt: skip
                asyncio.run(whole_loop(hub, sink, 300, receipts=True))
                ratios, rates, costs = [], [], []
                for _ in range(rounds):
                    floor_rate, _ = asyncio.run(whole_loop(floor, plain, count, receipts=False))
                    before = cpu_seconds(web.pid) + cpu_seconds(working.pid)
                    rate, void = asyncio.run(whole_loop(hub, sink, count, receipts=True))
                    if void:
                        print(f"scaled: VOID ({void})")
                        return
                    spent = cpu_seconds(web.pid) + cpu_seconds(working.pid) - before
                    costs.append(spent / count * 1e6)
                    rates.append(rate)
                    ratios.append(rate / floor_rate)
                tell("scaled", rates, ratios, costs)
    finally:
        redis.close()
        postgres.close()
