"""What `/metrics` says while a real hub works and fails, and to whom."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.clock import DAY
from hub.store import tokens
from hub.web.auth import COOKIE
from tests.faults.scene import FLOWS, RECONCILE, playing
from tests.flows import bench
from tests.posting import post_sms, post_wa, sms_form, status_item, text_item, wa_body
from tests.running import CUSTOMER, House, running_hub
from tests.web.page import Page, ask, page
from tests.web.site import running_site


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    bench.reset()
    limits, accounts = {"hook_bytes": 100_000}, {"receipt_delay": 0.0}
    async with running_hub(tmp_path, dialogs=FLOWS, limits=limits, accounts=accounts) as opened:
        yield opened


# What is counted


async def test_webhooks_are_counted_by_what_they_were_answered(house: House) -> None:
    before = await page(house)
    body = wa_body(messages=[text_item("wamid.1", "one"), text_item("wamid.2", "two")])
    assert await post_wa(house, body) == 200
    assert await post_wa(house, body) == 200
    assert await post_wa(house, body, {"X-Hub-Signature-256": "sha256=" + "0" * 64}) == 403
    assert await post_wa(house, b"x" * 100_001) == 413
    assert await post_wa(house, wa_body(account="999", messages=[text_item("wamid.3", "?")])) == 200
    assert await post_wa(house, b"{") == 200
    assert await post_sms(house, sms_form("SM1", "three")) == 200
    assert await post_sms(house, sms_form("SM2", "four"), signature="AAAA") == 403
    counted = (await page(house)).since(before)
    assert {name: n for name, n in counted.items() if name.startswith(("hook", "mess"))} == {
        "hooks_total accepted wa": 4,
        "hooks_total refused wa": 1,
        "hooks_total too_large wa": 1,
        "hooks_total accepted sms": 1,
        "hooks_total refused sms": 1,
        "messages_accepted_total wa": 2,
        "messages_accepted_total sms": 1,
        "messages_duplicate_total wa": 2,
        "hook_items_dead_total wa": 2,
    }

    async def shown() -> bool:
        return (await page(house))("dead_letters", kind="hook") == 2

    await house.until(shown)


async def test_a_message_is_counted_on_its_whole_way(house: House) -> None:
    before = await page(house)
    await house.writes("wa", "hello")
    await house.settled()
    await house.whatsapp.deliveries.drained()
    counted = (await page(house)).since(before)
    assert counted == {
        "hooks_total accepted wa": 4,
        "messages_accepted_total wa": 1,
        "turns_total": 1,
        "turn_seconds_count": 1,
        "sends_total wa  sent": 1,
        "send_seconds_count wa": 1,
        "receipts_total wa sent": 1,
        "receipts_total wa delivered": 1,
        "receipts_total wa read": 1,
    }
    assert time.time() - (await page(house))("last_inbound_timestamp_seconds", channel="wa") < 20


@pytest.mark.parametrize(
    ("channel", "faults", "moves", "expected"),
    [
        (
            "wa",
            [("status", {"status": 500, "times": 2})],
            (1.1, 2.1),
            {"sends_total wa unreachable queued": 2, "send_retries_total wa": 2, "sent": 1},
        ),
        (
            "wa",
            [("hang", {})],
            (RECONCILE + 1,),
            {
                "sends_total wa outcome_unknown unknown": 1,
                "send_retries_total wa": 1,
                "sends_repeated_total wa": 1,
                "sent": 1,
            },
        ),
        (
            "wa",
            [("hang", {"times": 2})],
            (RECONCILE + 1, RECONCILE + 1),
            {
                "sends_total wa outcome_unknown unknown": 1,
                "sends_total wa outcome_unknown failed": 1,
                "send_retries_total wa": 1,
                "sends_repeated_total wa": 1,
            },
        ),
        (
            "sms",
            [("accept_silent", {}), ("no_receipts", {})],
            (RECONCILE + 1,),
            {
                "sends_total sms outcome_unknown unknown": 1,
                "sends_reconciled_total look_up sms": 1,
                "sent": 1,
            },
        ),
        (
            "wa",
            [("status", {"status": 400, "code": 100})],
            (),
            {"sends_total wa refused failed": 1},
        ),
        (
            "wa",
            [("status", {"status": 500, "times": -1})],
            (DAY / 1e6 + 1,),
            {"sends_total wa unreachable queued": 1, "sends_total wa window_closed failed": 1},
        ),
    ],
    ids=["retried", "repeated", "unknown twice", "looked up", "refused", "window closed"],
)
async def test_sends_are_counted_by_state_and_reason(
    tmp_path: Path,
    channel: str,
    faults: list[tuple[str, dict[str, Any]]],
    moves: tuple[float, ...],
    expected: dict[str, float],
) -> None:
    async with playing(tmp_path, channel, limits={"retry_horizon": 2 * DAY / 1e6}) as scene:
        before = await page(scene.house)
        for do, how in faults:
            scene.fault(do, **how)
        await scene.house.writes(channel, "first")
        await scene.quiet()
        for seconds in moves:
            await scene.pass_time(seconds)
        counted = (await page(scene.house)).since(before)
        calls = len(scene.calls("echo first"))
    if "sent" in expected:
        expected = {**expected, f"sends_total {channel}  sent": expected["sent"]}
        del expected["sent"]
    assert {name: n for name, n in counted.items() if name.startswith("send")} == {
        **expected,
        f"send_seconds_count {channel}": calls,
    }


async def test_a_receipt_that_settles_a_doubt_is_counted(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        scene.fault("hang")
        await scene.house.writes("wa", "first")
        await scene.reaches("echo first", "unknown", "outcome_unknown")
        assert (await page(scene.house))("queue_items", queue="unknown") == 1
        mark = (await scene.row("echo first"))["id"].hex()
        told = status_item("wamid.late", "delivered", biz_opaque_callback_data=mark)
        assert await post_wa(scene.house, wa_body(statuses=[told])) == 200
        seen = await page(scene.house)
        assert seen("sends_reconciled_total", channel="wa", by="receipt") == 1
        assert seen("sends_reconciled_total") == 1
        assert seen("sends_repeated_total") == 0


async def test_a_turn_that_an_agent_takes_over_is_a_lost_lease(house: House) -> None:
    await house.writes("wa", "hold on")
    await house.until(lambda: bench.calls)
    _, found = await house.api("GET", "/conversations")
    where = f"/conversations/{found['items'][0]['id']}/messages"
    assert (await house.api("POST", where, {"text": "I am here"}))[0] == 201
    bench.go.set()
    await house.settled()
    seen = await page(house)
    assert seen("leases_lost_total", of="turn") == 1
    assert seen("turn_retries_total") == 0


async def test_attachments_are_counted(house: House) -> None:
    before = await page(house)
    await house.writes("wa", image={"caption": "a picture"})

    async def stored() -> bool:
        return (await page(house))("media_total", channel="wa", state="stored") == 1

    await house.until(stored)
    assert (await page(house))("queue_items", queue="media") == 0
    assert before("media_total") == 0


# What waits


async def test_what_waits_is_shown_with_its_age(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        scene.fault("status", status=500, times=-1)
        scene.fault("status", status=500, times=-1)
        await scene.house.writes("wa", "first")
        await scene.house.writes("wa", "second")
        await scene.reaches("echo second", "queued")
        await scene.reaches("echo first", "queued", "unreachable")
        scene.house.hub.clock.move(100)

        async def shown() -> bool:
            seen = await page(scene.house)
            return seen("queue_items", queue="queued") == 2

        await scene.house.until(shown)
        seen = await page(scene.house)
        assert 100 <= seen("queue_oldest_seconds", queue="queued") < 120
        assert seen("queue_items", queue="unhandled") == 0
        assert seen("queue_oldest_seconds", queue="unhandled") == 0


async def test_a_paused_channel_is_shown(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        assert (await page(scene.house))("channel_paused") == 0
        scene.fault("status", status=401, code=190)
        await scene.house.writes("wa", "first")
        await scene.reaches("echo first", "queued", "misconfigured")
        seen = await page(scene.house)
        assert seen("channel_paused", channel="wa") == 1
        assert seen("channel_paused") == 1
        assert seen("sends_total", state="queued", reason="misconfigured") == 1


async def test_live_connections_are_shown(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        headers = {"Authorization": f"Bearer {site.token}"}
        session = await site.visit()
        async with (
            site.chatting(session) as chat,
            site.http.ws_connect(f"{site.url}/api/v1/live", headers=headers) as live,
        ):
            await live.send_json({"type": "hello", "cursor": None})
            await live.receive_json()
            await chat.next("welcome")
            seen = await page(site)
            assert seen("sockets", of="visitor") == 1
            assert seen("sockets", of="agent") == 1
            await chat.say(type="message", client_id="c1", text="hello")
            await chat.next("ack")
            assert (await page(site))("messages_accepted_total", channel="shop") == 1


# Who may see it, and what it may say


async def test_the_page_is_for_admins(house: House) -> None:
    assert (await ask(house))[0] == 401
    assert (await ask(house, "ot_wrong"))[0] == 401
    secret = tokens.new_secret()
    hashed, now = tokens.hash_secret(secret), house.hub.clock.now()
    await house.hub.store.write(tokens.create_token, "agent", "agent", hashed, now)
    assert (await ask(house, secret))[0] == 403
    assert (await ask(house, house.token))[0] == 200


async def test_a_token_for_the_metrics_opens_the_page_and_nothing_else(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        id, secret = await site.add_token("metrics", "prometheus")
        assert (await ask(site, secret))[0] == 200
        bearer, cookie = {"Authorization": f"Bearer {secret}"}, {"Cookie": f"{COOKIE}={secret}"}
        for path in ("conversations", "session", "dead", "channels", "live"):
            for headers in (bearer, cookie):
                async with site.http.get(f"{site.url}/api/v1/{path}", headers=headers) as answer:
                    assert answer.status == 401, path
        async with site.http.get(f"{site.url}/metrics", headers=cookie) as answer:
            assert answer.status == 401, "no browser needs it"
        own = {"Origin": site.url}
        async with site.http.post(
            f"{site.url}/api/v1/session", json={"token": secret}, headers=own
        ) as answer:
            assert answer.status == 401
        async with site.http.post(
            f"{site.url}/login", data={"token": secret}, headers=own
        ) as answer:
            assert answer.status == 401
        assert await site.hub.store.read(tokens.valid_tokens, [id]) == {}, "it is no agent"
        await site.hub.store.write(tokens.revoke_tokens, "prometheus", site.hub.clock.now())
        assert (await ask(site, secret))[0] == 401


async def test_the_page_can_be_opened(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        changed = site.hub.settings.hub.model_copy(update={"metrics": "open"})
        site.hub.state.settings = site.hub.settings.model_copy(update={"hub": changed})
        status, text = await ask(site)
        assert status == 200
        assert Page(text)("database_up") == 1


async def test_no_customer_and_no_text_is_on_the_page(house: House) -> None:
    await house.writes("wa", "my card is 4111", name="Ayesha Rahman")
    await house.settled()
    text = (await page(house)).text
    ids = [row[key].hex() for row in await house.rows() for key in ("id", "conversation_id")]
    assert ids
    for private in (CUSTOMER.removeprefix("+"), "4111", "Ayesha", house.token, *ids):
        assert private not in text
