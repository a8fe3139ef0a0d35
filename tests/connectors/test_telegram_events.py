"""Updates that are more than a message: edits, taps, reactions, blocks, groups, business chats."""

from typing import Any

import pytest

from hub.connector import Hook, Http
from hub.errors import HookUnreadable
from hub.message import Choice, Inbound, Message, Profile, ReplyTo
from hub.signal import (
    Edit,
    Reaction,
    Unreadable,
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


def tap(**what: Any) -> dict[str, Any]:
    return {"id": "4382bfd", "from": USER, "chat_instance": "-77"} | what


def tapped(choice: Choice, **more: Any) -> Inbound:
    given: dict[str, Any] = {
        "reply_to": ReplyTo(external_id=f"{RAFI}:9"),
        "aliases": (ALIAS,),
        "profile": PROFILE,
    } | more
    key, said = "tap:4382bfd", Message.of(choice.title, choice=choice)
    return Inbound(BOT, str(RAFI), key, key, said, RECEIVED_AT, **given)


def pressed(id: str, title: str = "") -> Choice:
    return Choice(type="button", id=id, title=title)


def keyboard(*buttons: tuple[str, str]) -> dict[str, Any]:
    rows = [[{"text": text, "callback_data": data}] for text, data in buttons]
    return {"inline_keyboard": [*rows, [{"text": "Open", "url": "https://a.example/"}]]}


def reaction(*given: dict[str, Any], **more: Any) -> dict[str, Any]:
    base = {"chat": CHAT, "message_id": 10, "user": USER, "date": DATE, "old_reaction": []}
    return base | {"new_reaction": list(given)} | more


def reacted(emoji: str, sender: int = RAFI) -> Reaction:
    return Reaction(BOT, str(sender), AT, f"{sender}:10", emoji)


EDITS: list[Case] = [
    hears(
        "an edit",
        Edit(BOT, str(RAFI), LATER, KEY, Message.of("hello")),
        edited_message=item(text="hello", edit_date=DATE + 60),
    ),
    hears(
        "a moved live location",
        Edit(BOT, str(RAFI), LATER, KEY, Message.of(place={"latitude": 1.5, "longitude": 2.0})),  # type: ignore[arg-type]  # pydantic reads it
        edited_message=item(location={"latitude": 1.5, "longitude": 2.0}, edit_date=DATE + 60),
    ),
    hears(
        "an edited post",
        Edit(BOT, "-100555", LATER, "-100555:4", Message.of("new")),
        edited_channel_post={
            "message_id": 4,
            "date": DATE,
            "chat": NEWS,
            "text": "new",
            "edit_date": DATE + 60,
        },
    ),
    hears("a reaction", reacted("❤"), message_reaction=reaction({"type": "emoji", "emoji": "❤"})),
    hears(
        "several reactions",
        reacted("👍 custom emoji ⭐"),
        message_reaction=reaction(
            {"type": "emoji", "emoji": "👍"},
            {"type": "custom_emoji", "custom_emoji_id": "5"},
            {"type": "paid"},
        ),
    ),
    hears("a reaction taken back", reacted(""), message_reaction=reaction()),
    hears(
        "a group's reaction",
        reacted("👍", GROUP),
        message_reaction=reaction({"type": "emoji", "emoji": "👍"}, chat=CIRCLE, actor_chat=CIRCLE),
    ),
    hears(
        "counted reactions",
        [],
        message_reaction_count={"chat": NEWS, "message_id": 4, "date": DATE, "reactions": []},
    ),
]

TAPS: list[Case] = [
    hears(
        "a tap",
        tapped(pressed("opt:2", "দুই")),
        callback_query=tap(
            data="opt:2",
            message=item(9, text="Pick", reply_markup=keyboard(("One", "opt:1"), ("দুই", "opt:2"))),
        ),
    ),
    hears(
        "a tap on what is too old to see",
        tapped(pressed("opt:2")),
        callback_query=tap(data="opt:2", message={"chat": CHAT, "message_id": 9, "date": 0}),
    ),
    hears(
        "a tap from an inline query",
        tapped(pressed("opt:2"), reply_to=None),
        callback_query=tap(data="opt:2", inline_message_id="AAA"),
    ),
    hears(
        "a tapped game",
        tapped(Choice(type="postback", id="tetris")),
        callback_query=tap(game_short_name="tetris", message=item(9, game={"title": "T"})),
    ),
    hears(
        "a tap in a group",
        Inbound(
            BOT,
            str(RAFI),
            "tap:4382bfd",
            "tap:4382bfd",
            Message.of(choice=pressed("y")),
            RECEIVED_AT,
            reply_to=ReplyTo(external_id=f"{GROUP}:9"),
            profile=Profile(name="Shop friends"),
            group=str(GROUP),
        ),
        callback_query=tap(data="y", message=item(9, chat=CIRCLE, text="Pick")),
    ),
    hears(
        "a tap that says nothing",
        Inbound(
            BOT,
            str(RAFI),
            "tap:4382bfd",
            "tap:4382bfd",
            Message(kind="unsupported"),
            RECEIVED_AT,
            aliases=(ALIAS,),
            profile=PROFILE,
            raw=tap(),
        ),
        callback_query=tap(),
    ),
    hears(
        "a tap of nobody",
        Unreadable(
            BOT, "callback_query without an id and who tapped", update(callback_query={"id": "1"})
        ),
        callback_query={"id": "1"},
    ),
]

test_events = connector_test(make, [*EDITS, *TAPS], sign=sign, signs_body=False)


def test_an_empty_update_is_kept_as_unreadable() -> None:
    hook = Hook("POST", HOOK_URL, "", {}, b"{}", RECEIVED_AT)
    with pytest.raises(HookUnreadable):
        make(Http(None), "http://127.0.0.1:9").parse(hook)  # type: ignore[arg-type]  # makes no call
