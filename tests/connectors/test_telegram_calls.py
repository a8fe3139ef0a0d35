"""What a bot is asked beside sending: files, typing, taps, who it is."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connectors.telegram import Telegram
from hub.connector import Acknowledges, FetchesMedia, Http, Identifies, MarksRead, Polls, Types
from hub.errors import (
    MediaFailed,
    NoSuchRecipient,
    Refused,
    SendFailed,
    Unreachable,
)
from hub.message import (
    Address,
    Inbound,
    Media,
    Message,
    Outbound,
)
from tests.connectors.kit import HOOK_URL, ok, status
from tests.connectors.provider import Reply, Request, running
from tests.connectors.telegram_bot import ACCEPTED, BOT, GROUP, RAFI, TOKEN, make

PATH = f"/bot{TOKEN}"
BAD = "Bad Request: "
LINK = "https://shop.example/f"

PHOTO = Message.of(media=(Media(kind="image", source_url=LINK),))
Act = Callable[[Telegram], Awaitable[Any]]


async def with_bot(act: Act, *replies: Reply, **settings: Any) -> tuple[list[Request], Any]:
    """What Telegram heard while `act` ran, and what came of it."""
    async with running(*replies) as provider, aiohttp.ClientSession() as session:
        bot = make(Http(session, 5.0), provider.url, **settings)
        try:
            return provider.requests, await act(bot)
        except SendFailed as error:
            return provider.requests, error


def done(result: Any = True) -> Reply:
    return ok({"ok": True, "result": result})


def outbound(message: Message, to: str = str(RAFI), **more: Any) -> Outbound:
    return Outbound(bytes(16), Address(BOT, to), message, "m-42", **more)


def test_abilities() -> None:
    bot = make(Http(None), "http://127.0.0.1:9")  # type: ignore[arg-type]  # makes no call
    for ability in (Acknowledges, FetchesMedia, Identifies, MarksRead, Polls, Types):
        assert isinstance(bot, ability)


async def test_files_are_uploaded_under_their_own_names(tmp_path: Path) -> None:
    files = (tmp_path / "1", tmp_path / "2")
    for path in files:
        path.write_bytes(b"%PDF " + path.name.encode())
    media = tuple(Media(kind="file", name=f"রসিদ {n}.pdf") for n in (1, 2))
    for count, method in ((1, "sendDocument"), (2, "sendMediaGroup")):
        out = outbound(Message.of("all", media=media[:count]), files=files[:count])
        [request], sent = await with_bot(lambda bot, out=out: bot.send(out), ACCEPTED)  # type: ignore[misc]  # bound now
        assert sent.external_id == f"{RAFI}:77"
        assert request.path == f"{PATH}/{method}"
        assert request.headers["content-type"].startswith("multipart/form-data")
        for number in range(1, count + 1):
            assert f"%PDF {number}".encode() in request.body
            assert f'filename="রসিদ {number}.pdf"'.encode() in request.body


@pytest.mark.parametrize("address", ["/etc/passwd", "file:///etc/passwd", "", "ftp://x.example/y"])
async def test_no_other_file_is_ever_uploaded(address: str) -> None:
    message = Message.of(media=(Media(kind="file", source_url=address),))
    requests, error = await with_bot(lambda bot: bot.send(outbound(message)), ACCEPTED)
    assert isinstance(error, MediaFailed)
    assert requests == []


async def test_an_address_that_is_no_chat_is_not_called() -> None:
    for to in ("", "me", "1:2", "+880", "1#x"):
        out = outbound(Message.of("x"), to)
        requests, error = await with_bot(lambda bot, out=out: bot.send(out), ACCEPTED)  # type: ignore[misc]  # bound now
        assert isinstance(error, NoSuchRecipient)
        assert requests == []


async def test_a_file_that_telegram_never_fetches_is_given_up() -> None:
    answer = {"ok": False, "error_code": 400, "description": BAD + "failed to get HTTP URL content"}
    out = outbound(PHOTO, attempt=3)
    _, error = await with_bot(lambda bot: bot.send(out), status(400, answer))
    assert isinstance(error, MediaFailed)


async def test_typing_is_shown_where_she_wrote() -> None:
    out = outbound(Message(), f"{GROUP}#7", reply_to=f"{GROUP}:10")
    [request], _ = await with_bot(lambda bot: bot.show_typing(out), done())
    assert request.path == f"{PATH}/sendChatAction"
    assert request.json == {"chat_id": GROUP, "action": "typing", "message_thread_id": 7}


async def test_only_a_business_account_reads() -> None:
    out = outbound(Message(), reply_to=f"{RAFI}:10")
    requests, _ = await with_bot(lambda bot: bot.mark_read(out), done())
    assert requests == []
    out = outbound(Message(), f"{RAFI}@c0nn", reply_to=f"{RAFI}@c0nn:10")
    [request], _ = await with_bot(lambda bot: bot.mark_read(out), done())
    assert request.path == f"{PATH}/readBusinessMessage"
    assert request.json == {"business_connection_id": "c0nn", "chat_id": RAFI, "message_id": 10}


async def test_a_tap_is_answered_and_nothing_else() -> None:
    def came(key: str) -> Inbound:
        return Inbound(BOT, str(RAFI), key, key, Message.of("x"), 1)

    requests, _ = await with_bot(lambda bot: bot.acknowledge(came(f"{RAFI}:10")), done())
    assert requests == []
    [request], _ = await with_bot(lambda bot: bot.acknowledge(came("tap:4382")), done())
    assert request.path == f"{PATH}/answerCallbackQuery"
    assert request.json == {"callback_query_id": "4382"}
    late = {"ok": False, "error_code": 400, "description": BAD + "query is too old"}
    _, error = await with_bot(lambda bot: bot.acknowledge(came("tap:1")), status(400, late))
    assert isinstance(error, Refused)


async def test_a_files_address_is_asked_for() -> None:
    media = Media(kind="image", provider_id="AgAC-large")
    found = done({"file_id": "x", "file_unique_id": "y", "file_path": "photos/file 0.jpg"})
    [request], (url, headers) = await with_bot(lambda bot: bot.media_request(media), found)
    assert (request.path, request.json) == (f"{PATH}/getFile", {"file_id": "AgAC-large"})
    assert url.endswith(f"/file/bot{TOKEN}/photos/file%200.jpg")
    assert headers == {}
    assert media.source_url == "", "the token would be stored with it"


@pytest.mark.parametrize(
    ("reply", "named"),
    [
        (
            status(400, {"ok": False, "error_code": 400, "description": BAD + "file is too big"}),
            MediaFailed,
        ),
        (
            status(400, {"ok": False, "error_code": 400, "description": BAD + "invalid file_id"}),
            MediaFailed,
        ),
        (
            status(
                400,
                {
                    "ok": False,
                    "description": BAD + "wrong file_id or the file is temporarily unavailable",
                },
            ),
            Unreachable,
        ),
        (
            done({"file_id": "x", "file_unique_id": "y", "file_path": "/var/lib/7:AA/x.jpg"}),
            MediaFailed,
        ),
        (done({"file_id": "x", "file_unique_id": "y"}), MediaFailed),
    ],
)
async def test_a_file_that_is_not_to_be_had(reply: Reply, named: type[SendFailed]) -> None:
    media = Media(kind="file", provider_id="x")
    _, error = await with_bot(lambda bot: bot.media_request(media), reply)
    assert type(error) is named
    assert TOKEN not in str(error)


async def test_the_reason_says_what_a_bot_cannot_fetch() -> None:
    answer = {"ok": False, "error_code": 400, "description": BAD + "file is too big"}
    media = Media(kind="file", provider_id="x")
    _, error = await with_bot(lambda bot: bot.media_request(media), status(400, answer))
    assert "20 MB" in error.reason


ME = done({"id": int(BOT), "is_bot": True, "first_name": "Hub", "username": "shop_bot"})


@pytest.mark.parametrize(
    ("info", "settings", "said"),
    [
        ({"url": HOOK_URL, "pending_update_count": 0}, {}, "@shop_bot, the webhook is set"),
        ({"url": ""}, {}, "@shop_bot, no webhook is set, the hub sets it when it starts"),
        (
            {"url": "https://old.example/"},
            {},
            "@shop_bot, the webhook is set to another URL, the hub sets",
        ),
        (
            {"url": ""},
            {"set_webhook": False},
            "@shop_bot, no webhook is set, set it by the Bot API's setWebhook",
        ),
        (
            {
                "url": HOOK_URL,
                "pending_update_count": 3,
                "last_error_message": "Connection refused",
            },
            {},
            "@shop_bot, the webhook is set, 3 updates wait, last error: Connection refused",
        ),
        ({"url": ""}, {"mode": "polling"}, "@shop_bot, polled"),
        (
            {"url": "https://x.example/"},
            {"mode": "polling"},
            "@shop_bot, polled, a webhook is set, which",
        ),
    ],
)
async def test_who_it_is_and_whether_updates_come(info: Any, settings: Any, said: str) -> None:
    requests, told = await with_bot(lambda bot: bot.who_am_i(), ME, done(info), **settings)
    assert [one.path for one in requests] == [f"{PATH}/getMe", f"{PATH}/getWebhookInfo"]
    assert told.startswith(said)


async def test_telegram_is_told_where_to_call_and_what_of() -> None:
    [request], _ = await with_bot(lambda bot: bot.subscribe(), done())
    assert request.path == f"{PATH}/setWebhook"
    assert request.json["url"] == HOOK_URL
    assert {"message_reaction", "callback_query"} < set(request.json["allowed_updates"])
    for quiet in ({"mode": "polling"}, {"set_webhook": False}):
        requests, _ = await with_bot(lambda bot: bot.subscribe(), done(), **quiet)
        assert requests == []
