"""A Twilio account for tests: its channel, its webhooks signed by our own hand, its answers."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import orjson

from connectors.twilio import Twilio
from hub.connector import (
    ChannelRef,
    Hook,
    Http,
)
from hub.message import (
    Alias,
    Inbound,
    Media,
    Message,
    Profile,
)
from tests.connectors.kit import (
    CORRELATION,
    HOOK_URL,
    PAYLOADS,
    RECEIVED_AT,
    form_hook,
    status,
    with_headers,
)
from tests.connectors.provider import Reply

SID = "AC" + "5" * 32
TOKEN = "0123456789abcdef0123456789abcdef"
KEY = "sharedkey-secret"
SERVICE = "MG" + "7" * 32
SENDER, RIMA = "+15550100", "+8801700000001"
MESSAGES = f"/2010-04-01/Accounts/{SID}/Messages.json"
MEDIA = f"https://api.twilio.com/2010-04-01/Accounts/{SID}/Messages"
CALLBACK = f"{HOOK_URL}?m={CORRELATION}"
PHONE = (Alias("phone", RIMA),)
PHOTO = Media(kind="image", mime="image/jpeg", source_url="https://hub.example/media/1.jpg")


def twilio(http: Http, api_base: str, **given: Any) -> Twilio:
    channel = ChannelRef(bytes(16), "sms", "twilio", HOOK_URL)
    account = {} if "messaging_service_sid" in given else {"sender": SENDER}
    raw: dict[str, Any] = {
        "kind": "twilio",
        "account_sid": SID,
        "auth_token": TOKEN,
        "api_base": api_base,
    }
    raw |= {"shared_keys": {"wsk_demo": KEY}}
    return Twilio(channel, Twilio.Settings(**raw | account | given), http)


def maker(**given: Any) -> Callable[[Http, str], Twilio]:
    return lambda http, api_base: twilio(http, api_base, **given)


def offline(**given: Any) -> Twilio:
    return twilio(Http(None), "https://api.twilio.com", **given)  # type: ignore[arg-type]  # makes no calls


def payload(name: str) -> dict[str, str]:
    fields: dict[str, str] = orjson.loads((PAYLOADS / f"twilio/{name}.json").read_bytes())
    return fields


def received(name: str, *, query: str = "") -> Hook:
    return form_hook(payload(name), query=query)


def signature(hook: Hook, secret: str, algorithm: str) -> str:
    """Ours, after Twilio's text, apart from the SDK that the connector uses."""
    is_form = "form" in hook.headers.get("content-type", "")
    pairs = parse_qsl(hook.body.decode(), keep_blank_values=True) if is_form else []
    text = hook.url + "".join(name + value for name, value in sorted(pairs))
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), algorithm)).decode()


def covered(hook: Hook) -> Hook:
    """A body that is no form is covered by its hash in the URL."""
    if "form" in hook.headers.get("content-type", "") or "bodySHA256" in hook.query:
        return hook
    query = "bodySHA256=" + hashlib.sha256(hook.body).hexdigest()
    return replace(hook, url=f"{hook.url}?{query}", query=query)


def sign(hook: Hook) -> Hook:
    hook = covered(hook)
    return with_headers(hook, {"x-twilio-signature": signature(hook, TOKEN, "sha1")})


def sign_by_shared_key(hook: Hook) -> Hook:
    hook = covered(hook)
    named = "key=wsk_demo,algorithm=HMAC_SHA256"
    return with_headers(
        hook,
        {
            "x-twilio-signature": signature(hook, KEY, "sha256"),
            "x-twilio-webhooks-signature-settings": named,
        },
    )


def inbound(sid: str, message: Message, **parts: Any) -> Inbound:
    whole: dict[str, Any] = {"account": SENDER, "sender": RIMA, "aliases": PHONE} | parts
    return Inbound(external_id=sid, dedupe_key=sid, message=message, sent_at=RECEIVED_AT, **whole)


def on_whatsapp(sid: str, message: Message, **parts: Any) -> Inbound:
    known = {"account": f"whatsapp:{SENDER}", "profile": Profile(name="Rima")}
    return inbound(sid, message, **known | parts)


def accepted(sid: str = "SM7") -> Reply:
    return status(201, {"sid": sid, "status": "queued", "body": "x", "num_segments": "1"})


def refused(code: int, http: int = 400, **headers: Any) -> Reply:
    body = {"code": code, "message": f"about {RIMA}", "more_info": "https://x", "status": http}
    return status(http, body, **headers)
