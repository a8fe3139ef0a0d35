"""Attachments on their way out: those kept here as links or as files, those elsewhere fetched
before their message goes, and those that cannot go refused before anything is stored."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from hub.store.schema import messages
from hub.web.media import ACTIVE
from tests.hub.hosts import Server, picture, serve
from tests.running import House, running_hub

TOKEN = "123456:" + "A" * 35
NOBODY = {"modules": [], "default": ""}
CHAT = {"id": 77, "type": "private", "first_name": "Rima"}


class BotApi:
    """As much of Telegram as takes messages with files, and the files that lie elsewhere."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, bytes]]] = []
        self.asked: list[str] = []
        self.trouble = 0
        self.takes = 0.0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/files/"):
            self.asked.append(f"{request.method} {request.path}")
            await asyncio.sleep(self.takes)
            if self.trouble:
                return web.Response(status=self.trouble)
            if request.path.endswith("big.pdf"):
                return web.Response(headers={"Content-Length": str(30_000_000)})
            return await picture(request)
        method = request.path.rpartition("/")[2]
        fields: dict[str, bytes] = {}
        if request.content_type == "multipart/form-data":
            async for part in await request.multipart():
                fields[part.name or ""] = await part.read()  # type: ignore[union-attr]  # no nesting
        self.sent.append((method, fields))
        result: Any = True
        if method.startswith("send"):
            result = {"message_id": len(self.sent), "date": 1_795_000_000, "chat": CHAT}
        return web.json_response({"ok": True, "result": result})


@pytest_asyncio.fixture
async def api() -> AsyncIterator[tuple[BotApi, Server]]:
    bot = BotApi()
    async with serve(bot.answer) as server:
        yield bot, server


def telegram(server: Server) -> dict[str, dict[str, Any]]:
    settings = {"kind": "telegram", "bot_token": TOKEN, "secret_token": "s", "mode": "webhook"}
    return {"tg": {**settings, "api_base": server.url("").rstrip("/")}}


async def write_on_telegram(house: House) -> str:
    """She writes to the bot; the conversation's id."""
    update = {"update_id": 1, "message": {"message_id": 5, "date": 1_795_000_000, "text": "hello"}}
    update["message"] |= {"chat": CHAT, "from": {**CHAT, "is_bot": False}}  # type: ignore[operator]  # a dict
    headers = {"X-Telegram-Bot-Api-Secret-Token": "s"}
    async with house.session.post(f"{house.url}/hooks/tg", json=update, headers=headers) as answer:
        assert answer.status == 200
    return await conversation_of(house)


async def conversation_of(house: House) -> str:
    _, found = await house.api("GET", "/conversations")
    return str(found["items"][0]["id"])


async def out_row(house: House) -> dict[str, Any]:
    return (await house.rows(messages.c.direction == "out", messages.c.author_kind == "agent"))[-1]


async def test_a_link_is_fetched_before_it_is_uploaded(
    tmp_path: Path, api: tuple[BotApi, Server]
) -> None:
    bot, server = api
    channels = telegram(server)
    async with running_hub(tmp_path, channels=channels, dialogs=NOBODY) as house:
        thread = await write_on_telegram(house)
        bot.trouble = 503
        photo = {"kind": "image", "url": server.url("/files/a.png")}
        path = f"/conversations/{thread}/messages"
        status, _ = await house.api("POST", path, {"text": "Look", "media": [photo]})
        assert status == 201
        await house.until(lambda: "GET /files/a.png" in bot.asked)
        await house.api("POST", path, {"text": "And then?"})
        row = (await house.rows(messages.c.kind == "image"))[0]
        assert (row["state"], row["attempt"]) == ("queued", 0), "nothing is held while it waits"
        bot.trouble = 0
        await house.move_clock(60)
        house.hub.bus.poke("media")

        async def is_sent() -> bool:
            return bool((await out_row(house))["state"] == "sent")

        await house.until(is_sent)
        said = [(method, fields) for method, fields in bot.sent if method.startswith("send")]
        assert [method for method, _ in said] == ["sendPhoto", "sendMessage"]
        assert any(value.startswith(b"\x89PNG") for value in said[0][1].values())


async def test_a_file_that_cannot_be_had_fails_its_message(
    tmp_path: Path, api: tuple[BotApi, Server]
) -> None:
    bot, server = api
    channels = telegram(server)
    async with running_hub(tmp_path, channels=channels, dialogs=NOBODY) as house:
        thread = await write_on_telegram(house)
        path = f"/conversations/{thread}/messages"
        bot.trouble = 406
        photo = {"kind": "image", "url": server.url("/files/a.png")}
        bot.takes = 0.1
        await house.api("POST", path, {"media": [photo]})
        await house.settled()
        row = await out_row(house)
        assert (row["state"], row["error_class"], row["lane"]) == ("failed", "media", None)
        assert row["error_reason"] == "fetching the attachment was answered 406"
        await house.api("POST", path, {"text": "Sorry"})
        await house.settled()
        assert (await out_row(house))["state"] == "sent"


async def test_her_photo_is_sent_on_by_its_id(tmp_path: Path, api: tuple[BotApi, Server]) -> None:
    bot, server = api
    channels = telegram(server)
    async with running_hub(tmp_path, channels=channels, dialogs=NOBODY) as house:
        thread = await write_on_telegram(house)
        path = f"/conversations/{thread}/messages"
        photo = {"kind": "image", "url": server.url("/files/a.png")}
        await house.api("POST", path, {"media": [photo]})

        async def stored() -> Any:
            _, page = await house.api("GET", path)
            return page["items"][0]["media"][0]["id"]

        media_id = await house.until(stored)
        _, sent = await house.api("POST", path, {"text": "Again", "media": [{"id": media_id}]})
        await house.until(lambda: [m for m, _ in bot.sent].count("sendPhoto") == 2)
        assert sent["items"][0]["media"][0]["state"] == "stored"

        for body, field in (
            ({"media": [{"id": thread}]}, "media.0.id"),
            ({"media": [{"url": "https://a.example/x"}]}, "media.0"),
            (
                {"media": [{"id": media_id, "url": "https://a.example/x", "kind": "image"}]},
                "media.0",
            ),
        ):
            status, problem = await house.api("POST", path, body)
            assert (status, problem["errors"][0]["field"]) == (422, field)


async def test_what_is_kept_goes_as_a_link_that_the_provider_can_read(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=NOBODY) as house:
        await house.writes("wa", image={"mime": "image/jpeg"})
        await house.settled()
        thread = await conversation_of(house)
        path = f"/conversations/{thread}/messages"

        async def stored() -> Any:
            _, page = await house.api("GET", path)
            return page["items"][-1]["media"][0]["id"]

        media_id = await house.until(stored)
        _, sent = await house.api("POST", path, {"text": "Yours", "media": [{"id": media_id}]})
        assert sent["items"][0]["media"][0]["url"]
        await house.settled()
        row = await out_row(house)
        assert row["state"] in ("sent", "delivered", "read"), row["error_reason"]
        [shown] = [item for item in await house.phone("wa") if item["direction"] == "out"]
        link = (
            shown["media"][0]["link"] if "link" in shown["media"][0] else shown["media"][0]["url"]
        )
        async with house.session.get(link) as answer:
            assert (answer.status, answer.content_type) == (200, "image/jpeg")
        assert "source_url" not in (row["content"]["media"][0]), "the link is made anew each time"


async def test_a_size_that_nobody_told_is_asked_for(
    tmp_path: Path, api: tuple[BotApi, Server]
) -> None:
    (bot, server), url = api, "/files/big.pdf"
    async with running_hub(tmp_path, dialogs=NOBODY) as house:
        await house.writes("sms", "hello")
        thread = await conversation_of(house)
        pdf = {"kind": "file", "url": server.url(url), "name": "bill.pdf"}
        _, sent = await house.api("POST", f"/conversations/{thread}/messages", {"media": [pdf]})
        assert bot.asked == [f"HEAD {url}"]
        assert sent["items"][0]["text"] == f"bill.pdf: {server.url(url)}", "30 MB are too many"


@pytest.mark.parametrize(
    ("mime", "is_told"),
    [
        ("audio/ogg", True),
        ("application/pdf", True),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", True),
        ("text/plain; charset=utf-8", True),
        ("text/html", False),
        ("image/svg+xml", False),
        ("application/xhtml+xml", False),
        ("application/javascript", False),
    ],
)
def test_a_public_link_never_tells_a_type_that_runs(mime: str, is_told: bool) -> None:
    assert (ACTIVE.match(mime) is None) is is_told
