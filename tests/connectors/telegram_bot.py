"""A bot under test, and what Telegram says to it. All ids are invented."""

from typing import Any

from connectors.telegram import Telegram
from hub.connector import ChannelRef, Hook, Http
from hub.message import Alias, Inbound, Message, Profile
from tests.connectors.kit import HOOK_URL, Receives, json_hook, ok, with_headers

BOT = "7000000001"
TOKEN = f"{BOT}:AAinvented_token-of-the-tests"
SECRET = "hook-secret_0123456789"
RAFI = 701234567
GROUP = -1001234567890
DATE = 1_795_176_000
AT = DATE * 1_000_000
USER = {"id": RAFI, "is_bot": False, "first_name": "Rafi", "language_code": "bn"}
CHAT = {"id": RAFI, "type": "private", "first_name": "Rafi"}
CIRCLE = {"id": GROUP, "type": "supergroup", "title": "Shop friends"}
ALIAS = Alias("external", f"telegram:{RAFI}")
PROFILE = Profile(name="Rafi", language="bn")


def make(http: Http, api_base: str, **settings: Any) -> Telegram:
    given = {"bot_token": TOKEN, "secret_token": SECRET, "api_base": api_base} | settings
    channel = ChannelRef(bytes(16), "tg", "telegram", HOOK_URL)
    return Telegram(channel, Telegram.Settings(kind="telegram", **given), http)


def sign(hook: Hook) -> Hook:
    return with_headers(hook, {"x-telegram-bot-api-secret-token": SECRET})


def item(number: int = 10, **content: Any) -> dict[str, Any]:
    """A message as Telegram gives it."""
    return {"message_id": number, "date": DATE, "chat": CHAT, "from": USER} | content


def update(**what: Any) -> dict[str, Any]:
    return {"update_id": 900000001, **what}


def inbound(message: Message, number: int = 10, **more: Any) -> Inbound:
    """What the hub makes of one of Rafi's messages."""
    given: dict[str, Any] = {"aliases": (ALIAS,), "profile": PROFILE} | more
    key = f"{RAFI}:{number}"
    return Inbound(BOT, str(RAFI), key, key, message, AT, **given)


def in_group(message: Message, number: int = 10, **more: Any) -> Inbound:
    given: dict[str, Any] = {"profile": Profile(name="Shop friends"), "group": str(GROUP)} | more
    key = f"{GROUP}:{number}"
    return Inbound(BOT, str(RAFI), key, key, message, AT, **given)


def hears(name: str, expected: Any, **what: Any) -> Receives:
    """A hook with one update, and what it says."""
    found = expected if isinstance(expected, list) else [expected]
    return Receives(name, json_hook(update(**what)), found)


def says(name: str, message: Message, **content: Any) -> Receives:
    """A message of Rafi's with this content, and what it says."""
    return hears(name, inbound(message), message=item(**content))


def sent_as(number: int = 77, chat: int = RAFI) -> dict[str, Any]:
    """Telegram's own record of a message that it took."""
    where = {"id": chat, "type": "private" if chat > 0 else "supergroup"}
    return {"message_id": number, "date": DATE, "chat": where, "text": "x"}


ACCEPTED = ok({"ok": True, "result": sent_as()})
