"""One URL for a Meta app: whatever product, Page, number or account a hook is of, it comes in by
`/hooks/meta` and by the own URL of each of the app's channels, and lies in its thread once."""

from pathlib import Path
from typing import Any

import aiohttp
import orjson

from hub.app import open_hub, serving
from hub.settings import load_settings
from hub.spool import spool_key
from hub.store.schema import dead_letters, hooks, messages
from tests.databases import url_of
from tests.faults.scene import FLOWS
from tests.posting import post_wa, text_item, wa_body, wa_signature
from tests.running import WA_ACCOUNT, WA_SECRET, WA_VERIFY, House, running_hub
from tests.web.test_api_dead import HOOKS, dead, is_gone, retry
from tests.web.test_foreign_items import NOWHERE, OTHER_SECRET, heard, joined, table

PAGE, ACCOUNT = "109800000000111", "17841400000000222"
URLS = ("meta", "wa", "page", "ig")


def meta_channels(secret: str = WA_SECRET) -> dict[str, dict[str, Any]]:
    """A Page and an Instagram account; with `wa` they are channels of one app."""
    common = {
        "access_token": "token-of-the-page",
        "app_secret": secret,
        "verify_token": WA_VERIFY,
        "api_base": NOWHERE,
    }
    return {
        "page": {"kind": "messenger", "page_id": PAGE, **common},
        "ig": {"kind": "instagram", "account_id": ACCOUNT, **common},
    }


def direct(product: str, account: str, mid: str, text: str) -> bytes:
    """A hook of Messenger ("page") or of Instagram with one message."""
    item = {
        "sender": {"id": "7001"},
        "recipient": {"id": account},
        "timestamp": 1795176000000,
        "message": {"mid": mid, "text": text},
    }
    entry = {"id": account, "time": 1795176000000, "messaging": [item]}
    return orjson.dumps({"object": product, "entry": [entry]})


def each(n: int) -> list[bytes]:
    """The n-th message of each product."""
    return [
        wa_body(messages=[text_item(f"wamid.{n}", f"number {n}")]),
        direct("page", PAGE, f"m_p{n}", f"Page {n}"),
        direct("instagram", ACCOUNT, f"m_i{n}", f"Instagram {n}"),
    ]


async def post(house: House, body: bytes, url: str, secret: str = WA_SECRET) -> int:
    return await post_wa(house, body, wa_signature(body, secret), path=f"/hooks/{url}")


async def test_any_url_of_the_app_takes_every_product_once(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS, channels=meta_channels()) as house:
        for url in URLS:
            for body in each(1):
                assert await post(house, body, url) == 200
        for n, url in enumerate(URLS, 2):
            for body in each(n):
                assert await post(house, body, url) == 200
        wanted = [
            (name, f"{title} {n}")
            for name, title in (("wa", "number"), ("page", "Page"), ("ig", "Instagram"))
            for n in range(1, 2 + len(URLS))
        ]
        assert await heard(house) == sorted(wanted)
        assert await table(house, dead_letters) == []
        assert house.counted("hooks", channel="meta", answer="accepted") == 6
        assert house.counted("messages_accepted", channel="ig") == 5


async def test_the_url_is_verified_and_refuses_what_nobody_signed(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS, channels=meta_channels()) as house:
        asked = {"hub.mode": "subscribe", "hub.verify_token": WA_VERIFY, "hub.challenge": "42"}
        async with house.session.get(f"{house.url}/hooks/meta", params=asked) as answer:
            assert (answer.status, await answer.text()) == (200, "42")
        asked["hub.verify_token"] = "another"
        async with house.session.get(f"{house.url}/hooks/meta", params=asked) as answer:
            assert answer.status == 403
        assert await post(house, each(1)[1], "meta", OTHER_SECRET) == 403
        assert await post_wa(house, b"x", {}, path="/hooks/meta") == 403
        async with house.session.put(f"{house.url}/hooks/meta") as answer:
            assert answer.status == 405
        assert await table(house, hooks) == []
        assert house.counted("hooks", channel="meta", answer="refused") == 3


async def test_without_a_channel_of_the_app_the_url_says_so(tmp_path: Path) -> None:
    hub = {"database": url_of(tmp_path), "secret_key": "k" * 40}
    folders = {name: str(tmp_path / name) for name in ("media", "spool")}
    settings = load_settings(None, {"hub": hub | folders})
    async with (
        open_hub(settings) as bare,
        serving(bare, "127.0.0.1", 0, worker=False) as url,
        aiohttp.ClientSession() as session,
        session.post(f"{url}/hooks/meta") as answer,
    ):
        assert answer.status == 404
        assert await answer.text() == "no channel of the app meta is configured"


async def test_an_account_that_no_channel_names_is_kept_and_told(tmp_path: Path) -> None:
    """Also that of a product none of whose channels is configured."""
    only_page = {"page": meta_channels()["page"]}
    async with running_hub(tmp_path, dialogs=FLOWS, channels=only_page) as house:
        strangers = [
            direct("page", "555", "m_1", "to another Page"),
            direct("instagram", "777", "m_2", "to an account"),
            wa_body(account="888", messages=[text_item("wamid.9", "to another number")]),
        ]
        both = joined(strangers[0], direct("page", PAGE, "m_3", "to us"))
        for body in (both, *strangers[1:]):
            assert await post(house, body, "meta") == 200
        assert await heard(house) == [("page", "to us")]
        assert len(await table(house, hooks)) == 3
        reasons = sorted(letter["reason"] for letter in await table(house, dead_letters))
        assert len(reasons) == 3
        for account, reason in zip(("777", "555", "888"), reasons, strict=True):
            assert account in reason, reasons


async def test_it_is_read_again_once_its_channel_is_there(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        sandboxes = house.sandboxes
        for body in each(1):
            assert await post(house, body, "meta") == 200
        assert await heard(house) == [("wa", "number 1")]
        letters = await dead(house, HOOKS)
        assert [letter["channel"] for letter in letters] == ["wa", "wa"]
    later = meta_channels()
    async with running_hub(tmp_path, sandboxes=sandboxes, dialogs=FLOWS, channels=later) as house:
        for letter in letters:
            assert await retry(house, letter["id"]) == (202, None)
        await is_gone(house)
        assert await heard(house) == [
            ("ig", "Instagram 1"),
            ("page", "Page 1"),
            ("wa", "number 1"),
        ]


async def test_one_apps_secret_does_not_sign_for_anothers_page(tmp_path: Path) -> None:
    """Channels of two Meta apps: the URL takes the hooks of both, each for its own alone."""
    two = meta_channels() | {"page": meta_channels(OTHER_SECRET)["page"]}
    async with running_hub(tmp_path, dialogs=FLOWS, channels=two) as house:
        number, page, account = each(1)
        for url in ("meta", "page"):
            assert await post(house, page, url, OTHER_SECRET) == 200
        assert await heard(house) == [("page", "Page 1")]
        for body in (number, account, direct("page", PAGE, "m_x", "forged")):
            signed_by = WA_SECRET if body not in (number, account) else OTHER_SECRET
            assert await post(house, body, "meta", signed_by) == 200
        assert await heard(house) == [("page", "Page 1")]
        assert len(await table(house, dead_letters)) == 3


async def test_hooks_of_the_url_wait_in_the_spool_in_their_order(tmp_path: Path) -> None:
    bodies = [body for n in (1, 2) for body in each(n)]
    async with running_hub(tmp_path, dialogs=FLOWS, channels=meta_channels()) as house:
        sandboxes = house.sandboxes
        await house.settled()
        await house.hub.store.close()
        for body in bodies:
            for url in ("meta", "ig", "wa"):
                assert await post(house, body, url) == 200
        assert house.hub.state.spool.counts.waiting == 3 * len(bodies)
        keys = {folder.name for folder in (tmp_path / "spool" / "1").iterdir() if folder.is_dir()}
        assert keys == {
            spool_key("whatsapp", WA_ACCOUNT),
            spool_key("messenger", PAGE),
            spool_key("instagram", ACCOUNT),
        }
    own = meta_channels()
    async with running_hub(tmp_path, sandboxes=sandboxes, dialogs=FLOWS, channels=own) as house:
        await house.until(lambda: not house.hub.state.spool.counts.waiting)
        rows = sorted(await house.rows(messages.c.direction == "in"), key=lambda row: row["id"])
        wanted = [f"{title} {n}" for n in (1, 2) for title in ("number", "Page", "Instagram")]
        assert [row["text"] for row in rows] == wanted
        assert await table(house, dead_letters) == []
