"""Whatever is said, on whatever channel: every part can be sent, and nothing is lost."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.email import Email
from connectors.instagram import Instagram
from connectors.messenger import Messenger
from connectors.sms_gateway import SmsGateway
from connectors.telegram import Telegram
from connectors.twilio import ON_WHATSAPP, SMS
from connectors.webchat import WebChat
from connectors.whatsapp import WhatsApp
from hub.compose import clip, compose, mime_of
from hub.connector import Limits
from hub.errors import MediaFailed
from hub.message import Button, ContactCard, Format, Media, MediaKind, Message, Place, clean_text
from hub.split import MEASURES
from tests.hub.test_split import SIGNS, SPACES, squeezed

OFFICE = Place(latitude=23.8103, longitude=90.4125, name="Office", address="Gulshan 1, Dhaka")
RIMA = ContactCard(name="Rima", phones=("+8801700000001", "+8801700000002"))
KARIM = ContactCard(name="Karim", emails=("k@example.com",))
MENU = tuple(Button(id=f"b{at}", title=f"Choice {at}") for at in (1, 2, 3))

WORDS = st.lists(st.one_of(SIGNS, SIGNS, SPACES), max_size=60).map("".join) | st.text(max_size=80)
BUTTONS = st.builds(
    Button,
    id=st.text(alphabet="abcঅ ", max_size=8),
    title=st.text(max_size=6) | st.text(min_size=15, max_size=40),
    url=st.sampled_from([None, None, None, "https://a.example/x"]),
    description=st.just("") | st.text(max_size=30),
)
KINDS: tuple[MediaKind, ...] = ("image", "video", "audio", "file")
MEDIA = st.builds(
    Media,
    kind=st.sampled_from(KINDS),
    name=st.sampled_from(["", "a.pdf", "ছবি.jpg"]),
    size=st.none() | st.integers(0, 100),
    source_url=st.just("https://f.example/1"),
)
MESSAGES = st.builds(
    Message.of,
    WORDS,
    media=st.lists(MEDIA, max_size=4).map(tuple),
    buttons=st.lists(BUTTONS, max_size=6).map(tuple),
    place=st.none() | st.just(OFFICE),
    contacts=st.lists(st.sampled_from([RIMA, KARIM]), max_size=2).map(tuple),
    subject=st.just("") | st.just("Subject"),
)
LIMITS = st.builds(
    Limits,
    text=st.integers(30, 400),
    text_unit=st.sampled_from(["chars", "bytes", "utf16"]),
    caption=st.integers(0, 200),
    buttons=st.integers(0, 5),
    button_title=st.integers(1, 25),
    button_id=st.integers(1, 20),
    button_body=st.integers(30, 200),
    list_rows=st.integers(0, 6),
    list_title=st.integers(1, 30),
    list_description=st.integers(0, 80),
    list_body=st.integers(30, 400),
    url_buttons=st.integers(0, 3),
    mixed_buttons=st.booleans(),
    quick_replies=st.integers(0, 6),
    buttons_hide=st.booleans(),
    subjects=st.booleans(),
    media=st.dictionaries(st.sampled_from(KINDS), st.integers(100, 200)),
    media_count=st.integers(1, 3),
    captions=st.frozensets(st.sampled_from(KINDS)),
    places=st.booleans(),
    contacts=st.booleans(),
)


def sendable(part: Message, limits: Limits) -> bool:
    """Would a provider with these limits take this as one call?"""
    measure = MEASURES[limits.text_unit]
    titled = MEASURES["utf16" if limits.text_unit == "utf16" else "chars"]
    if (part.place, part.contacts) != (None, ()):
        able = limits.places if part.place else limits.contacts and len(part.contacts) == 1
        return able and not (part.text or part.media or part.buttons)
    if part.media:
        fits = len(part.media) <= limits.media_count and not part.buttons
        for item in part.media:
            fits &= (item.size or 0) <= limits.media.get(item.kind, -1)
            types = limits.media_types.get(item.kind)
            fits &= not types or mime_of(item) in types | {""}
            fits &= not part.text or item.kind in limits.captions
        return fits and (not part.text or measure(part.text) <= limits.caption)
    if not part.buttons:
        return bool(part.text.strip()) and measure(part.text) <= limits.text
    replies = [button for button in part.buttons if not button.url]
    links = len(part.buttons) - len(replies)
    alike = len({b.title.casefold() for b in replies}) < len(replies)
    if alike or len({b.id for b in replies}) < len(replies) or links > limits.url_buttons:
        return False
    if any(not b.id.strip() or len(b.id.encode()) > limits.button_id for b in replies):
        return False
    small = all(titled(b.title) <= limits.button_title for b in part.buttons)
    if small and not any(b.description for b in part.buttons):
        native = len(part.buttons) <= (limits.buttons if replies else limits.url_buttons)
        short = bool(part.text.strip()) and measure(part.text) <= limits.button_body
        if native and short and (limits.mixed_buttons or not (replies and links)):
            return True
        if not links and len(replies) <= limits.quick_replies:
            return bool(part.text.strip()) and measure(part.text) <= limits.text
    rows = not links and len(replies) <= limits.list_rows and measure(part.text) <= limits.list_body
    return (
        rows
        and bool(part.text.strip())
        and all(titled(b.title) <= limits.list_title for b in replies)
        and all(titled(b.description) <= limits.list_description for b in replies)
    )


@settings(max_examples=200, deadline=None)
@given(MESSAGES, LIMITS, st.sampled_from(["en", "bn"]))
def test_every_part_is_sendable_and_nothing_is_lost(
    message: Message, limits: Limits, language: str
) -> None:
    check_parts(message, limits, language)


def check_parts(message: Message, limits: Limits, language: str) -> None:
    """Compose, and look whether each part can be sent and all of it says the whole."""
    try:
        parts = compose(message, limits, language=language)
    except MediaFailed:
        small = [item for item in message.media if (item.size or 0) < 400_000]
        assert len(small) < len(message.media), "only one too large is refused"
        return
    except ValueError:
        assert message.place is None
        assert message.media + message.buttons + message.contacts == ()
        assert (message.text + message.subject).strip() == ""
        return

    assert all(sendable(part, limits) for part in parts), [
        p for p in parts if not sendable(p, limits)
    ]
    assert not any(part.buttons for part in parts[:-1])
    told = squeezed("".join(part.text for part in parts))
    assert squeezed(message.text) in told
    is_list = limits.list_rows > 0
    shown = {button.id for part in parts for button in part.buttons}
    labels = {squeezed(button.title) for part in parts for button in part.buttons}
    for button in message.buttons:
        title = squeezed(clean_text(button.title)) or squeezed(button.id)
        assert title in told or (button.id in shown and (is_list or title in labels))
        assert not button.url or button.id in shown or button.url in told
    carried = [item for part in parts for item in part.media]
    assert len(carried) + told.count("https://f.example/1") == len(message.media)
    if message.place:
        assert any(part.place for part in parts) or "maps.google.com/?q=23.8103,90.4125" in told
    for card in message.contacts:
        assert any(card in part.contacts for part in parts) or card.name in told


@settings(max_examples=200, deadline=None)
@given(WORDS, st.integers(20, 200))
def test_plain_text_is_not_doubled(text: str, limit: int) -> None:
    message = Message.of(text, buttons=MENU)

    parts = compose(message, Limits(text=limit))

    told = squeezed("".join(part.text for part in parts))
    menu = "1.Choice12.Choice23.Choice3"
    assert told == squeezed(message.text) + menu
    assert re.fullmatch(
        r"(?s).*1\. Choice 1\s+2\. Choice 2\s+3\. Choice 3", "\n".join(part.text for part in parts)
    )


CONNECTORS = {
    "whatsapp": WhatsApp.limits,
    "messenger": Messenger.limits,
    "instagram": Instagram.limits,
    "telegram": Telegram.limits,
    "twilio": SMS,
    "twilio on whatsapp": ON_WHATSAPP,
    "sms gateway": SmsGateway.limits,
    "webchat": WebChat.limits,
    "email": Email.limits,
}
TYPES = {
    "image": ["image/png", "image/webp", "image/heic", ""],
    "video": ["video/mp4", "video/x-matroska"],
    "audio": ["audio/mpeg", "audio/ogg; codecs=opus", "audio/aac"],
    "voice": ["audio/ogg", "audio/amr"],
    "file": ["application/pdf", "application/zip", ""],
    "sticker": ["image/webp"],
}
FILES = st.sampled_from(sorted(TYPES)).flatmap(
    lambda kind: st.builds(
        Media,
        kind=st.just(kind),
        mime=st.sampled_from(TYPES[kind]),
        size=st.none() | st.sampled_from([1000, 400_000]),
        source_url=st.just("https://f.example/1"),
    )
)
LONG = st.builds(lambda text, times: text * times, WORDS, st.integers(1, 120))
ANYTHING = st.builds(
    Message.of,
    LONG,
    media=st.lists(FILES, max_size=3).map(tuple),
    buttons=st.lists(BUTTONS, max_size=30).map(tuple),
    place=st.none() | st.just(OFFICE),
    contacts=st.lists(st.sampled_from([RIMA, KARIM]), max_size=2).map(tuple),
    subject=st.just("") | st.just("Subject"),
)


@settings(max_examples=60, deadline=None)
@given(ANYTHING, st.sampled_from(sorted(CONNECTORS)), st.sampled_from(["en", "bn"]))
def test_it_holds_for_each_connector(message: Message, name: str, language: str) -> None:
    check_parts(message, CONNECTORS[name], language)


@settings(max_examples=100, deadline=None)
@given(WORDS, st.lists(st.tuples(st.integers(0, 80), st.integers(1, 80)), max_size=4), LIMITS)
def test_formats_stay_with_their_words(
    text: str, places: list[tuple[int, int]], limits: Limits
) -> None:
    message = Message.of(text, subject="On it", buttons=MENU)
    length = len(message.text)
    formats = tuple(
        Format(type="bold", start=start, length=min(count, length - start))
        for start, count in places
        if start < length
    )
    bold = "".join(
        squeezed(message.text[at : at + 1])
        for at in range(length)
        if any(one.start <= at < one.start + one.length for one in formats)
    )
    parts = compose(message.model_copy(update={"formats": formats}), limits)
    shown = "".join(
        squeezed(part.text[at : at + 1])
        for part in parts
        for at in range(len(part.text))
        if any(one.start <= at < one.start + one.length for one in part.formats)
    )
    assert shown == bold
    assert all(one.start + one.length <= len(part.text) for part in parts for one in part.formats)


def test_a_format_is_cut_where_its_part_is() -> None:
    link = Format(type="link", start=3, length=10, url="https://a.example")
    assert clip((link,), 0, 5) == (link.model_copy(update={"length": 2}),)
    assert clip((link,), 5, 20) == (link.model_copy(update={"start": 0, "length": 8}),)
    assert clip((link,), 13, 20) == ()
