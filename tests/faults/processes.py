"""The hub and the stand-ins as processes of their own, and what a test sees of them from outside.

The database is read through connections of the test's own that cannot write.
"""

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from tests.faults import dialogs, hooks
from tests.faults.checker import Call, Evidence, HookPost, Row
from tests.faults.driver import Post, Said
from tests.faults.hooks import Line
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
LIMITS = {
    "lease": 2.0,
    "reconcile_for": 1.0,
    "send_timeout": 1.0,
    "poll": 0.2,
    "shutdown": 8.0,
}
READY_WITHIN = 30.0
ROWS = """
    SELECT m.id, m.conversation_id, m.seq, m.direction, m.text, ch.name, a.external_id, m.state,
           m.lane, m.unknowns, m.sending_at, m.handled_at, m.error_class
    FROM messages m
    LEFT JOIN channels ch ON ch.id = m.channel_id
    LEFT JOIN addresses a ON a.id = m.address_id
    ORDER BY m.conversation_id, m.seq
"""
OPEN = """
    SELECT (SELECT count(*) FROM messages WHERE direction = 'in' AND handled_at IS NULL),
           (SELECT count(*) FROM messages WHERE lane IS NOT NULL)
"""
RUNNING = """
    SELECT count(*) FROM conversations c WHERE c.lease_until > ? AND EXISTS (
        SELECT 1 FROM messages m WHERE m.conversation_id = c.id AND m.handled_at IS NULL)
"""


class Process:
    """One process; its output goes into files beside the database."""

    def __init__(
        self, name: str, folder: Path, arguments: Sequence[str], env: dict[str, str] | None = None
    ) -> None:
        self.out = folder / f"{name}.out"
        self.err = folder / f"{name}.err"
        self.began = time.time()
        with self.out.open("wb") as out, self.err.open("ab") as err:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=os.environ | (env or {}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code; minus the signal's number where one ended it; None while it runs."""
        return self._process.poll()

    async def first_line(self) -> str:
        """What it says when it is ready."""
        end = time.monotonic() + READY_WITHIN
        while time.monotonic() < end:
            line, newline, _ = self.out.read_text().partition("\n")
            if newline:
                return line
            if self.code is not None:
                break
            await asyncio.sleep(0.02)
        raise AssertionError(f"not ready: exit code {self.code}\n{self.err.read_text()[-3000:]}")

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self, seconds: float = 30.0) -> int:
        """Wait for its end: the exit code."""
        return await asyncio.to_thread(self._process.wait, seconds)

    def children(self) -> list[int]:
        """The processes it has started."""
        found = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in found.split()]

    async def kill(self) -> None:
        """Kill it, and wait until what it had started has ended too."""
        children: list[int] = []
        if self.code is None:
            children = self.children()
            self._process.kill()
        await self.ended()
        await asyncio.to_thread(_outlive, children)


def _outlive(pids: Sequence[int]) -> None:
    """Wait until processes that are not ours have ended; whoever has them now may never look."""
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.005)


@dataclass
class StandIn:
    """A provider's stand-in, which outlives the hub."""

    name: str
    process: Process
    url: str
    session: aiohttp.ClientSession

    async def post(self, path: str, body: Any) -> Any:
        async with self.session.post(f"{self.url}/_sandbox/{path}", json=body) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def get(self, path: str, **query: Any) -> Any:
        async with self.session.get(f"{self.url}/_sandbox/{path}", params=query) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def clear_faults(self) -> None:
        async with self.session.delete(f"{self.url}/_sandbox/faults") as answer:
            assert answer.status == 200

    async def sends(self, after: int = 0) -> list[Call]:
        """The calls that asked to send a message."""
        found = await self.get("log", after=after)
        return [
            Call.read(self.name, call)
            for call in found["items"]
            if call["method"] == "POST" and call["to"]
        ]

    async def hook_posts(self) -> list[HookPost]:
        found = await self.get("webhooks")
        return [HookPost.read(self.name, one) for one in found["items"]]

    async def waiting(self) -> int:
        found = await self.get("webhooks", after=10**9)
        return int(found["waiting"])


@dataclass
class House:
    """One folder, one database, one port: the hub may die and come back."""

    folder: Path
    port: int
    standins: dict[str, StandIn]
    limits: dict[str, Any]
    delay: float
    hub: Process | None = None
    starts: list[float] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> Path:
        return self.folder / "hub.db"

    @property
    def gate(self) -> Path:
        return self.folder / "gate"

    @property
    def record(self) -> Path:
        return self.folder / "steps.jsonl"

    async def start(self) -> Process:
        """Start the hub; returns when it serves."""
        began = time.monotonic()
        self.hub = self.spawn(self.port)
        await self.hub.first_line()
        self.starts.append(time.monotonic() - began)
        return self.hub

    def spawn(self, port: int, name: str = "hub") -> Process:
        config = self.folder / "onethread.toml"
        config.write_text(self.settings())
        arguments = ["-m", "hub.cli", "serve", "--config", str(config), "--port", str(port)]
        env = {
            dialogs.RECORD: str(self.record),
            dialogs.GATE: str(self.gate),
            dialogs.DELAY: str(self.delay),
        }
        return Process(name, self.folder, arguments, env)

    def settings(self) -> str:
        tables: dict[str, dict[str, Any]] = {
            "hub": {
                "database": f"sqlite:///{self.database}",
                "media": str(self.folder / "media"),
                "spool": str(self.folder / "spool"),
                "public_url": self.url,
                "secret_key": "k" * 40,
                "log_level": "warning",
            },
            "dialogs": {"modules": ["tests.faults.dialogs"], "default": "echo"},
            "limits": {**LIMITS, **self.limits},
            "channels.wa": {
                "kind": "whatsapp",
                "phone_number_id": hooks.WA_ACCOUNT,
                "access_token": hooks.WA_TOKEN,
                "app_secret": hooks.WA_SECRET,
                "verify_token": hooks.WA_VERIFY,
                "api_base": self.standins["wa"].url,
                "rate": 0,
            },
            "channels.sms": {
                "kind": "twilio",
                "account_sid": hooks.SMS_ACCOUNT,
                "auth_token": hooks.SMS_SECRET,
                "sender": hooks.SMS_NUMBER,
                "api_base": self.standins["sms"].url,
            },
        }
        return "\n".join(
            f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in one.items())
            for name, one in tables.items()
        )

    async def add_accounts(self, **facts: Any) -> None:
        """Tell the stand-ins where the hub is; `facts` are of either account."""
        await self.standins["wa"].post(
            "accounts",
            {
                "phone_number_id": hooks.WA_ACCOUNT,
                "waba_id": hooks.WA_WABA,
                "access_token": hooks.WA_TOKEN,
                "app_secret": hooks.WA_SECRET,
                "verify_token": hooks.WA_VERIFY,
                "hook_url": f"{self.url}/hooks/wa",
                "receipts": ["sent", "delivered"],
                **facts,
            },
        )
        await self.standins["sms"].post(
            "accounts",
            {
                "account_sid": hooks.SMS_ACCOUNT,
                "auth_token": hooks.SMS_SECRET,
                "number": hooks.SMS_NUMBER,
                "hook_url": f"{self.url}/hooks/sms",
                "retry": True,
                **facts,
            },
        )

    async def open_windows(self, lines: Iterable[Line]) -> None:
        """WhatsApp lets a business answer only who wrote: let them, with no hook to hear it."""
        await self.add_accounts(hook_url="")
        for line in lines:
            if line.channel == "wa":
                await self.standins["wa"].post(f"phones/{line.digits}/messages", {"text": "hello"})
        await self.add_accounts()

    def query(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.database, timeout=5)) as connection:
            connection.execute("PRAGMA query_only = ON")
            return connection.execute(text, values).fetchall()

    def rows(self) -> list[Row]:
        """Every message in the database, thread by thread."""
        return [Row.read(found) for found in self.query(ROWS)]

    def running_turns(self) -> int:
        """Conversations that are leased and have an event that is not done."""
        return int(self.query(RUNNING, time.time_ns() // 1000)[0][0])

    def sending(self) -> set[str]:
        """The ids of rows whose send is begun and not settled."""
        found = self.query("SELECT id FROM messages WHERE state = 'sending'")
        return {bytes(id).hex() for (id,) in found}

    def recorded_steps(self) -> set[str]:
        """The step keys whose results are in a journal."""
        return {
            f"{bytes(run).hex()}:{entry[0]}"
            for run, entries in self.query("SELECT run_id, entries FROM journal")
            for entry in json.loads(entries)
            if entry[1] == "call"
        }

    def steps(self) -> list[dict[str, Any]]:
        """The dialogs' own record of their steps. A line being written, or cut short by a
        kill, does not count."""
        if not self.record.exists():
            return []
        lines = self.record.read_text().splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]

    async def evidence(self, said: Sequence[Said], posts: Sequence[Post]) -> Evidence:
        """All that the checker judges by."""
        return Evidence(
            said,
            posts,
            self.rows(),
            [call for one in self.standins.values() for call in await one.sends()],
            [post for one in self.standins.values() for post in await one.hook_posts()],
        )

    async def until(self, condition: Callable[[], Any], seconds: float, every: float = 0.05) -> Any:
        """Wait until `condition` (sync or async) is truthy; returns what it gave, or the last
        falsy value when the time is over."""
        end = time.monotonic() + seconds
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found or time.monotonic() > end:
                return found
            await asyncio.sleep(every)

    async def settled(self, seconds: float = 40.0) -> None:
        """Wait until nothing is left to do, neither here nor at the providers."""

        async def is_idle() -> bool:
            if self.query(OPEN)[0] != (0, 0):
                return False
            return not sum([await one.waiting() for one in self.standins.values()])

        if not await self.until(is_idle, seconds, 0.2):
            unhandled, unsent = self.query(OPEN)[0]
            waiting = {name: await one.waiting() for name, one in self.standins.items()}
            errors = self.hub.err.read_text()[-2000:] if self.hub else ""
            raise AssertionError(
                f"not settled in {seconds} s: {unhandled} events, {unsent} sends, webhooks"
                f" {waiting}\n{errors}"
            )


@contextlib.asynccontextmanager
async def open_house(
    folder: Path, *, delay: float = 0.1, limits: dict[str, Any] | None = None
) -> AsyncIterator[House]:
    """Stand-ins that run and a hub that is not started yet; all of it ends with the block."""
    async with aiohttp.ClientSession() as session:
        standins: dict[str, StandIn] = {}
        house = House(folder, free_port(), standins, limits or {}, delay)
        try:
            for name, module in (("wa", "whatsapp"), ("sms", "twilio")):
                arguments = ["-m", f"connectors.sandbox.{module}", "--port", "0"]
                process = Process(module, folder, arguments)
                standins[name] = StandIn(name, process, "", session)
            for one in standins.values():
                one.url = await one.process.first_line()
            await house.add_accounts()
            yield house
        finally:
            for one in standins.values():
                await one.process.kill()
            if house.hub is not None:
                await house.hub.kill()
