"""What the hub costs while nothing happens: start-up, memory, idle sockets."""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import aiohttp

from tests.benchmarks.processes import ROOT, free_port, hub_settings, memory_mib, running

SOCKETS = 1000


def measure_start(rounds: int = 5) -> None:
    """`onethread --help`, and `serve` until it is ready on an empty database."""
    helps, bare, ready = [], [], []
    for _ in range(rounds):
        helps.append(_run("-m", "hub.cli", "--help"))
        bare.append(_run("-c", "import aiohttp.web, sqlalchemy"))
        ready.append(_until_ready())
    print(f"onethread --help: {statistics.median(helps):.2f} s (aim 0.3)")
    print(
        f"serve ready on an empty database: {statistics.median(ready):.2f} s (aim 1.0);"
        f" importing aiohttp and sqlalchemy alone {statistics.median(bare):.2f} s"
    )


def _run(*arguments: str) -> float:
    start = time.monotonic()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def _until_ready() -> float:
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        settings = hub_settings(folder, free_port())
        start = time.monotonic()
        arguments = ("-m", "hub.cli", "serve", "--config", str(settings), "--port", str(port))
        with running(port, *arguments, log=folder / "log"):
            while True:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                        return time.monotonic() - start
                except urllib.error.URLError:
                    time.sleep(0.005)


def measure_idle() -> None:
    """Memory of `serve` after its start, and of one idle web-chat socket."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        settings = hub_settings(folder, free_port())
        with settings.open("a") as file:
            file.write(
                '[channels.site]\nkind = "webchat"\nsite = "bench"\n'
                f'allowed_origins = ["http://127.0.0.1:{port}"]\n'
            )
        arguments = ("-m", "hub.cli", "serve", "--config", str(settings), "--port", str(port))
        with running(port, *arguments, log=folder / "log") as process:
            time.sleep(2)
            before = memory_mib(process.pid)
            print(f"serve after its start: {before:.0f} MiB in both processes (aim under 150)")
            after = asyncio.run(_hold_sockets(port, process.pid))
            each = (after - before) * 1024 / SOCKETS
            print(f"one idle web-chat socket: {each:.1f} KiB (aim under 30)")


async def _hold_sockets(port: int, pid: int) -> float:
    base = f"http://127.0.0.1:{port}"
    headers = {"Origin": base}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        sockets = []
        for number in range(SOCKETS):
            address = {"X-Forwarded-For": f"10.0.{number // 250}.{number % 250}"}
            async with session.post(
                f"{base}/chat/v1/session", json={"site": "bench"}, headers=address
            ) as answer:
                answer.raise_for_status()
                token = (await answer.json())["token"]
            socket = await session.ws_connect(f"{base}/chat/v1/ws")
            await socket.send_json({"type": "hello", "token": token, "last_seq": 0})
            await socket.receive()
            sockets.append(socket)
        await asyncio.sleep(1)
        held = memory_mib(pid)
        for socket in sockets:
            await socket.close()
        return held
