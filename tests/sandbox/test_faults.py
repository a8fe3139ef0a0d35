"""Every fault, shown on both platforms where it can strike."""

from typing import Any

import aiohttp
import pytest

from tests.sandbox.calls import PHONE_NUMBER_ID, RIMA, Answer, Twilio, WhatsApp
from tests.sandbox.hook import Hook

PATIENCE = aiohttp.ClientTimeout(total=0.3)
Platform = WhatsApp | Twilio


@pytest.fixture(params=["whatsapp", "twilio"])
async def platform(request: pytest.FixtureRequest, wa: WhatsApp, sms: Twilio) -> Platform:
    """Either stand-in, with the customer's window open."""
    chosen: Platform = wa if request.param == "whatsapp" else sms
    await chosen.hears()
    return chosen


def usual(platform: Platform) -> list[str]:
    """The receipts of a send that nothing spoils."""
    return ["sent", "delivered", "read"][: 3 if isinstance(platform, WhatsApp) else 2]


def said(platform: Platform) -> list[str]:
    """What the business said on the phone."""
    return [item.text for item in platform.sandbox.shown(RIMA) if item.direction == "out"]


@pytest.mark.parametrize(
    ("how", "status", "codes"),
    [
        ({"status": 429, "retry_after": 3}, 429, (130429, 20429)),
        ({"status": 500}, 500, (131000, 20500)),
        ({"status": 503, "code": 131016}, 503, (131016, 131016)),
        ({"status": 400}, 400, (100, 21211)),
        ({"status": 400, "code": 131026}, 400, (131026, 131026)),
    ],
)
async def test_status(
    platform: Platform, how: dict[str, Any], status: int, codes: tuple[int, int]
) -> None:
    platform.sandbox.add_fault("status", **how)
    answer = await platform.say("refused")
    code = codes[0] if isinstance(platform, WhatsApp) else codes[1]
    assert (answer.status, answer.code) == (status, code)
    assert answer.headers.get("Retry-After") == ("3" if "retry_after" in how else None)
    assert (await platform.say("accepted")).status in (200, 201)
    assert said(platform) == ["accepted"]
    refused, _ = platform.sandbox.log()
    assert (refused.status, refused.code, refused.fault) == (status, code, "status")
    assert refused.external_id is None


@pytest.mark.parametrize(
    ("do", "accepted"),
    [("hang", False), ("reset", False), ("accept_silent", True), ("accept_reset", True)],
)
async def test_no_answer(platform: Platform, hook: Hook, do: str, accepted: bool) -> None:
    platform.sandbox.add_fault(do)
    expected: type[Exception] = aiohttp.ClientError if do.endswith("reset") else TimeoutError
    with pytest.raises(expected) as failure:
        await platform.say("lost", timeout=PATIENCE)
    if do.endswith("reset"):
        assert isinstance(failure.value, aiohttp.ClientOSError)
        assert failure.value.errno == 104
    (call,) = platform.sandbox.log()
    assert (call.status, call.fault) == (None, do)
    assert call.body
    assert (call.external_id is not None) == accepted
    assert said(platform) == (["lost"] if accepted else [])
    if accepted:
        assert await hook.receipts(len(usual(platform))) == usual(platform)
    assert (await platform.say("again")).status in (200, 201)


async def test_accepted_without_answer_and_without_receipts(platform: Platform) -> None:
    """The two faults together leave the sender no trace but the provider's own list."""
    platform.sandbox.add_fault("accept_silent")
    platform.sandbox.add_fault("no_receipts")
    with pytest.raises(TimeoutError):
        await platform.say("lost", timeout=PATIENCE)
    await platform.hears("still here")
    assert said(platform) == ["lost"]
    assert {attempt.kind for attempt in platform.sandbox.webhooks()} == {"message"}
    assert platform.sandbox.log()[0].fault == "accept_silent+no_receipts"


async def test_slow_is_accepted_before_it_is_answered(platform: Platform) -> None:
    platform.sandbox.add_fault("slow", seconds=30)
    with pytest.raises(TimeoutError):
        await platform.say("slow", timeout=PATIENCE)
    assert said(platform) == ["slow"]
    platform.sandbox.add_fault("slow", seconds=0.01)
    assert (await platform.say("slower")).status in (200, 201)


async def test_receipt_first(platform: Platform, hook: Hook) -> None:
    platform.sandbox.add_fault("receipt_first")
    answer = await platform.say()
    assert [each.status for each in hook.deliveries if each.status] == usual(platform)
    assert platform.sandbox.log()[0].external_id == answer.id
    acknowledged = [each for each in platform.sandbox.webhooks() if each.kind == "receipt"]
    assert [each.status for each in acknowledged] == [200] * len(usual(platform))


@pytest.mark.parametrize("do", ["reorder_receipts", "duplicate_receipts"])
async def test_spoiled_receipts(platform: Platform, hook: Hook, do: str) -> None:
    platform.sandbox.add_fault(do)
    await platform.say()
    order = usual(platform)
    expected = order[::-1] if do == "reorder_receipts" else [s for s in order for _ in (0, 1)]
    assert await hook.receipts(len(expected)) == expected
    assert platform.sandbox.shown(RIMA)[-1].status == order[-1]


async def test_no_receipts_still_moves_the_phone(platform: Platform, hook: Hook) -> None:
    platform.sandbox.add_fault("no_receipts")
    await platform.say("one")
    await platform.say("two")
    assert await hook.receipts(len(usual(platform))) == usual(platform)
    assert [item.status for item in platform.sandbox.shown(RIMA)][1:] == [usual(platform)[-1]] * 2


async def test_duplicate_webhook(platform: Platform, hook: Hook) -> None:
    platform.sandbox.add_fault("duplicate_webhook")
    await platform.sandbox.customer_writes(RIMA, text="twice", wait=True)
    await platform.hears("once")
    bodies = [delivery.body for delivery in hook.deliveries]
    assert bodies[1] == bodies[2]
    assert bodies[0] != bodies[1] != bodies[3]
    assert len(bodies) == 4
    assert [item.text for item in platform.sandbox.shown(RIMA)] == ["hello", "twice", "once"]


async def test_a_fault_strikes_what_it_matches_and_so_often(platform: Platform) -> None:
    sandbox = platform.sandbox
    await platform.hears(number="8801700000002")

    async def sends(*calls: tuple[str, str]) -> list[int]:
        answers: list[Answer] = [await platform.say(text, to=to) for text, to in calls]
        return [answer.status // 100 for answer in answers]

    one, two = f"+{RIMA}", "+8801700000002"
    sandbox.add_fault("status", {"to": "+880 1700-000002", "text_contains": "bad"}, times=2)
    calls = [("bad", one), ("good", two), ("bad", two), ("so bad", two), ("bad", two)]
    assert await sends(*calls) == [2, 2, 5, 5, 2]
    assert sandbox.faults.faults == []
    sandbox.add_fault("status", {"account": sandbox.account(None).key}, times=-1)
    assert await sends(*calls) == [5, 5, 5, 5, 5]
    sandbox.clear_faults()
    sandbox.add_fault("status", {"account": "another"})
    assert await sends(("x", one)) == [2]


async def test_a_refused_send_uses_up_no_fault_of_accepted_ones(wa: WhatsApp, hook: Hook) -> None:
    wa.sandbox.add_fault("accept_reset")
    assert (await wa.say()).code == 131047
    assert len(wa.sandbox.faults.faults) == 1


async def test_a_fault_of_media_downloads(wa: WhatsApp) -> None:
    await wa.sandbox.customer_writes(RIMA, image={}, wait=True)
    media_id = wa.sandbox.shown(RIMA)[0].media[0]["id"]
    url = f"{wa.sandbox.base_url}/v25.0/{media_id}"
    headers = {"Authorization": "Bearer token-1"}
    wa.sandbox.add_fault("status", on="media", status=503)
    assert (await wa.say()).status == 200
    async with wa.http.get(url, headers=headers) as response:
        assert response.status == 503
    async with wa.http.get(url, headers=headers) as response:
        assert response.status == 200
    with pytest.raises(ValueError, match="media"):
        wa.sandbox.add_fault("receipt_first", on="media")


async def test_faults_by_the_control_call(wa: WhatsApp) -> None:
    await wa.hears()
    url = f"{wa.sandbox.base_url}/_sandbox/faults"
    match = {"account": PHONE_NUMBER_ID}
    faults = [{"match": match, "do": "status", "status": 429, "retry_after": 2}]
    async with wa.http.post(url, json=faults) as response:
        assert (response.status, await response.json()) == (201, {"added": 1})
    assert (await wa.say()).headers["Retry-After"] == "2"
    async with wa.http.post(url, json=[{"do": "status", "times": -1}]) as response:
        assert response.status == 201
    async with wa.http.get(url) as response:
        assert [fault["do"] for fault in (await response.json())["items"]] == ["status"]
    async with wa.http.delete(url) as response:
        assert response.status == 200
    assert (await wa.say()).status == 200
    async with wa.http.post(url, json=[{"do": "explode"}]) as response:
        assert response.status == 400
