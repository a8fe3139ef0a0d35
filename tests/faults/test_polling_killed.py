"""Kill -9 of a hub that polls Telegram, in the midst of the updates it was given: those that are
stored come again, since Telegram was not told of them, and those that are not must."""

import asyncio
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox import telegram
from tests.bot import BOT, HER, TOKEN
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
COUNT = 180
"""Updates that wait at the start; Telegram gives up to 100 at once."""
SOON = 3
"""Stored when the kill is sent."""
SETTINGS = """
[hub]
database = "sqlite:///{folder}/hub.db"
media = "{folder}/media"
spool = "{folder}/spool"
public_url = "http://127.0.0.1:{port}"
secret_key = "{secret}"
[dialogs]
modules = []
default = ""
[channels.tg]
kind = "telegram"
bot_token = "{token}"
mode = "polling"
api_base = "{api_base}"
"""
STORED = "SELECT text FROM messages WHERE direction = 'in' ORDER BY seq"


def stored(folder: Path) -> list[str]:
    """What the thread has of hers, in its order."""
    with closing(sqlite3.connect(f"file:{folder}/hub.db?mode=ro", uri=True)) as db:
        try:
            return [text for (text,) in db.execute(STORED)]
        except sqlite3.OperationalError:
            return []  # the tables are not made yet


async def until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        await asyncio.sleep(0.001)


async def start(folder: Path) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "hub.cli", "serve", "--config", str(folder / "onethread.toml")]
    port = str(free_port())
    return await asyncio.create_subprocess_exec(
        *command, "--port", port, cwd=ROOT, stderr=asyncio.subprocess.DEVNULL, process_group=0
    )


@pytest.mark.slow
async def test_no_update_is_lost_and_none_is_doubled(tmp_path: Path) -> None:
    sandbox = telegram.Sandbox()
    await sandbox.start()
    settings = {"folder": tmp_path, "port": free_port(), "secret": "k" * 40, "token": TOKEN}
    text = SETTINGS.format(**settings, api_base=sandbox.base_url)
    (tmp_path / "onethread.toml").write_text(text, "utf-8")
    (tmp_path / "hub.db").touch()
    sandbox.add_account({"token": TOKEN})
    said: list[str] = []
    try:
        for number in range(COUNT):
            said.append(str(number))
            await sandbox.customer_writes(HER, text=said[-1])
        hub = await start(tmp_path)
        await until(lambda: len(stored(tmp_path)) >= SOON)
        os.killpg(hub.pid, signal.SIGKILL)  # with the process that writes for it
        await hub.wait()
        waiting, kept = len(sandbox.waiting_of(BOT).updates), len(stored(tmp_path))
        assert kept < COUNT, "the kill hit nothing: all was stored"
        assert waiting > COUNT - kept, "Telegram knew already of all that was stored"
        hub = await start(tmp_path)
        await until(lambda: len(stored(tmp_path)) >= len(said))
        await until(lambda: not sandbox.waiting_of(BOT).updates)
        hub.terminate()
        assert await hub.wait() == 0
        assert stored(tmp_path) == said
    finally:
        if hub.returncode is None:
            hub.kill()
            await hub.wait()
        await sandbox.stop()
