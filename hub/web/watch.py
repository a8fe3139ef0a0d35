"""Health and numbers of a process that serves nothing else: a worker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from hub.web.health import add_health
from hub.web.metrics import add_metrics
from hub.web.state import STATE, State


@asynccontextmanager
async def watching(state: State, host: str, port: int) -> AsyncIterator[str]:
    """Answer `/healthz`, `/readyz` and `/metrics`; gives the local URL."""
    app = web.Application()
    app[STATE] = state
    add_health(app)
    add_metrics(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
