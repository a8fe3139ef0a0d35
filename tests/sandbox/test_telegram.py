"""The Telegram stand-in: its Bot API, what it refuses, and what people do on their phones."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from connectors.sandbox import telegram
from tests.sandbox.hook import Clock, Hook

TOKEN = "7000000001:AAinvented_token"
RAFI = 701234567
ALL = ["message", "callback_query", "message_reaction", "my_chat_member", "poem"]


@dataclass
class Telegram:
    sandbox: telegram.Sandbox
    http: aiohttp.ClientSession
    clock: Clock

    async def call(self, method: str, token: str = TOKEN, **fields: Any) -> dict[str, Any]:
        url = f"{self.sandbox.base_url}/bot{token}/{method}"
        async with self.http.post(url, json=fields) as response:
            answer: dict[str, Any] = await response.json()
            assert answer["ok"] is (response.status == 200)
            return answer

    async def say(self, text: str = "hi", **more: Any) -> dict[str, Any]:
        return await self.call("sendMessage", chat_id=RAFI, text=text, **more)

    async def does(self, **deed: Any) -> str:
        return (await self.sandbox.customer_writes(str(RAFI), **deed)).external_id

    async def updates(self, **how: Any) -> list[dict[str, Any]]:
        return list((await self.call("getUpdates", **how))["result"])

    async def told(self, **deed: Any) -> dict[str, Any]:
        """The newest update after a deed."""
        await self.does(**deed)
        return (await self.updates(allowed_updates=ALL))[-1]


@pytest_asyncio.fixture
async def tg(clock: Clock, http: aiohttp.ClientSession) -> AsyncIterator[Telegram]:
    sandbox = telegram.Sandbox(now=clock)
    await sandbox.start()
    sandbox.add_account({"token": TOKEN, "first_retry": 0.01, "allowed_updates": ALL})
    bot = Telegram(sandbox, http, clock)
    await bot.does(start="promo_eid-26")
    yield bot
    await sandbox.stop()


def why(answer: dict[str, Any]) -> tuple[int, str]:
    return answer["error_code"], answer["description"]


def keys(count: int, in_row: int, data: str = "a") -> dict[str, Any]:
    buttons = [{"text": "হ্যাঁ", "callback_data": data}] * count
    return {"inline_keyboard": [buttons[at : at + in_row] for at in range(0, count, in_row)]}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"text": "ক" * 4096}, ""),
        ({"text": "ক" * 4097}, "message is too long"),
        ({"text": "😀" * 2048}, ""),
        ({"text": "😀" * 2049}, "message is too long"),
        ({"text": " \n "}, "message text is empty"),
        ({"reply_markup": keys(100, 8)}, ""),
        ({"reply_markup": keys(101, 8)}, "REPLY_MARKUP_TOO_LONG"),
        ({"reply_markup": keys(9, 9)}, "REPLY_MARKUP_TOO_LONG"),
        ({"reply_markup": keys(1, 1, "ক" * 21 + "a")}, ""),
        ({"reply_markup": keys(1, 1, "ক" * 22)}, "BUTTON_DATA_INVALID"),
        ({"reply_markup": keys(1, 1, "")}, "BUTTON_DATA_INVALID"),
        ({"reply_markup": {"inline_keyboard": [[{"text": "x", "url": "https://a.bd"}]]}}, ""),
        (
            {"reply_markup": {"inline_keyboard": [[{"text": "x", "url": "https://shop"}]]}},
            "BUTTON_URL_INVALID",
        ),
        ({"text": "ab😀", "entities": [{"type": "bold", "offset": 2, "length": 2}]}, ""),
        (
            {"text": "ab😀", "entities": [{"type": "bold", "offset": 2, "length": 3}]},
            "can't parse entities: the entity is out of the text",
        ),
        ({"reply_parameters": {"message_id": 1}}, ""),
        ({"reply_parameters": {"message_id": 99}}, "message to be replied not found"),
        ({"reply_parameters": {"message_id": 99, "allow_sending_without_reply": True}}, ""),
    ],
)
async def test_limits_at_their_edge(tg: Telegram, fields: dict[str, Any], reason: str) -> None:
    answer = await tg.say(**{"text": "hi"} | fields)
    assert answer.get("description", "") == (f"Bad Request: {reason}" if reason else "")


async def test_captions_and_albums_have_edges(tg: Telegram) -> None:
    photo: dict[str, Any] = {"photo": "https://shop.example/a.jpg", "chat_id": RAFI}
    assert (await tg.call("sendPhoto", caption="ক" * 1024, **photo))["ok"]
    assert "caption is too long" in why(await tg.call("sendPhoto", caption="ক" * 1025, **photo))[1]
    one = {"type": "photo", "media": "https://shop.example/a.jpg"}
    for count, fine in ((1, False), (2, True), (10, True), (11, False)):
        answer = await tg.call("sendMediaGroup", chat_id=RAFI, media=[one] * count)
        assert answer["ok"] is fine
    marked = await tg.call("sendMediaGroup", chat_id=RAFI, media=[one] * 2, reply_markup=keys(1, 1))
    assert not marked["ok"]


async def test_who_cannot_be_reached(tg: Telegram) -> None:
    assert why(await tg.call("getMe", token="7000000001:wrong")) == (401, "Unauthorized")
    tg.sandbox.set_phone("55", name="Nadia")
    never = why(await tg.call("sendMessage", chat_id=55, text="x"))
    assert never == (403, "Forbidden: bot can't initiate conversation with a user")
    unknown = why(await tg.call("sendMessage", chat_id=56, text="x"))
    assert unknown == (400, "Bad Request: chat not found")
    kicked = await tg.told(block=True)
    assert kicked["my_chat_member"]["new_chat_member"]["status"] == "kicked"
    assert why(await tg.say()) == (403, "Forbidden: bot was blocked by the user")
    await tg.does(block=False)
    assert (await tg.say())["ok"]


async def test_the_rate_of_a_chat(tg: Telegram) -> None:
    for _ in range(20):
        assert (await tg.say())["ok"]
    refused = await tg.say()
    assert (refused["error_code"], refused["parameters"]) == (429, {"retry_after": 1})
    tg.clock.now += 1
    assert (await tg.say())["ok"]


async def test_polling_forgets_what_it_passed_and_waits(tg: Telegram) -> None:
    first = (await tg.updates())[0]
    assert first["message"]["text"] == "/start promo_eid-26"
    after = first["update_id"] + 1
    waiting = asyncio.create_task(tg.call("getUpdates", offset=after, timeout=5))
    await asyncio.sleep(0.05)
    other = asyncio.create_task(tg.updates(offset=after, timeout=5))
    assert (await waiting)["error_code"] == 409
    await tg.does(text="সালাম")
    assert (await other)[0]["message"]["text"] == "সালাম"


async def test_a_webhook_has_the_secret_and_is_repeated(tg: Telegram, hook: Hook) -> None:
    hook.answers = [500]
    set_up = await tg.call("setWebhook", url=hook.url, secret_token="s-1_x")
    assert set_up["result"] is True
    both = await hook.wait(2)
    assert both[0].json == both[1].json
    assert both[1].headers["X-Telegram-Bot-Api-Secret-Token"] == "s-1_x"
    assert why(await tg.call("getUpdates"))[0] == 409
    assert (await tg.call("getWebhookInfo"))["result"]["url"] == hook.url
    assert (await tg.call("deleteWebhook"))["ok"]
    assert await tg.updates() == []


@pytest.mark.parametrize("kind", ["image", "video", "audio", "voice", "document", "sticker"])
async def test_her_files_are_fetched(tg: Telegram, kind: str) -> None:
    message = (await tg.told(**{kind: {"size": 3000}}))["message"]
    told = message["photo"][-1] if kind == "image" else message[kind]
    file = (await tg.call("getFile", file_id=told["file_id"]))["result"]
    async with tg.http.get(f"{tg.sandbox.base_url}/file/bot{TOKEN}/{file['file_path']}") as got:
        assert len(await got.read()) == told["file_size"] == 3000


async def test_a_file_above_20_megabytes_cannot_be_fetched(tg: Telegram) -> None:
    for size, fine in ((20 * 1024 * 1024, True), (20 * 1024 * 1024 + 1, False)):
        told = (await tg.told(document={"size": size}))["message"]["document"]
        assert (await tg.call("getFile", file_id=told["file_id"]))["ok"] is fine


async def test_the_rest_of_what_she_does(tg: Telegram) -> None:
    point = {"latitude": 23.7, "longitude": 90.4}
    assert (await tg.told(location=point))["message"]["location"] == point
    venue = (await tg.told(location=point | {"name": "লেক", "address": "ঢাকা"}))["message"]
    assert venue["venue"]["title"] == "লেক"
    assert venue["location"] == point
    rima = {"name": "Rima", "phones": ["+880170"]}
    assert "user_id" not in (await tg.told(contacts=[rima]))["message"]["contact"]
    assert (await tg.told(own_contact=rima))["message"]["contact"]["user_id"] == RAFI
    grouped = (await tg.told(text="hi", group=-1001, topic=5))["message"]
    assert (grouped["chat"]["id"], grouped["message_thread_id"]) == (-1001, 5)
    assert (await tg.told(unknown={"poem": {"lines": 2}}))["poem"] == {"lines": 2}
    moving = (await tg.told(animation={}))["message"]
    assert moving["document"] == moving["animation"]
    await tg.does(album=[{"caption": "দুই"}, {}])
    pair = [one["message"] for one in (await tg.updates())[-2:]]
    assert pair[0]["media_group_id"] == pair[1]["media_group_id"]
    assert pair[0]["caption"] == "দুই"


async def test_a_tap_spins_until_it_is_answered(tg: Telegram) -> None:
    sent = (await tg.say("Pick", reply_markup=keys(1, 1, "opt:2")))["result"]["message_id"]
    told = await tg.told(button={"id": "opt:2", "title": "হ্যাঁ", "reply_to": f"{RAFI}:{sent}"})
    query = told["callback_query"]
    assert (query["data"], query["message"]["message_id"]) == ("opt:2", sent)
    item = tg.sandbox.transcript.find(f"{RAFI}:{sent}")
    assert item is not None
    assert item.choice is not None
    assert item.choice["answered"] is False
    assert (await tg.call("answerCallbackQuery", callback_query_id=query["id"]))["ok"]
    assert item.choice["answered"] is True
    again = await tg.call("answerCallbackQuery", callback_query_id=query["id"])
    assert "query is too old" in again["description"]


async def test_edits_reactions_and_deletions(tg: Telegram) -> None:
    mine = (await tg.say("old"))["result"]["message_id"]
    where = {"chat_id": RAFI, "message_id": mine}
    assert (await tg.call("editMessageText", text="নতুন", **where))["result"]["text"] == "নতুন"
    same = await tg.call("editMessageText", text="নতুন", **where)
    assert why(same) == (400, "Bad Request: message is not modified")
    emoji = {"message_id": f"{RAFI}:{mine}", "emoji": "👍"}
    reacted = (await tg.told(reaction=emoji))["message_reaction"]
    assert (reacted["old_reaction"], reacted["new_reaction"][0]["emoji"]) == ([], "👍")
    gone = (await tg.told(reaction=emoji | {"emoji": ""}))["message_reaction"]
    assert (gone["old_reaction"][0]["emoji"], gone["new_reaction"]) == ("👍", [])
    assert (await tg.call("deleteMessage", **where))["ok"]
    assert not (await tg.call("deleteMessage", **where))["ok"]
