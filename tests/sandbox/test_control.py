"""The control calls over HTTP, and a stand-in run as a process of its own."""

import asyncio
import signal
import sys
from typing import Any

import aiohttp

from connectors.sandbox.media import make_content
from tests.sandbox.calls import PHONE_NUMBER_ID, RIMA, WhatsApp
from tests.sandbox.hook import Hook


async def get(wa: WhatsApp, path: str) -> Any:
    async with wa.http.get(f"{wa.sandbox.base_url}/_sandbox{path}") as response:
        assert response.status == 200
        return await response.json()


async def post(http: aiohttp.ClientSession, url: str, content: Any) -> tuple[int, Any]:
    async with http.post(url, json=content) as response:
        return response.status, await response.json()


async def test_a_phone_is_written_on_and_read(wa: WhatsApp) -> None:
    url = f"{wa.sandbox.base_url}/_sandbox/phones/+{RIMA}"
    status, written = await post(
        wa.http, f"{url}/messages", {"account": PHONE_NUMBER_ID, "text": "hello", "wait": True}
    )
    assert (status, written["status"]) == (201, 200)
    page = await get(wa, f"/phones/+{RIMA}?account={PHONE_NUMBER_ID}")
    (item,) = page["items"]
    assert (item["external_id"], item["text"]) == (written["external_id"], "hello")
    assert (item["direction"], item["status"]) == ("in", "received")
    assert (await get(wa, f"/phones/{RIMA}?after={page['next']}"))["items"] == []
    assert (await get(wa, "/phones/8801999"))["items"] == []


async def test_a_long_poll_ends_with_the_next_change(wa: WhatsApp) -> None:
    await wa.hears()
    after = (await get(wa, f"/phones/{RIMA}"))["next"]
    polling = asyncio.create_task(get(wa, f"/phones/{RIMA}?after={after}&wait=20"))
    await asyncio.sleep(0.05)
    assert not polling.done()
    answer = await wa.say("there")
    page = await polling
    assert page["items"][0]["external_id"] == answer.id
    assert (await get(wa, f"/phones/{RIMA}?after=999&wait=0.01"))["next"] == 999


async def test_a_changed_status_is_a_change(wa: WhatsApp, hook: Hook) -> None:
    await wa.hears()
    await wa.say()
    await hook.receipts(3)
    page = await get(wa, f"/phones/{RIMA}?after=2")
    assert [(item["n"], item["status"]) for item in page["items"]] == [(2, "read")]
    assert page["next"] > 2


async def test_the_logs_are_read_after_a_number(wa: WhatsApp, hook: Hook) -> None:
    await wa.hears()
    await wa.say("one")
    await wa.say("two")
    calls = (await get(wa, "/log?after=1"))["items"]
    assert [call["body"]["text"]["body"] for call in calls] == ["two"]
    assert calls[0]["path"] == f"/v25.0/{PHONE_NUMBER_ID}/messages"
    assert "token-1" not in str(calls)
    await hook.receipts(6)
    attempts = (await get(wa, "/webhooks?after=1&limit=1"))["items"]
    assert [(each["n"], each["kind"], each["receipt"]) for each in attempts] == [
        (2, "receipt", "sent")
    ]


async def test_accounts_and_phones_are_set_and_all_else_reset(wa: WhatsApp, hook: Hook) -> None:
    base = f"{wa.sandbox.base_url}/_sandbox"
    account = {"phone_number_id": "2", "access_token": "t", "app_secret": "s"}
    assert await post(wa.http, f"{base}/accounts", account) == (201, {"account": "2"})
    del wa.sandbox.accounts["2"]
    assert await post(wa.http, f"{base}/phones/8801", {"name": "Rima"}) == (
        200,
        {
            "name": "Rima",
            "wa_id": None,
            "user_id": None,
            "username": None,
            "fails_with": None,
            "at_once": False,
        },
    )
    url = f"{base}/accounts/{PHONE_NUMBER_ID}/verify"
    assert await post(wa.http, url, {}) == (200, {"verified": True})
    await wa.hears()
    assert (await post(wa.http, f"{base}/reset", {}))[0] == 200
    for emptied in (wa.sandbox.shown(RIMA), wa.sandbox.log(), wa.sandbox.webhooks()):
        assert list(emptied) == []
    assert wa.sandbox.phone("8801").name is None
    assert (await wa.say()).code == 131047


async def test_mistakes_are_named(wa: WhatsApp) -> None:
    base = f"{wa.sandbox.base_url}/_sandbox"
    for path, content in (
        ("/accounts", {"phone_number_id": "2"}),
        ("/phones/8801/messages", {}),
        ("/phones/8801/messages", {"text": "a", "image": {}}),
        ("/phones/8801/messages", {"text": "a", "account": "none"}),
        ("/phones/8801/messages", {"text": "a", "batch": True, "wait": True}),
        ("/phones/8801", {"nickname": "R"}),
        ("/faults", {}),
    ):
        status, answer = await post(wa.http, base + path, content)
        assert status == 400, path
        assert answer["error"]


def test_made_up_files_have_the_size_asked_for() -> None:
    for mime in ("image/png", "image/jpeg", "application/pdf", "video/mp4", "audio/ogg"):
        for size in (5_000, 200_001):
            assert len(make_content(mime, size)) == size, mime
    assert make_content("image/png") != make_content("image/png")


async def test_it_runs_as_a_process_of_its_own(hook: Hook, http: aiohttp.ClientSession) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "connectors.sandbox.whatsapp",
        "--port",
        "0",
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    account = {"phone_number_id": "2", "access_token": "t", "app_secret": "s"}
    await post(http, f"{url}/_sandbox/accounts", {**account, "hook_url": hook.url})
    status, written = await post(
        http, f"{url}/_sandbox/phones/{RIMA}/messages", {"text": "hi", "wait": True}
    )
    assert (status, written["status"]) == (201, 200)
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
