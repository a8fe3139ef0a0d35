"""The Messenger stand-in over HTTP: who may call, the window, rates, echoes, files, look-ups."""

import hashlib
import hmac
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio

from connectors.sandbox import meta_wire
from connectors.sandbox.media import Media
from tests.sandbox.hook import START
from tests.sandbox.meta_calls import NADIA, PAGE, RIMA, Meta, code_of, event_of, serving

HOUR = 3600.0
MILLISECONDS = int(START * 1000)
TAGGED = {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}


@pytest_asyncio.fixture
async def fb() -> AsyncIterator[Meta]:
    async with serving("messenger") as meta:
        yield meta


async def test_a_send_is_shown_echoed_delivered_and_read(fb: Meta) -> None:
    await fb.writes()
    answer = await fb.send({"text": "ধন্যবাদ", "metadata": "m-42"})
    assert (answer.status, answer.content["recipient_id"]) == (200, RIMA)
    mid = answer.content["message_id"]
    assert mid.startswith("m_")
    echo, delivery, read = (event_of(each) for each in (await fb.hook.wait(4))[1:])
    assert (echo["sender"], echo["recipient"]) == ({"id": PAGE}, {"id": RIMA})
    assert echo["message"] == {
        "mid": mid,
        "is_echo": True,
        "app_id": 310000000000001,
        "metadata": "m-42",
        "text": "ধন্যবাদ",
    }
    assert delivery["delivery"] == {"mids": [mid], "watermark": MILLISECONDS}
    assert read["read"] == {"watermark": MILLISECONDS}
    assert (read["sender"], read["recipient"]) == ({"id": RIMA}, {"id": PAGE})
    shown = fb.sandbox.shown(RIMA)[-1]
    assert (shown.direction, shown.text, shown.status) == ("out", "ধন্যবাদ", "read")
    (call,) = fb.sandbox.log()
    assert (call.status, call.to, call.correlation, call.external_id) == (200, RIMA, "m-42", mid)


async def test_webhooks_are_signed_over_escaped_bytes(fb: Meta) -> None:
    await fb.writes("আমার অর্ডার 😀 a/b")
    (delivery,) = fb.hook.deliveries
    expected = hmac.new(b"secret-3", delivery.body, hashlib.sha256).hexdigest()
    assert delivery.headers["X-Hub-Signature-256"] == f"sha256={expected}"
    assert delivery.headers["X-Hub-Signature"].startswith("sha1=")
    assert delivery.body.isascii()
    assert b"\\u0986" in delivery.body
    assert b"\\ud83d\\ude00 a\\/b" in delivery.body
    assert delivery.json["object"] == "page"
    assert delivery.json["entry"][0]["id"] == PAGE
    assert event_of(delivery)["message"]["text"] == "আমার অর্ডার 😀 a/b"


def test_the_signature_of_a_known_body() -> None:
    body = (
        rb'{"object":"page","entry":[{"id":"1","time":1795176000000,"messaging":[{"sender":'
        rb'{"id":"2"},"recipient":{"id":"1"},"timestamp":1795176000000,"message":{"mid":"m_1",'
        rb'"text":"\u09b9\u09cd\u09af\u09be\u09b2\u09cb \ud83d\ude00"}}]}]}'
    )
    right = "ff84399a7405138889243f60539e0f38b7b4c5cab375cc92d76fd90e0605b8d1"
    headers = meta_wire.sign("demo-app-secret-1", body)
    assert headers["X-Hub-Signature-256"] == f"sha256={right}"
    entries = orjson.loads(body)["entry"]
    assert meta_wire.envelope("page", entries) == body


async def test_who_may_send(fb: Meta) -> None:
    await fb.writes()
    body = {
        "recipient": {"id": RIMA},
        "messaging_type": "RESPONSE",
        "message": {"text": "x"},
    }
    for token in ("", "token-1", "token-33"):
        assert code_of(await fb.post(body, token=token)) == (190, None)
    in_query = f"{PAGE}/messages?access_token=token-3"
    assert (await fb.post(body, in_query, token="")).status == 200
    assert (await fb.post({**body, "access_token": "token-3"}, token="")).status == 200
    assert code_of(await fb.post(body, "1048000009/messages")) == (100, 33)
    fb.change(token_expires_at=START)
    assert code_of(await fb.post(body)) == (190, 463)
    fb.change(token_expires_at=None, needs_proof=True)
    assert code_of(await fb.post(body)) == (100, None)
    proof = hmac.new(b"secret-3", b"token-3", hashlib.sha256).hexdigest()
    assert (await fb.post(body, f"me/messages?appsecret_proof={proof}")).status == 200


async def test_the_window_is_a_day_and_seven_for_human_agents(fb: Meta) -> None:
    await fb.writes()
    fb.clock.now += 24 * HOUR - 1
    assert (await fb.say()).status == 200
    fb.clock.now += 1
    closed = await fb.say()
    assert (closed.status, code_of(closed)) == (403, (10, 2018278))
    assert code_of(await fb.say(messaging_type="UPDATE")) == (10, 2018278)
    assert code_of(await fb.act("typing_on")) == (10, 2018278)
    assert (await fb.say(**TAGGED)).status == 200
    old = await fb.say(messaging_type="MESSAGE_TAG", tag="ACCOUNT_UPDATE")
    assert (old.status, code_of(old)) == (400, (100, None))
    fb.clock.now += 6 * 24 * HOUR
    assert code_of(await fb.say(**TAGGED)) == (10, 2018278)
    fb.change(human_agent=False)
    await fb.writes()
    assert code_of(await fb.say(**TAGGED)) == (10, None)
    assert code_of(await fb.say(messaging_type=None)) == (100, None)


@pytest.mark.parametrize(
    ("deed", "opens"),
    [
        ({"postback": {"id": "menu", "title": "Menu"}}, True),
        ({"link": {"ref": "poster"}}, True),
        ({"reaction": {"message_id": "m_1", "emoji": "❤"}}, True),
        ({"read": True}, False),
        ({"edit": {"text": "hello!"}}, False),
    ],
)
async def test_what_opens_the_window(fb: Meta, deed: dict[str, Any], opens: bool) -> None:
    mid = await fb.writes()
    await fb.say()
    fb.clock.now += 24 * HOUR
    if "edit" in deed:
        deed = {"edit": {**deed["edit"], "message_id": mid}}
    await fb.does(**deed)
    assert (await fb.say()).status == (200 if opens else 403)


async def test_who_can_be_written_to(fb: Meta) -> None:
    assert code_of(await fb.say()) == (100, 2018001)
    await fb.writes()
    assert code_of(await fb.say(to=NADIA)) == (100, 2018001)
    assert code_of(await fb.say(to="")) == (100, None)
    assert code_of(await fb.post({"message": {"text": "x"}})) == (100, None)
    for code, subcode in ((551, 1545041), (200, 1545041), (2, None)):
        fb.sandbox.set_phone(RIMA, fails_with=code)
        assert code_of(await fb.say()) == (code, subcode)
    fb.sandbox.set_phone(RIMA, fails_with=None)
    assert (await fb.say()).status == 200


async def test_rates_are_by_page_and_lower_for_audio_and_video(fb: Meta) -> None:
    fb.change(throughput=5, media_throughput=2, receipts=())
    await fb.writes()
    answers = [await fb.say() for _ in range(6)]
    assert [code_of(answer) for answer in answers] == [None] * 5 + [(613, None)]
    usage = orjson.loads(answers[-1].headers["X-Business-Use-Case-Usage"])
    ((first, *_),) = usage.values()
    assert first["estimated_time_to_regain_access"] == 0
    audio = {"attachment": {"type": "audio", "payload": {"url": "https://x.test/a.mp3"}}}
    assert [code_of(await fb.send(audio)) for _ in range(3)] == [None, None, (613, None)]
    fb.clock.now += 1
    assert (await fb.say()).status == 200


async def test_an_error_may_come_in_an_answer_of_200(fb: Meta) -> None:
    await fb.writes()
    fb.sandbox.add_fault("status", status=200, code=4, subcode=2018022, retry_after=90)
    answer = await fb.say()
    assert (answer.status, code_of(answer)) == (200, (4, 2018022))
    assert '"estimated_time_to_regain_access": 2' in answer.headers["X-Business-Use-Case-Usage"]
    assert len(fb.sandbox.shown(RIMA)) == 1
    assert (await fb.say()).status == 200


async def test_faults_of_typing_and_look_ups_leave_sends_alone(fb: Meta) -> None:
    await fb.writes()
    fb.sandbox.add_fault("status", on="action", status=500)
    fb.sandbox.add_fault("status", on="look_up", status=500)
    assert (await fb.say()).status == 200
    assert code_of(await fb.act("typing_on")) == (2, None)
    assert code_of(await fb.get("v25.0/me")) == (2, None)
    assert (await fb.get("v25.0/me")).status == 200


async def test_the_echo_may_come_before_the_answer(fb: Meta) -> None:
    await fb.writes()
    fb.sandbox.add_fault("receipt_first")
    await fb.say()
    assert [each.receipt for each in fb.sandbox.webhooks()[1:]] == ["sent", "delivered", "read"]
    fb.sandbox.add_fault("accept_reset")
    with pytest.raises(aiohttp.ClientError):
        await fb.send({"text": "lost", "metadata": "m-7"})
    echo = event_of((await fb.hook.wait(5))[4])
    assert echo["message"]["metadata"] == "m-7"


async def test_actions_are_requests_of_their_own(fb: Meta) -> None:
    mid = await fb.writes()
    for action in ("typing_on", "typing_off"):
        answer = await fb.act(action)
        assert answer.content == {"recipient_id": RIMA}
    await fb.act("mark_seen")
    assert fb.sandbox.shown(RIMA)[0].status == "read"
    await fb.act("react", payload={"message_id": mid, "reaction": "love"})
    assert fb.sandbox.shown(RIMA)[0].reaction == {"message_id": mid, "emoji": "love"}
    assert code_of(await fb.act("dance")) == (100, None)
    assert code_of(await fb.act("react")) == (100, None)
    assert code_of(await fb.act("typing_on", message={"text": "x"})) == (100, None)
    assert len(fb.sandbox.shown(RIMA)) == 1


async def test_a_quote_is_of_a_message_of_the_thread(fb: Meta) -> None:
    mid = await fb.writes()
    assert (await fb.send({"text": "yes", "reply_to": {"mid": mid}})).status == 200
    assert (await fb.say("yes", reply_to={"mid": mid})).status == 200
    assert [item.reply_to for item in fb.sandbox.shown(RIMA)] == [None, mid, mid]
    assert code_of(await fb.send({"text": "x", "reply_to": {"mid": "m_0"}})) == (100, None)
    assert code_of(await fb.say("x", reply_to="m_0")) == (100, None)


# Files.


async def send_file(fb: Meta, kind: str, url: str) -> Any:
    return await fb.send({"attachment": {"type": kind, "payload": {"url": url}}})


async def test_a_link_is_fetched_before_the_answer(fb: Meta) -> None:
    await fb.writes()

    def served(mime: str, size: int) -> str:
        media = Media(f"{mime[-3:]}{size}", PAGE, "x", mime, bytes(size), float("inf"))
        fb.sandbox.media[media.id] = media
        return str(fb.sandbox.media_url(media))

    assert (await send_file(fb, "image", served("image/png", 8 * 2**20))).status == 200
    shown = fb.sandbox.shown(RIMA)[-1]
    assert (shown.kind, shown.media[0]["mime"]) == ("image", "image/png")
    async with fb.http.get(shown.media[0]["url"]) as response:
        assert len(await response.read()) == 8 * 2**20
    too_wide = await send_file(fb, "image", served("image/png", 8 * 2**20 + 1))
    assert code_of(too_wide) == (36000, None)
    too_long = await send_file(fb, "file", served("application/pdf", 25 * 2**20 + 1))
    assert code_of(too_long) == (100, 2018109)
    missing = await send_file(fb, "image", f"{fb.sandbox.base_url}/none.png")
    assert code_of(missing) == (100, 2018007)
    page = await send_file(fb, "image", served("text/html", 10))
    assert code_of(page) == (100, 2018047)
    assert len(fb.sandbox.shown(RIMA)) == 2


async def test_a_file_can_be_uploaded_and_used_again(fb: Meta) -> None:
    await fb.writes()
    message = '{"attachment":{"type":"image","payload":{"is_reusable":true}}}'

    def form(size: int, **more: str) -> aiohttp.FormData:
        data = aiohttp.FormData({"message": message, **more})
        data.add_field("filedata", BytesIO(bytes(size)), filename="a.png", content_type="image/png")
        return data

    path = "me/message_attachments"
    uploaded = await fb.post(None, path, data=form(10))
    reuse = {"type": "image", "payload": {"attachment_id": uploaded.content["attachment_id"]}}
    assert (await fb.send({"attachment": reuse})).status == 200
    assert fb.sandbox.shown(RIMA)[-1].media[0]["name"] == "a.png"
    assert code_of(await fb.send({"attachment": {**reuse, "type": "video"}})) == (100, None)
    assert code_of(await fb.post(None, path, data=form(8 * 2**20 + 1))) == (36000, None)
    recipient = f'{{"id":"{RIMA}"}}'
    at_once = form(10, recipient=recipient, messaging_type="RESPONSE")
    answer = await fb.post(None, data=at_once)
    assert answer.status == 200
    assert answer.content["attachment_id"]


async def test_her_picture_is_behind_an_address_that_ends(fb: Meta) -> None:
    event = await fb.does(image={"size": 3000})
    (attachment,) = event["message"]["attachments"]
    assert attachment["type"] == "image"
    url = attachment["payload"]["url"]
    async with fb.http.get(url) as response:
        content = await response.read()
    assert (len(content), content[:3]) == (3000, b"\xff\xd8\xff")
    assert fb.sandbox.log()[-1].body == {"has_token": False}
    fb.clock.now += 48 * HOUR
    async with fb.http.get(url) as response:
        assert response.status == 403


# What the API tells.


async def test_who_am_i(fb: Meta) -> None:
    for id in ("me", PAGE):
        answer = await fb.get(f"v25.0/{id}", fields="name")
        assert answer.content == {"name": "Sandbox shop", "id": PAGE}
    assert code_of(await fb.get("v25.0/me", fields="name,nonsense")) == (100, None)
    assert code_of(await fb.get("v25.0/1048000009")) == (100, 33)
    assert code_of(await fb.get("v25.0/me", token="x")) == (190, None)
    assert await fb.sandbox.verify(PAGE)


async def test_the_token_is_told_to_its_app(fb: Meta) -> None:
    app = "310000000000001|secret-3"
    answer = await fb.get("v25.0/debug_token", token="", input_token="token-3", access_token=app)
    data = answer.content["data"]
    assert (data["is_valid"], data["expires_at"], data["profile_id"]) == (True, 0, PAGE)
    assert "pages_messaging" in data["scopes"]
    fb.change(token_expires_at=START)
    answer = await fb.get("debug_token", token=app, input_token="token-3")
    assert (answer.content["data"]["is_valid"], answer.content["data"]["expires_at"]) == (
        False,
        int(START),
    )
    answer = await fb.get("debug_token", token=app, input_token="token-4")
    assert answer.content["data"]["error"]["code"] == 190
    assert code_of(await fb.get("debug_token", token="x", input_token="token-3")) == (100, None)


async def test_only_subscribed_fields_are_posted(fb: Meta) -> None:
    path = f"{PAGE}/subscribed_apps"
    (app,) = (await fb.get(f"v25.0/{path}")).content["data"]
    assert "messages" in app["subscribed_fields"]
    assert code_of(await fb.post(None, f"{path}?subscribed_fields=nonsense")) == (100, None)
    await fb.post(None, f"{path}?subscribed_fields=messages,message_reads")
    await fb.writes()
    await fb.say()
    await fb.sandbox.deliveries.drained()
    assert [list(event_of(each))[-1] for each in fb.hook.deliveries] == ["message", "read"]
    assert (await fb.get(f"v25.0/{path}")).content["data"][0]["subscribed_fields"] == [
        "messages",
        "message_reads",
    ]


async def test_her_profile(fb: Meta) -> None:
    fields = "first_name,last_name,profile_pic"
    assert code_of(await fb.get(f"v25.0/{RIMA}", fields=fields)) == (100, 33)
    fb.sandbox.set_phone(RIMA, name="রিমা আক্তার খান")
    await fb.writes()
    told = (await fb.get(f"v25.0/{RIMA}", fields=fields)).content
    assert (told["first_name"], told["last_name"], told["id"]) == ("রিমা", "আক্তার খান", RIMA)
    async with fb.http.get(told["profile_pic"]) as response:
        assert (await response.read()).startswith(b"\x89PNG")
    fb.sandbox.set_phone(RIMA, fails_with=551)
    assert code_of(await fb.get(f"v25.0/{RIMA}", fields=fields)) == (100, 2018218)
    fb.change(profiles=False)
    assert code_of(await fb.get(f"v25.0/{RIMA}", fields=fields)) == (100, 33)
