"""The Instagram stand-in over HTTP, by both logins, where it differs from Messenger's."""

import hashlib
import hmac
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from pydantic import ValidationError

from connectors.sandbox.control import ControlError
from tests.sandbox.hook import START
from tests.sandbox.meta_calls import IG, NADIA, RIMA, Meta, code_of, event_of, serving

DAY = 86_400.0
PAGE = "104800000000001"


@pytest_asyncio.fixture
async def ig() -> AsyncIterator[Meta]:
    async with serving("instagram") as meta:
        yield meta


async def say(ig: Meta, words: str = "hi", **more: Any) -> Any:
    """A text without messaging_type."""
    return await ig.say(words, messaging_type=None, **more)


async def test_a_send_is_shown_echoed_and_seen(ig: Meta) -> None:
    await ig.writes()
    answer = await ig.send({"text": "ধন্যবাদ", "metadata": "m-42"}, messaging_type=None)
    assert (answer.status, answer.content["recipient_id"]) == (200, RIMA)
    mid = answer.content["message_id"]
    assert len(mid) > 100
    echo, seen = (event_of(each) for each in (await ig.hook.wait(3))[1:])
    assert (echo["sender"], echo["recipient"]) == ({"id": IG}, {"id": RIMA})
    assert echo["message"] == {"mid": mid, "is_echo": True, "text": "ধন্যবাদ"}
    assert (seen["sender"], seen["read"]) == ({"id": RIMA}, {"mid": mid})
    assert ig.sandbox.shown(RIMA)[-1].status == "read"
    with pytest.raises(ValidationError):
        ig.change(receipts=("sent", "delivered"))


async def test_webhooks_are_signed_and_of_instagram(ig: Meta) -> None:
    await ig.writes("আমার অর্ডার 😀")
    (delivery,) = ig.hook.deliveries
    expected = hmac.new(b"secret-3", delivery.body, hashlib.sha256).hexdigest()
    assert delivery.headers["X-Hub-Signature-256"] == f"sha256={expected}"
    assert delivery.body.isascii()
    assert delivery.json["object"] == "instagram"
    assert delivery.json["entry"][0]["id"] == IG
    assert await ig.sandbox.verify(IG)


async def test_the_text_is_counted_in_bytes(ig: Meta) -> None:
    await ig.writes()
    assert (await say(ig, "ক" * 333)).status == 200
    assert code_of(await say(ig, "ক" * 334)) == (100, None)
    assert code_of(await say(ig, "x" * 1001)) == (100, None)


async def test_the_window_is_a_day_and_seven_for_human_agents(ig: Meta) -> None:
    await ig.writes()
    ig.clock.now += DAY - 1
    assert (await say(ig)).status == 200
    ig.clock.now += 1
    assert code_of(await say(ig)) == (10, 2534022)
    assert (await say(ig, tag="HUMAN_AGENT")).status == 200
    tagged = {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}
    assert (await ig.say(**tagged)).status == 200
    assert code_of(await ig.say(**{**tagged, "tag": "ACCOUNT_UPDATE"})) == (100, None)
    ig.clock.now += 6 * DAY
    assert code_of(await ig.say(**tagged)) == (10, 2534022)


async def test_who_can_be_written_to(ig: Meta) -> None:
    assert code_of(await say(ig)) == (100, 2534014)
    await ig.writes()
    assert code_of(await say(ig, to=NADIA)) == (100, 2534014)
    ig.sandbox.set_phone(RIMA, fails_with=551)
    assert code_of(await say(ig)) == (551, 1545041)
    ig.sandbox.set_phone(RIMA, fails_with=None)
    ig.change(messages_allowed=False)
    answer = await say(ig)
    assert (answer.status, code_of(answer)) == (403, (200, 2534041))


async def test_rates(ig: Meta) -> None:
    ig.change(throughput=2, receipts=())
    await ig.writes()
    assert [code_of(await say(ig)) for _ in range(3)] == [None, None, (613, 2534040)]


@pytest.mark.parametrize(("login", "own"), [("instagram", IG), ("facebook", PAGE)])
async def test_the_paths_of_both_logins(ig: Meta, login: str, own: str) -> None:
    ig.change(login=login, receipts=())
    await ig.writes()
    body = {"recipient": {"id": RIMA}, "message": {"text": "x"}}
    for path in ("me/messages", f"{own}/messages"):
        assert (await ig.post(body, path)).status == 200
    other = {IG: PAGE, PAGE: IG}[own]
    assert code_of(await ig.post(body, f"{other}/messages")) == (100, 33)
    assert code_of(await ig.post(body, token="token-4")) == (190, None)
    (app,) = (await ig.get(f"v25.0/{own}/subscribed_apps")).content["data"]
    assert "messages" in app["subscribed_fields"]


async def test_who_am_i(ig: Meta) -> None:
    me = (await ig.get("v25.0/me", fields="user_id,username")).content
    assert (me["user_id"], me["username"]) == (IG, "sandbox.shop")
    assert me["id"] not in (IG, PAGE)
    ig.change(login="facebook")
    page = (await ig.get(f"v25.0/{PAGE}", fields="instagram_business_account")).content
    assert page == {"instagram_business_account": {"id": IG}, "id": PAGE}
    assert code_of(await ig.get("v25.0/me", fields="user_id")) == (100, None)


async def test_a_token_is_refreshed_before_it_ends(ig: Meta) -> None:
    ig.change(token_expires_at=START + DAY)
    grant = {"grant_type": "ig_refresh_token"}
    fresh = (await ig.get("refresh_access_token", **grant)).content
    assert (fresh["token_type"], fresh["expires_in"]) == ("bearer", 60 * 86_400)
    await ig.writes()
    ig.clock.now += DAY
    body = {"recipient": {"id": RIMA}, "message": {"text": "x"}}
    assert code_of(await ig.post(body)) == (190, 463)
    assert code_of(await ig.get("refresh_access_token", **grant)) == (190, 463)
    await ig.writes()
    assert (await ig.post(body, token=fresh["access_token"])).status == 200
    assert code_of(await ig.get("refresh_access_token", fresh["access_token"])) == (100, None)
    ig.change(login="facebook", token_expires_at=None)
    assert code_of(await ig.get("refresh_access_token", **grant)) == (100, None)
    ig.change(login="instagram", access_token="token-5")
    assert code_of(await ig.post(body, token=fresh["access_token"])) == (190, None)


async def test_her_profile(ig: Meta) -> None:
    ig.sandbox.set_phone(RIMA, username="rima.b")
    await ig.writes()
    told = (await ig.get(f"v25.0/{RIMA}", fields="name,username,profile_pic")).content
    assert told["username"] == "rima.b"
    assert "name" not in told
    ig.sandbox.set_phone(RIMA, fails_with=551)
    assert code_of(await ig.get(f"v25.0/{RIMA}", fields="name")) == (230, None)


async def test_a_heart_and_a_post_can_be_sent(ig: Meta) -> None:
    await ig.writes()
    for attachment in ({"type": "like_heart"}, {"type": "MEDIA_SHARE", "payload": {"id": "1"}}):
        assert (await ig.send({"attachment": attachment}, messaging_type=None)).status == 200
    assert [item.kind for item in ig.sandbox.shown(RIMA)] == ["text", "like", "share"]


# What people do.


def told_of(event: dict[str, Any]) -> dict[str, Any]:
    told = {key: event[key] for key in event if key not in ("sender", "recipient", "timestamp")}
    for content in told.values():
        content.pop("mid", None)
    return told


@pytest.mark.parametrize(
    ("deed", "told"),
    [
        ({"text": "সালাম"}, {"message": {"text": "সালাম"}}),
        ({"like": True}, {"message": {"attachments": [{"type": "like_heart"}]}}),
        ({"sticker": {}}, {"message": {"is_unsupported": True}}),
        ({"unsupported": True}, {"message": {"is_unsupported": True}}),
        ({"location": {"latitude": 1, "longitude": 2}}, {"message": {"is_unsupported": True}}),
        (
            {"share": {"type": "ig_reel", "url": "/reel/123/", "title": "R"}},
            {"message": {"attachments": [
                {"type": "ig_reel", "payload": {"url": "/reel/123/", "title": "R"}}
            ]}},
        ),
        (
            {"postback": {"id": "ice", "title": "Hours?"}},
            {"postback": {"title": "Hours?", "payload": "ice"}},
        ),
        (
            {"text": "hi", "referral": {"source": "ADS", "ad_id": "6012"}},
            {"message": {"text": "hi", "referral": {"source": "ADS", "ad_id": "6012"}}},
        ),
        (
            {"reaction": {"message_id": "x", "emoji": "😂"}},
            {"reaction": {"action": "react", "reaction": "haha", "emoji": "😂"}},
        ),
        ({"reaction": {"message_id": "x"}}, {"reaction": {"action": "unreact"}}),
        ({"raw": {"message": {"is_self": True}}}, {"message": {"is_self": True}}),
    ],
)  # fmt: skip
async def test_what_she_does_is_told(ig: Meta, deed: dict[str, Any], told: dict[str, Any]) -> None:
    event = await ig.does(**deed)
    assert (event["sender"], event["recipient"]) == ({"id": RIMA}, {"id": IG})
    assert told_of(event) == told


async def test_stories(ig: Meta) -> None:
    event = await ig.does(story_reply={"text": "love it"})
    story = event["message"]["reply_to"]["story"]
    assert (event["message"]["text"], story["id"]) == ("love it", "18000000000000001")
    assert ig.sandbox.shown(RIMA)[0].text == "love it"
    event = await ig.does(story_mention=True)
    (attachment,) = event["message"]["attachments"]
    assert attachment["type"] == "story_mention"
    for seconds, status in ((0, 200), (DAY - 1, 200), (1, 403)):
        ig.clock.now += seconds
        async with ig.http.get(attachment["payload"]["url"]) as response:
            assert response.status == status
        async with ig.http.get(story["url"]) as response:
            assert response.status == status


async def test_a_tapped_link_is_a_referral_in_an_existing_thread(ig: Meta) -> None:
    with pytest.raises(ControlError):
        await ig.does(link={"ref": "poster"})
    await ig.writes()
    event = await ig.does(link={"ref": "poster"})
    assert event["referral"] == {"ref": "poster", "source": "SHORTLINK", "type": "OPEN_THREAD"}


async def test_an_unsend_is_told(ig: Meta) -> None:
    mid = (await ig.does(image={}))["message"]["mid"]
    event = await ig.does(unsend=mid)
    assert event["message"] == {"mid": mid, "is_deleted": True}
    assert [(item.kind, item.media) for item in ig.sandbox.shown(RIMA)] == [("unsent", [])]


async def test_an_unsend_may_come_before_the_message(ig: Meta) -> None:
    ig.sandbox.add_fault("late_webhook", seconds=0.05)
    written = await ig.sandbox.customer_writes(RIMA, text="oops")
    await ig.does(unsend=written.external_id)
    messages = [event_of(each)["message"] for each in await ig.hook.wait(2)]
    assert [message.get("is_deleted") for message in messages] == [True, None]
    assert {message["mid"] for message in messages} == {written.external_id}


@pytest.mark.parametrize(("login", "posts"), [("instagram", 2), ("facebook", 1)])
async def test_an_edit_is_told_to_instagram_login_alone(ig: Meta, login: str, posts: int) -> None:
    ig.change(login=login)
    mid = await ig.writes("helo")
    await ig.sandbox.customer_writes(RIMA, edit={"message_id": mid, "text": "hello"}, wait=True)
    assert len(ig.hook.deliveries) == posts
    assert [item.text for item in ig.sandbox.shown(RIMA)] == ["hello"]
    if posts == 2:
        edited = {"mid": mid, "text": "hello", "num_edit": 1}
        assert event_of(ig.hook.deliveries[1])["message_edit"] == edited


async def test_seen_names_the_newest_message(ig: Meta) -> None:
    ig.change(receipts=())
    await ig.writes()
    await say(ig, "one")
    mid = (await say(ig, "two")).content["message_id"]
    assert (await ig.does(read=True))["read"] == {"mid": mid}
    assert [item.status for item in ig.sandbox.shown(RIMA)] == ["received", "read", "read"]


async def test_the_owner_answers_in_the_app(ig: Meta) -> None:
    ig.change(receipts=("sent",))
    await ig.writes()
    item = ig.sandbox.business_writes(IG, RIMA, "মিনা বলছি")
    event = event_of((await ig.hook.wait(2))[1])
    assert event["message"] == {"mid": item.external_id, "is_echo": True, "text": "মিনা বলছি"}
    assert event["sender"] == {"id": IG}


async def test_taps(ig: Meta) -> None:
    await ig.writes()
    chip = {"content_type": "text", "title": "হ্যাঁ", "payload": "yes"}
    first = await ig.send({"text": "কোনটা?", "quick_replies": [chip]}, messaging_type=None)
    tap = {"id": "yes", "title": "হ্যাঁ", "reply_to": first.content["message_id"]}
    event = await ig.does(quick_reply=tap)
    assert told_of(event) == {"message": {"text": "হ্যাঁ", "quick_reply": {"payload": "yes"}}}
    with pytest.raises(ControlError):
        await ig.does(quick_reply=tap)
