"""Contents at the Twilio stand-in: made, listed, approved, filled, and held to WhatsApp's limits.
Twilio's own client library is the judge of the resources."""

import asyncio
from typing import Any

import aiohttp
import orjson
import pytest
from yarl import URL

from connectors.sandbox.control import ControlError
from tests.sandbox.calls import ACCOUNT_SID, RIMA, Twilio
from tests.sandbox.hook import Clock, Hook
from tests.sandbox.twilio_shop import ASK, FULL, OTHER, SHOP, SIZES, Shop, shop

__all__ = ["shop"]


@pytest.fixture
def judge(shop: Shop) -> Any:
    """Twilio's client library, all of whose hosts are the stand-in; to be asked in a thread."""
    from twilio.http.http_client import TwilioHttpClient  # type: ignore[import-untyped]  # no types
    from twilio.rest import Client  # type: ignore[import-untyped]  # ships no types

    class Diverted(TwilioHttpClient):  # type: ignore[misc]  # the library ships no types
        def request(self, method: str, url: str, *args: Any, **how: Any) -> Any:
            here = shop.sandbox.base_url + URL(url).raw_path_qs
            return super().request(method, here, *args, **how)

    return Client(ACCOUNT_SID, "token-2", http_client=Diverted(pool_connections=False))


def content_request(**given: Any) -> Any:
    """A content with two buttons, as Twilio's library makes it."""
    from twilio.rest.content.v1.content import (  # type: ignore[import-untyped]  # ships no types
        ContentList,
    )

    actions = [
        ContentList.QuickReplyAction({"type": "QUICK_REPLY", "title": title, "id": title})
        for title in ("হ্যাঁ", "না")
    ]
    shape = ContentList.TwilioQuickReply({"body": "ঠিক আছে, {{1}}?", "actions": actions})
    types = ContentList.Types({"twilio/quick-reply": shape})
    return ContentList.ContentCreateRequest({**given, "types": types})


@pytest.mark.slow
async def test_twilios_library_makes_lists_and_deletes_contents(shop: Shop, judge: Any) -> None:
    from twilio.base.exceptions import (  # type: ignore[import-untyped]  # ships no types
        TwilioRestException,
    )
    from twilio.rest.content.v1.content.approval_create import (  # type: ignore[import-untyped]
        ApprovalCreateList,  # ships no types
    )

    contents = judge.content.v1.contents

    def use() -> None:
        given = {"friendly_name": "ask", "language": "bn", "variables": {"1": "আপা"}}
        made = [contents.create(content_request(**given)).sid for _ in range(3)]
        found = contents(made[0]).fetch()
        assert (found.friendly_name, found.language) == ("ask", "bn")
        assert (found.account_sid, found.variables) == (ACCOUNT_SID, {"1": "আপা"})
        shown = found.types["twilio/quick-reply"]["actions"]
        assert [one["title"] for one in shown] == ["হ্যাঁ", "না"]
        assert [one.sid for one in contents.list(page_size=2)] == made[::-1]
        asked = ApprovalCreateList.ContentApprovalRequest({"name": "a_1", "category": "UTILITY"})
        answer = contents(made[0]).approval_create.create(asked)
        assert (answer.status, answer.content_type) == ("received", "twilio/quick-reply")
        shop.sandbox.judge(made[0], "approved")
        approval = contents(made[0]).approval_fetch().fetch().whatsapp
        assert (approval["status"], approval["name"]) == ("approved", "a_1")
        listed = judge.content.v1.content_and_approvals.list(page_size=1)
        statuses = [one.approval_requests["status"] for one in listed]
        assert statuses == ["unsubmitted", "unsubmitted", "approved"]
        assert contents(made[0]).delete()
        with pytest.raises(TwilioRestException) as gone:
            contents(made[0]).fetch()
        assert (gone.value.status, gone.value.code) == (404, 20404)
        assert len(contents.list()) == 2

    await asyncio.to_thread(use)


@pytest.mark.slow
async def test_twilios_library_sends_contents_and_places_and_shows_typing(
    shop: Shop, judge: Any
) -> None:
    from twilio.rest.messaging.v3.typing_indicator import (  # type: ignore[import-untyped]
        TypingIndicatorList,  # ships no types
    )

    heard, sid = await shop.hears(), await shop.create(ASK)
    to = {"to": f"whatsapp:+{RIMA}", "from_": SHOP}
    wanted = {"channel": "WHATSAPP", "messageId": heard}
    request = TypingIndicatorList.TypingIndicatorRequest(wanted)

    def use() -> None:
        values = orjson.dumps(FULL).decode()
        sent = judge.messages.create(**to, content_sid=sid, content_variables=values)
        assert (sent.status, sent.body) == ("queued", "ঠিক আছে, আপা?")
        action = ["geo:23.78,-90.4|মিরপুর ১০"]
        place = judge.messages.create(**to, body="দোকান", persistent_action=action)
        assert judge.messages(place.sid).fetch().body == "দোকান"
        typing = judge.messaging.v2.typing_indicator
        assert typing.create(channel="whatsapp", message_id=heard).success
        assert judge.messaging.v3.typing_indicator.create(request).success

    await asyncio.to_thread(use)
    read, asked, place = shop.sandbox.shown(RIMA)
    assert (read.status, asked.buttons) == ("read", [{"id": "yes", "title": "হ্যাঁ"}])
    assert place.place == {"latitude": 23.78, "longitude": -90.4, "name": "মিরপুর ১০"}


async def test_a_list_of_contents_goes_on_behind_its_last_one(shop: Shop) -> None:
    sids = [await shop.create(ASK) for _ in range(3)]
    first = await shop.json("GET", "/v1/Content?PageSize=2")
    assert [one["sid"] for one in first.content["contents"]] == [sids[2], sids[1]]
    await shop.create(ASK)
    meta = first.content["meta"]
    rest = await shop.json("GET", meta["next_page_url"].removeprefix(shop.sandbox.base_url))
    assert [one["sid"] for one in rest.content["contents"]] == [sids[0]]
    assert rest.content["meta"]["next_page_url"] is None
    assert (await shop.json("GET", "/v1/Content?PageSize=x")).code == 20001
    assert (await shop.json("GET", "/v1/Content?PageToken=HX1")).code == 20001


BUTTONS = [{"title": f"b{n}", "id": f"b{n}"} for n in range(11)]
MANY = "".join(f"{{{{{n}}}}}" for n in range(101))
UNMADE: list[tuple[str, Any, int]] = [
    ("no types", {}, 92001),
    ("types that are none", [], 92001),
    ("an unknown type", {"twilio/button": {"body": "x"}}, 92008),
    ("a type that is no object", {"twilio/text": "x"}, 20001),
    ("no body", {"twilio/text": {"body": ""}}, 20001),
    ("no buttons", {"twilio/quick-reply": {"body": "x", "actions": []}}, 20001),
    ("eleven buttons", {"twilio/quick-reply": {"body": "x", "actions": BUTTONS}}, 20001),
    ("no title", {"twilio/quick-reply": {"body": "x", "actions": [{"id": "a"}]}}, 20001),
    ("no label", {"twilio/list-picker": {"body": "x", "items": [{"item": "a", "id": "a"}]}}, 20001),
    (
        "no id",
        {"twilio/list-picker": {"body": "x", "button": "b", "items": [{"item": "a"}]}},
        20001,
    ),
    ("no place", {"twilio/location": {"latitude": "23", "longitude": 90}}, 20001),
    ("101 variables", {"twilio/text": {"body": MANY}}, 92002),
]


async def test_what_is_no_content(shop: Shop) -> None:
    for name, types, code in UNMADE:
        answer = await shop.json("POST", "/v1/Content", {"language": "en", "types": types})
        assert (name, answer.status, answer.code) == (name, 400, code)
    nameless = await shop.json("POST", "/v1/Content", {"types": ASK})
    assert nameless.code == 92003
    assert (await shop.json("POST", "/v1/Content", [])).code == 20001
    assert shop.sandbox.contents == {}


async def test_contents_are_their_accounts_alone(shop: Shop) -> None:
    other = {"account_sid": "AC" + "9" * 32, "auth_token": "token-9", "number": "whatsapp:+15559"}
    shop.sandbox.add_account(other)
    sid = await shop.create(ASK)
    login = aiohttp.encode_basic_auth(other["account_sid"], "token-9")
    async with shop.http.get(
        f"{shop.sandbox.base_url}/v1/Content/{sid}", headers={"Authorization": login}
    ) as answer:
        assert answer.status == 404
    async with shop.http.get(f"{shop.sandbox.base_url}/v1/Content") as answer:
        assert answer.status == 401
    assert (await shop.json("DELETE", f"/v1/Content/{sid}")).status == 204
    assert (await shop.json("DELETE", f"/v1/Content/{sid}")).code == 20404
    asked = {"name": "ask", "category": "UTILITY"}
    path = f"/v1/Content/{await shop.create(SIZES)}/ApprovalRequests/whatsapp"
    assert (await shop.json("POST", path, asked)).code == 20001, "a list cannot be approved"
    path = f"/v1/Content/{await shop.create(ASK)}/ApprovalRequests/whatsapp"
    assert (await shop.json("POST", path, asked | {"name": "Ask!"})).code == 20001
    assert (await shop.json("POST", path, asked | {"category": "NEWS"})).code == 20001
    with pytest.raises(ControlError):
        shop.sandbox.judge(OTHER, "approved")
    sid = path.split("/")[3]
    for status, answered in (("rejected", 200), ("liked", 400)):
        judged = {"status": status, "reason": "TAG_CONTENT_MISMATCH"}
        given = await shop.json("POST", f"/_sandbox/contents/{sid}", judged)
        assert given.status == answered
    told = (await shop.json("GET", f"/v1/Content/{sid}/ApprovalRequests")).content["whatsapp"]
    assert (told["status"], told["rejection_reason"]) == ("rejected", "TAG_CONTENT_MISMATCH")


UNSENT: list[tuple[str, dict[str, str], int | None]] = [
    ("whole", {"ContentVariables": orjson.dumps(FULL).decode()}, None),
    ("an unknown sid", {"ContentSid": OTHER}, 21655),
    ("a sid of another form", {"ContentSid": "HX1"}, 21655),
    ("values of no content", {"ContentSid": "", "ContentVariables": "{}", "Body": "x"}, 21654),
    ("no values", {}, 21656),
    ("no JSON", {"ContentVariables": "{1: x}"}, 21656),
    ("no object", {"ContentVariables": "[]"}, 21656),
    *(
        (name, {"ContentVariables": orjson.dumps(FULL | {"1": value}).decode()}, code)
        for name, value, code in [
            ("a number", 1, 21656),
            ("null", None, 21656),
            ("an empty text", "", 21656),
            ("1,601 characters", "x" * 1601, 21656),
            ("a line end", "a\nb", 21656),
            ("a tab", "a\tb", 21656),
            ("four spaces", "a    b", None),
            ("five spaces", "a     b", 21656),
        ]
    ),
    ("a line end in a title", {"ContentVariables": '{"1": "a", "2": "b\\nc", "3": "d"}'}, None),
]


async def test_what_a_send_of_a_content_needs(shop: Shop) -> None:
    sid = await shop.create(ASK)
    for name, form, code in UNSENT:
        before = len(shop.sandbox.shown(RIMA))
        answer = await shop.tell(**({"ContentSid": sid} | form))
        assert (name, answer.content.get("code")) == (name, code)
        assert answer.status == (400 if code else 201)
        assert len(shop.sandbox.shown(RIMA)) - before == (code is None)


async def test_a_value_left_out_is_its_default(shop: Shop) -> None:
    await shop.hears()
    text = {"twilio/text": {"body": "{{1}} {{who}}", "x": 1}}
    sid = await shop.create(text, variables={"1": "Hi", "who": "there"})
    await shop.send_content(sid, {"who": "আপা"})
    assert (shop.shown.kind, shop.shown.text) == ("text", "Hi আপা")
    broken = await shop.create({"twilio/text": {"body": "{{}}"}})
    assert (await shop.send_content(broken)).code == 21656


def buttons(count: int, title: str = "b", id: str = "i", body: str = "x") -> Any:
    actions = [{"title": f"{title}{n}", "id": f"{id}{n}"} for n in range(count)]
    return {"twilio/quick-reply": {"body": body, "actions": actions}}


def rows(
    title: str = "a", id: str = "i", label: str = "Go", body: str = "x", more: str = ""
) -> Any:
    item = {"item": title, "id": id} | ({"description": more} if more else {})
    return {"twilio/list-picker": {"body": body, "button": label, "items": [item]}}


EDGES: list[tuple[str, Any, bool]] = [
    ("3 buttons", buttons(3), True),
    ("4 buttons", buttons(4), False),
    ("a title of 20", buttons(1, title="t" * 19), True),
    ("a title of 21", buttons(1, title="t" * 20), False),
    ("an id of 200", buttons(1, id="i" * 199), True),
    ("an id of 201", buttons(1, id="i" * 200), False),
    ("a body of 1,024", buttons(1, body="ক" * 1024), True),
    ("a body of 1,025", buttons(1, body="ক" * 1025), False),
    ("a row of 24", rows(title="t" * 24), True),
    ("a row of 25", rows(title="t" * 25), False),
    ("a row's id of 201", rows(id="i" * 201), False),
    ("a description of 72", rows(more="d" * 72), True),
    ("a description of 73", rows(more="d" * 73), False),
    ("a label of 20", rows(label="l" * 20), True),
    ("a label of 21", rows(label="l" * 21), False),
    ("a list's body of 1,025", rows(body="x" * 1025), False),
    ("a text of 1,600", {"twilio/text": {"body": "x" * 1600}}, True),
    ("a text of 1,601", {"twilio/text": {"body": "x" * 1601}}, False),
]


async def test_the_limits_of_a_session(shop: Shop, hook: Hook) -> None:
    await shop.hears()
    for name, types, fits in EDGES:
        error = await shop.outcome(hook, await shop.create(types))
        assert (name, error) == (name, None if fits else "63021")


async def test_the_same_button_twice_is_no_content_of_whatsapps(shop: Shop, hook: Hook) -> None:
    await shop.hears()
    twice = {"title": "a", "id": "a"}
    types = {"twilio/quick-reply": {"body": "x", "actions": [twice, twice]}}
    assert await shop.outcome(hook, await shop.create(types)) == "63021"


WINDOW: list[tuple[str, Any, str, str | None]] = [
    ("a plain content", buttons(1), "unsubmitted", "63016"),
    ("one that waits", buttons(1), "received", "63016"),
    ("a template", buttons(1), "approved", None),
    ("a template of 10 buttons", buttons(10, title="t" * 24), "approved", None),
    ("a template's title of 26", buttons(1, title="t" * 25), "approved", "63021"),
    ("a template of 1,025", {"twilio/text": {"body": "x" * 1025}}, "approved", "63021"),
    ("a rejected one", buttons(1), "rejected", "63040"),
    ("a paused one", buttons(1), "paused", "63041"),
    ("a disabled one", buttons(1), "disabled", "63042"),
    ("a list", rows(), "approved", "63016"),
]


async def test_what_goes_out_of_the_window(shop: Shop, hook: Hook, clock: Clock) -> None:
    await shop.hears()
    clock.now += 86_400
    for name, types, status, code in WINDOW:
        sid = await shop.create(types)
        if status != "unsubmitted":
            shop.sandbox.judge(sid, status)
        assert (name, await shop.outcome(hook, sid)) == (name, code)


async def test_links_cards_and_places_of_contents_are_shown(shop: Shop, hook: Hook) -> None:
    await shop.hears()
    card = {"twilio/card": {"title": "Sari", "subtitle": "Red", "media": ["https://x.example/a"]}}
    sid = await shop.create(card)
    assert await shop.outcome(hook, sid) == "63021", "a card has to be approved"
    shop.sandbox.judge(sid, "approved")
    await shop.send_content(sid)
    assert (shop.shown.text, shop.shown.media[0]["url"]) == ("Sari\nRed", "https://x.example/a")
    pay = {"type": "URL", "title": "Pay", "url": "https://shop.example/{{1}}"}
    call = {"twilio/call-to-action": {"body": "Pay", "actions": [pay]}}
    await shop.send_content(await shop.create(call), {"1": "17"})
    assert shop.shown.buttons == [{"id": "", "title": "Pay", "url": "https://shop.example/17"}]
    place = {"twilio/location": {"latitude": 23.78, "longitude": 90.4, "label": "দোকান"}}
    await shop.send_content(await shop.create(place))
    assert shop.shown.place == {"latitude": 23.78, "longitude": 90.4, "name": "দোকান"}


async def test_an_sms_is_the_content_that_it_can_show(sms: Twilio) -> None:
    shop = Shop(sms.sandbox, sms.http)
    form = {"To": f"+{RIMA}", "From": "+15550100"}
    both = await shop.create({**buttons(1), "twilio/text": {"body": "1. b"}})
    assert (await shop.send(form | {"ContentSid": both})).status == 201
    assert (shop.shown.text, shop.shown.buttons) == ("1. b", [])
    only = await shop.create(buttons(1))
    assert (await shop.send(form | {"ContentSid": only})).code == 216602
    assert (await shop.json("POST", "/v3/Indicators/Typing.json", {"channel": "sms"})).code == 20001
