"""One message of each hard sort to and from a Telegram bot: the stand-in takes every request, and
what either side is shown is all of it."""

from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox.transcript import Item
from tests.bot import BOT, talking
from tests.hub.hosts import Server
from tests.hub.test_hard_messages import HER, body_of, check_whole, hear, send, shown_to
from tests.hub.test_hard_messages import SORTS as AGENTS_SORTS
from tests.hub.test_hard_messages import files as served
from tests.hub.test_hard_sorts import SORTS, Talk, files, say_and_look
from tests.sorts import CAPTION

__all__ = ["files", "served"]

SAYS = {"modules": ["tests.sorts"], "default": "sorts"}
QUIET: dict[str, Any] = {"modules": [], "default": ""}
METHODS = {
    "five": ["sendMessage"],
    "twelve": ["sendMessage"],
    "picture": ["sendPhoto", "sendMessage"],
    "place": ["sendVenue"],
    "long": ["sendMessage"] * 3,
    "voice": ["sendVoice"],
    "file": ["sendDocument"],
    "template": ["sendMessage"],
}


@pytest.mark.parametrize("mode", ["webhook", "polling"])
async def test_what_a_dialog_says_is_taken_and_shown_whole(
    tmp_path: Path, files: None, mode: str
) -> None:
    async with talking(tmp_path, mode, dialogs=SAYS) as chat:
        for index, sort in enumerate(SORTS):
            sent = len(chat.sandbox.log())
            person = f"70123400{index}"
            await say_and_look(Patient(chat.house, chat.sandbox, person, BOT), sort)
            calls = [call.path[1:] for call in chat.sandbox.log(sent) if "/send" in call.path]
            said = [name for name in calls if name != "sendChatAction"]
            assert said[: len(METHODS[sort])] == METHODS[sort], sort
            assert len(said) == len(METHODS[sort]) + (sort in ("five", "twelve")), sort
        assert [call for call in chat.sandbox.log() if call.code] == []


class Patient(Talk):
    """Someone whose words may have to wait to be asked for."""

    async def writes(self, **said: Any) -> list[Item]:
        before = len(self.sandbox.shown(self.person))
        polled = not self.sandbox.accounts[BOT].hook_url
        heard = await self.house.rows()
        await self.sandbox.customer_writes(self.person, wait=not polled, **said)

        async def is_stored() -> bool:
            return len(await self.house.rows()) > len(heard)

        await self.house.until(is_stored)
        await self.house.settled()
        shown = self.sandbox.shown(self.person)[before:]
        return [item for item in shown if item.direction == "out"]


async def test_an_agents_messages_are_previewed_taken_and_whole(
    tmp_path: Path, served: Server
) -> None:
    async with talking(tmp_path, "webhook", dialogs=QUIET) as chat:
        await hear(chat.house, chat.sandbox)
        _, found = await chat.house.api("GET", "/conversations")
        path = f"/conversations/{found['items'][0]['id']}"
        for sort in AGENTS_SORTS:
            body = body_of(sort, served)
            parts = await send(chat.house, path, body)
            check_whole(sort, body, shown_to(chat.sandbox, len(parts)))
        refused = [call for call in chat.sandbox.log() if call.code]
        assert refused == []
        assert {item.phone for item in chat.heard(HER)} == {HER}


POINT = {"latitude": 23.780573, "longitude": 90.279239}
CARD: dict[str, Any] = {"name": "রিমা", "phones": ["+8801711000077"]}
LONG = ("আমার অর্ডার কোথায়? 👩‍👩‍👧 " * 200)[:4000].strip()
POLL = {
    "message_id": 9000,
    "date": 1_795_176_000,
    "chat": {"id": int(HER), "type": "private"},
    "from": {"id": int(HER), "is_bot": False, "first_name": "Rima"},
    "poll": {"id": "1", "question": "লাল?", "options": [{"text": "হ্যাঁ", "voter_count": 0}]},
}
HEARD: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "start": ({"start": "promo_eid-26"}, "text", {"text": "/start promo_eid-26"}),
    "long": ({"text": LONG}, "text", {"text": LONG}),
    "picture": ({"image": {"caption": CAPTION[:1024]}}, "image", {"text": CAPTION[:1024].strip()}),
    "video": ({"video": {"caption": "দেখুন"}}, "video", {"text": "দেখুন"}),
    "animation": ({"animation": {}}, "video", {}),
    "voice": ({"voice": {}}, "voice", {}),
    "audio": ({"audio": {"filename": "গান.mp3"}}, "audio", {}),
    "file": ({"document": {"filename": "চালান.pdf", "size": 300_000}}, "file", {}),
    "sticker": ({"sticker": {}}, "sticker", {}),
    "place": ({"location": POINT}, "location", {"place": POINT}),
    "venue": (
        {"location": POINT | {"name": "দোকান", "address": "মিরপুর ১০"}},
        "location",
        {"place": POINT | {"name": "দোকান", "address": "মিরপুর ১০"}},
    ),
    "contact": ({"contacts": [CARD]}, "contacts", {"contacts": [CARD | {"is_sender": False}]}),
    "own contact": ({"own_contact": CARD}, "contacts", {"contacts": [CARD | {"is_sender": True}]}),
    "poll": ({"unknown": {"message": POLL}}, "unsupported", {"text": "লাল?\n- হ্যাঁ"}),
}


@pytest.mark.parametrize("mode", ["webhook", "polling"])
async def test_all_she_says_is_in_the_thread_whole(tmp_path: Path, mode: str) -> None:
    async with talking(tmp_path, mode, dialogs=QUIET) as chat:
        for said, _, _ in HEARD.values():
            await chat.does(HER, wait=mode == "webhook", **said)
        found = await chat.stored(len(HEARD))
        for name, one, (_, kind, wanted) in zip(HEARD, found, HEARD.values(), strict=True):
            told = {key: part_of(one[key], value) for key, value in wanted.items()}
            assert (name, one["kind"], told) == (name, kind, wanted)
        assert found[0]["referral"]["ref"] == "promo_eid-26"

        async def is_fetched() -> list[str]:
            media = [one["media"][0] for one in await chat.stored(len(HEARD)) if one["media"]]
            states = [one["state"] for one in media]
            return states if "pending" not in states else []

        assert await chat.house.until(is_fetched) == ["stored"] * 7
        assert [call for call in chat.sandbox.log() if call.code] == []


def part_of(value: Any, wanted: Any) -> Any:
    """The part of an answer's value that is looked at."""
    if isinstance(wanted, dict):
        return {key: value[key] for key in wanted}
    if isinstance(wanted, list):
        return [part_of(one, like) for one, like in zip(value, wanted, strict=True)]
    return value


async def test_a_file_that_telegram_gives_no_bot_costs_no_text(tmp_path: Path) -> None:
    async with talking(tmp_path, "webhook", dialogs=QUIET) as chat:
        large = {"caption": "পুরো ভিডিও", "size": 20 * 1024 * 1024 + 1}
        await chat.does(HER, document=large)

        async def is_given_up() -> Any:
            [one] = await chat.stored(1)
            return one if one["media"][0]["state"] in ("failed", "refused") else None

        assert (await chat.house.until(is_given_up))["text"] == "পুরো ভিডিও"


async def test_her_own_number_joins_her_text_messages(tmp_path: Path) -> None:
    async with talking(tmp_path, "webhook", dialogs=QUIET) as chat:
        await chat.does("701234999", own_contact=CARD)
        await chat.house.writes("sms", "আমি রিমা", number=CARD["phones"][0])
        [contact, text] = await chat.stored(2)
        assert (contact["channel"], text["channel"]) == ("tg", "sms")
        await chat.does("701234998", contacts=[CARD])
        _, found = await chat.house.api("GET", "/customers")
        assert len(found["items"]) == 2, "another's contact proves nothing"
