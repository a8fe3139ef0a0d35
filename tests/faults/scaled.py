"""A web process and workers on one PostgreSQL, any of which may die and come back."""

import asyncio
import contextlib
import itertools
import re
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no stubs

from tests.faults import dialogs
from tests.faults.processes import House, Process, open_house

WORKERS = 2


@dataclass
class Scaled(House):
    """A House whose hub is a web process; the workers stand beside it."""

    database_url: str = ""
    workers: list[Process] = field(default_factory=list)

    def settings(self) -> str:
        return super().settings().replace(f"sqlite:///{self.database}", self.database_url)

    def query(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        numbers = itertools.count(1)
        text = re.sub(r"\?", lambda _: f"${next(numbers)}", text)

        async def ask() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(self.database_url)
            try:
                return [tuple(row) for row in await connection.fetch(text, *values)]
            finally:
                await connection.close()

        # In a thread: this is called with and without an event loop.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, ask()).result()

    def spawn(self, port: int, name: str = "hub") -> Process:
        return self._spawn(name, "serve", "--no-worker", "--port", str(port))

    def spawn_worker(self, number: int) -> Process:
        return self._spawn(f"worker{number}", "worker")

    def _spawn(self, name: str, *command: str) -> Process:
        config = self.folder / "onethread.toml"
        config.write_text(self.settings())
        env = {
            dialogs.RECORD: str(self.record),
            dialogs.GATE: str(self.gate),
            dialogs.DELAY: str(self.delay),
        }
        arguments = ["-m", "hub.cli", *command, "--config", str(config)]
        return Process(name, self.folder, arguments, env)

    async def start(self) -> Process:
        hub = await super().start()
        self.start_workers()
        return hub

    def start_workers(self) -> None:
        """Start those that are missing."""
        while len(self.workers) < WORKERS:
            self.workers.append(self.spawn_worker(len(self.workers)))

    async def replace_worker(self, number: int) -> None:
        """Kill a worker and start another in its place."""
        await self.workers[number].kill()
        self.workers[number] = self.spawn_worker(number)


@contextlib.asynccontextmanager
async def open_scaled(folder: Path, database_url: str, **options: Any) -> AsyncIterator[Scaled]:
    """Stand-ins that run; the processes are not started yet. All of it ends with the block."""
    async with open_house(folder, **options) as plain:
        house = Scaled(
            plain.folder, plain.port, plain.standins, plain.limits, plain.delay,
            database_url=database_url,
        )  # fmt: skip
        try:
            yield house
        finally:
            for worker in house.workers:
                await worker.kill()
            if house.hub is not None:
                await house.hub.kill()
