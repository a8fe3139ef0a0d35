"""Calls of Messenger's and Instagram's API as a client makes them, over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from connectors.sandbox import instagram, messenger
from tests.sandbox.calls import Answer, answer_of
from tests.sandbox.hook import Clock, Delivery, Hook

PAGE, IG = "1048000001", "17841400000000042"
RIMA, NADIA = "7700000000000001", "7700000000000002"
VERSION = "v25.0"

COMMON = {
    "access_token": "token-3",
    "app_secret": "secret-3",
    "verify_token": "verify-3",
    "receipt_delay": 0,
    "first_retry": 0.01,
}


@dataclass
class Meta:
    """One account of either platform, and the hook it posts to."""

    sandbox: Any
    http: aiohttp.ClientSession
    hook: Hook
    clock: Clock

    async def post(
        self, body: Any, path: str = "me/messages", token: str = "token-3", **how: Any
    ) -> Answer:
        url = f"{self.sandbox.base_url}/{VERSION}/{path}"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        how = how or {"json": body}
        async with self.http.post(url, headers=headers, **how) as response:
            return await answer_of(response)

    async def get(self, path: str, token: str = "token-3", **query: str) -> Answer:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self.sandbox.base_url}/{path}"
        async with self.http.get(url, headers=headers, params=query) as response:
            return await answer_of(response)

    async def send(self, message: dict[str, Any], to: str = RIMA, **more: Any) -> Answer:
        body = {"recipient": {"id": to}, "messaging_type": "RESPONSE", "message": message, **more}
        return await self.post({name: value for name, value in body.items() if value is not None})

    async def say(self, words: str = "hi", to: str = RIMA, **more: Any) -> Answer:
        return await self.send({"text": words}, to, **more)

    async def act(self, action: str, to: str = RIMA, **more: Any) -> Answer:
        return await self.post({"recipient": {"id": to}, "sender_action": action, **more})

    async def does(self, number: str = RIMA, **deed: Any) -> dict[str, Any]:
        """What the hook is told of one deed of hers."""
        await self.sandbox.customer_writes(number, wait=True, **deed)
        return event_of(self.hook.deliveries[-1])

    async def writes(self, words: str = "hello", number: str = RIMA) -> str:
        """Let her write, which opens the window; returns the message's id."""
        mid: str = (await self.does(number, text=words))["message"]["mid"]
        return mid

    def change(self, **facts: Any) -> None:
        """Change facts of the only account."""
        self.sandbox.add_account({**self.sandbox.account(None).model_dump(), **facts})


def event_of(delivery: Delivery) -> dict[str, Any]:
    """The only messaging item of a webhook."""
    (entry,) = delivery.json["entry"]
    (event,) = entry.get("messaging") or entry["standby"]
    found: dict[str, Any] = event
    return found


def code_of(answer: Answer) -> tuple[int, int | None] | None:
    """The error's code and subcode."""
    error = answer.content.get("error")
    return (error["code"], error.get("error_subcode")) if error else None


@asynccontextmanager
async def serving(platform: str, **facts: Any) -> AsyncIterator[Meta]:
    """A stand-in ("messenger", "instagram") with one account, and a hook."""
    clock, hook = Clock(), Hook()
    sandbox: Any
    if platform == "messenger":
        sandbox, account = messenger.Sandbox(now=clock), {"page_id": PAGE}
    else:
        sandbox, account = instagram.Sandbox(now=clock), {"ig_id": IG}
    await hook.start()
    await sandbox.start()
    sandbox.add_account({**COMMON, "hook_url": hook.url, **account, **facts})
    async with aiohttp.ClientSession() as http:
        yield Meta(sandbox, http, hook, clock)
    await sandbox.stop()
    await hook.stop()
