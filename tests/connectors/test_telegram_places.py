"""Where updates come from: groups, topics, channels, business accounts, and who blocked the bot."""

from typing import Any

import orjson

from hub.connector import Hook, Http
from hub.message import Alias, Inbound, Message, Profile, Referral, ReplyTo
from hub.signal import (
    Block,
    Echo,
    Edit,
    NumberChange,
    OptOut,
    Parsed,
    Unsend,
)
from tests.connectors.kit import HOOK_URL, RECEIVED_AT, Case, connector_test
from tests.connectors.telegram_bot import (
    ALIAS,
    AT,
    BOT,
    CHAT,
    CIRCLE,
    DATE,
    GROUP,
    PROFILE,
    RAFI,
    USER,
    hears,
    in_group,
    inbound,
    item,
    make,
    sign,
    update,
)

KEY = f"{RAFI}:10"
LATER = AT + 60_000_000
BUSINESS = "c0nn-ect_ion"
OWNER = {"id": 55, "is_bot": False, "first_name": "Owner"}
HUB = {"id": int(BOT), "is_bot": True, "first_name": "Hub"}
ANONYMOUS = {
    "id": 1087968824,
    "is_bot": True,
    "first_name": "Group",
    "username": "GroupAnonymousBot",
}
NEWS = {"id": -100555, "type": "channel", "title": "News"}


def member(status: str, chat: dict[str, Any] = CHAT) -> dict[str, Any]:
    return {
        "chat": chat,
        "from": USER,
        "date": DATE,
        "old_chat_member": {"status": "member", "user": HUB},
        "new_chat_member": {"status": status, "user": HUB, "until_date": 0},
    }


def business(number: int = 10, **what: Any) -> dict[str, Any]:
    return item(number, business_connection_id=BUSINESS, **what)


AT_BUSINESS = f"{RAFI}@{BUSINESS}"
BIDS = [
    Inbound(
        BOT,
        AT_BUSINESS,
        f"{AT_BUSINESS}:10",
        f"{AT_BUSINESS}:10",
        Message.of("hi"),
        AT,
        aliases=(ALIAS,),
        profile=PROFILE,
    )
]

PLACES: list[Case] = [
    hears("blocked", Block(BOT, str(RAFI), AT), my_chat_member=member("kicked")),
    hears("unblocked", Block(BOT, str(RAFI), AT, on=False), my_chat_member=member("member")),
    hears(
        "taken out of a group", Block(BOT, str(GROUP), AT), my_chat_member=member("left", CIRCLE)
    ),
    hears(
        "made an admin",
        Block(BOT, str(GROUP), AT, on=False),
        my_chat_member=member("administrator", CIRCLE),
    ),
    hears("a role of tomorrow", [], my_chat_member=member("guest of honour")),
    hears("a group", in_group(Message.of("hi")), message=item(chat=CIRCLE, text="hi")),
    hears(
        "stop in a group", in_group(Message.of("/stop")), message=item(chat=CIRCLE, text="/stop")
    ),
    hears(
        "a topic",
        in_group(Message.of("hi"), group=f"{GROUP}#7"),
        message=item(
            chat=CIRCLE,
            text="hi",
            is_topic_message=True,
            message_thread_id=7,
            reply_to_message=item(7, forum_topic_created={"name": "T"}),
        ),
    ),
    hears(
        "an answer in a topic",
        in_group(Message.of("hi"), group=f"{GROUP}#7", reply_to=ReplyTo(external_id=f"{GROUP}:8")),
        message=item(
            chat=CIRCLE,
            text="hi",
            is_topic_message=True,
            message_thread_id=7,
            reply_to_message=item(8, text="x"),
        ),
    ),
    hears(
        "a thread of answers is no topic",
        in_group(Message.of("hi")),
        message=item(chat=CIRCLE, text="hi", message_thread_id=7),
    ),
    hears(
        "a private topic",
        inbound(Message.of("hi")),
        message=item(text="hi", is_topic_message=True, message_thread_id=7),
    ),
    hears(
        "an anonymous admin",
        Inbound(
            BOT,
            str(GROUP),
            f"{GROUP}:10",
            f"{GROUP}:10",
            Message.of("hi"),
            AT,
            profile=Profile(name="Shop friends"),
            group=str(GROUP),
        ),
        message=item(
            chat=CIRCLE, text="hi", sender_chat=CIRCLE, **dict[str, Any]({"from": ANONYMOUS})
        ),
    ),
    hears(
        "started by a link for groups, which is nobody's consent",
        in_group(
            Message.of("/start@hub_bot eid-26"),
            referral=Referral(ref="eid-26", source="telegram", type="start"),
        ),
        message=item(chat=CIRCLE, text="/start@hub_bot eid-26"),
    ),
    hears(
        "a channel's post",
        Inbound(
            BOT,
            "-100555",
            "-100555:4",
            "-100555:4",
            Message.of("news"),
            AT,
            profile=Profile(name="News"),
            group="-100555",
        ),
        channel_post={
            "message_id": 4,
            "date": DATE,
            "chat": NEWS,
            "sender_chat": NEWS,
            "text": "news",
        },
    ),
    hears(
        "a post of nobody",
        Inbound(
            BOT,
            "-100555",
            "-100555:4",
            "-100555:4",
            Message.of("news"),
            AT,
            profile=Profile(name="News"),
            group="-100555",
        ),
        channel_post={"message_id": 4, "date": DATE, "chat": NEWS, "text": "news"},
    ),
    hears(
        "a group that moves away",
        NumberChange(BOT, "-99", AT, str(GROUP)),
        message=item(chat={"id": -99, "type": "group"}, migrate_to_chat_id=GROUP),
    ),
    hears(
        "a group that came",
        NumberChange(BOT, "-99", AT, str(GROUP)),
        message=item(chat=CIRCLE, migrate_from_chat_id=-99),
    ),
    hears("a new member", [], message=item(chat=CIRCLE, new_chat_members=[USER])),
]

BUSINESSES: list[Case] = [
    hears("to a business account", BIDS, business_message=business(text="hi")),
    hears(
        "by its owner",
        Echo(BOT, AT_BUSINESS, AT, f"{AT_BUSINESS}:11", Message.of("sure")),
        business_message=business(11, text="sure", **dict[str, Any]({"from": OWNER})),
    ),
    hears(
        "by this hub",
        [],
        business_message=business(
            11, text="sure", sender_business_bot=HUB, **dict[str, Any]({"from": OWNER})
        ),
    ),
    hears(
        "edited there",
        Edit(BOT, AT_BUSINESS, LATER, f"{AT_BUSINESS}:10", Message.of("hello")),
        edited_business_message=business(text="hello", edit_date=DATE + 60),
    ),
    hears(
        "deleted there",
        [Unsend(BOT, AT_BUSINESS, RECEIVED_AT, f"{AT_BUSINESS}:{n}") for n in (10, 11)],
        deleted_business_messages={
            "business_connection_id": BUSINESS,
            "chat": CHAT,
            "message_ids": [10, 11],
        },
    ),
    hears(
        "stop there",
        [
            Inbound(
                BOT,
                AT_BUSINESS,
                f"{AT_BUSINESS}:10",
                f"{AT_BUSINESS}:10",
                Message.of("stop"),
                AT,
                aliases=(ALIAS,),
                profile=PROFILE,
            ),
            OptOut(BOT, AT_BUSINESS, AT),
        ],
        business_message=business(text="stop"),
    ),
    hears(
        "connected",
        [],
        business_connection={
            "id": BUSINESS,
            "user": OWNER,
            "user_chat_id": 55,
            "date": DATE,
            "is_enabled": True,
        },
    ),
]

test_places = connector_test(make, [*PLACES, *BUSINESSES], sign=sign, signs_body=False)


def read(**what: Any) -> list[Parsed]:
    hook = Hook("POST", HOOK_URL, "", {}, orjson.dumps(update(**what)), RECEIVED_AT)
    return make(Http(None), "http://127.0.0.1:9").parse(hook)  # type: ignore[arg-type]  # makes no call


def test_the_same_number_in_two_chats_is_two_messages() -> None:
    [one] = read(message=item(text="hi"))
    [other] = read(message=item(text="hi", chat=CIRCLE))
    [third] = read(business_message=business(text="hi"))
    keys = {found.dedupe_key for found in (one, other, third) if isinstance(found, Inbound)}
    assert len(keys) == 3


def test_a_person_is_the_same_for_every_bot_and_business_account() -> None:
    [one] = read(message=item(text="hi"))
    [other] = read(business_message=business(text="hi"))
    assert isinstance(one, Inbound)
    assert isinstance(other, Inbound)
    assert one.aliases == other.aliases == (Alias("external", f"telegram:{RAFI}"),)
    assert one.sender != other.sender
