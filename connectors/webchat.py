"""Web chat: our own protocol, so the connector only checks who a visitor is and reads one frame.

Sessions, sockets and history are hub/web/visitor.py's. It hands each frame over as a `Hook` that
only this process can make (`frame_hook`), so that web chat enters by the same door as any channel.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, JsonValue, ValidationError

from hub.clock import SECOND, Micros, id_text
from hub.connector import ChannelSettings, Connector, Hook, Limits
from hub.errors import HookRejected, HookUnreadable
from hub.message import (
    Alias,
    Choice,
    Inbound,
    MediaKind,
    Message,
    Outbound,
    Profile,
    Referral,
    ReplyTo,
    Sent,
)
from hub.signal import Parsed, ReadByCustomer, Typing, Unreadable

TEXT = 10_000
MEDIA_BYTES = 25 * 1024 * 1024
KINDS: tuple[MediaKind, ...] = ("image", "video", "audio", "voice", "file", "sticker")
SIGNATURE = "x-onethread-frame"
SKEW = 60
LONGEST_JWT = 24 * 3600

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")

# Frames come from the same process, so the key that proves it need not outlive it.
_PROCESS_KEY = secrets.token_bytes(32)


def _check_origin(origin: str) -> str:
    parts = urlsplit(origin)
    if origin == "*" or (
        parts.scheme in ("http", "https") and parts.netloc and origin == origin.rstrip("/").lower()
    ):
        return origin
    raise ValueError(
        "should be * or an origin such as https://shop.example or https://*.example.com"
    )


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a visitor says she is; `verified` when the site's own server vouches for it. A `phone`
    (E.164) comes from a signed token alone, and is proven by it."""

    user_id: str
    email: str = ""
    name: str = ""
    phone: str = ""
    verified: bool = False


class _Frame(BaseModel):
    """What a visitor sends; unknown fields are ignored."""

    type: str
    client_id: str = Field("", max_length=64, pattern=r"^[!-~]*$")
    text: str = ""
    action: dict[str, JsonValue] | None = None
    reply_to: str = Field("", max_length=200)
    on: bool = True
    external_id: str = ""


class _Visitor(BaseModel):
    """What the session knows of her. `also`: her id before she was identified."""

    id: str = Field(min_length=1, max_length=300)
    also: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    user_id: str = ""
    verified: bool = False
    email: str = ""
    phone: str = ""
    name: str = ""
    timezone: str = ""
    traits: dict[str, JsonValue] | None = None
    referral: Referral | None = None


class WebChat(Connector):
    """One web-chat site."""

    class Settings(ChannelSettings):
        """`site` is the public key in the page's `data-site`; it selects the site and opens
        nothing. `allowed_origins`: where the chat may be embedded besides the hub itself.
        `identity_secret`: one secret, or two while they are being exchanged."""

        kind: Literal["webchat"] = "webchat"
        site: str = Field("default", pattern=r"^[A-Za-z0-9_-]{1,64}$")
        allowed_origins: tuple[Annotated[str, AfterValidator(_check_origin)], ...] = ()
        identity: Literal["off", "optional", "enforced"] = "off"
        identity_secret: Annotated[
            tuple[Annotated[str, Field(min_length=8)], ...],
            BeforeValidator(_listed),
            Field(max_length=2),
        ] = Field((), repr=False)

    limits: ClassVar[Limits] = Limits(
        text=TEXT,
        caption=TEXT,
        buttons=25,
        button_title=100,
        button_body=TEXT,
        url_buttons=25,
        media=dict.fromkeys(KINDS, MEDIA_BYTES),
        media_count=10,
        captions=frozenset(KINDS),
        quotes=True,
    )

    @classmethod
    def account(cls, settings: Settings) -> str:
        return settings.site

    def secrets(self) -> tuple[str, ...]:
        return tuple(self.settings.identity_secret)

    def allows_origin(self, origin: str) -> bool:
        """May pages of this origin use the chat? Exact, or by `*.` up to a dot."""
        return any(_matches(rule, origin.lower()) for rule in self.settings.allowed_origins)

    def identify(self, claims: Mapping[str, Any], now: Micros) -> Identity:
        """Who she is: by `jwt`, by `user_id` and `user_hash`, or unverified as she says. A proof
        that does not hold makes it unverified, whatever was wrong with it."""
        name, email = _short(claims.get("name")), _short(claims.get("email")).lower()
        user_id = _short(claims.get("user_id"))
        known = self.settings.identity_secret if self.settings.identity != "off" else ()
        if token := claims.get("jwt"):
            payload = check_jwt(str(token), known, self.settings.site, now)
            if payload:
                email, name = _short(payload.get("email")).lower(), _short(payload.get("name"))
                phone = _short(payload.get("phone"))
                phone = phone if _E164.fullmatch(phone) else ""
                return Identity(payload["sub"], email, name, phone, verified=True)
            return Identity(user_id, email, name)
        given = claims.get("user_hash")
        # The hash covers the id alone: name and e-mail stay her own word.
        proven = user_id and any(_same(given, hmac_hex(key, user_id)) for key in known)
        return Identity(user_id, email, name, verified=bool(proven))

    def frame_hook(self, visitor: Mapping[str, Any], frame: Mapping[str, Any], at: Micros) -> Hook:
        """One frame of one visitor as a hook that `check` knows to be of this process."""
        body = orjson.dumps({"visitor": visitor, "frame": frame})
        headers = {"content-type": "application/json", SIGNATURE: seal(body)}
        return Hook("POST", self.channel.hook_url, "", headers, body, at)

    def check(self, hook: Hook) -> None:
        if not _same(hook.headers.get(SIGNATURE, ""), seal(hook.body)):
            raise HookRejected("not a frame of this process")

    def parse(self, hook: Hook) -> list[Parsed]:
        site, at = self.settings.site, hook.received_at
        handed = _json_object(hook.body)
        if handed is None:
            raise HookUnreadable("not a visitor's frame")
        try:
            visitor = _Visitor.model_validate(handed.get("visitor"))
            frame = _Frame.model_validate(handed.get("frame"))
        except ValidationError:
            return [Unreadable(site, "invalid_message", None)]
        if frame.type == "typing":
            return [Typing(site, visitor.id, at, on=frame.on)]
        if frame.type == "read":
            return [ReadByCustomer(site, visitor.id, at, external_id=frame.external_id)]
        if frame.type != "message":
            return []
        message = _message(frame)
        if message is None or not frame.client_id:
            return [Unreadable(site, "invalid_message", None)]
        return [_inbound(site, visitor, frame, message, at)]

    async def send(self, out: Outbound) -> Sent:
        """There is nobody to call: visitors' sockets follow what is stored."""
        return Sent(id_text(out.id))


def seal(body: bytes) -> str:
    return hmac.new(_PROCESS_KEY, body, hashlib.sha256).hexdigest()


def hmac_hex(secret: str, user_id: str) -> str:
    """The `user_hash` a site's server makes: HMAC-SHA256 of the user's id, lower-case hex."""
    return hmac.new(secret.encode(), user_id.encode(), hashlib.sha256).hexdigest()


def check_jwt(token: str, keys: tuple[str, ...], site: str, now: Micros) -> dict[str, Any] | None:
    """The claims of an HS256 JWT made for this site, or None. Checked in this order: form,
    algorithm, signature, times with a minute's skew, audience, subject."""
    parts = token.split(".")
    if len(token) > 8192 or len(parts) != 3:
        return None
    header, payload, signature = (_b64(part) for part in parts)
    head = _json_object(header)
    if head is None or head.get("alg") != "HS256" or "crit" in head or signature is None:
        return None
    signed = f"{parts[0]}.{parts[1]}".encode()
    if not any(
        hmac.compare_digest(hmac.digest(key.encode(), signed, hashlib.sha256), signature)
        for key in keys
    ):
        return None
    claims = _json_object(payload)
    return claims if claims and _holds(claims, site, now // SECOND) else None


def _holds(claims: dict[str, Any], site: str, now: int) -> bool:
    until, made, after = claims.get("exp"), claims.get("iat"), claims.get("nbf")
    for at in (until, made, after):
        if at is not None and (isinstance(at, bool) or not isinstance(at, int | float)):
            return False
    if until is None or now - SKEW >= until or until > now + LONGEST_JWT + SKEW:
        return False
    if any(at is not None and at > now + SKEW for at in (made, after)):
        return False
    audience = claims.get("aud")
    subject = claims.get("sub")
    for_us = audience == site or (isinstance(audience, list) and site in audience)
    return for_us and isinstance(subject, str) and 0 < len(subject) <= 255


def _b64(text: str) -> bytes | None:
    if "=" in text:
        return None
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None


def _json_object(raw: bytes | None) -> dict[str, Any] | None:
    """A JSON object without repeated keys."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise ValueError("repeated key")
        return dict(pairs)

    try:
        value = json.loads(raw or b"", object_pairs_hook=unique)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _same(given: object, right: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(
        given.encode("utf-8", "replace"), right.encode()
    )


def _matches(rule: str, origin: str) -> bool:
    if rule == "*":
        return origin != "null"
    before, star, after = rule.partition("*.")
    if not star:
        return origin == rule
    host = origin.removeprefix(before)
    return (
        origin.startswith(before)
        and host.endswith("." + after)
        and not set(host) & set("/@\\")
        and len(host) > len(after) + 1
    )


def _short(value: object) -> str:
    return value.strip()[:255] if isinstance(value, str) else ""


def clean(text: str) -> str:
    """Trimmed, with line ends as \\n and no control characters but \\n and \\t."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in text if (c >= " " and c != "\x7f") or c in "\n\t").strip()


def _message(frame: _Frame) -> Message | None:
    """What was said, or None when that is nothing or too much."""
    text = clean(frame.text)
    choice = None
    if frame.action is not None:
        action_id = frame.action.get("id")
        if not isinstance(action_id, str) or not 0 < len(action_id) <= 256:
            return None
        choice = Choice(type="button", id=action_id, title=text)
    if (not text and choice is None) or len(text) > TEXT:
        return None
    return Message.of(text, choice=choice)


def _inbound(site: str, visitor: _Visitor, frame: _Frame, message: Message, at: Micros) -> Inbound:
    aliases: list[Alias] = []
    if visitor.user_id:
        # Two sites may number their users alike, so the id is the site's.
        aliases.append(Alias("external", f"{site}:{visitor.user_id}", visitor.verified))
    if visitor.phone and visitor.verified:
        aliases.append(Alias("phone", visitor.phone))
    if visitor.email:
        aliases.append(Alias("email", visitor.email, verified=False))
    # A message sent again after she was identified is still the same message.
    key = f"{(*visitor.also, visitor.id)[0]}:{frame.client_id}"
    return Inbound(
        account=site,
        sender=visitor.id,
        external_id=key,
        dedupe_key=key,
        message=message,
        sent_at=at,
        reply_to=ReplyTo(external_id=frame.reply_to) if frame.reply_to else None,
        referral=visitor.referral,
        aliases=tuple(aliases),
        also=visitor.also,
        profile=Profile(
            name=visitor.name,
            timezone=visitor.timezone,
            traits=visitor.traits,
        ),
        client_id=frame.client_id,
    )
