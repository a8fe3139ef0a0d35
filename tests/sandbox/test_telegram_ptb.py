"""python-telegram-bot as a judge: of what the stand-in answers and tells, and of what the
connector sends."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from telegram import (
    Bot,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaPhoto,
    MessageEntity,
    ReplyParameters,
    Update,
)
from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, RetryAfter

from connectors.sandbox import telegram
from connectors.telegram import Telegram
from hub.connector import ChannelRef, Http
from hub.message import (
    Address,
    Button,
    ContactCard,
    Format,
    Media,
    Message,
    Outbound,
    Place,
)
from tests.sandbox.hook import Clock

pytestmark = pytest.mark.slow  # each of its bots takes a tenth of a second to make

TOKEN = "7000000001:AAinvented_token"
RAFI = 701234567
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
PICTURE = "https://shop.example/a.png"


@pytest_asyncio.fixture
async def box(clock: Clock) -> AsyncIterator[telegram.Sandbox]:
    sandbox = telegram.Sandbox(now=clock)
    await sandbox.start()
    sandbox.add_account({"token": TOKEN, "allowed_updates": Update.ALL_TYPES})
    await sandbox.customer_writes(str(RAFI), start="promo")
    yield sandbox
    await sandbox.stop()


@pytest_asyncio.fixture
async def bot(box: telegram.Sandbox) -> AsyncIterator[Bot]:
    root = f"{box.base_url}/bot"
    async with Bot(TOKEN, root, f"{box.base_url}/file/bot") as bot:
        yield bot


async def test_it_sends_fetches_and_answers(box: telegram.Sandbox, bot: Bot) -> None:
    assert (await bot.get_me()).username == "sandbox_shop_bot"
    keys = InlineKeyboardMarkup([[InlineKeyboardButton("হ্যাঁ", callback_data="yes")]])
    asked = await bot.send_message(RAFI, "Pick", reply_markup=keys)
    photo = await bot.send_photo(RAFI, PNG, caption="ছবি")
    assert photo.caption == "ছবি"
    tap = {"id": "yes", "title": "হ্যাঁ", "reply_to": f"{RAFI}:{asked.message_id}"}
    await box.customer_writes(str(RAFI), button=tap)
    await box.customer_writes(str(RAFI), document={"size": 3000})
    started, tapped, filed = await bot.get_updates(timeout=0)
    assert started.message is not None
    assert tapped.callback_query is not None
    assert await bot.answer_callback_query(tapped.callback_query.id, "ok")
    assert filed.message is not None
    assert filed.message.document is not None
    file = await bot.get_file(filed.message.document.file_id)
    assert len(await file.download_as_bytearray()) == 3000
    assert await bot.get_updates(filed.update_id + 1, timeout=0) == ()


# It says so of its own `retry_after`, which nobody here reads.
@pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")
async def test_refusals_are_its_own_errors(box: telegram.Sandbox, bot: Bot) -> None:
    with pytest.raises(BadRequest, match="Chat not found"):
        await bot.send_message(999, "x")
    box.add_fault("status", status=429, retry_after=3)
    with pytest.raises(RetryAfter):
        await bot.send_message(RAFI, "x")
    await box.customer_writes(str(RAFI), block=True)
    with pytest.raises(Forbidden):
        await bot.send_message(RAFI, "x")
    await bot.set_webhook("https://hub.example/hooks/tg", secret_token="s")
    with pytest.raises(Conflict):
        await bot.get_updates()
    box.accounts.clear()
    with pytest.raises(InvalidToken):
        await bot.get_me()


POINT = {"latitude": 23.78, "longitude": 90.27}
CARD = {"name": "রিমা", "phones": ["+8801711000077"]}
BOLD = {"type": "bold", "offset": 0, "length": 2}
DEEDS: list[tuple[str, dict[str, Any]]] = [
    ("start", {"start": "promo_eid-26"}),
    ("text", {"text": "😀 hi", "entities": [BOLD]}),
    ("image", {"image": {"caption": "ছবি"}}),
    ("video", {"video": {}}),
    ("animation", {"animation": {}}),
    ("audio", {"audio": {"filename": "a.mp3"}}),
    ("voice", {"voice": {}}),
    ("document", {"document": {"filename": "a.pdf"}}),
    ("sticker", {"sticker": {}}),
    ("location", {"location": POINT}),
    ("venue", {"location": POINT | {"name": "দোকান", "address": "মিরপুর"}}),
    ("contact", {"contacts": [CARD]}),
    ("own contact", {"own_contact": CARD}),
    ("album", {"album": [{"caption": "দুই"}, {}]}),
    ("topic", {"text": "hi", "group": -1001, "topic": 5}),
    ("block", {"block": True}),
    ("unblock", {"block": False}),
]


async def test_it_reads_every_update(box: telegram.Sandbox, bot: Bot) -> None:
    asked = await bot.send_message(RAFI, "x")
    key = f"{RAFI}:{asked.message_id}"
    hers = (await box.customer_writes(str(RAFI), text="old")).external_id
    deeds = [
        *DEEDS,
        ("reply", {"text": "to it", "reply_to": key}),
        ("edit", {"edit": {"message_id": hers, "text": "new"}}),
        ("reaction", {"reaction": {"message_id": key, "emoji": "👍"}}),
    ]
    for _, deed in deeds:
        await box.customer_writes(str(RAFI), **deed)
    told = [dict(one) for one in box.waiting_of(str(bot.id)).updates]
    assert len(told) == len(deeds) + 3  # the start, the old text, and the album's second
    for one in told:
        read = Update.de_json(one, bot)
        kind = next(name for name in one if name != "update_id")
        assert getattr(read, kind) is not None, kind
        assert not read.api_kwargs, "an update of a kind it does not know"
        assert not getattr(getattr(read, kind), "api_kwargs", None), kind
        content = read.message
        if content is not None:
            assert content.effective_attachment or content.text, kind
            assert content.date.timestamp() == one["message"]["date"]


Ask = Callable[[Bot], Awaitable[Any]]
ENTITY = MessageEntity("bold", 0, 5)
QUOTED = ReplyParameters(1, allow_sending_without_reply=True)
KEYS = InlineKeyboardMarkup(
    [
        [
            InlineKeyboardButton("Yes", callback_data="y"),
            InlineKeyboardButton("No", callback_data="n"),
        ]
    ]
)
SAME: list[tuple[str, Message, str, Ask]] = [
    (
        "text",
        Message.of("salam", formats=(Format(type="bold", start=0, length=5),)),
        f"{RAFI}:1",
        lambda bot: bot.send_message(RAFI, "salam", entities=[ENTITY], reply_parameters=QUOTED),
    ),
    (
        "buttons",
        Message.of("Pick", buttons=(Button(id="y", title="Yes"), Button(id="n", title="No"))),
        "",
        lambda bot: bot.send_message(RAFI, "Pick", reply_markup=KEYS),
    ),
    (
        "place",
        Message.of(place=Place(latitude=23.78, longitude=90.27, name="A", address="B")),
        "",
        lambda bot: bot.send_venue(RAFI, 23.78, 90.27, "A", "B"),
    ),
    (
        "point",
        Message.of(place=Place(latitude=23.78, longitude=90.27)),
        "",
        lambda bot: bot.send_location(RAFI, 23.78, 90.27),
    ),
    (
        "contact",
        Message.of(contacts=(ContactCard(name="Rima", phones=("+8801711000077",)),)),
        "",
        lambda bot: bot.send_contact(RAFI, "+8801711000077", "Rima"),
    ),
    (
        "picture",
        Message.of("a", media=(Media(kind="image", source_url=PICTURE),)),
        "",
        lambda bot: bot.send_photo(RAFI, PICTURE, caption="a"),
    ),
    (
        "album",
        Message.of("a", media=(Media(kind="image", source_url=PICTURE),) * 2),
        "",
        lambda bot: bot.send_media_group(
            RAFI, [InputMediaPhoto(PICTURE, caption="a"), InputMediaPhoto(PICTURE)]
        ),
    ),
]


@pytest.mark.parametrize(
    ("message", "quoted", "ask"),
    [one[1:] for one in SAME],
    ids=[one[0] for one in SAME],
)
async def test_the_connector_asks_as_it_would(
    box: telegram.Sandbox,
    bot: Bot,
    http: aiohttp.ClientSession,
    message: Message,
    quoted: str,
    ask: Ask,
) -> None:
    settings = Telegram.Settings(
        kind="telegram", bot_token=TOKEN, mode="polling", api_base=box.base_url
    )
    ref = ChannelRef(bytes(16), "tg", "telegram", "https://hub.example/hooks/tg")
    connector = Telegram(ref, settings, Http(http, 5.0))
    to = Address(connector.account(settings), str(RAFI))
    await connector.send(Outbound(bytes(16), to, message, "c-1", reply_to=quoted))
    await ask(bot)
    ours, theirs = [call for call in box.log() if "/send" in call.path][-2:]
    assert ours.path.lower() == theirs.path.lower()
    assert written(ours.body) == written(theirs.body)
    assert ours.status == theirs.status == 200


def written(fields: Any) -> dict[str, str]:
    """The fields as text, for a form has no numbers."""
    return {name: str(value) for name, value in fields.items()}
