"""A customer on Messenger and on Instagram: a whole hub, against the stand-ins."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox import instagram, messenger
from hub.store.schema import messages
from tests.running import FAST, House, running_hub

SECRET, TOKEN, VERIFY = "meta-app-secret", "meta-access-token", "meta-verify-token"
PAGE, ACCOUNT = "1048000000001", "17841400000000042"
RIMA = "7700000000000001"
KINDS = ["page", "ig", "ig_login"]
LONG = "আমার অর্ডার কোথায়? " * 100


@dataclass
class Shop:
    """One channel of a hub, and the customers' phones."""

    house: House
    sandbox: Any
    account: str

    async def writes(self, **said: Any) -> str:
        """The id of what Rima wrote, once the hub has stored it and answered."""
        written = await self.sandbox.customer_writes(RIMA, wait=True, **said)
        assert written.status == 200
        await self.house.settled()
        return str(written.external_id)

    @property
    def heard(self) -> list[Any]:
        return [item for item in self.sandbox.shown(RIMA) if item.direction == "out"]

    async def thread(self) -> list[dict[str, Any]]:
        _, found = await self.house.api("GET", "/conversations")
        [conversation] = found["items"]
        path = f"/conversations/{conversation['id']}/messages"
        _, thread = await self.house.api("GET", path)
        return sorted(thread["items"], key=lambda message: message["seq"])

    async def conversation(self) -> dict[str, Any]:
        _, found = await self.house.api("GET", "/conversations")
        return dict(found["items"][0])

    async def reaches(self, text: str, state: str) -> None:
        async def is_there() -> bool:
            rows = await self.house.rows(messages.c.text == text, messages.c.direction == "out")
            return [row["state"] for row in rows] == [state]

        await self.house.until(is_there)


@contextlib.asynccontextmanager
async def trading(folder: Path, kind: str, **more: Any) -> AsyncIterator[Shop]:
    sandbox: Any = messenger.Sandbox() if kind == "page" else instagram.Sandbox()
    known = {"access_token": TOKEN, "app_secret": SECRET, "verify_token": VERIFY}
    settings: dict[str, Any] = {**known, "api_base": await sandbox.start(), "rate": 0}
    if kind == "page":
        account = {"page_id": PAGE}
        settings |= {"kind": "messenger", "page_id": PAGE}
    else:
        login = "instagram" if kind == "ig_login" else "facebook"
        account = {"ig_id": ACCOUNT, "login": login}
        settings |= {"kind": "instagram", "account_id": ACCOUNT, "login": login}
    flows = {"modules": ("tests.flows",), "default": "echo"}
    try:
        async with running_hub(
            folder, channels={"shop": settings}, **{"dialogs": flows} | more
        ) as house:
            hook_url = f"{house.url}/hooks/shop"
            sandbox.add_account({**known, **account, "hook_url": hook_url, "receipt_delay": 0})
            yield Shop(house, sandbox, PAGE if kind == "page" else ACCOUNT)
    finally:
        await sandbox.stop()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_question_its_menu_and_its_receipts(tmp_path: Path, kind: str) -> None:
    dialogs = {"modules": ("dialogs",), "default": "welcome"}
    async with trading(tmp_path, kind, dialogs=dialogs) as shop:
        assert await shop.sandbox.verify(shop.account)
        await shop.writes(text="হ্যালো 😀")
        [greeting] = shop.heard
        assert [button["id"] for button in greeting.buttons] == ["order", "person", "other"]
        tap = {"id": "order", "title": greeting.buttons[0]["title"]}
        await shop.writes(button={**tap, "reply_to": greeting.external_id})
        await shop.reaches(greeting.text, "read")
        thread = await shop.thread()
        assert [(m["direction"], m["author"]["kind"]) for m in thread] == [
            ("in", "customer"),
            ("out", "bot"),
            ("in", "customer"),
            ("out", "bot"),
        ]
        assert thread[2]["text"] == tap["title"]
        assert (await shop.conversation())["owner"]["kind"] == "bot"


@pytest.mark.parametrize("kind", KINDS)
async def test_who_she_is(tmp_path: Path, kind: str) -> None:
    async with trading(tmp_path, kind) as shop:
        await shop.writes(text="hi", name="রিমা আক্তার")

        async def is_named() -> bool:
            customer = (await shop.conversation())["customer"]
            return bool(customer["name"] == "রিমা আক্তার")

        await shop.house.until(is_named)
        looked_up = [call for call in shop.sandbox.log() if call.path.endswith(f"/{RIMA}")]
        assert [call.status for call in looked_up] == [200]
        await shop.writes(text="again")
        assert (await shop.conversation())["customer"]["name"] == "রিমা আক্তার"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_lost_answer_is_settled_by_the_echo(tmp_path: Path, kind: str) -> None:
    limits = FAST | {"reconcile_for": 30.0}
    async with trading(tmp_path, kind, limits=limits) as shop:
        shop.sandbox.add_fault("accept_reset")
        await shop.writes(text="one")
        await shop.reaches("echo one", "read")
        shop.sandbox.add_fault("receipt_first")
        await shop.writes(text="two")
        await shop.reaches("echo two", "read")
        assert [item.text for item in shop.heard] == ["echo one", "echo two"]
        assert [m["text"] for m in await shop.thread()] == ["one", "echo one", "two", "echo two"]
        assert (await shop.conversation())["owner"]["kind"] == "bot"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_reply_from_the_platforms_inbox_silences_the_bot(tmp_path: Path, kind: str) -> None:
    async with trading(tmp_path, kind) as shop:
        await shop.writes(text="one")
        shop.sandbox.business_writes(shop.account, RIMA, "from the inbox")
        await shop.reaches("from the inbox", "read")
        await shop.writes(text="two")
        said = [m["text"] for m in await shop.thread()]
        assert said == ["one", "echo one", "from the inbox", "two"]
        assert (await shop.conversation())["owner"]["kind"] != "bot"


@pytest.mark.parametrize("kind", KINDS)
async def test_what_changes_a_message_and_what_comes_with_it(tmp_path: Path, kind: str) -> None:
    async with trading(tmp_path, kind) as shop:
        key = await shop.writes(text="helo")
        [answer] = shop.heard
        if kind != "ig":  # by Facebook Login Instagram tells no edits
            await shop.writes(edit={"message_id": key, "text": "hello"})
        await shop.writes(reaction={"message_id": answer.external_id, "emoji": "❤️"})
        image = await shop.writes(image={})
        thread = await shop.thread()
        assert thread[0]["text"] == ("helo" if kind == "ig" else "hello")
        assert thread[1]["reactions"] == [{"emoji": "❤️", "by": "customer"}]

        async def is_stored() -> bool:
            return bool((await shop.thread())[2]["media"][0]["state"] == "stored")

        await shop.house.until(is_stored)
        fetched = [call for call in shop.sandbox.log() if call.path.startswith("/cdn/")]
        assert [call.body["has_token"] for call in fetched] == [False]
        if kind != "page":  # Messenger tells a Page nothing of it
            await shop.writes(unsend=image)
            unsent = (await shop.thread())[2]
            assert unsent["deleted_at"]
            assert (unsent["text"], unsent["media"]) == ("", [])


@pytest.mark.parametrize("kind", KINDS)
async def test_a_long_answer_is_within_the_limit(tmp_path: Path, kind: str) -> None:
    async with trading(tmp_path, kind) as shop:
        await shop.writes(text="hi")
        conversation = await shop.conversation()
        path = f"/conversations/{conversation['id']}/messages"
        status, _ = await shop.house.api("POST", path, {"text": LONG})
        assert status == 201
        await shop.house.settled()
        parts = [item.text for item in shop.heard][1:]
        assert " ".join(parts).split() == LONG.split()
        if kind != "page":
            assert max(len(part.encode()) for part in parts) <= 1000
            assert len(parts) >= 5


@pytest.mark.parametrize("kind", KINDS)
async def test_a_customer_who_blocked_the_account(tmp_path: Path, kind: str) -> None:
    async with trading(tmp_path, kind) as shop:
        await shop.writes(text="hi")
        shop.sandbox.set_phone(RIMA, fails_with=551)
        conversation = await shop.conversation()
        path = f"/conversations/{conversation['id']}/messages"
        await shop.house.api("POST", path, {"text": "an answer"})
        await shop.reaches("an answer", "failed")
        [row] = await shop.house.rows(messages.c.text == "an answer")
        assert (row["error_class"], row["error_code"]) == ("blocked", "551")
