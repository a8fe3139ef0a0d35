"""The WhatsApp number under test, and words for what its hooks and calls should give."""

import hashlib
import hmac
from typing import Any

import orjson

from connectors.whatsapp import WhatsApp
from hub.connector import ChannelRef, Connector, Hook, Http
from hub.message import (
    Alias,
    Choice,
    Inbound,
    Media,
    Message,
    Profile,
    Receipt,
    ReplyTo,
)
from tests.connectors.kit import (
    HOOK_URL,
    PAYLOADS,
    Receives,
    json_hook,
    with_headers,
)

NUMBER = "106500000000777"
TOKEN, APP_SECRET, VERIFY_TOKEN = "EAAB-token-x", "app-secret-x", "verify-token-x"
RIMA, BSUID = "8801700000001", "BD.77aa"
AT = 1_795_176_000_000_000
SHA = hashlib.sha256(b"").hexdigest()


def make(http: Http, api_base: str) -> Connector:
    settings = WhatsApp.Settings(
        kind="whatsapp",
        phone_number_id=NUMBER,
        access_token=TOKEN,
        app_secret=APP_SECRET,
        verify_token=VERIFY_TOKEN,
        api_base=api_base,
    )
    return WhatsApp(ChannelRef(bytes(16), "wa", "whatsapp", HOOK_URL), settings, http)


def sign(hook: Hook) -> Hook:
    digest = hmac.new(APP_SECRET.encode(), hook.body, hashlib.sha256).hexdigest()
    return with_headers(hook, {"x-hub-signature-256": f"sha256={digest}"})


def payload(name: str) -> Any:
    return orjson.loads((PAYLOADS / f"whatsapp/{name}.json").read_bytes())


def raw(name: str, *path: str | int) -> Any:
    """The part of a payload at `path` below its first change."""
    part = payload(name)["entry"][0]["changes"]
    for key in path or (0, "value", "messages", 0):
        part = part[key]
    return part


def receives(name: str, *expected: Any) -> Receives:
    return Receives(name, json_hook(f"whatsapp/{name}.json"), list(expected))


def inbound(key: str, message: Message, **more: Any) -> Inbound:
    """A message of Rima's, but for what is given."""
    known: dict[str, Any] = {
        "account": NUMBER,
        "sender": RIMA,
        "sent_at": AT,
        "aliases": (Alias("phone", f"+{RIMA}"),),
        "profile": Profile(name="Rima"),
    }
    return Inbound(external_id=key, dedupe_key=key, message=message, **known | more)


def unsupported(name: str, text: str = "", key: str = "", **more: Any) -> Receives:
    message = Message(text=text, kind="unsupported")
    kept = raw(name)
    return receives(name, inbound(key or kept["id"], message, raw=kept, **more))


def text(key: str, body: str, **more: Any) -> Inbound:
    return inbound(key, Message.of(body), **more)


def receipt(status: Any, key: str = "wamid.out1", **more: Any) -> Receipt:
    known: dict[str, Any] = {
        "correlation_id": "m-42",
        "recipient": RIMA,
        "at": AT + 1_000_000,
    } | more
    return Receipt(account=NUMBER, external_id=key, status=status, **known)


def tapped(kind: Any, key: str, title: str) -> Message:
    return Message.of(title, choice=Choice(type=kind, id=key, title=title))


def quoting(key: str) -> ReplyTo:
    return ReplyTo(external_id=key)


def media(kind: Any, mime: str, key: str, **more: Any) -> Media:
    return Media(kind=kind, mime=mime, provider_id=key, **{"sha256": SHA} | more)
