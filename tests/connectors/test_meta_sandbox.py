"""Messenger's and Instagram's connectors with their stand-ins, each written from Meta's
documentation alone, together."""

from typing import Any

import pytest

from hub.connector import Expires, Http, Identifies, MarksRead, Types
from hub.errors import (
    Blocked,
    Busy,
    MediaFailed,
    Misconfigured,
    NoSuchRecipient,
    OutcomeUnknown,
    SendFailed,
    WindowClosed,
)
from hub.message import (
    Address,
    Button,
    Choice,
    Media,
    Message,
    Outbound,
    Place,
    Receipt,
    ReplyTo,
    Share,
)
from hub.signal import DeliveredToCustomer, Echo, Edit, Reaction, ReadByCustomer, Unsend
from tests.connectors.meta_shop import LINES, NADIA, RIMA, trading
from tests.connectors.meta_words import PAGE, make_page


@pytest.mark.parametrize("line", LINES)
async def test_the_hook_is_verified_and_the_account_known(line: str) -> None:
    async with trading(line) as shop:
        assert await shop.sandbox.verify(shop.key)
        assert isinstance(shop.connector, Identifies)
        known = await shop.connector.who_am_i()
        assert shop.key in known
        assert "subscribed" not in known
        assert isinstance(shop.connector, Expires)
        until = await shop.connector.expires_at()
        assert (until is not None) == (line == "instagram")
        shop.sandbox.add_account(
            {**shop.sandbox.account(None).model_dump(), "subscribed_fields": ()}
        )
        assert "not subscribed" in await shop.connector.who_am_i()


async def test_a_message_its_echo_and_its_receipts_on_messenger() -> None:
    async with trading("messenger", receipts=("sent", "delivered", "read")) as shop:
        heard = await shop.hear_message(text="ধন্যবাদ 😀 & ok")
        assert heard.message.text == "ধন্যবাদ 😀 & ok"
        mid = await shop.say(reply_to=heard.external_id)
        assert shop.sandbox.shown(RIMA)[-1].reply_to == heard.external_id
        echo, delivered, read = [await shop.next() for _ in range(3)]
    assert isinstance(echo, Echo)
    assert (echo.external_id, echo.sender, echo.correlation_id) == (mid, RIMA, "m-42")
    assert isinstance(delivered, Receipt)
    assert (delivered.external_id, delivered.status, delivered.recipient) == (
        mid,
        "delivered",
        RIMA,
    )
    assert isinstance(read, ReadByCustomer)
    assert (read.sender, read.external_id) == (RIMA, "")
    assert read.at >= echo.at


async def test_a_delivery_without_mids() -> None:
    async with trading("messenger", receipts=("delivered",), delivery_mids=False) as shop:
        await shop.hear(text="hi")
        await shop.say()
        told = await shop.next()
    assert isinstance(told, DeliveredToCustomer)


@pytest.mark.parametrize("line", ["instagram", "facebook"])
async def test_a_message_its_echo_and_its_receipt_on_instagram(line: str) -> None:
    async with trading(line, receipts=("sent", "read")) as shop:
        heard = await shop.hear_message(text="ধন্যবাদ 😀 & ok")
        assert heard.message.text == "ধন্যবাদ 😀 & ok"
        mid = await shop.say()
        echo, *read = [await shop.next() for _ in range(3)]
    assert isinstance(echo, Echo)
    assert (echo.external_id, echo.sender, echo.message.text) == (mid, RIMA, "আপনার অর্ডার আসছে")
    assert [getattr(item, "external_id", "") for item in read] == [mid, mid]
    assert any(isinstance(item, ReadByCustomer) for item in read)


async def test_what_the_owner_writes_in_the_inbox_is_no_send_of_ours() -> None:
    async with trading("messenger", receipts=("sent",)) as shop:
        await shop.hear(text="hi")
        item = shop.sandbox.business_writes(PAGE, RIMA, "মিনা বলছি")
        echo = await shop.next()
    assert isinstance(echo, Echo)
    assert (echo.external_id, echo.message.text) == (item.external_id, "মিনা বলছি")
    assert echo.correlation_id == ""


@pytest.mark.parametrize("line", LINES)
async def test_taps_on_buttons_and_on_quick_replies(line: str) -> None:
    async with trading(line) as shop:
        await shop.hear(text="hi")
        for count, kind in ((3, "button"), (13, "quick_reply")):
            buttons = tuple(Button(id=f"b{n}", title=f"বোতাম {n}") for n in range(count))
            mid = await shop.send(Message.of("কোনটা?", buttons=buttons))
            tap = {"id": "b2", "title": "বোতাম 2", "reply_to": mid}
            heard = await shop.hear_message(**{kind: tap})
            type = "postback" if kind == "button" else "quick_reply"
            expected = {"type": type, "id": "b2", "title": "বোতাম 2"}
            assert heard.message.choice == Choice.model_validate(expected)


@pytest.mark.parametrize("line", LINES)
async def test_her_picture_is_fetched_without_the_token(line: str) -> None:
    async with trading(line) as shop:
        heard = await shop.hear_message(image={})
        [media] = heard.message.media
        url, headers = await shop.connector.media_request(media)
        async with shop.connector.http.session.get(url, headers=headers) as response:
            assert (await response.read()).startswith(b"\xff\xd8")
        assert shop.sandbox.log()[-1].body == {"has_token": False}


COMMON: list[tuple[dict[str, Any], Message]] = [
    ({"postback": {"id": "menu", "title": "মেনু"}}, Message.of("মেনু", choice=Choice(
        type="postback", id="menu", title="মেনু"))),
    ({"share": {"url": "https://x.test/a", "title": "X"}}, Message.of(share=Share(
        url="https://x.test/a", title="X", type="fallback"))),
    ({"share": {}}, Message(kind="unsupported")),
    ({"unsupported": True}, Message(kind="unsupported")),
]  # fmt: skip
MESSENGERS: list[tuple[dict[str, Any], Message]] = [
    ({"like": True}, Message.of("👍")),
    ({"location": {"latitude": 23.7, "longitude": 90.4}}, Message.of(place=Place(
        latitude=23.7, longitude=90.4))),
    ({"get_started": True}, Message.of("Get Started", choice=Choice(
        type="postback", id="GET_STARTED", title="Get Started"))),
]  # fmt: skip
INSTAGRAMS: list[tuple[dict[str, Any], Message]] = [
    ({"like": True}, Message.of("❤️")),
    ({"sticker": {}}, Message(kind="unsupported")),
]
KINDS = [
    *[("messenger", *row) for row in COMMON + MESSENGERS],
    *[("instagram", *row) for row in COMMON + INSTAGRAMS],
]


@pytest.mark.parametrize(("line", "deed", "message"), KINDS)
async def test_the_kinds_come_in(line: str, deed: dict[str, Any], message: Message) -> None:
    async with trading(line) as shop:
        assert (await shop.hear_message(**deed)).message == message


@pytest.mark.parametrize(
    ("line", "deed", "kinds"),
    [
        ("messenger", {"album": [{}, {}]}, ["image", "image"]),
        ("messenger", {"video": {}}, ["video"]),
        ("messenger", {"document": {"filename": "চালান.pdf"}}, ["file"]),
        ("messenger", {"sticker": {}}, ["sticker"]),
        ("instagram", {"voice": {}}, ["audio"]),
        ("instagram", {"album": [{}, {}, {}]}, ["image"] * 3),
    ],
)
async def test_files_come_in(line: str, deed: dict[str, Any], kinds: list[str]) -> None:
    async with trading(line) as shop:
        media = (await shop.hear_message(**deed)).message.media
        assert [one.kind for one in media] == kinds
        assert [one.name for one in media if one.name] == [
            deed[name]["filename"] for name in deed if "filename" in deed[name]
        ]


async def test_a_sticker_that_comes_in_both_forms_is_one() -> None:
    async with trading("messenger", stickers="both") as shop:
        heard = await shop.hear_message(sticker={})
        assert [media.kind for media in heard.message.media] == ["sticker"]


async def test_stories() -> None:
    async with trading("instagram") as shop:
        reply = await shop.hear_message(story_reply={"text": "love it"})
        assert reply.message.text == "love it"
        assert reply.reply_to is not None
        assert "ig_messaging_cdn" in reply.reply_to.story_url
        mention = await shop.hear_message(story_mention=True)
        assert (mention.message.kind, mention.message.media) == ("story_mention", ())


@pytest.mark.parametrize("line", ["messenger", "instagram"])
async def test_what_she_does_to_messages(line: str) -> None:
    async with trading(line) as shop:
        own = (await shop.hear_message(text="helo")).external_id
        ours = await shop.say()
        heard = await shop.hear_message(text="that", reply_to=ours)
        assert heard.reply_to == ReplyTo(external_id=ours)
        [edit] = await shop.hear(edit={"message_id": own, "text": "hello"})
        assert isinstance(edit, Edit)
        assert (edit.external_id, edit.message.text) == (own, "hello")
        for emoji in ("❤️", ""):
            [reaction] = await shop.hear(reaction={"message_id": ours, "emoji": emoji})
            assert isinstance(reaction, Reaction)
            assert (reaction.external_id, reaction.emoji) == (ours, emoji)
        told = await shop.hear(unsend=own)
        assert [type(item) for item in told] == ([] if line == "messenger" else [Unsend])


async def test_a_link_brings_her_here() -> None:
    async with trading("messenger") as shop:
        first = await shop.hear_message(link={"ref": "poster"})
        again = await shop.hear_message(link={"ref": "poster"})
        assert first.message.choice is not None
        for heard in (first, again):
            assert heard.referral is not None
            assert (heard.referral.ref, heard.referral.source) == ("poster", "SHORTLINK")


async def test_what_stands_by_is_known_as_such() -> None:
    async with trading("messenger") as shop:
        heard = await shop.hear_message(postback={"id": "menu", "title": "Menu"}, standby=True)
        assert heard.message.standby
        assert heard.message.text == "Menu"


# Refusals.


@pytest.mark.parametrize("line", LINES)
async def test_who_can_be_written_to(line: str) -> None:
    async with trading(line) as shop:
        with pytest.raises(NoSuchRecipient):
            await shop.say()
        await shop.hear(text="hi")
        assert await shop.say()
        with pytest.raises(NoSuchRecipient):
            await shop.say(to=NADIA)
        shop.sandbox.set_phone(RIMA, fails_with=551)
        with pytest.raises(Blocked):
            await shop.say()
        shop.sandbox.set_phone(RIMA, fails_with=None)
        now = shop.sandbox.now
        shop.sandbox.now = lambda: now() + 24 * 3600
        with pytest.raises(WindowClosed):
            await shop.say()


async def test_instagrams_owner_may_keep_the_messages_to_herself() -> None:
    async with trading("instagram", messages_allowed=False) as shop:
        await shop.hear(text="hi")
        with pytest.raises(Misconfigured):
            await shop.say()


@pytest.mark.parametrize("line", LINES)
async def test_errors_are_known_by_their_codes(line: str) -> None:
    faults: list[tuple[dict[str, Any], type[SendFailed]]] = [
        ({"do": "status", "status": 200, "code": 4, "subcode": 2018022}, Busy),
        ({"do": "status", "status": 400, "code": 613}, Busy),
        ({"do": "status", "status": 500, "code": 1, "subcode": 1357046}, OutcomeUnknown),
        ({"do": "accept_reset"}, OutcomeUnknown),
        ({"do": "status", "status": 401}, Misconfigured),
        ({"do": "status", "status": 403, "code": 10}, Misconfigured),
    ]
    async with trading(line) as shop:
        await shop.hear(text="hi")
        for fault, error in faults:
            shop.sandbox.add_fault(**fault)
            with pytest.raises(error):
                await shop.say()
        assert await shop.say()


@pytest.mark.parametrize("line", ["messenger", "instagram"])
async def test_files_that_are_refused(line: str) -> None:
    async with trading(line) as shop:
        await shop.hear(text="hi")
        files: list[tuple[Any, str]] = [
            ("image", shop.put_file("image/png", 8_388_609)),
            ("image", f"{shop.sandbox.base_url}/none.png"),
            ("image", f"{shop.sandbox.base_url}/v25.0/me"),
        ]
        for kind, url in files:
            with pytest.raises(MediaFailed):
                await shop.send(Message.of(media=(Media(kind=kind, source_url=url),)))
        picture = shop.put_file("image/png", 3000)
        await shop.send(Message.of(media=(Media(kind="image", source_url=picture),)))
        assert shop.sandbox.shown(RIMA)[-1].media[0]["mime"] == "image/png"


@pytest.mark.parametrize("line", LINES)
async def test_typing_and_seen(line: str) -> None:
    async with trading(line) as shop:
        heard = await shop.hear_message(text="hi")
        out = Outbound(bytes(16), Address(shop.key, RIMA), Message(), "m-1", 1, heard.external_id)
        assert isinstance(shop.connector, Types)
        await shop.connector.show_typing(out)
        assert isinstance(shop.connector, MarksRead)
        await shop.connector.mark_read(out)
        actions = [call.body["sender_action"] for call in shop.sandbox.log()]
        assert actions == ["typing_on", "mark_seen"]
        assert shop.sandbox.shown(RIMA)[0].status == "read"


async def test_an_app_that_demands_proof_is_given_it() -> None:
    async with trading("messenger", needs_proof=True) as shop:
        await shop.hear(text="hi")
        with pytest.raises(SendFailed):
            await shop.say()
        session = shop.connector.http.session
        shop.connector = make_page(Http(session), shop.sandbox.base_url, proves=True)
        assert await shop.say()
        assert PAGE in await shop.connector.who_am_i()


async def test_instagrams_new_token_is_used() -> None:
    async with trading("instagram") as shop:
        await shop.hear(text="hi")
        now = shop.sandbox.now
        facts = shop.sandbox.account(None).model_dump()
        shop.sandbox.add_account({**facts, "token_expires_at": now() + 3600})
        until = await shop.connector.expires_at()
        assert until is not None
        assert until / 1e6 > now() + 59 * 86_400
        shop.sandbox.now = lambda: now() + 7200
        assert await shop.say()
