"""Updates bent at random, and python-telegram-bot's own parser as a judge of the whole ones."""

import copy
import json
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from telegram import Message as TheirMessage
from telegram import MessageEntity, Update

from connectors._telegram_text import entities_of, formats_of
from connectors._telegram_updates import WANTED
from hub.connector import Hook, Http
from hub.errors import HookUnreadable
from hub.message import Inbound, Message, clean_text
from hub.signal import Edit, Parsed
from tests.connectors import test_telegram, test_telegram_events, test_telegram_places
from tests.connectors.kit import HOOK_URL, RECEIVED_AT, Receives
from tests.connectors.oddities import assert_well_formed, bent, places
from tests.connectors.telegram_bot import make

TABLES = (
    *test_telegram.TEXTS,
    *test_telegram.MEDIA,
    *test_telegram.OTHERS,
    *test_telegram_events.EDITS,
    *test_telegram_events.TAPS,
    *test_telegram_places.PLACES,
    *test_telegram_places.BUSINESSES,
)
STORED = [orjson.loads(case.hook.body) for case in TABLES if isinstance(case, Receives)]
BOT_UNDER_TEST = make(Http(None), "http://127.0.0.1:9")  # type: ignore[arg-type]  # parse makes no call
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
    | st.sampled_from(["private", "tap:1", "/start x", "stop", "²", "\0", "\ud83d", 2**52, -1]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "chat", "text", "type"]), inner, max_size=3)
    ),
    max_leaves=4,
)


@st.composite
def bent_updates(draw: st.DrawFn) -> Any:
    """One of the samples with up to three of its fields replaced by junk."""
    value = draw(st.sampled_from(STORED))
    for _ in range(draw(st.integers(1, 3))):
        if found := list(places(value)):
            value = bent(value, draw(st.sampled_from(found)), draw(JUNK))
    return value


def parse(body: bytes) -> list[Parsed]:
    return BOT_UNDER_TEST.parse(Hook("POST", HOOK_URL, "", {}, body, RECEIVED_AT))


@given(bent_updates())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_no_bent_update_raises_or_vanishes(value: Any) -> None:
    try:
        items = parse(json.dumps(value).encode())
    except HookUnreadable:
        assert not isinstance(value, dict) or not value
        return
    for item in items:
        assert_well_formed(item)
    said = value.get("message")
    if isinstance(said, dict) and isinstance(said.get("text"), str) and clean_text(said["text"]):
        assert items, "what she wrote is gone"


def their_message(update: Update) -> TheirMessage | None:
    found = update.effective_message
    return found if isinstance(found, TheirMessage) else None


def test_their_parser_reads_the_same() -> None:
    """Each update of the tables that python-telegram-bot takes: the same chat, number, text,
    file and time as ours."""
    compared = 0
    for update in STORED:
        try:
            theirs = Update.de_json(copy.deepcopy(update), None)
        except (TypeError, KeyError, ValueError):
            continue
        found = their_message(theirs)
        for ours in parse(orjson.dumps(update)):
            if found is None or not isinstance(ours, Inbound | Edit):
                continue
            message = ours.message
            if theirs.callback_query is not None:
                assert message.choice is None or message.choice.id in (
                    theirs.callback_query.data,
                    theirs.callback_query.game_short_name,
                )
                continue
            compared += 1
            assert ours.external_id.rpartition(":")[2] == str(found.message_id)
            chat = ours.external_id.rpartition(":")[0].partition("@")[0]
            assert chat == str(found.chat.id)
            when = found.edit_date if isinstance(ours, Edit) else found.date
            assert when is not None
            at = ours.at if isinstance(ours, Edit) else ours.sent_at
            assert at == round(when.timestamp()) * 1_000_000
            if message.kind != "unsupported" and not message.choice and found.dice is None:
                assert message.text == clean_text(found.text or found.caption or "")
            if message.media:
                assert message.media[0].provider_id == file_of(found)
            if message.place:
                assert found.location is not None
            if message.contacts:
                assert found.contact is not None
                assert found.contact.phone_number in message.contacts[0].phones[0]
    assert compared > 40


def file_of(found: TheirMessage) -> str:
    attachment: Any = found.effective_attachment
    if found.live_photo is not None:
        attachment = found.live_photo.photo
    if isinstance(attachment, tuple | list):
        attachment = max(attachment, key=lambda size: int(size.width))
    return str(attachment.file_id)


def test_every_update_wanted_is_one_they_know() -> None:
    known = set(map(str, Update.ALL_TYPES))
    assert set(WANTED) <= known


PIECES = st.text(st.sampled_from("a é🙈😀কোে\u0301র‍্\U0001f1e7\U0001f1e9ড়"), min_size=1, max_size=4)


@given(st.lists(PIECES, min_size=3, max_size=3), st.booleans())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_a_format_covers_what_their_parser_says_it_covers(
    pieces: list[str], composed: bool
) -> None:
    if composed:
        pieces = [clean_text(piece) for piece in pieces]
    before, covered, after = pieces
    text = before + covered + after
    units = [len(piece.encode("utf-16-le")) // 2 for piece in pieces]
    entity = {"type": "bold", "offset": units[0], "length": units[1]}
    theirs = MessageEntity("bold", units[0], units[1])
    assert theirs.offset == entity["offset"]
    [ours] = formats_of(text, [entity]) or [None]
    whole = clean_text(text)
    if ours is None:
        assert clean_text(before + covered) == clean_text(before)
        return
    assert 0 <= ours.start < ours.start + ours.length <= len(whole)
    if clean_text(before) + clean_text(covered) + clean_text(after) == whole:
        assert whole[ours.start : ours.start + ours.length] == clean_text(covered)
        assert entities_of(whole, (ours,)) == [
            {
                "type": "bold",
                "offset": len(clean_text(before).encode("utf-16-le")) // 2,
                "length": len(clean_text(covered).encode("utf-16-le")) // 2,
            }
        ]


def test_what_they_cannot_parse_is_read_all_the_same() -> None:
    """A field that they require and Telegram leaves out costs the message nothing."""
    update = {"message": {"message_id": 1, "chat": {"id": 5, "type": "private"}, "text": "hi"}}
    try:
        Update.de_json(update, None)
    except (KeyError, TypeError):
        pass
    else:
        raise AssertionError("they have become tolerant: is a reader of our own still needed?")
    [ours] = parse(orjson.dumps(update))
    assert isinstance(ours, Inbound)
    assert ours.message == Message.of("hi")
