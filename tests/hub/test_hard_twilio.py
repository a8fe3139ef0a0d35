"""One message of each hard sort to and from WhatsApp through Twilio: the stand-in takes every
request, and what either side is shown is all of it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest_asyncio

from connectors.sandbox import twilio, whatsapp
from connectors.sandbox.calls import Call
from connectors.sandbox.transcript import Item
from hub.check import find
from hub.clock import Clock
from hub.store.schema import messages
from tests.hub.hosts import Server
from tests.hub.test_hard_messages import HER, body_of, check_whole, hear, send, shown_to
from tests.hub.test_hard_messages import SORTS as AGENTS_SORTS
from tests.hub.test_hard_messages import files as served
from tests.hub.test_hard_sorts import SORTS, Talk, files, say_and_look
from tests.running import ACCOUNT_SID, AUTH_TOKEN, House, running_hub
from tests.sorts import CAPTION

__all__ = ["files", "served"]

SHOP = "whatsapp:+15550100"
SENDER = {"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN}
LOGIN = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)}
SAYS = {"modules": ["tests.sorts"], "default": "sorts"}
QUIET: dict[str, Any] = {"modules": [], "default": ""}
HOUR = 3600.0
Boxes = dict[str, Any]


@pytest_asyncio.fixture
async def boxes() -> AsyncIterator[Boxes]:
    """The stand-ins of a hub that has a WhatsApp sender at Twilio; they outlast the hub."""
    found: Boxes = {"wa": whatsapp.Sandbox(), "sms": twilio.Sandbox(), "tw": twilio.Sandbox()}
    async with AsyncExitStack() as stack:
        for box in found.values():
            await box.start()
            stack.push_async_callback(box.stop)
        found["tw"].add_account({**SENDER, "number": SHOP})
        yield found


@asynccontextmanager
async def trading(folder: Path, boxes: Boxes, **settings: Any) -> AsyncIterator[House]:
    clock, sandbox = Clock(), boxes["tw"]
    for box in boxes.values():
        box.now = lambda: clock.now() / 1e6
    own = {**SENDER, "kind": "twilio", "sender": SHOP, "api_base": sandbox.base_url}
    settings = {"dialogs": QUIET, "channels": {"tw": own}} | settings
    async with running_hub(folder, clock=clock, sandboxes=boxes, **settings) as house:
        hook = {"hook_url": f"{house.url}/hooks/tw", "receipt_delay": 0.0}
        sandbox.add_account({**SENDER, "number": SHOP, **hook})
        yield house


async def thread(house: House) -> tuple[str, list[dict[str, Any]]]:
    """The path of the newest conversation and its messages, oldest first."""
    _, found = await house.api("GET", "/conversations")
    path = f"/conversations/{found['items'][0]['id']}"
    _, said = await house.api("GET", f"{path}/messages?limit=200")
    return path, sorted(said["items"], key=lambda one: one["seq"])


def heard(sandbox: twilio.Sandbox) -> list[Item]:
    return [item for item in sandbox.shown(HER) if item.direction == "out"]


def created(sandbox: twilio.Sandbox) -> list[Call]:
    return [c for c in sandbox.log() if (c.method, c.path) == ("POST", "/v1/Content")]


def refused(sandbox: twilio.Sandbox) -> list[tuple[str, int | None]]:
    return [(call.path, call.code) for call in sandbox.log() if call.code]


async def test_what_a_dialog_says_is_taken_and_shown_whole(
    tmp_path: Path, files: None, boxes: Boxes
) -> None:
    wrong, sandbox = {}, boxes["tw"]
    async with trading(tmp_path, boxes, dialogs=SAYS) as house:
        for index, sort in enumerate(SORTS):
            try:
                await say_and_look(Talk(house, sandbox, f"88017110000{index}", SHOP), sort)
            except AssertionError as error:
                wrong[sort] = str(error)
    assert (wrong, refused(sandbox)) == ({}, [])
    assert {
        item.error for number in range(8) for item in sandbox.shown(f"88017110000{number}")
    } == {None}


async def test_an_agents_messages_are_previewed_taken_and_whole(
    tmp_path: Path, served: Server, boxes: Boxes
) -> None:
    sandbox = boxes["tw"]
    async with trading(tmp_path, boxes) as house:
        await hear(house, sandbox)
        path, _ = await thread(house)
        for sort in AGENTS_SORTS:
            body = body_of(sort, served)
            parts = await send(house, path, body)
            check_whole(sort, body, shown_to(sandbox, len(parts)))
    assert refused(sandbox) == []
    assert {item.error for item in heard(sandbox)} == {None}


async def test_files_that_whatsapp_does_not_take_there_go_as_links(
    tmp_path: Path, served: Server, boxes: Boxes
) -> None:
    sandbox, url = boxes["tw"], served.url("/a.png")
    async with trading(tmp_path, boxes) as house:
        await hear(house, sandbox)
        path, _ = await thread(house)
        for kind, mime in (("file", "application/zip"), ("image", "image/webp")):
            media = [{"kind": kind, "url": url, "mime": mime, "name": "নাম"}]
            await send(house, path, {"text": "দেখুন", "media": media})
        picture = [{"kind": "image", "url": url, "mime": "image/png"}]
        await send(house, path, {"text": "ছবি", "media": picture})
    *links, shown = heard(sandbox)
    assert {item.text for item in links} == {f"দেখুন\nনাম: {url}"}
    assert (shown.text, len(shown.media), len(links)) == ("ছবি", 1, 2)


LINES = "কোনটা চান, আপা?\n\n1. লাল\tশাড়ি\n2. নীল      শাড়ি\n" + "দেখে জানাবেন। " * 40 + "কেমন?"
PAIR = [{"id": "red", "title": "লাল"}, {"id": "blue", "title": "নীল"}]


async def test_a_shape_is_prepared_once_and_found_again_by_the_next_process(
    tmp_path: Path, boxes: Boxes
) -> None:
    sandbox = boxes["tw"]
    async with trading(tmp_path, boxes) as house:
        await hear(house, sandbox)
        path, _ = await thread(house)
        for text in (LINES, "রং?", "মাপ?", LINES):
            await send(house, path, {"text": text, "buttons": PAIR})
    assert [item.text for item in heard(sandbox)] == [LINES, "রং?", "মাপ?", LINES]
    assert heard(sandbox)[0].buttons == PAIR
    assert len(created(sandbox)) == 2
    async with trading(tmp_path, boxes) as house:
        await send(house, path, {"text": "আর?", "buttons": PAIR})
        assert len(created(sandbox)) == 2
        # Somebody tidied up the account meanwhile.
        sandbox.contents.clear()
        await house.api("POST", f"{path}/messages", {"text": "শেষ?", "buttons": PAIR})
        await house.settled()
        await house.move_clock(HOUR / 60)
        await house.settled()
    assert [item.text for item in heard(sandbox)[-2:]] == ["আর?", "শেষ?"]
    assert refused(sandbox) == [(f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json", 21655)]


POINT = {"latitude": 23.780573, "longitude": 90.279239}
SHOP_AT = POINT | {"name": "দোকান", "address": "মিরপুর ১০"}
LONG = ("আমার অর্ডার কোথায়? 👩‍👩‍👧 " * 100)[:1600].strip()
AD = {"source_type": "ad", "source_id": "120208", "ctwa_clid": "ARAkLk", "headline": "শাড়ি"}
HEARD: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "from an ad": ({"text": "দাম?", "referral": AD}, "text", {"text": "দাম?"}),
    "long": ({"text": LONG}, "text", {"text": LONG}),
    "picture": ({"image": {"caption": CAPTION[:1024]}}, "image", {"text": CAPTION[:1024].strip()}),
    "video": ({"video": {"caption": "দেখুন"}}, "video", {"text": "দেখুন"}),
    "voice": ({"voice": {}}, "voice", {}),
    "audio": ({"audio": {}}, "audio", {}),
    "file": ({"document": {"size": 300_000}}, "file", {}),
    "sticker": ({"sticker": {}, "forwarded": True}, "sticker", {"forwarded": True}),
    "contact": ({"contacts": [{"name": "রিমা", "phones": ["+8801711000078"]}]}, "file", {}),
    "often forwarded": (
        {"text": "খবর", "frequently_forwarded": True},
        "text",
        {"forwarded": True},
    ),
    "place": ({"location": POINT}, "location", {"place": POINT}),
    "venue": ({"location": SHOP_AT}, "location", {"place": SHOP_AT}),
    "unknown": ({"raw": {"Body": "", "MessageType": "poll"}}, "unsupported", {}),
}


async def test_all_she_says_is_in_the_thread_whole(tmp_path: Path, boxes: Boxes) -> None:
    sandbox = boxes["tw"]
    async with trading(tmp_path, boxes) as house:
        for said, _, _ in HEARD.values():
            await sandbox.customer_writes(HER, name="রিমা", wait=True, **said)
        _, found = await thread(house)
        for name, one, (_, kind, wanted) in zip(HEARD, found, HEARD.values(), strict=True):
            told = {
                key: {part: one[key][part] for part in value}
                if isinstance(value, dict)
                else one[key]
                for key, value in wanted.items()
            }
            assert (name, one["kind"], told) == (name, kind, wanted)
        referral = found[0]["referral"]
        assert (referral["ad_id"], referral["click_id"]) == ("120208", "ARAkLk")
        assert referral["headline"] == "শাড়ি"

        async def is_fetched() -> list[str]:
            _, found = await thread(house)
            states = [one["media"][0]["state"] for one in found if one["media"]]
            return [] if "pending" in states else states

        assert await house.until(is_fetched) == ["stored"] * 7
        _, customers = await house.api("GET", "/customers")
        assert [one["name"] for one in customers["items"]] == ["রিমা"]
    assert refused(sandbox) == []


async def test_taps_quotes_typing_and_reads(tmp_path: Path, boxes: Boxes) -> None:
    sandbox = boxes["tw"]
    async with trading(tmp_path, boxes) as house:
        await hear(house, sandbox)
        path, _ = await thread(house)
        url, login = f"{house.url}/api/v1{path}/typing", f"Bearer {house.token}"
        async with house.session.post(url, headers={"Authorization": login}) as answer:
            assert answer.status == 204
        await house.until(lambda: sandbox.shown(HER)[0].status == "read")
        await send(house, path, {"text": "রং?", "buttons": PAIR})
        asked = heard(sandbox)[0].external_id
        tap = {"id": "blue", "title": "নীল", "reply_to": asked}
        await sandbox.customer_writes(HER, button=tap, wait=True)
        await sandbox.customer_writes(HER, text="এটা", reply_to=asked, wait=True)

        async def is_read() -> bool:
            _, found = await thread(house)
            return bool(found[1]["state"] == "read")

        await house.until(is_read)
        _, [_, ours, tapped, quoted] = await thread(house)
    assert tapped["choice"] == {"type": "button", "id": "blue", "title": "নীল"}
    assert [one["reply_to"]["message_id"] for one in (tapped, quoted)] == [ours["id"]] * 2


async def test_a_customer_without_a_number_is_answered(tmp_path: Path, boxes: Boxes) -> None:
    sandbox = boxes["tw"]
    sandbox.set_phone(HER, username="rima.b", user_id="BD.77aa", name="রিমা")
    async with trading(tmp_path, boxes) as house:
        await hear(house, sandbox)
        path, _ = await thread(house)
        await send(house, path, {"text": "জি?", "buttons": PAIR})
        # Now the number comes along, by which the same person is known.
        sandbox.set_phone(HER, username=None)
        await hear(house, sandbox)
        _, found = await thread(house)
        assert [one["direction"] for one in found] == ["in", "out", "in"]
        assert len((await house.api("GET", "/customers"))[1]["items"]) == 1
    assert heard(sandbox)[0].buttons == PAIR
    assert [call.to for call in sandbox.log() if call.to] == ["whatsapp:BD.77aa"]


SHIPPED = """
default = "en"
[variables]
order = "A-17"
[languages.en]
text = "Your order {{order}} is on its way."
[languages.bn]
text = "আপনার অর্ডার {{order}} পাঠানো হয়েছে।"
[channels.twilio]
name = { en = "EN", bn = "BN" }
body = ["order"]
"""
TEXTS = {
    "en": "Your order {{1}} is on its way.",
    "bn": "আপনার অর্ডার {{1}} পাঠানো হয়েছে।",
}


async def prepare(sandbox: twilio.Sandbox) -> dict[str, str]:
    """Make two contents at Twilio, of which WhatsApp approves the Bangla one; their sids by
    language."""
    sids = {}
    async with aiohttp.ClientSession(sandbox.base_url, headers=LOGIN) as session:
        for language, text in TEXTS.items():
            types = {"twilio/text": {"body": text}}
            made = {"friendly_name": "shipped", "language": language, "variables": {"1": "A-17"}}
            async with session.post("/v1/Content", json=made | {"types": types}) as answer:
                sids[language] = str((await answer.json())["sid"])
            path = f"/v1/Content/{sids[language]}/ApprovalRequests/whatsapp"
            asked = {"name": "shipped", "category": "UTILITY"}
            async with session.post(path, json=asked) as answer:
                assert answer.status == 201
    sandbox.judge(sids["bn"], "approved")
    return sids


def write_template(folder: Path, sids: dict[str, str]) -> None:
    folder.mkdir()
    text = SHIPPED.replace('"EN"', f'"{sids["en"]}"').replace('"BN"', f'"{sids["bn"]}"')
    (folder / "shipped.toml").write_text(text, "utf-8")


async def test_templates_are_listed_and_go_when_the_window_is_closed(
    tmp_path: Path, boxes: Boxes
) -> None:
    sandbox, templates = boxes["tw"], tmp_path / "templates"
    sids = await prepare(sandbox)
    write_template(templates, sids)
    async with trading(tmp_path, boxes, hub={"templates": str(templates)}) as house:

        async def approvals() -> dict[str, str]:
            _, page = await house.api("GET", "/templates")
            ours = next(one for one in page["items"] if one["name"] == "shipped")
            found = {one["language"]: one["status"] for one in ours["approvals"]}
            return {} if "unknown" in found.values() else found

        assert await house.until(approvals) == {"bn": "approved", "en": "received"}
        found = [one for one in await find(house.hub.settings) if "channels.tw" in one.name]
        assert [(one.ok, one.text) for one in found] == [
            (True, f"Sandbox shop ({ACCOUNT_SID}); hook URL {house.url}/hooks/tw#rc=3&rp=all"),
            (False, "shipped (en) is received there"),
            (True, "1 approved"),
        ]
        await hear(house, sandbox)
        path, _ = await thread(house)
        await house.move_clock(25 * HOUR)
        status, problem = await house.api("POST", f"{path}/messages", {"text": "hi"})
        assert (status, problem["code"]) == (409, "window_closed")
        order = {"name": "shipped", "language": "bn", "variables": {"order": "B-9"}}
        status, sent = await house.api("POST", f"{path}/messages", {"template": order})
        assert (status, sent["chosen"]) == (201, "template")
        await house.settled()
        [shown] = heard(sandbox)
        assert shown.text == "আপনার অর্ডার B-9 পাঠানো হয়েছে।"
        assert shown.template == {"name": sids["bn"], "language": "bn"}

        # WhatsApp pauses it before the hub hears of that.
        sandbox.judge(sids["bn"], "paused")
        await house.api("POST", f"{path}/messages", {"template": order})

        async def has_failed() -> Any:
            rows = await house.rows(messages.c.direction == "out")
            return rows[-1] if rows[-1]["state"] == "failed" else None

        failed = await house.until(has_failed)
        assert "the template is paused" in failed["error_reason"]
    assert refused(sandbox) == []


async def test_a_send_whose_answer_is_lost_is_found_again(tmp_path: Path, boxes: Boxes) -> None:
    sandbox = boxes["tw"]
    async with trading(tmp_path, boxes) as house:
        await hear(house, sandbox)
        path, _ = await thread(house)
        sandbox.add_fault("accept_reset")
        sandbox.add_fault("no_receipts")
        await house.api("POST", f"{path}/messages", {"text": LINES, "buttons": PAIR})

        async def is_sent() -> bool:
            [row] = await house.rows(messages.c.direction == "out")
            return bool(row["state"] == "sent")

        await house.until(is_sent)
    assert [item.text for item in heard(sandbox)] == [LINES]


async def test_one_number_for_sms_and_whatsapp_is_one_thread(tmp_path: Path, boxes: Boxes) -> None:
    async with trading(tmp_path, boxes) as house:
        await boxes["tw"].customer_writes(HER, text="on WhatsApp", wait=True)
        await house.writes("sms", "by SMS", number=f"+{HER}")
        _, found = await thread(house)
    told = [(one["channel"], one["text"]) for one in found]
    assert told == [("tw", "on WhatsApp"), ("sms", "by SMS")]
