"""A whole hub with one Telegram bot, against the stand-in, by webhook or by polling."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.sandbox import telegram, twilio, whatsapp
from connectors.sandbox.transcript import Item
from hub.clock import Clock
from hub.store.schema import messages
from tests.running import House, running_hub

BOT = "7000000001"
TOKEN = f"{BOT}:AAinvented_token-of-the-tests"
SECRET = "hook-secret_0123456789"
HER = "701234567"


@dataclass
class Chat:
    """The hub, and the phones of those who write to its bot."""

    house: House
    sandbox: telegram.Sandbox
    is_hers = messages.c.direction == "in"
    is_ours = messages.c.direction == "out"

    async def does(self, person: str = HER, **deed: Any) -> str:
        """The id of what she did, once the stand-in told the hub or holds it for a poll."""
        deed = {"wait": True, **deed}
        return (await self.sandbox.customer_writes(person, **deed)).external_id

    def heard(self, person: str = HER) -> list[Item]:
        return [item for item in self.sandbox.shown(person) if item.direction == "out"]

    async def hears(self, *texts: str, person: str = HER) -> list[Item]:
        """What she was shown, once it is these texts."""
        await self.house.until(lambda: len(self.heard(person)) >= len(texts))
        await self.house.settled()
        assert [item.text for item in self.heard(person)] == list(texts)
        return self.heard(person)

    async def thread(self) -> list[dict[str, Any]]:
        """The messages of the only conversation, oldest first."""
        _, found = await self.house.api("GET", "/conversations")
        if not found["items"]:
            return []
        [conversation] = found["items"]
        path = f"/conversations/{conversation['id']}/messages?limit=200"
        _, thread = await self.house.api("GET", path)
        return sorted(thread["items"], key=lambda message: message["seq"])

    async def stored(self, count: int) -> list[dict[str, Any]]:
        """What she said, once it is so many messages."""

        async def is_stored() -> list[dict[str, Any]]:
            found = [one for one in await self.thread() if one["direction"] == "in"]
            return found if len(found) >= count else []

        found: list[dict[str, Any]] = await self.house.until(is_stored)
        assert len(found) == count
        return found

    def called(self, method: str) -> list[Any]:
        return [call for call in self.sandbox.log() if call.path == f"/{method}"]


@contextlib.asynccontextmanager
async def a_bot() -> AsyncIterator[dict[str, Any]]:
    """The stand-ins of a hub that has a bot; they outlast the hub."""
    boxes: dict[str, Any] = {"wa": whatsapp.Sandbox(), "sms": twilio.Sandbox()}
    boxes["tg"] = telegram.Sandbox()
    async with contextlib.AsyncExitStack() as stack:
        for box in boxes.values():
            await box.start()
            stack.push_async_callback(box.stop)
        boxes["tg"].add_account({"token": TOKEN, "first_retry": 0.05})
        yield boxes


@contextlib.asynccontextmanager
async def serving_bot(
    folder: Path, boxes: dict[str, Any], mode: str, **settings: Any
) -> AsyncIterator[Chat]:
    """A hub that says by itself how it is to be called, as it does at each start."""
    clock = Clock()
    sandbox: telegram.Sandbox = boxes["tg"]
    for box in boxes.values():
        box.now = lambda: clock.now() / 1e6
    own = {"kind": "telegram", "bot_token": TOKEN, "mode": mode, "rate": 0}
    own |= {"secret_token": SECRET if mode == "webhook" else "", "api_base": sandbox.base_url}
    async with running_hub(
        folder,
        clock=clock,
        sandboxes=boxes,
        channels={"tg": own},
        **{"dialogs": {"modules": ("tests.flows",), "default": "echo"}} | settings,
    ) as house:
        if mode == "webhook":
            await house.until(lambda: sandbox.accounts[BOT].hook_url.startswith(house.url))
        yield Chat(house, sandbox)


@contextlib.asynccontextmanager
async def talking(folder: Path, mode: str, **settings: Any) -> AsyncIterator[Chat]:
    async with a_bot() as boxes, serving_bot(folder, boxes, mode, **settings) as chat:
        yield chat
