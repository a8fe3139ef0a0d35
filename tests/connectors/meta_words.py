"""The Page and the Instagram account under test, and words for what their hooks should give."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

import orjson

from connectors.instagram import Instagram
from connectors.messenger import Messenger
from hub.connector import ChannelRef, Connector, Hook, Http
from hub.message import Choice, Inbound, Media, Message, Receipt, Referral, Share
from hub.signal import Echo, Reaction, Unreadable
from tests.connectors.kit import HOOK_URL, PAYLOADS, Receives, json_hook, with_headers

TOKEN, APP_SECRET, VERIFY_TOKEN = "EAAG-token-x", "app-secret-x", "verify-token-x"
OTHER_SECRET = "the-other-app-secret"
PAGE, PSID = "1048000000001", "7700000000000001"
ACCOUNT, IGSID = "17841400000000042", "5500000000000007"
MID = "m_AbC-1_x"
IG_MID = (
    "aWdfZAG1faXRlbToxOklHTWVzc2FnZAUlEOjE3ODQxNDAwMDAwMDAwMDQyOjM0MDI4MjM2Njg0MTcxMDMwMTI0NDI1"
    "OTQ3MDg1MTYzNjYzMDQwOjMxMzU2NzMx_x-Z"
)
AT = 1_795_176_000_123_000
CDN = "https://scontent.xx.fbcdn.net/v/t1.15752-9/1_n.jpg?_nc_cat=1&oh=ab&oe=6"
STICKER = "https://scontent.xx.fbcdn.net/v/t39.1997-6/39178562_n.png"
LOOKASIDE = "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=1&signature=Ab"


def make_page(http: Http, api_base: str, **more: Any) -> Connector:
    known: dict[str, Any] = {
        "kind": "messenger",
        "page_id": PAGE,
        "access_token": TOKEN,
        "app_secret": APP_SECRET,
        "verify_token": VERIFY_TOKEN,
        "api_base": api_base,
    }
    settings = Messenger.Settings(**known | more)
    return Messenger(ChannelRef(bytes(16), "page", "messenger", HOOK_URL), settings, http)


def make_account(http: Http, api_base: str, **more: Any) -> Connector:
    known: dict[str, Any] = {
        "kind": "instagram",
        "account_id": ACCOUNT,
        "access_token": TOKEN,
        "app_secret": (APP_SECRET, OTHER_SECRET),
        "verify_token": VERIFY_TOKEN,
        "api_base": api_base,
    }
    settings = Instagram.Settings(**known | more)
    return Instagram(ChannelRef(bytes(16), "ig", "instagram", HOOK_URL), settings, http)


def signed(hook: Hook, secret: str) -> Hook:
    digest = hmac.new(secret.encode(), hook.body, hashlib.sha256).hexdigest()
    return with_headers(hook, {"x-hub-signature-256": f"sha256={digest}"})


def sign(hook: Hook) -> Hook:
    return signed(hook, APP_SECRET)


def sign_other(hook: Hook) -> Hook:
    return signed(hook, OTHER_SECRET)


@dataclass(frozen=True)
class Words:
    """What the payloads in `folder` should give, of `account` and its customer `sender`."""

    folder: str
    account: str
    sender: str
    mid: str

    def payload(self, name: str) -> Any:
        return orjson.loads((PAYLOADS / f"{self.folder}/{name}.json").read_bytes())

    def raw(self, name: str, at: int = 0, entry: int = 0, key: str = "messaging") -> Any:
        return self.payload(name)["entry"][entry][key][at]

    def receives(self, name: str, *expected: Any) -> Receives:
        return Receives(name, json_hook(f"{self.folder}/{name}.json"), list(expected))

    def inbound(self, message: Message, key: str = "", **more: Any) -> Inbound:
        known: dict[str, Any] = {
            "account": self.account,
            "sender": self.sender,
            "external_id": key or self.mid,
            "dedupe_key": key or self.mid,
            "sent_at": AT,
        }
        return Inbound(message=message, **known | more)

    def says(self, name: str, message: Message, key: str = "", **more: Any) -> Receives:
        return self.receives(name, self.inbound(message, key, **more))

    def keyless(self, name: str, message: Message, at: int = 0, **more: Any) -> Inbound:
        """An item without an id: known by what it says."""
        item = orjson.dumps(self.raw(name, at), option=orjson.OPT_SORT_KEYS)
        key = hashlib.sha256(item).hexdigest()
        return self.inbound(message, **{"external_id": "", "dedupe_key": key} | more)

    def unsupported(self, name: str, text: str = "") -> Receives:
        """Shown as such, with the raw item kept."""
        kind = "text" if text else "unsupported"
        return self.says(name, Message(text=text, kind=kind), raw=self.raw(name))

    def unreadable(self, name: str, reason: str, at: int = 0, **where: Any) -> Unreadable:
        return Unreadable(self.account, reason, self.raw(name, at, **where))

    def dead(self, name: str, reason: str) -> Receives:
        return self.receives(name, self.unreadable(name, reason))

    def echo(self, name: str, key: str, message: Message, correlation_id: str = "") -> Receives:
        return self.receives(name, self.echoed(key, message, correlation_id))

    def echoed(self, key: str, message: Message, correlation_id: str = "") -> Echo:
        return Echo(self.account, self.sender, AT, key, message, correlation_id)

    def receipt(self, status: Any, key: str, at: int = AT) -> Receipt:
        return Receipt(self.account, key, status, at, recipient=self.sender)

    def reaction(self, key: str, emoji: str) -> Reaction:
        return Reaction(self.account, self.sender, AT, key, emoji)


def attached(kind: Any, url: str = CDN, **more: Any) -> Message:
    return Message.of(media=(Media(kind=kind, source_url=url, **more),))


def tapped(kind: Any, payload: str, title: str, **more: Any) -> Message:
    return Message.of(title, choice=Choice(type=kind, id=payload, title=title), **more)


def shared(type: str, url: str = "", title: str = "", text: str = "") -> Message:
    return Message.of(text, share=Share(type=type, url=url, title=title))


def came_by(referral: Referral) -> Message:
    return shared("referral", referral.url, referral.headline)
