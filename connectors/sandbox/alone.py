"""Run one stand-in as a process of its own, so that it survives what it talks to."""

import argparse
import asyncio
import signal
import sys
from typing import Any

from connectors.sandbox.standin import Standin


def serve(sandbox: type[Standin[Any]]) -> None:
    """Serve until SIGTERM or SIGINT; the first line printed is the base URL."""
    arguments = argparse.ArgumentParser(description=sandbox.__doc__)
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--keep", type=int, help="keep at most so many log entries and items")
    chosen = arguments.parse_args()
    asyncio.run(_serve(sandbox(keep=chosen.keep), chosen.host, chosen.port))


async def _serve(standin: Standin[Any], host: str, port: int) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    url = await standin.start(host, port)
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()
    await ended.wait()
    await standin.stop()
