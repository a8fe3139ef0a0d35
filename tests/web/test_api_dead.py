"""Dead letters over the API: what is on the list, what is tried again and what says why not."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.clock import DAY, id_text, new_id
from hub.store import tokens
from hub.store.schema import dead_letters, hooks, messages
from hub.store.sweep import throw_away
from tests.databases import accept_again, refuse
from tests.faults.scene import FLOWS, playing
from tests.hub.test_fetching import open_gallery
from tests.posting import post_wa, text_item, wa_body
from tests.running import CUSTOMER, WA_SECRET, House, running_hub
from tests.web.test_foreign_items import OTHER_SECRET, SECOND_ACCOUNT, heard, second_channel, table

GARBAGE = b'{"object": nonsense'
HOOKS = "?kind=hook"


async def dead(house: House, query: str = "") -> list[dict[str, Any]]:
    status, found = await house.api("GET", f"/dead{query}")
    assert status == 200, found
    return list(found["items"])


async def retry(house: House, id: str) -> tuple[int, Any]:
    status, said = await house.api("POST", f"/dead/{id}/retry")
    return status, said.get("code")


async def drop(house: House, id: str) -> int:
    headers = {"Authorization": f"Bearer {house.token}"}
    async with house.session.delete(f"{house.url}/api/v1/dead/{id}", headers=headers) as answer:
        return answer.status


async def is_tried(house: House, id: str, attempts: int = 1) -> None:
    """Until it has been tried again so often, and in vain."""

    async def over() -> bool:
        _, letter = await house.api("GET", f"/dead/{id}")
        return letter["attempts"] == attempts and not letter["retrying"]

    await house.until(over)


async def is_gone(house: House) -> None:
    async def gone() -> bool:
        return not await dead(house, HOOKS)

    await house.until(gone)


# Webhooks


async def test_a_hook_of_an_account_that_is_configured_later(tmp_path: Path) -> None:
    own = text_item("wamid.0", "known")
    body = wa_body(account=SECOND_ACCOUNT, messages=[text_item("wamid.1", "kept")])
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        sandboxes = house.sandboxes
        assert await post_wa(house, wa_body(messages=[own])) == 200
        assert await post_wa(house, body) == 200
        [letter] = await dead(house, HOOKS)
        assert (letter["kind"], letter["channel"], letter["retrying"]) == ("hook", "wa", False)
        _, shown = await house.api("GET", f"/dead/{letter['id']}")
        assert shown["hook"]["body"].encode() == body
        assert shown["hook"]["size"] == len(body)
        assert await retry(house, letter["id"]) == (202, None)
        await is_tried(house, letter["id"])
        [after] = await dead(house, HOOKS)
        assert after["id"] == letter["id"]
        assert SECOND_ACCOUNT in after["reason"]
        assert await heard(house) == [("wa", "known")]
    later = second_channel(WA_SECRET)
    async with running_hub(tmp_path, sandboxes=sandboxes, dialogs=FLOWS, channels=later) as house:
        assert await retry(house, letter["id"]) == (202, None)
        await is_gone(house)
        assert await heard(house) == [("wa", "known"), ("wb", "kept")]
        assert len(await table(house, hooks)) == 2
        assert await retry(house, letter["id"]) == (404, "not_found")


async def test_a_hook_is_not_believed_for_an_account_of_another_app(tmp_path: Path) -> None:
    body = wa_body(account=SECOND_ACCOUNT, messages=[text_item("wamid.1", "forged")])
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        sandboxes = house.sandboxes
        assert await post_wa(house, body) == 200
    later = second_channel(OTHER_SECRET)
    async with running_hub(tmp_path, sandboxes=sandboxes, dialogs=FLOWS, channels=later) as house:
        [letter] = await dead(house, HOOKS)
        assert await retry(house, letter["id"]) == (202, None)
        await is_tried(house, letter["id"])
        [after] = await dead(house, HOOKS)
        assert "not signed" in after["reason"]
        assert await heard(house) == []


async def test_two_at_once_read_a_hook_once(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        store = house.hub.store
        await store.write(refuse, "poison%")
        texts = ("before", "poison", "after", "poison again")
        items = [text_item(f"wamid.{text}", text, f"8801711{n:06}") for n, text in enumerate(texts)]
        assert await post_wa(house, wa_body(messages=items)) == 200
        letters = await dead(house, HOOKS)
        assert len(letters) == 2
        await store.write(accept_again)
        wishes = [retry(house, letter["id"]) for letter in letters * 4]
        assert {status for status, _ in await asyncio.gather(*wishes)} <= {202, 404}
        await is_gone(house)
        await house.settled()
        rows = await house.rows(messages.c.direction == "in")
        assert sorted(row["text"] for row in rows) == sorted(texts)
        sent = await house.rows(messages.c.direction == "out")
        assert sorted(row["text"] for row in sent) == sorted(f"echo {text}" for text in texts)


async def test_what_is_still_dead_stays_and_its_siblings_go(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        store = house.hub.store
        await store.write(refuse, "poison%")
        items = [text_item(f"wamid.{n}", f"poison {n}", f"8801711{n:06}") for n in range(3)]
        assert await post_wa(house, wa_body(messages=items)) == 200
        letters = await dead(house, HOOKS)
        await store.write(accept_again)
        await store.write(refuse, "poison 1")
        assert await retry(house, letters[0]["id"]) == (202, None)

        async def one_left() -> bool:
            found = await dead(house, HOOKS)
            return len(found) == 1 and not found[0]["retrying"]

        await house.until(one_left)
        [left] = await dead(house, HOOKS)
        assert left["id"] in {letter["id"] for letter in letters}
        assert [text for _, text in await heard(house)] == ["poison 0", "poison 2"]


@pytest.mark.parametrize("why", ["raw_gone", "no_such_channel", "not_retryable"])
async def test_what_cannot_be_read_again_says_why(tmp_path: Path, why: str) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        assert await post_wa(house, GARBAGE) == 200
        [letter] = await dead(house)
        if why == "raw_gone":
            at = house.hub.clock.now() + 15 * DAY
            await house.hub.store.write(throw_away, at, hooks_days=14, changes_days=7)
        else:
            value = {"channel": "gone"} if why == "no_such_channel" else {"kind": "signal"}
            await house.hub.store.write(_update, value)
        assert await retry(house, letter["id"]) == (409, why)
        [after] = await dead(house)
        assert not after["retrying"]
        assert await drop(house, letter["id"]) == 204
        assert await dead(house) == []
        assert await drop(house, letter["id"]) == 404


def _update(conn: sa.Connection, values: dict[str, Any]) -> None:
    conn.execute(dead_letters.update().values(values))


# Sends


async def test_a_refused_send_goes_out_once_when_two_ask_for_it(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        house = scene.house
        scene.fault("status", status=400, code=100)
        await house.writes("wa", "hello")
        await scene.reaches("echo hello", "failed", "refused")
        [letter] = await dead(house, "?kind=send&channel=wa")
        assert (letter["error_class"], letter["error_code"]) == ("refused", "100")
        assert letter["message_id"] == letter["id"]
        answers = await asyncio.gather(*(retry(house, letter["id"]) for _ in range(6)))
        assert (202, None) in answers
        assert {status for status, _ in answers} <= {202, 404}
        await scene.quiet()
        assert await scene.state("echo hello") == ("read", None)
        assert len(scene.calls("echo hello")) == 2
        assert scene.shown("echo hello") == 1
        assert await dead(house) == []
        assert await retry(house, letter["id"]) == (404, "not_found")


async def test_a_retried_send_has_its_whole_time_again(tmp_path: Path) -> None:
    async with playing(tmp_path, "sms") as scene:
        scene.fault("status", status=500, times=-1)
        await scene.house.writes("sms", "hello")
        await scene.reaches("echo hello", "queued", "unreachable")
        await scene.pass_time(86_401.0)
        await scene.reaches("echo hello", "failed", "expired")
        scene.standin.clear_faults()
        scene.fault("status", status=500)
        [letter] = await dead(scene.house)
        assert await retry(scene.house, letter["id"]) == (202, None)
        await scene.reaches("echo hello", "queued", "unreachable")
        await scene.pass_time(5)
        assert await scene.state("echo hello") == ("delivered", None)


async def test_who_wants_nothing_is_not_written_to_again(tmp_path: Path) -> None:
    async with playing(tmp_path, "sms") as scene:
        house = scene.house
        scene.fault("status", status=400, code=21617)
        await house.writes("sms", "hello")
        await scene.reaches("echo hello", "failed", "refused")
        [letter] = await dead(house)
        await house.writes("sms", "STOP")
        await house.settled()
        assert await retry(house, letter["id"]) == (409, "opted_out")
        assert await scene.state("echo hello") == ("failed", "refused")
        assert len(scene.calls("echo hello")) == 1


async def test_a_send_that_no_retry_mends_is_not_on_the_list(tmp_path: Path) -> None:
    async with playing(tmp_path, "sms") as scene:
        scene.fault("status", status=400, code=21614)
        await scene.house.writes("sms", "hello")
        await scene.reaches("echo hello", "failed", "no_such_recipient")
        assert await dead(scene.house) == []
        id = id_text((await scene.row("echo hello"))["id"])
        assert await retry(scene.house, id) == (409, "no_such_recipient")
        assert await drop(scene.house, id) == 404


async def test_a_dropped_send_stays_failed_and_can_still_be_retried(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        scene.fault("status", status=400, code=100, times=2)
        await scene.house.writes("wa", "hello")
        await scene.reaches("echo hello", "failed", "refused")
        [letter] = await dead(scene.house)
        assert [await drop(scene.house, letter["id"]) for _ in range(2)] == [204, 404]
        assert await dead(scene.house) == []
        assert await scene.state("echo hello") == ("failed", "refused")
        assert await retry(scene.house, letter["id"]) == (202, None)
        await scene.quiet()
        [again] = await dead(scene.house)
        assert again["id"] == letter["id"], "it failed again, and nobody has dropped that"


async def test_the_bots_words_stay_unsaid_after_a_take_over(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        scene.fault("status", status=400, code=100)
        await scene.house.writes("wa", "hello")
        await scene.reaches("echo hello", "failed", "refused")
        [letter] = await dead(scene.house)
        assert (await scene.reply("I am here"))[0] == 201
        assert await retry(scene.house, letter["id"]) == (409, "taken_over")
        where = await scene.conversation()
        assert (await scene.house.api("POST", f"/conversations/{where}/release", {}))[0] == 200
        assert await retry(scene.house, letter["id"]) == (202, None)
        await scene.quiet()
        assert await scene.state("echo hello") == ("read", None)


# Attachments


async def test_an_attachment_is_fetched_after_all(tmp_path: Path) -> None:
    async with open_gallery(tmp_path) as gallery:
        house = gallery.house
        id = await gallery.receive()
        await gallery.fails(id, 1)
        house.hub.clock.move(25 * 3600.0)
        gallery.look()
        await gallery.reaches(id, "failed")
        [letter] = await dead(house)
        assert (letter["kind"], letter["channel"]) == ("media", "site")
        assert letter["message_id"] == id_text(id)
        refused = gallery.refused
        assert await retry(house, letter["id"]) == (202, None)
        await gallery.fails(id, refused + 1)
        before = await gallery.attachment(id)
        assert await retry(house, letter["id"]) == (202, None)
        assert await gallery.attachment(id) == before, "it is being tried already"
        [waiting] = await dead(house)
        assert waiting["retrying"]
        gallery.is_away = False
        house.hub.clock.move(60.0)
        gallery.look()
        await gallery.reaches(id, "stored")
        assert await dead(house) == []


async def test_an_attachment_that_fails_again_has_one_letter(tmp_path: Path) -> None:
    async with open_gallery(tmp_path) as gallery:
        id = await gallery.receive()
        await gallery.fails(id, 1)
        for attempts in range(2):
            gallery.house.hub.clock.move(25 * 3600.0)
            gallery.look()
            await gallery.reaches(id, "failed")
            [letter] = await dead(gallery.house)
            assert (letter["attempts"], letter["retrying"]) == (attempts, False)
            refused = gallery.refused
            assert await retry(gallery.house, letter["id"]) == (202, None)
            await gallery.fails(id, refused + 1)


# The calls themselves


async def test_pages_hold_each_letter_once_and_the_newest_first(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        house = scene.house
        scene.fault("status", status=400, code=100, times=-1)
        for number in range(3):
            assert await post_wa(house, GARBAGE) == 200
            await house.writes("wa", f"hello {number}")
            await scene.reaches(f"echo hello {number}", "failed", "refused")
        found: list[str] = []
        query = "?limit=2"
        while True:
            _, page = await house.api("GET", f"/dead{query}")
            found += [letter["id"] for letter in page["items"]]
            if page["next"] is None:
                break
            query = f"?limit=2&cursor={page['next']}"
        assert len(found) == len(set(found)) == 6
        assert found == sorted(found, reverse=True)
        assert found == [letter["id"] for letter in await dead(house)]
        assert len(await dead(house, "?kind=hook")) == len(await dead(house, "?kind=send")) == 3
        assert await dead(house, "?channel=sms") == []


@pytest.mark.parametrize("role", ["agent", "supervisor"])
async def test_they_are_for_admins(tmp_path: Path, role: tokens.Role) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        assert await post_wa(house, GARBAGE) == 200
        [letter] = await dead(house)
        secret = tokens.new_secret()
        await house.hub.store.write(
            tokens.create_token, "low", role, tokens.hash_secret(secret), house.hub.clock.now()
        )
        headers = {"Authorization": f"Bearer {secret}"}
        where = f"{house.url}/api/v1/dead"
        for method, url in (
            ("GET", where),
            ("GET", f"{where}/{letter['id']}"),
            ("POST", f"{where}/{letter['id']}/retry"),
            ("DELETE", f"{where}/{letter['id']}"),
        ):
            async with house.session.request(method, url, headers=headers) as answer:
                assert (answer.status, (await answer.json())["code"]) == (403, "forbidden")
        [after] = await dead(house)
        assert not after["retrying"]


async def test_of_what_is_not_there(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        await house.writes("wa", "hello")
        await house.settled()
        own = [row["id"] for row in await house.rows()]
        assert own
        for id in (new_id(), *own):
            text = id_text(id)
            assert (await house.api("GET", f"/dead/{text}"))[0] == 404
            assert await retry(house, text) == (404, "not_found")
            assert await drop(house, text) == 404
        assert await dead(house) == []
        assert await house.heard("wa", CUSTOMER) == ["echo hello"]
