"""A whole hub in the test's process: real hooks over HTTP, a real SQLite file, the stand-ins.

    async with running_hub(tmp_path) as house:
        await house.writes("wa", "hello")
        await house.settled()
        assert house.heard("wa") == ["Hello! ..."]

The clock is the hub's and the stand-ins' alike, so a moved clock moves both.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import sqlalchemy as sa

from connectors.sandbox import twilio, whatsapp
from hub.app import Hub, open_hub, serving
from hub.clock import Clock
from hub.settings import load_settings
from hub.store import tokens
from hub.store.schema import media, messages
from hub.store.sweep import pending
from tests.databases import url_of
from tests.ports import free_port

WA_ACCOUNT = "106500000000777"
SMS_NUMBER = "+15550100"
ACCOUNT_SID = "AC" + "0" * 32
WA_SECRET, WA_TOKEN, WA_VERIFY = "wa-app-secret", "wa-access-token", "wa-verify-token"
AUTH_TOKEN = "0123456789abcdef0123456789abcdef"
CUSTOMER = "+8801711000001"
FAST = {"lease": 4.0, "reconcile_for": 0.5, "send_timeout": 3.0, "poll": 0.2}


@dataclass
class House:
    hub: Hub
    url: str
    sandboxes: dict[str, Any]
    session: aiohttp.ClientSession
    token: str

    @property
    def whatsapp(self) -> whatsapp.Sandbox:
        return self.sandboxes["wa"]  # type: ignore[no-any-return]  # one sandbox a channel name

    @property
    def twilio(self) -> twilio.Sandbox:
        return self.sandboxes["sms"]  # type: ignore[no-any-return]  # as above

    async def writes(
        self, channel: str, text: str = "", *, number: str = CUSTOMER, **what: Any
    ) -> dict[str, Any]:
        """The customer writes from her phone; returns once the hub has answered the hook."""
        body = {"account": _account(channel), "wait": True, **what}
        if text:
            body["text"] = text
        url = f"{self.sandboxes[channel].base_url}/_sandbox/phones/{_phone(channel, number)}"
        async with self.session.post(url + "/messages", json=body) as answer:
            answer.raise_for_status()
            return dict(await answer.json())

    async def phone(self, channel: str, number: str = CUSTOMER) -> list[dict[str, Any]]:
        """What the customer's phone shows, both ways."""
        url = f"{self.sandboxes[channel].base_url}/_sandbox/phones/{_phone(channel, number)}"
        async with self.session.get(url, params={"account": _account(channel)}) as answer:
            return list((await answer.json())["items"])

    async def heard(self, channel: str, number: str = CUSTOMER) -> list[str]:
        """The texts the business sent to that phone, in order, each item once."""
        last: dict[str, dict[str, Any]] = {}
        for item in await self.phone(channel, number):
            last.setdefault(item["external_id"], item)
        return [item["text"] for item in last.values() if item["direction"] == "out"]

    async def api(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """A REST call as an API token of role admin: status and JSON."""
        async with self.session.request(
            method,
            f"{self.url}/api/v1{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.token}"},
        ) as answer:
            return answer.status, (await answer.json() if answer.content_length != 0 else None)

    async def rows(self, *where: Any) -> list[dict[str, Any]]:
        """Rows of `messages` in the order of their seq."""

        def read(conn: sa.Connection) -> list[dict[str, Any]]:
            query = (
                sa.select(messages)
                .where(*where)
                .order_by(messages.c.conversation_id, messages.c.seq)
            )
            return [dict(row) for row in conn.execute(query).mappings()]

        return await self.hub.store.read(read)

    def counted(self, name: str, kind: str = "total", **labels: str) -> float:
        """What the hub has counted under a metric's name, over all series with these labels."""
        return sum(
            sample.value
            for metric in self.hub.metrics.registry.collect()
            for sample in metric.samples
            if sample.name == f"onethread_{name}_{kind}" and sample.labels.items() >= labels.items()
        )

    async def until(self, condition: Callable[[], Any], seconds: float = 20.0) -> Any:
        """Wait until `condition` (sync or async) is truthy; returns what it gave."""
        end = time.monotonic() + seconds
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {condition}")
            await asyncio.sleep(0.02)

    async def settled(self, seconds: float = 20.0) -> None:
        """Wait until the hub has nothing more to do now."""

        async def idle() -> bool:
            if not self.hub.worker.is_idle():
                return False
            now = self.hub.clock.now()
            found = await self.hub.store.read(pending, now, self.hub.outbox.paused())
            if found.conversations or found.addresses:
                return False
            awaits = await self.hub.store.read(awaits_files, now)
            return not awaits and self.hub.worker.is_idle()

        await self.until(idle, seconds)

    async def move_clock(self, seconds: float) -> None:
        """Let time pass for the hub and the providers alike."""
        self.hub.clock.move(seconds)
        await self.hub.worker.sweep()


def awaits_files(conn: sa.Connection, at: int) -> bool:
    """Does a message that is to be sent wait for a file that could be fetched now?"""
    due = (media.c.due_at <= at, media.c.state == "pending", messages.c.direction == "out")
    files = sa.select(media.c.id).join(messages, messages.c.id == media.c.message_id)
    return conn.execute(files.where(*due).limit(1)).first() is not None


def _account(channel: str) -> str:
    return WA_ACCOUNT if channel == "wa" else SMS_NUMBER


def _phone(channel: str, number: str) -> str:
    return number.removeprefix("+") if channel == "wa" else number.replace("+", "%2B")


def overrides(
    folder: Path,
    sandboxes: dict[str, Any],
    public_url: str,
    *,
    dialogs: dict[str, Any] | None = None,
    limits: dict[str, Any] | None = None,
    channels: dict[str, dict[str, Any]] | None = None,
    database: str = "",
    hub: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Settings of a hub with the channels wa, sms and site, on the folder's own database unless
    `database` names another."""
    found: dict[str, dict[str, Any]] = {
        "wa": {
            "kind": "whatsapp",
            "phone_number_id": WA_ACCOUNT,
            "access_token": WA_TOKEN,
            "app_secret": WA_SECRET,
            "verify_token": WA_VERIFY,
            "api_base": sandboxes["wa"].base_url,
            "rate": 0,
        },
        "sms": {
            "kind": "twilio",
            "account_sid": ACCOUNT_SID,
            "auth_token": AUTH_TOKEN,
            "sender": SMS_NUMBER,
            "api_base": sandboxes["sms"].base_url,
        },
        "site": {"kind": "webchat", "site": "site_demo", "allowed_origins": [public_url]},
    }
    for name, values in (channels or {}).items():
        found[name] = {**found.get(name, {}), **values}
    return {
        "hub": {
            "database": database or url_of(folder),
            "media": str(folder / "media"),
            "spool": str(folder / "spool"),
            "public_url": public_url,
            "secret_key": "k" * 40,
            "allow_private_media": True,
            **(hub or {}),
        },
        "dialogs": dialogs or {},
        "limits": {**FAST, **(limits or {})},
        "channels": found,
    }


def add_accounts(sandboxes: dict[str, Any], public_url: str, **both: Any) -> None:
    """Tell the stand-ins about the hub's accounts; `both` are facts of either account."""
    sandboxes["wa"].add_account(
        {
            "phone_number_id": WA_ACCOUNT,
            "display_phone_number": "15550123",
            "waba_id": "102900000000888",
            "access_token": WA_TOKEN,
            "app_secret": WA_SECRET,
            "verify_token": WA_VERIFY,
            "hook_url": f"{public_url}/hooks/wa",
            **both,
        }
    )
    sandboxes["sms"].add_account(
        {
            "account_sid": ACCOUNT_SID,
            "auth_token": AUTH_TOKEN,
            "number": SMS_NUMBER,
            "hook_url": f"{public_url}/hooks/sms",
            "retry": True,
            **both,
        }
    )


@contextlib.asynccontextmanager
async def running_hub(
    folder: Path,
    *,
    clock: Clock | None = None,
    sandboxes: dict[str, Any] | None = None,
    accounts: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[House]:
    """Start stand-ins and hub; the hub's port is chosen first, since providers' URLs carry it.

    Give `sandboxes` of an earlier call to start the hub again on the same folder.
    """
    clock = clock or Clock()
    async with contextlib.AsyncExitStack() as stack:
        if sandboxes is None:
            sandboxes = {"wa": whatsapp.Sandbox(), "sms": twilio.Sandbox()}
            for one in sandboxes.values():
                one.now = lambda: clock.now() / 1e6
                await one.start()
                stack.push_async_callback(one.stop)
        port = free_port()
        public_url = f"http://127.0.0.1:{port}"
        loaded = load_settings(None, overrides(folder, sandboxes, public_url, **settings))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        hub = await stack.enter_async_context(open_hub(loaded, clock))
        url = await stack.enter_async_context(serving(hub, "127.0.0.1", port))
        add_accounts(sandboxes, public_url, **(accounts or {}))
        secret = tokens.new_secret()
        await hub.store.write(
            tokens.create_token, "test", "admin", tokens.hash_secret(secret), clock.now()
        )
        yield House(hub, url, sandboxes, session, secret)
