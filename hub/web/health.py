"""Is this process alive, and can it do its work? What is asked of the database is asked once for
all who ask at the same time, and none of them waits for long."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

import structlog
from aiohttp import web

from hub import __version__
from hub.store.health import try_read, try_write
from hub.web.state import STATE, State

log = structlog.get_logger(__name__)

T = TypeVar("T")

PATIENCE = 1.5  # seconds
FRESH = 2.0
BEAT = 30.0


class Probe(Generic[T]):
    """One question: never asked twice at once, nor again while the last answer is `fresh`
    (seconds). An answer that failed is not kept."""

    def __init__(self, ask: Callable[[], Awaitable[T]], fresh: float = FRESH) -> None:
        self._ask = ask
        self._fresh = fresh
        self._task: asyncio.Task[T] | None = None
        self._asked_at = 0.0

    async def answer(self) -> T:
        """The answer. Raises TimeoutError when it does not come within PATIENCE, and what asking
        raises."""
        task = self._task
        if task is None or (task.done() and not self._is_fresh(task)):
            self._asked_at = time.monotonic()
            self._task = task = asyncio.create_task(self._run())
            task.add_done_callback(_hear)
        await asyncio.wait({task}, timeout=PATIENCE)
        if not task.done():
            raise TimeoutError
        return task.result()

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _is_fresh(self, task: asyncio.Task[T]) -> bool:
        kept = not task.cancelled() and task.exception() is None
        return kept and time.monotonic() - self._asked_at < self._fresh

    async def _run(self) -> T:
        return await self._ask()


def _hear(task: asyncio.Task[T]) -> None:
    """Nobody may be left who waits for the error."""
    if not task.cancelled():
        task.exception()


class Health:
    """What this process knows of its own state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.probe = Probe(self._try)

    async def problems(self) -> dict[str, str]:
        """What is wrong, by part; empty when this process can do its work."""
        found: dict[str, str] = {}
        try:
            await self.probe.answer()
        except TimeoutError:
            found["database"] = f"did not take a write within {PATIENCE:g} s"
        except Exception as error:  # whatever it is, this process cannot serve
            log.error("not ready", error=type(error).__name__)
            found["database"] = "cannot be read and written"
        beat = self._state.beat
        if beat is not None and (seconds := beat()) > BEAT:
            found["worker"] = f"has not looked for work for {seconds:.0f} s"
        self._state.metrics.database_up.set("database" not in found)
        return found

    async def _try(self) -> None:
        state = self._state
        await state.store.read(try_read)
        begun = time.monotonic()
        await state.store.write(try_write, state.clock.now())
        state.metrics.database_seconds.set(time.monotonic() - begun)


HEALTH: web.AppKey[Health] = web.AppKey("health", Health)


async def tell_alive(request: web.Request) -> web.Response:
    return web.json_response({"status": "ok", "version": __version__})


async def tell_ready(request: web.Request) -> web.Response:
    """503 while the database takes no write or this process's worker stands still."""
    problems = await request.app[HEALTH].problems()
    if problems:
        return web.json_response({"status": "unready", "problems": problems}, status=503)
    return web.json_response({"status": "ready"})


async def _end(app: web.Application) -> AsyncIterator[None]:
    yield
    app[HEALTH].probe.cancel()


def add_health(app: web.Application) -> None:
    app[HEALTH] = Health(app[STATE])
    app.cleanup_ctx.append(_end)
    app.router.add_get("/healthz", tell_alive)
    app.router.add_get("/readyz", tell_ready)
