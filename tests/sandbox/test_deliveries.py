"""Webhooks: retried, in order per customer, kept while the stand-in is stopped."""

import asyncio
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from tests.sandbox.calls import RIMA, SENDER, Twilio, WhatsApp
from tests.sandbox.hook import Hook, until


async def test_whatsapp_repeats_until_it_is_taken(wa: WhatsApp, hook: Hook) -> None:
    hook.answers = [503, 500, 200]
    written = await wa.sandbox.customer_writes(RIMA, text="hello", wait=True)
    assert written.status == 200
    attempts = wa.sandbox.webhooks()
    assert [(each.attempt, each.status) for each in attempts] == [(1, 503), (2, 500), (3, 200)]
    assert {each.external_ids for each in attempts} == {(written.external_id,)}
    assert len({delivery.body for delivery in hook.deliveries}) == 1


async def test_whatsapp_repeats_when_nobody_listens(wa: WhatsApp, hook: Hook) -> None:
    await hook.stop()
    writing = asyncio.create_task(wa.sandbox.customer_writes(RIMA, text="hello", wait=True))
    await until(lambda: any(each.error for each in wa.sandbox.webhooks()))
    await hook.start(urlsplit(hook.url).port or 0)
    assert (await writing).status == 200
    first, *_, last = wa.sandbox.webhooks()
    assert (first.status, first.error) == (None, "ClientConnectorError")
    assert (last.status, last.error) == (200, None)


async def test_a_reset_gives_up_what_waits(wa: WhatsApp, hook: Hook) -> None:
    hook.answers = [503] * 1000
    writing = asyncio.create_task(wa.sandbox.customer_writes(RIMA, text="hello", wait=True))
    await hook.wait(2)
    wa.sandbox.reset()
    assert (await writing).status is None
    assert wa.sandbox.deliveries.waiting() == 0
    hook.answers = []
    await wa.hears()


@pytest.mark.parametrize(
    ("retry", "attempts"), [(False, [503]), (1, [503, 503]), (True, [503, 503, 200])]
)
async def test_twilio_repeats_only_when_told(
    sms: Twilio, hook: Hook, retry: bool | int, attempts: list[int]
) -> None:
    sms.sandbox.add_account(sms.sandbox.account(None).model_copy(update={"retry": retry}))
    hook.answers = [503, 503]
    written = await sms.sandbox.customer_writes(RIMA, text="hello", wait=True)
    assert written.status == attempts[-1]
    assert [each.status for each in sms.sandbox.webhooks()] == attempts
    tokens = {each.headers["I-Twilio-Idempotency-Token"] for each in hook.deliveries}
    assert len(tokens) == 1


async def test_a_refused_message_holds_back_the_next_of_the_same_customer_alone(
    wa: WhatsApp, hook: Hook
) -> None:
    hook.answers = [503, 200]
    await wa.sandbox.customer_writes(RIMA, text="one")
    await wa.sandbox.customer_writes(RIMA, text="two")
    await hook.wait(1)
    await wa.hears("other", number="8801700000002")
    await hook.wait(4)
    texts = [delivery.value["messages"][0]["text"]["body"] for delivery in hook.deliveries]
    assert texts == ["one", "other", "one", "two"]


async def test_receipts_follow_their_own_delays(wa: WhatsApp, hook: Hook) -> None:
    await wa.hears()
    delays = {"receipts": ("sent", "delivered"), "receipt_delay": (0.15, 0.05)}
    wa.sandbox.add_account(wa.sandbox.account(None).model_copy(update=delays))
    await wa.say()
    assert await hook.receipts(2) == ["delivered", "sent"]
    quiet = wa.sandbox.account(None).model_copy(update={"receipts": ("delivered",)})
    wa.sandbox.add_account(quiet)
    await wa.say()
    await wa.hears()
    assert (await hook.receipts(3))[2:] == ["delivered"]


async def test_receipts_of_many_sends_come_in_order(sms: Twilio, hook: Hook) -> None:
    numbers = [f"+88017000000{n:02d}" for n in range(20)]
    answers = await asyncio.gather(*(sms.say(to=number) for number in numbers * 3))
    await sms.sandbox.deliveries.drained()
    for answer in answers:
        forms = [each.form for each in hook.deliveries if each.form["MessageSid"] == answer.id]
        assert [form["MessageStatus"] for form in forms] == ["sent", "delivered"]
    assert sms.sandbox.deliveries.waiting() == 0


async def test_a_stop_keeps_the_state_and_the_webhooks_that_wait(wa: WhatsApp, hook: Hook) -> None:
    await wa.hears()
    hook.answers = [503]
    await wa.sandbox.customer_writes(RIMA, text="late")
    await hook.wait(2)
    url = wa.sandbox.base_url
    await wa.sandbox.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await wa.say()
    assert wa.sandbox.deliveries.waiting() == 1
    assert await wa.sandbox.start(port=urlsplit(url).port or 0) == url
    await hook.wait(3)
    assert hook.deliveries[2].value["messages"][0]["text"]["body"] == "late"
    assert (await wa.say()).status == 200
    assert [item.text for item in wa.sandbox.shown(RIMA)] == ["hello", "late", "hi"]


async def test_a_stop_leaves_open_calls_unanswered(wa: WhatsApp) -> None:
    wa.sandbox.add_fault("hang")
    asking = asyncio.create_task(wa.say())
    await until(wa.sandbox.log)
    await wa.sandbox.stop()
    with pytest.raises(aiohttp.ClientError):
        await asking
    assert wa.sandbox.log()[0].status is None


async def test_a_stop_while_a_link_is_fetched_loses_no_receipt(wa: WhatsApp, hook: Hook) -> None:
    await wa.sandbox.customer_writes(RIMA, image={"mime": "image/png"}, wait=True)
    fetched, answered = asyncio.Event(), asyncio.Event()

    async def slow_picture(request: web.Request) -> web.Response:
        fetched.set()
        await answered.wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/slow.png", slow_picture)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    image = {"link": f"http://127.0.0.1:{runner.addresses[0][1]}/slow.png"}
    body = {"messaging_product": "whatsapp", "to": RIMA, "type": "image", "image": image}
    assert (await wa.send(body)).status == 200
    await fetched.wait()
    await wa.sandbox.stop()
    await wa.sandbox.start()
    answered.set()
    await runner.cleanup()
    assert await hook.receipts(3) == ["sent", "delivered", "read"]


async def test_the_logs_can_be_bounded(wa: WhatsApp, hook: Hook) -> None:
    sandbox = type(wa.sandbox)(keep=3)
    await sandbox.start()
    sandbox.add_account(wa.sandbox.account(None))
    for n in range(5):
        await sandbox.customer_writes(RIMA, text=str(n), wait=True)
    assert [item.text for item in sandbox.shown(RIMA)] == ["2", "3", "4"]
    assert [attempt.n for attempt in sandbox.webhooks(after=3)] == [4, 5]
    assert [attempt.n for attempt in sandbox.webhooks()] == [3, 4, 5]
    await sandbox.stop()


async def test_the_sender_of_an_sms_account_is_found_by_its_sid(sms: Twilio) -> None:
    sid = sms.sandbox.account(None).account_sid
    assert sms.sandbox.account(sid).number == SENDER
