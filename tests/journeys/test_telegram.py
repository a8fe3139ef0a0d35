"""A customer talks to a Telegram bot, by webhook and by polling: a whole hub, against the
stand-in."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox.telegram_account import Bot
from hub.polling import Polling
from tests.bot import BOT, HER, TOKEN, Chat, a_bot, serving_bot, talking
from tests.running import FAST

MODES = pytest.mark.parametrize("mode", ["webhook", "polling"])
WELCOME = {"modules": ("dialogs",), "default": "welcome"}
FLOWS = {"modules": ("tests.flows",), "default": "echo"}
QUIET: dict[str, Any] = {"modules": (), "default": ""}


@MODES
async def test_a_menu_is_tapped_and_the_tap_answered(tmp_path: Path, mode: str) -> None:
    async with talking(tmp_path, mode, dialogs=WELCOME) as chat:
        await chat.does(wait=mode == "webhook", text="হ্যালো 😀")
        await chat.house.until(chat.heard)
        await chat.house.settled()
        [greeting] = chat.heard()
        assert [button["id"] for button in greeting.buttons] == ["order", "person", "other"]
        tap = {**greeting.buttons[0], "reply_to": greeting.external_id}
        tap = {name: tap[name] for name in ("id", "title", "reply_to")}
        await chat.does(wait=mode == "webhook", button=tap)
        await chat.house.until(lambda: len(chat.heard()) == 2)
        await chat.house.until(lambda: (greeting.choice or {}).get("answered"))
        tapped = (await chat.stored(2))[1]
        assert (tapped["choice"]["id"], tapped["text"]) == ("order", tap["title"])
        assert tapped["reply_to"]["external_id"] == greeting.external_id
        assert [call for call in chat.sandbox.log() if call.code] == []


@MODES
async def test_what_changes_a_message(tmp_path: Path, mode: str) -> None:
    async with talking(tmp_path, mode) as chat:
        waits = mode == "webhook"
        bold = {"type": "bold", "offset": 3, "length": 7}  # in UTF-16 units: the emoji has two
        key = await chat.does(wait=waits, text="😀 welcome", entities=[bold])
        [answer] = await chat.hears("echo 😀 welcome")
        [said] = await chat.stored(1)
        [row] = await chat.house.rows(chat.is_hers)
        assert row["content"]["formats"] == [{"type": "bold", "start": 2, "length": 7}]
        await chat.does(wait=waits, edit={"message_id": key, "text": "😀 salam"})
        await chat.does(wait=waits, reaction={"message_id": answer.external_id, "emoji": "👍"})

        async def is_changed() -> bool:
            first, second = (await chat.thread())[:2]
            given = [one["emoji"] for one in second["reactions"]]
            return (first["text"], given) == ("😀 salam", ["👍"])

        await chat.house.until(is_changed)
        again = (await chat.stored(1))[0]
        assert again["id"] == said["id"]
        assert again["edited_at"]
        assert len(chat.heard()) == 1, "an edit is not answered anew"


@MODES
async def test_an_album_is_answered_once(tmp_path: Path, mode: str) -> None:
    async with talking(tmp_path, mode) as chat:
        album = [{"caption": "দুইটা জামা"}, {}, {}]
        await chat.does(wait=mode == "webhook", album=album)
        await chat.stored(3)
        assert chat.heard() == []
        await chat.house.move_clock(6.0)
        await chat.hears("echo দুইটা জামা")
        rows = await chat.house.rows(chat.is_hers)
        assert len({row["content"]["album"] for row in rows}) == 1


@MODES
async def test_she_blocks_the_bot_and_comes_back(tmp_path: Path, mode: str) -> None:
    async with talking(tmp_path, mode, dialogs=QUIET) as chat:
        waits = mode == "webhook"
        await chat.does(wait=waits, text="hi")
        await chat.stored(1)
        await chat.does(wait=waits, block=True)
        await chat.house.until(lambda: is_blocked(chat, True))
        assert await agent_says(chat, "are you there?") == 409
        assert chat.called("sendMessage") == [], "it is known before Telegram is asked"
        await chat.does(wait=waits, block=False)
        await chat.house.until(lambda: is_blocked(chat, False))
        assert await agent_says(chat, "welcome back") == 201
        await chat.hears("welcome back")
        assert len(await chat.stored(1)) == 1, "neither is a message"


@MODES
async def test_a_picture_comes_in_and_goes_on(tmp_path: Path, mode: str) -> None:
    async with talking(tmp_path, mode, dialogs=QUIET) as chat:
        await chat.does(wait=mode == "webhook", image={"caption": "এই জামাটা", "size": 3000})

        async def stored() -> Any:
            [one] = await chat.stored(1)
            return one["media"][0] if one["media"][0]["state"] == "stored" else None

        media = await chat.house.until(stored)
        assert media["size"] == 3000
        [conversation] = (await chat.house.api("GET", "/conversations"))[1]["items"]
        path = f"/conversations/{conversation['id']}/messages"
        body = {"text": "এটা?", "media": [{"id": media["id"]}]}
        status, _ = await chat.house.api("POST", path, body)
        assert status == 201
        [picture] = await chat.hears("এটা?")
        assert picture.media[0]["kind"] == "photo"
        kept = {len(one.content) for one in chat.sandbox.media.values()}
        assert kept == {3000}, "the very same file"


# What polling must live through.


async def test_a_hub_stopped_between_polls_loses_and_doubles_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    async with a_bot() as boxes:
        for turn in range(3):
            async with serving_bot(tmp_path, boxes, "polling", dialogs=QUIET) as chat:
                for number in range(15):
                    said.append(f"{turn}-{number}")
                    await chat.does(wait=False, text=said[-1])
                # Stopped with some of them stored, some asked for, and some not yet.
                await chat.house.until(lambda: chat.house.rows(chat.is_hers))
            said.append(f"{turn}-away")
            await chat.does(wait=False, text=said[-1])
        async with serving_bot(tmp_path, boxes, "polling", dialogs=QUIET) as chat:
            found = await chat.stored(len(said))
            assert [one["text"] for one in found] == said


async def test_what_telegram_was_not_told_of_comes_again(tmp_path: Path) -> None:
    async with a_bot() as boxes:
        waiting = boxes["tg"].waiting_of(BOT)
        async with serving_bot(tmp_path, boxes, "polling") as chat:
            await chat.does(wait=False, text="once")
            [update] = waiting.updates
            await chat.hears("echo once")
        # As after a kill between the commit and the next poll.
        waiting.put(update)
        async with serving_bot(tmp_path, boxes, "polling") as chat:
            await chat.does(wait=False, text="twice")
            await chat.hears("echo once", "echo twice")
            assert [one["text"] for one in await chat.stored(2)] == ["once", "twice"]


async def test_a_webhook_that_is_set_is_taken_away_to_poll(tmp_path: Path) -> None:
    async with a_bot() as boxes:
        async with serving_bot(tmp_path, boxes, "webhook") as chat:
            await chat.does(text="by webhook")
            await chat.hears("echo by webhook")
        assert boxes["tg"].accounts[BOT].hook_url
        async with serving_bot(tmp_path, boxes, "polling") as chat:
            await chat.house.until(lambda: not boxes["tg"].accounts[BOT].hook_url)
            await chat.does(wait=False, text="by polling")
            await chat.hears("echo by webhook", "echo by polling")


async def test_a_webhook_set_meanwhile_is_told_of(tmp_path: Path) -> None:
    async with talking(tmp_path, "polling") as chat:
        await chat.house.until(lambda: chat.called("getUpdates"))
        known = chat.sandbox.accounts[BOT]
        elsewhere = known.model_copy(update={"hook_url": "http://127.0.0.1:9/elsewhere"})
        chat.sandbox.accounts[BOT] = elsewhere
        chat.sandbox.waiting_of(BOT).put({"update_id": 1, "poem": {}})  # ends the poll under way
        channel = chat.house.hub.channels.by_name["tg"]
        await chat.house.until(lambda: "webhook" in channel.poll_error)
        assert "webhook" in await shown_of(chat)


async def test_a_wrong_token_pauses_the_bot_until_it_is_mended(tmp_path: Path) -> None:
    limits = FAST | {"resume_after": 1}
    async with talking(tmp_path, "webhook", limits=limits) as chat:
        await chat.does(text="one")
        await chat.hears("echo one")
        account = chat.sandbox.accounts[BOT]
        revoked = account.model_copy(update={"token": f"{BOT}:another"})
        chat.sandbox.accounts[BOT] = revoked
        await chat.does(text="two")
        await chat.house.until(lambda: chat.house.hub.outbox.paused())

        async def is_told() -> str:
            told = await shown_of(chat)
            return told if "BotFather" in told else ""

        assert TOKEN not in await chat.house.until(is_told)
        chat.sandbox.accounts[BOT] = Bot.model_validate(account.model_dump())
        await chat.house.move_clock(5.0)
        await chat.hears("echo one", "echo two")
        assert not chat.house.hub.outbox.paused()


async def test_polling_goes_on_once_the_token_is_mended(tmp_path: Path) -> None:
    async with a_bot() as boxes:
        account = boxes["tg"].accounts[BOT]
        boxes["tg"].accounts[BOT] = account.model_copy(update={"token": f"{BOT}:another"})
        async with serving_bot(tmp_path, boxes, "polling") as chat:
            hub = chat.house.hub
            channel = hub.channels.by_name["tg"]
            await chat.house.until(lambda: "token" in channel.poll_error)
            assert TOKEN not in channel.poll_error
            await chat.does(wait=False, text="one")
            # One that need not be waited for as long as the hub's own.
            polling = Polling(
                hub.store, hub.channels, hub.intake, hub.metrics, alone=True, pause=0.1
            )
            failed = chat.house.counted("poll_failures", channel="tg")
            task = asyncio.create_task(polling.run())
            await chat.house.until(
                lambda: chat.house.counted("poll_failures", channel="tg") > failed
            )
            boxes["tg"].accounts[BOT] = account
            await chat.hears("echo one")
            assert channel.poll_error == ""
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_telegram_is_given_the_time_it_asks_for(tmp_path: Path) -> None:
    async with talking(tmp_path, "webhook") as chat:
        chat.sandbox.add_fault("status", status=429, retry_after=7)
        await chat.does(text="one")
        await chat.house.until(lambda: chat.called("sendMessage"))

        async def waits() -> Any:
            rows = await chat.house.rows(chat.is_ours)
            return rows[0]["due_at"] if rows[0]["state"] == "queued" else None

        due = await chat.house.until(waits)
        assert 5.0 < (due - chat.house.hub.clock.now()) / 1e6 <= 9.0
        await asyncio.sleep(0.3)
        assert len(chat.called("sendMessage")) == 1
        await chat.house.move_clock(9.0)
        await chat.hears("echo one")


async def shown_of(chat: Chat) -> str:
    """All that the list of channels says of the bot's."""
    _, found = await chat.house.api("GET", "/channels")
    [told] = [one for one in found["items"] if one["name"] == "tg"]
    return str(told)


async def is_blocked(chat: Chat, wanted: bool) -> bool:
    _, found = await chat.house.api("GET", f"/customers?address={HER}")
    return bool(found["items"][0]["addresses"][0]["blocked"] is wanted)


async def agent_says(chat: Chat, text: str) -> int:
    [conversation] = (await chat.house.api("GET", "/conversations"))[1]["items"]
    path = f"/conversations/{conversation['id']}/messages"
    status, _ = await chat.house.api("POST", path, {"text": text, "channel": "tg"})
    await chat.house.settled()
    return status
