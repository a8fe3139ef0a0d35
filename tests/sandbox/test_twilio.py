"""The Twilio stand-in over HTTP: login, signatures, opt-out, look-ups, media, WhatsApp senders."""

import base64
import hashlib
import hmac
from typing import Any

import pytest
from aiohttp import web
from twilio.request_validator import (  # type: ignore[import-untyped]  # ships no types
    RequestValidator,
)

from connectors.sandbox.control import ControlError
from connectors.sandbox.twilio_wire import sign
from tests.sandbox.calls import ACCOUNT_SID, RIMA, SENDER, Twilio
from tests.sandbox.hook import Clock, Hook

VALIDATOR = RequestValidator("token-2")
WHATSAPP = "whatsapp:+15550100"


def test_the_signature_of_a_known_vector() -> None:
    """Computed with twilio-python 9.13.0 over a form with a blank, a plus and Bangla."""
    url = "https://hub.example.test/webhooks/twilio/sms?inbox=7"
    form = {
        "AccountSid": "AC1",
        "Body": "ধন্যবাদ & ok+",
        "From": "+8801700000001",
        "FromCity": "",
        "MessageSid": "SM1",
        "NumMedia": "0",
        "To": "+15550100",
    }
    signature = sign(url, form, "0123456789abcdef0123456789abcdef")
    assert signature == "XvB1agHXWaURlyvLBGfQ1hPUDlE="


@pytest.mark.parametrize("query", ["", "?inbox=7", "?b=2&a=%2B1&name=%E0%A6%95"])
async def test_messages_are_signed_as_twilios_own_validator_wants(
    sms: Twilio, hook: Hook, query: str
) -> None:
    url = hook.url + query
    account = sms.sandbox.account(None).model_copy(update={"hook_url": url + "#rc=3&rp=all"})
    sms.sandbox.add_account(account)
    await sms.hears("ধন্যবাদ & ok+")
    (delivery,) = hook.deliveries
    signature = delivery.headers["X-Twilio-Signature"]
    assert VALIDATOR.validate(url, delivery.form, signature)
    assert not VALIDATOR.validate(url + "x", delivery.form, signature)
    assert not RequestValidator("other").validate(url, delivery.form, signature)
    assert delivery.form["Body"] == "ধন্যবাদ & ok+"
    assert delivery.form["FromCity"] == ""
    signed = url + "".join(name + delivery.form[name] for name in sorted(delivery.form))
    digest = hmac.new(b"token-2", signed.encode(), hashlib.sha1).digest()
    assert signature == base64.b64encode(digest).decode()


async def test_a_send_is_accepted_shown_and_receipted_in_order(sms: Twilio, hook: Hook) -> None:
    answer = await sms.say("ধন্যবাদ")
    assert answer.status == 201
    assert (answer.content["status"], answer.content["direction"]) == ("queued", "outbound-api")
    assert answer.content["account_sid"] == ACCOUNT_SID
    assert await hook.receipts(2) == ["sent", "delivered"]
    for delivery in hook.deliveries:
        signature = delivery.headers["X-Twilio-Signature"]
        assert VALIDATOR.validate(f"{hook.url}?m=42", delivery.form, signature)
        assert delivery.url.endswith("?m=42")
        assert delivery.form["MessageSid"] == answer.id
    shown = sms.sandbox.shown(RIMA)[-1]
    assert (shown.direction, shown.text, shown.status) == ("out", "ধন্যবাদ", "delivered")
    (call,) = sms.sandbox.log()
    assert (call.status, call.to, call.correlation) == (201, f"+{RIMA}", "m=42")


async def test_without_a_callback_only_the_resource_tells(sms: Twilio) -> None:
    answer = await sms.send({"To": f"+{RIMA}", "From": SENDER, "Body": "hi"})
    await sms.hears()
    found = await sms.get(f"/Messages/{answer.id}.json")
    assert (found.content["status"], found.content["body"]) == ("delivered", "hi")
    assert [attempt.kind for attempt in sms.sandbox.webhooks()] == ["message"]


@pytest.mark.parametrize("token", ["", "token-1", "token-2x"])
async def test_a_wrong_login_is_refused(sms: Twilio, token: str) -> None:
    answer = await sms.say(token=token)
    assert (answer.status, answer.code) == (401, 20003)


async def test_stop_is_answered_by_twilio_and_still_posted(sms: Twilio, hook: Hook) -> None:
    await sms.hears("Stop ")
    assert hook.deliveries[0].form["Body"] == "Stop "
    assert "OptOutType" not in hook.deliveries[0].form
    told = sms.sandbox.shown(RIMA)[-1]
    assert (told.direction, told.by) == ("out", "provider")
    assert "unsubscribed" in told.text
    refused = await sms.say()
    assert (refused.status, refused.code) == (400, 21610)
    assert (await sms.say(to="+8801700000002")).status == 201
    await sms.hears("please start")
    assert (await sms.say()).code == 21610
    await sms.hears("START")
    assert "re-subscribed" in sms.sandbox.shown(RIMA)[-1].text
    assert (await sms.say()).status == 201


async def test_yes_opts_in_only_who_opted_out(sms: Twilio) -> None:
    await sms.hears("yes")
    assert [item.direction for item in sms.sandbox.shown(RIMA)] == ["in"]
    await sms.hears("STOPALL")
    await sms.hears("yes")
    assert (await sms.say()).status == 201


async def test_help_and_advanced_opt_out(sms: Twilio, hook: Hook) -> None:
    account = sms.sandbox.account(None).model_copy(update={"advanced_opt_out": True})
    sms.sandbox.add_account(account)
    await sms.hears("HELP")
    assert hook.deliveries[0].form["OptOutType"] == "HELP"
    assert sms.sandbox.shown(RIMA)[-1].by == "provider"


async def test_opt_out_can_be_left_to_the_hub(sms: Twilio) -> None:
    sms.sandbox.add_account(sms.sandbox.account(None).model_copy(update={"opt_out": False}))
    await sms.hears("STOP")
    assert [item.direction for item in sms.sandbox.shown(RIMA)] == ["in"]
    assert (await sms.say()).status == 201


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (("OK", "text/plain"), ["OK"]),
        (("<Response/>", "text/xml"), []),
        (("<Response><Message>Hi</Message></Response>", "text/xml"), ["Hi"]),
        (("<Response><Message><Body>Ho</Body></Message></Response>", "text/xml"), ["Ho"]),
        (("<html>", "text/html"), []),
    ],
)
async def test_the_hooks_answer_may_be_a_reply(
    sms: Twilio, hook: Hook, answer: tuple[str, str], shown: list[str]
) -> None:
    hook.reply = lambda: web.Response(text=answer[0], content_type=answer[1])
    await sms.hears()
    said = [item.text for item in sms.sandbox.shown(RIMA) if item.direction == "out"]
    assert said == shown


async def test_messages_are_listed_by_number_and_time(sms: Twilio, clock: Clock) -> None:
    first = await sms.hears("one")
    clock.now += 86_400
    second = (await sms.say("two")).id
    await sms.say("other", to="+8801700000002")
    clock.now += 60

    async def listed(**query: str) -> list[str]:
        answer = await sms.get("/Messages.json", **query)
        return [message["sid"] for message in answer.content["messages"]]

    number = f"+{RIMA}"
    assert await listed(To=number) == [second]
    assert await listed(From=number) == [first]
    assert await listed(To=SENDER, From=number) == [first]
    assert len(await listed()) == 3
    second_at = (await sms.get(f"/Messages/{second}.json")).content["date_created"]
    assert second_at == "Sat, 21 Nov 2026 12:00:00 +0000"
    assert await listed(To=number, **{"DateSent>": "2026-11-21T11:59:59Z"}) == [second]
    assert await listed(To=number, **{"DateSent>": "2026-11-21T12:00:01Z"}) == []
    assert await listed(DateSent="2026-11-20") == [first]
    assert await listed(**{"DateSent<": "2026-11-20"}) == [first]
    assert len(await listed(PageSize="2")) == 2
    assert await listed(PageSize="2", Page="1") == [first]
    assert (await sms.get("/Messages.json", DateSent="soon")).code == 20001


async def test_a_list_goes_on_behind_its_last_message(sms: Twilio) -> None:
    sids = [await sms.hears(f"{n}") for n in range(5)]
    first = await sms.get("/Messages.json", PageSize="2")
    assert [message["sid"] for message in first.content["messages"]] == sids[:2:-1]
    await sms.hears("one more, which must not move the pages")
    found: list[str] = []
    following = first.content["next_page_uri"]
    while following:
        url = sms.sandbox.base_url + following
        async with sms.http.get(url, headers=sms.headers()) as response:
            page = await response.json()
        found += [message["sid"] for message in page["messages"]]
        following = page["next_page_uri"]
    assert found == sids[2::-1]
    assert (await sms.get("/Messages.json", PageToken="PAjunk")).code == 20001


async def test_the_media_of_a_message_are_listed(sms: Twilio, hook: Hook) -> None:
    await sms.sandbox.customer_writes(RIMA, image={"mime": "image/png"}, wait=True)
    form = hook.deliveries[0].form
    found = await sms.get(f"/Messages/{form['MessageSid']}/Media.json")
    [one] = found.content["media_list"]
    assert one["content_type"] == "image/png"
    assert sms.sandbox.base_url + one["uri"].removesuffix(".json") == form["MediaUrl0"]
    async with sms.http.get(f"{sms.account_url}/Messages/SM1/Media.json") as response:
        assert response.status == 401
    assert (await sms.get("/Messages/SM1/Media.json")).code == 20404


async def test_a_picture_is_fetched_with_the_login_over_a_redirect(sms: Twilio, hook: Hook) -> None:
    await sms.sandbox.customer_writes(RIMA, image={"mime": "image/png"}, wait=True)
    form = hook.deliveries[0].form
    assert (form["NumMedia"], form["MediaContentType0"]) == ("1", "image/png")
    assert form["MessageSid"].startswith("MM")
    url = form["MediaUrl0"]
    async with sms.http.get(url) as response:
        assert response.status == 401
    async with sms.http.get(url, headers=sms.headers(), allow_redirects=False) as response:
        assert response.status == 302
        place = response.headers["Location"]
    async with sms.http.get(place) as response:
        assert (await response.read()).startswith(b"\x89PNG")
    async with sms.http.delete(url, headers=sms.headers()) as response:
        assert response.status == 204
    async with sms.http.get(url, headers=sms.headers()) as response:
        assert response.status == 404


async def test_a_contact_card_comes_as_media(sms: Twilio, hook: Hook) -> None:
    cards = [{"name": "Karim", "phones": ["+8801711"]}]
    await sms.sandbox.customer_writes(RIMA, contacts=cards, wait=True)
    form = hook.deliveries[0].form
    assert form["MediaContentType0"] == "text/vcard"
    async with sms.http.get(form["MediaUrl0"], headers=sms.headers()) as response:
        assert "TEL;TYPE=CELL:+8801711" in await response.text()


@pytest.mark.parametrize(
    "said",
    [
        {"location": {"latitude": 1, "longitude": 2}},
        {"button": {"id": "a", "title": "A"}},
        {"reaction": {"message_id": "SM1", "emoji": "👍"}},
        {"text": "x", "batch": True},
    ],
)
async def test_what_sms_cannot_carry(sms: Twilio, said: dict[str, Any]) -> None:
    with pytest.raises(ControlError):
        await sms.sandbox.customer_writes(RIMA, **said)
    assert sms.sandbox.webhooks() == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [(30005, ["sent", "undelivered"]), (30034, ["failed"])],
)
async def test_a_phone_that_gets_nothing(
    sms: Twilio, hook: Hook, code: int, expected: list[str]
) -> None:
    sms.sandbox.set_phone(RIMA, fails_with=code)
    answer = await sms.say()
    assert answer.status == 201
    assert await hook.receipts(len(expected)) == expected
    assert hook.deliveries[-1].form["ErrorCode"] == str(code)
    found = await sms.get(f"/Messages/{answer.id}.json")
    assert (found.content["status"], found.content["error_code"]) == (expected[-1], code)


async def test_the_test_sender_fires_no_webhooks(sms: Twilio, hook: Hook) -> None:
    form = {"To": f"+{RIMA}", "From": "+15005550006", "Body": "x", "StatusCallback": hook.url}
    assert (await sms.send(form)).status == 201
    await sms.hears()
    assert [delivery.status for delivery in hook.deliveries] == [None]


async def test_a_messaging_service_stands_for_its_sender(sms: Twilio, hook: Hook) -> None:
    account = sms.sandbox.account(None).model_copy(update={"messaging_service_sid": "MG1"})
    sms.sandbox.add_account(account)
    form = {"To": f"+{RIMA}", "MessagingServiceSid": "MG1", "Body": "x"}
    answer = await sms.send({**form, "StatusCallback": hook.url})
    assert (answer.content["from"], answer.content["messaging_service_sid"]) == (SENDER, "MG1")
    await hook.receipts(1)
    assert hook.deliveries[0].form["MessagingServiceSid"] == "MG1"


async def test_who_am_i(sms: Twilio) -> None:
    answer = await sms.get(".json")
    assert (answer.content["sid"], answer.content["status"]) == (ACCOUNT_SID, "active")


@pytest.fixture
def whatsapp_sender(sms: Twilio, hook: Hook) -> dict[str, str]:
    """A second sender of the account, on WhatsApp; the form of a send from it."""
    account = sms.sandbox.account(SENDER).model_dump()
    account.update(number=WHATSAPP, receipts=("sent", "delivered", "read"))
    sms.sandbox.add_account(account)
    return {"To": f"whatsapp:+{RIMA}", "From": WHATSAPP, "Body": "x", "StatusCallback": hook.url}


async def test_a_whatsapp_sender_has_a_window(
    sms: Twilio, hook: Hook, clock: Clock, whatsapp_sender: dict[str, str]
) -> None:
    assert (await sms.send(whatsapp_sender)).status == 201
    assert await hook.receipts(1) == ["failed"]
    assert hook.deliveries[0].form["ErrorCode"] == "63016"
    await sms.sandbox.customer_writes(RIMA, account=WHATSAPP, text="hi", name="Rima", wait=True)
    form = hook.deliveries[-1].form
    assert (form["From"], form["WaId"]) == (f"whatsapp:+{RIMA}", RIMA)
    assert (form["ProfileName"], form["MessageType"]) == ("Rima", "text")
    await sms.send(whatsapp_sender)
    assert await hook.receipts(4) == ["failed", "sent", "delivered", "read"]
    assert hook.deliveries[-1].form["EventType"] == "READ"
    clock.now += 86_400
    await sms.send(whatsapp_sender)
    assert (await hook.receipts(5))[-1] == "failed"


async def test_a_whatsapp_sender_hears_taps_and_places(
    sms: Twilio, hook: Hook, whatsapp_sender: dict[str, str]
) -> None:
    sms.sandbox.set_phone(RIMA, username="rima.b", user_id="BD.77aa")
    tap = {"id": "order:17", "title": "Yes", "reply_to": "MM9"}
    await sms.sandbox.customer_writes(RIMA, account=WHATSAPP, button=tap, wait=True)
    place = {"latitude": 23.7806, "longitude": 90.4193, "name": "Office"}
    await sms.sandbox.customer_writes(RIMA, account=WHATSAPP, location=place, wait=True)
    button, location = (delivery.form for delivery in hook.deliveries)
    assert (button["From"], button["ExternalUserId"]) == ("whatsapp:BD.77aa", "whatsapp:BD.77aa")
    assert "WaId" not in button
    assert (button["Body"], button["ButtonText"], button["ButtonPayload"]) == (
        "Yes",
        "Yes",
        "order:17",
    )
    assert button["OriginalRepliedMessageSid"] == "MM9"
    assert (location["Latitude"], location["Label"], location["Body"]) == ("23.7806", "Office", "")
