"""Processes a benchmark starts, and what the system says they cost."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.benchmarks.wire import ACCOUNT, SECRET

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(
    port: int, *arguments: str, log: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process that listens on `port`; stopped by SIGTERM at the end. `env` is added to
    the environment."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=output,
            stderr=output,
            cwd=ROOT,
            env=os.environ | (env or {}),
        )
    try:
        end = time.monotonic() + 30
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{arguments} did not listen: {log.read_text()[-2000:]}")
            time.sleep(0.01)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def hub_settings(folder: Path, provider_port: int, database: str = "", redis: str = "") -> Path:
    """A settings file of a hub with one WhatsApp channel and nothing slowed down; on a SQLite
    file of the folder unless `database` names another."""
    path = folder / "onethread.toml"
    path.write_text(
        f"""
[hub]
database = "{database or f"sqlite:///{folder}/hub.db"}"
redis = "{redis}"
media = "{folder}/media"
secret_key = "{"k" * 40}"
[channels.wa]
kind = "whatsapp"
phone_number_id = "{ACCOUNT}"
access_token = "bench-token"
app_secret = "{SECRET.decode()}"
verify_token = "bench-verify"
api_base = "http://127.0.0.1:{provider_port}"
rate = 0
"""
    )
    return path


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and those it has started, so far."""
    ticks = 0
    for one in family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> float:
    """What a process and those it has started hold in memory; what they share counts once."""
    return sum(
        int(line.split()[1]) / 1024
        for one in family(pid)
        for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        if line.startswith("Pss:")
    )


def family(pid: int) -> list[int]:
    started = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, started)]


def call(port: int, path: str, method: str = "GET") -> dict[str, float]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return dict(json.load(answer))
