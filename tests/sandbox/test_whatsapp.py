"""The WhatsApp stand-in over HTTP: who may call, the window, identities, media, webhooks."""

import base64
import hashlib
import hmac
from typing import Any

import aiohttp
import pytest

from connectors.sandbox.control import ControlError
from tests.sandbox.calls import PHONE_NUMBER_ID, RIMA, WhatsApp, text
from tests.sandbox.hook import START, Clock, Hook

HOUR = 3600.0


async def test_a_send_is_accepted_shown_and_receipted_in_order(wa: WhatsApp, hook: Hook) -> None:
    await wa.hears()
    answer = await wa.send(text("ধন্যবাদ", biz_opaque_callback_data="m-42"))
    assert answer.status == 200
    assert answer.content["contacts"] == [{"input": RIMA, "wa_id": RIMA}]
    assert answer.id.startswith("wamid.")
    assert await hook.receipts(3) == ["sent", "delivered", "read"]
    statuses = [each.value["statuses"][0] for each in hook.deliveries[1:]]
    assert {status["id"] for status in statuses} == {answer.id}
    assert {status["biz_opaque_callback_data"] for status in statuses} == {"m-42"}
    assert {status["recipient_id"] for status in statuses} == {RIMA}
    assert statuses[0]["timestamp"] == str(int(START))
    shown = wa.sandbox.shown(RIMA)[-1]
    assert (shown.direction, shown.text, shown.status) == ("out", "ধন্যবাদ", "read")
    (call,) = wa.sandbox.log()
    assert (call.status, call.to, call.correlation) == (200, RIMA, "m-42")
    assert call.external_id == answer.id


async def test_webhooks_are_signed_over_escaped_bytes(wa: WhatsApp, hook: Hook) -> None:
    await wa.hears("আমার অর্ডার 😀")
    (delivery,) = hook.deliveries
    expected = hmac.new(b"secret-1", delivery.body, hashlib.sha256).hexdigest()
    assert delivery.headers["X-Hub-Signature-256"] == f"sha256={expected}"
    assert delivery.body.isascii()
    assert b"\\u0986" in delivery.body
    assert delivery.value["messages"][0]["text"]["body"] == "আমার অর্ডার 😀"
    assert delivery.json["object"] == "whatsapp_business_account"
    assert delivery.value["metadata"]["phone_number_id"] == PHONE_NUMBER_ID


@pytest.mark.parametrize("token", ["", "token-2", "token-1x"])
async def test_a_wrong_token_is_refused(wa: WhatsApp, token: str) -> None:
    answer = await wa.say(token=token)
    assert (answer.status, answer.code) == (401, 190)


async def test_another_number_of_the_path_is_refused(wa: WhatsApp) -> None:
    url = f"{wa.sandbox.base_url}/v24.0/999/messages"
    headers = {"Authorization": "Bearer token-1"}
    async with wa.http.post(url, json=text("x"), headers=headers) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (400, 100)


async def test_the_window_is_the_24_hours_after_her_last_message(
    wa: WhatsApp, clock: Clock
) -> None:
    assert (await wa.say()).code == 131047
    await wa.hears()
    clock.now += 24 * HOUR - 1
    assert (await wa.say()).status == 200
    clock.now += 1
    closed = await wa.say()
    assert (closed.status, closed.code) == (400, 131047)
    other = await wa.say(to="8801700000002")
    assert other.code == 131047
    template = {"name": "any", "language": {"code": "bn"}}
    body = {"messaging_product": "whatsapp", "to": RIMA, "type": "template", "template": template}
    assert (await wa.send(body)).status == 200
    await wa.hears()
    assert (await wa.say()).status == 200


async def test_an_ad_opens_the_window_for_72_hours(wa: WhatsApp, clock: Clock) -> None:
    await wa.sandbox.customer_writes(RIMA, text="hi", referral={"source_type": "ad"}, wait=True)
    clock.now += 72 * HOUR - 1
    assert (await wa.say()).status == 200
    clock.now += 1
    assert (await wa.say()).code == 131047


async def test_a_closed_window_can_be_told_later(wa: WhatsApp, hook: Hook) -> None:
    account = wa.sandbox.account(PHONE_NUMBER_ID)
    wa.sandbox.add_account(account.model_copy(update={"async_window_error": True}))
    assert (await wa.say()).status == 200
    assert await hook.receipts(1) == ["failed"]
    assert hook.deliveries[0].value["statuses"][0]["errors"][0]["code"] == 131047
    assert wa.sandbox.shown(RIMA)[0].error == 131047


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_number_that_is_not_on_whatsapp(wa: WhatsApp, hook: Hook, at_once: bool) -> None:
    await wa.hears()
    wa.sandbox.set_phone(RIMA, fails_with=131026, at_once=at_once)
    answer = await wa.say()
    if at_once:
        assert (answer.status, answer.code) == (400, 131026)
    else:
        assert answer.status == 200
        assert await hook.receipts(1) == ["failed"]
        assert hook.deliveries[-1].value["statuses"][0]["errors"][0]["code"] == 131026


async def test_the_pair_limit_allows_45_at_once_and_then_one_in_6_seconds(
    wa: WhatsApp, clock: Clock
) -> None:
    await wa.hears()
    await wa.hears(number="8801700000002")
    account = wa.sandbox.account(None)
    limited = account.model_copy(update={"pair_limit": True, "receipts": ()})
    wa.sandbox.add_account(limited)
    codes = [(await wa.say()).code for _ in range(46)]
    assert codes == [None] * 45 + [131056]
    assert (await wa.say(to="8801700000002")).code is None
    clock.now += 6
    assert [(await wa.say()).code for _ in range(2)] == [None, 131056]


async def test_the_throughput_limit_is_counted_by_the_second(wa: WhatsApp, clock: Clock) -> None:
    await wa.hears()
    limited = wa.sandbox.account(None).model_copy(update={"throughput": 5, "receipts": ()})
    wa.sandbox.add_account(limited)
    answers = [await wa.say() for _ in range(6)]
    assert [answer.code for answer in answers] == [None] * 5 + [130429]
    assert answers[-1].status == 429
    clock.now += 1
    assert (await wa.say()).code is None


async def test_a_username_hides_the_number(wa: WhatsApp, hook: Hook) -> None:
    wa.sandbox.set_phone(RIMA, name="Rima", username="rima.b", user_id="BD.77aa")
    await wa.hears()
    value = hook.deliveries[0].value
    profile = {"name": "Rima", "username": "rima.b"}
    assert value["contacts"] == [{"profile": profile, "user_id": "BD.77aa"}]
    assert value["messages"][0]["from_user_id"] == "BD.77aa"
    assert "from" not in value["messages"][0]
    body = text("hi", recipient="BD.77aa")
    del body["to"]
    answer = await wa.send(body)
    assert answer.content["contacts"] == [{"input": "BD.77aa", "user_id": "BD.77aa"}]
    await hook.receipts(1)
    status = hook.deliveries[1].value["statuses"][0]
    assert status["recipient_user_id"] == "BD.77aa"
    assert "recipient_id" not in status
    assert wa.sandbox.shown(RIMA)[-1].text == "hi"


async def test_a_wa_id_that_differs_from_the_number(wa: WhatsApp, hook: Hook) -> None:
    wa.sandbox.set_phone("+55 11 98888 7777", wa_id="551188887777")
    await wa.sandbox.customer_writes("5511988887777", text="oi", wait=True)
    assert hook.deliveries[0].value["messages"][0]["from"] == "551188887777"
    for to in ("551188887777", "+5511988887777"):
        answer = await wa.say(to=to)
        assert answer.content["contacts"] == [{"input": to, "wa_id": "551188887777"}]
    assert [item.direction for item in wa.sandbox.shown("5511988887777")] == ["in", "out", "out"]


async def test_a_batch_goes_out_in_one_post(wa: WhatsApp, hook: Hook) -> None:
    first = await wa.sandbox.customer_writes(RIMA, text="one", name="Rima", batch=True)
    second = await wa.sandbox.customer_writes("8801700000002", text="two", batch=True)
    third = await wa.sandbox.customer_writes(RIMA, text="three", wait=True)
    (delivery,) = hook.deliveries
    ids = (first.external_id, second.external_id, third.external_id)
    assert tuple(message["id"] for message in delivery.value["messages"]) == ids
    assert [each["wa_id"] for each in delivery.value["contacts"]] == [RIMA, "8801700000002", RIMA]
    assert wa.sandbox.webhooks()[0].external_ids == ids
    assert third.status == 200


async def test_taps_are_told_as_what_was_tapped(wa: WhatsApp, hook: Hook) -> None:
    await wa.hears()
    reply = {"type": "reply", "reply": {"id": "yes", "title": "Yes"}}
    asked = {"type": "button", "body": {"text": "Sure?"}, "action": {"buttons": [reply]}}
    answer = await wa.send(
        {"messaging_product": "whatsapp", "to": RIMA, "type": "interactive", "interactive": asked}
    )
    shown = wa.sandbox.shown(RIMA)[-1]
    assert (shown.text, shown.buttons) == ("Sure?", [{"id": "yes", "title": "Yes"}])
    tap = {"id": "yes", "title": "Yes", "reply_to": answer.id}
    await wa.sandbox.customer_writes(RIMA, button=tap, wait=True)
    message = next(each for each in reversed(hook.deliveries) if each.status is None)
    assert message.value["messages"][0]["interactive"] == {
        "type": "button_reply",
        "button_reply": {"id": "yes", "title": "Yes"},
    }
    assert message.value["messages"][0]["context"]["id"] == answer.id
    with pytest.raises(ControlError):
        await wa.sandbox.customer_writes(RIMA, button={**tap, "id": "no"})


async def test_a_list_row_is_told_with_its_description(wa: WhatsApp, hook: Hook) -> None:
    row = {"id": "r1", "title": "Row", "description": "about it"}
    await wa.sandbox.customer_writes(RIMA, list_row=row, wait=True)
    message = hook.deliveries[0].value["messages"][0]
    assert message["interactive"] == {"type": "list_reply", "list_reply": row}


@pytest.mark.parametrize(
    ("said", "kind", "content"),
    [
        (
            {"location": {"latitude": 23.7, "longitude": 90.4, "name": "Office"}},
            "location",
            {"latitude": 23.7, "longitude": 90.4, "name": "Office"},
        ),
        (
            {"reaction": {"message_id": "wamid.x", "emoji": "👍"}},
            "reaction",
            {"message_id": "wamid.x", "emoji": "👍"},
        ),
        (
            {"contacts": [{"name": "Karim", "phones": ["+8801711"]}]},
            "contacts",
            [
                {
                    "name": {"formatted_name": "Karim", "first_name": "Karim"},
                    "phones": [{"phone": "+8801711", "type": "CELL"}],
                }
            ],
        ),
        ({"raw": {"type": "poem", "poem": {"lines": 2}}}, "poem", {"lines": 2}),
    ],
)
async def test_what_else_she_can_say(
    wa: WhatsApp, hook: Hook, said: dict[str, Any], kind: str, content: object
) -> None:
    await wa.sandbox.customer_writes(RIMA, wait=True, **said)
    message = hook.deliveries[0].value["messages"][0]
    assert (message["type"], message[kind]) == (kind, content)


async def test_her_picture_is_fetched_in_two_steps_with_the_token(
    wa: WhatsApp, hook: Hook, clock: Clock
) -> None:
    await wa.sandbox.customer_writes(RIMA, image={"caption": "look", "size": 3000}, wait=True)
    image = hook.deliveries[0].value["messages"][0]["image"]
    assert (image["mime_type"], image["caption"]) == ("image/jpeg", "look")
    good = {"Authorization": "Bearer token-1"}
    info_url = f"{wa.sandbox.base_url}/v25.0/{image['id']}"
    async with wa.http.get(info_url) as response:
        assert response.status == 401
    async with wa.http.get(info_url, headers=good) as response:
        info = await response.json()
    async with wa.http.get(info["url"]) as response:
        assert response.status == 401
    async with wa.http.get(info["url"], headers=good) as response:
        content = await response.read()
    assert content.startswith(b"\xff\xd8\xff")
    assert len(content) == info["file_size"] == 3000
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    assert digest == info["sha256"] == image["sha256"]
    clock.now += 300
    async with wa.http.get(info["url"], headers=good) as response:
        assert response.status == 404
    clock.now += 7 * 24 * HOUR
    async with wa.http.get(info_url, headers=good) as response:
        assert response.status == 400


async def test_an_upload_can_be_sent(wa: WhatsApp) -> None:
    await wa.hears()
    form = aiohttp.FormData({"messaging_product": "whatsapp", "type": "image/png"})
    form.add_field("file", b"\x89PNG", filename="a.png", content_type="image/png")
    url = f"{wa.sandbox.base_url}/v25.0/{PHONE_NUMBER_ID}/media"
    async with wa.http.post(url, data=form, headers={"Authorization": "Bearer token-1"}) as made:
        media_id = (await made.json())["id"]
    image = {"id": media_id, "caption": "menu"}
    body = {"messaging_product": "whatsapp", "to": RIMA, "type": "image", "image": image}
    assert (await wa.send(body)).status == 200
    shown = wa.sandbox.shown(RIMA)[-1]
    assert (shown.kind, shown.text, shown.media[0]["mime"]) == ("image", "menu", "image/png")
    async with wa.http.get(shown.media[0]["url"]) as response:
        assert await response.read() == b"\x89PNG"


@pytest.mark.parametrize(
    ("path", "expected"),
    [("picture", ["sent", "delivered", "read"]), ("page", ["failed"]), ("none", ["failed"])],
)
async def test_a_link_is_fetched_after_the_answer(
    wa: WhatsApp, hook: Hook, path: str, expected: list[str]
) -> None:
    await wa.sandbox.customer_writes(RIMA, image={"mime": "image/png"}, wait=True)
    picture = wa.sandbox.shown(RIMA)[0].media[0]["url"]
    links = {"picture": picture, "page": hook.url, "none": f"{wa.sandbox.base_url}/none"}
    image = {"link": links[path]}
    body = {"messaging_product": "whatsapp", "to": RIMA, "type": "image", "image": image}
    assert (await wa.send(body)).status == 200
    assert await hook.receipts(len(expected)) == expected
    if expected == ["failed"]:
        assert hook.deliveries[-1].value["statuses"][0]["errors"][0]["code"] == 131053


async def test_registered_templates_are_held_to_name_language_and_parameters(wa: WhatsApp) -> None:
    known = {"name": "due", "language": "bn", "body": "{{1}}, your order {{2}} is due."}
    account = wa.sandbox.account(None).model_dump()
    wa.sandbox.add_account({**account, "templates": [known]})

    async def code(name: str, language: str, *values: str) -> int | None:
        parameters = [{"type": "text", "text": value} for value in values]
        components = [{"type": "body", "parameters": parameters}]
        template = {"name": name, "language": {"code": language}, "components": components}
        answer = await wa.send(
            {"messaging_product": "whatsapp", "to": RIMA, "type": "template", "template": template}
        )
        return answer.code

    assert await code("due", "en", "Rima", "17") == 132001
    assert await code("due", "bn", "Rima") == 132000
    assert await code("due", "bn", "Rima", "17") is None
    assert wa.sandbox.shown(RIMA)[-1].text == "Rima, your order 17 is due."


async def test_reading_and_typing_mark_her_message_read(wa: WhatsApp) -> None:
    external_id = await wa.hears()
    typing = {"type": "text"}
    body = {"messaging_product": "whatsapp", "status": "read", "message_id": external_id}
    answer = await wa.send({**body, "typing_indicator": typing})
    assert answer.content == {"success": True}
    assert wa.sandbox.shown(RIMA)[0].status == "read"
    assert (await wa.send({**body, "message_id": "wamid.none"})).code == 131009


async def test_who_am_i_and_the_handshake(wa: WhatsApp) -> None:
    url = f"{wa.sandbox.base_url}/v25.0/{PHONE_NUMBER_ID}?fields=display_phone_number"
    async with wa.http.get(url, headers={"Authorization": "Bearer token-1"}) as response:
        facts = await response.json()
    assert facts == {"display_phone_number": "+1 555-0001", "id": PHONE_NUMBER_ID}
    assert await wa.sandbox.verify(PHONE_NUMBER_ID)
