"""SMS, MMS, WhatsApp and RCS through Twilio.

Webhooks: https://www.twilio.com/docs/messaging/guides/webhook-request; sending:
https://www.twilio.com/docs/messaging/api/message-resource. One hook URL takes messages and status
callbacks; the latter carry our message's id in the query, as `m`.
"""

import asyncio
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from urllib.parse import quote, urlsplit

import aiohttp
from multidict import MultiDict
from pydantic import AfterValidator, Field, model_validator

from connectors._twilio_content import (
    content_fields,
    geo,
    is_content,
    public_url,
    shape_of,
    template_fields,
    text_of,
    values_of,
)
from connectors._twilio_form import (
    RCS,
    WHATSAPP,
    Line,
    folded,
    listed_form,
    prefix_of,
    read_form,
    sent_at,
)
from connectors._twilio_hook import check_body_hash, form_fields, query_value
from hub.clock import SECOND, Micros
from hub.connector import (
    ChannelRef,
    ChannelSettings,
    Connector,
    Hook,
    HookAnswer,
    Http,
    Known,
    Limits,
    ListedTemplate,
    Missed,
)
from hub.errors import HookRejected, HookUnreadable, MediaFailed, Refused, Unreachable
from hub.message import Media, Message, Outbound, Sent, clean_text
from hub.signal import Parsed

if TYPE_CHECKING:
    from connectors._twilio_api import Api

API = "https://api.twilio.com"
BODY_BYTES = 1 << 20
SETTINGS_HEADER = "x-twilio-webhooks-signature-settings"
CHANNELS = {WHATSAPP: "WHATSAPP", RCS: "RCS"}
NO_SUCH_CONTENT = frozenset({"21655", "63027"})
TRIAL_PREFIX = "Sent from your Twilio trial account - "

# Twilio queues what is over a sender's rate for 4 hours, so SMS needs no rate here. MMS takes
# 5 MB of JPEG, PNG or GIF and 500 KB of all else.
SMS = Limits(
    text=1600,
    segments=True,
    caption=1600,
    media={
        "image": 5_000_000,
        "video": 500_000,
        "audio": 500_000,
        "voice": 500_000,
        "file": 500_000,
        "sticker": 500_000,
    },
    media_count=10,
    captions=frozenset({"image", "video", "audio", "voice", "file", "sticker"}),
)
SOUNDS = frozenset({"audio/ogg", "audio/amr", "audio/3gpp", "audio/aac", "audio/mpeg"})
OFFICE = "application/vnd.openxmlformats-officedocument."
DOCUMENTS = frozenset(
    {
        *("application/pdf", "application/msword", "text/vcard", "text/x-vcard"),
        OFFICE + "wordprocessingml.document",
        OFFICE + "presentationml.presentation",
        OFFICE + "spreadsheetml.sheet",
    }
)

# One attachment a message: WhatsApp ignores the others. Buttons and lists go as Content. Types,
# sizes: https://www.twilio.com/docs/whatsapp/guidance-whatsapp-media-messages; WebP is a sticker's.
ON_WHATSAPP = Limits(
    text=1600,
    caption=1600,
    buttons=3,
    button_title=20,
    button_id=200,
    button_body=1024,
    list_rows=10,
    list_title=24,
    list_description=72,
    list_body=1024,
    media={
        "image": 5_000_000,
        "video": 16_000_000,
        "audio": 16_000_000,
        "voice": 16_000_000,
        "file": 16_000_000,
        "sticker": 16_000_000,
    },
    media_types={
        "image": frozenset({"image/jpeg", "image/png"}),
        "video": frozenset({"video/mp4"}),
        "audio": SOUNDS,
        "voice": SOUNDS,
        "sticker": frozenset({"image/webp"}),
        "file": DOCUMENTS,
    },
    media_count=1,
    captions=frozenset({"image", "video"}),
    places=True,
    templates=True,
    window=24 * 3600,
    rate=80,
)
ON_RCS = Limits(
    text=1600,
    caption=1600,
    media=ON_WHATSAPP.media,
    captions=frozenset({"image", "video"}),
)


def _check_sender(sender: str) -> str:
    number = sender.removeprefix(WHATSAPP)
    is_number = re.fullmatch(r"\+[1-9][0-9]{6,14}", number)
    is_code_or_name = re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z &_-]{2,10}", sender)
    is_agent = re.fullmatch(RCS + r"[0-9A-Za-z_-]{1,64}", sender)
    if sender and not (is_number or is_code_or_name or is_agent):
        raise ValueError(
            "should be +NUMBER, whatsapp:+NUMBER, rcs:AGENT, a short code or a sender name"
        )
    return sender


class Twilio(Connector):
    class Settings(ChannelSettings):
        """Exactly one of `sender` and `messaging_service_sid`. `shared_keys` maps the id of each
        SharedKey that signs webhooks by HMAC-SHA256 to its secret. `catch_up` is how many hours
        to look back at most for messages whose webhook was lost, 0 for never.
        `answers_keywords`: Twilio itself answers HELP, STOP and START, as it does for SMS unless
        it was told otherwise; then no dialog does. WhatsApp has no such words: there a message
        that is one of `stop_words` stops marketing, one of `start_words` allows it again."""

        account_sid: str = Field(pattern="^AC[0-9A-Za-z]+$")
        auth_token: str = Field(min_length=1, repr=False)
        sender: Annotated[str, AfterValidator(_check_sender)] = ""
        messaging_service_sid: str = Field(default="", pattern="^(MG[0-9A-Za-z]+)?$")
        shared_keys: dict[str, str] = Field(default_factory=dict, repr=False)
        catch_up: float = Field(default=24, ge=0, le=168)
        answers_keywords: bool = True
        stop_words: tuple[str, ...] = ("stop", "unsubscribe", "বন্ধ")
        start_words: tuple[str, ...] = ("subscribe", "unstop")
        api_base: Annotated[str, AfterValidator(lambda url: url.rstrip("/") or API)] = API

        @model_validator(mode="after")
        def _check_one_account(self) -> "Twilio.Settings":
            if bool(self.sender) == bool(self.messaging_service_sid):
                raise ValueError("needs exactly one of sender and messaging_service_sid")
            return self

    limits: ClassVar[Limits] = SMS

    def __init__(self, channel: ChannelRef, settings: Settings, http: Http) -> None:
        super().__init__(channel, settings, http)
        self.line = Line(
            self.account(settings),
            bool(settings.messaging_service_sid),
            settings.vouches,
            settings.answers_keywords,
            folded(settings.stop_words),
            folded(settings.start_words),
        )
        self.prefix = prefix_of(settings.sender)
        self.on_whatsapp = self.prefix == WHATSAPP
        own_limits = {WHATSAPP: ON_WHATSAPP, RCS: ON_RCS}.get(self.prefix, SMS)
        self.limits = own_limits  # type: ignore[misc]  # one kind, three sets of limits
        self.basic_auth = aiohttp.encode_basic_auth(settings.account_sid, settings.auth_token)
        self._api: Api | None = None

    @classmethod
    def account(cls, settings: Any) -> str:
        return str(settings.sender or settings.messaging_service_sid)

    def secrets(self) -> tuple[str, ...]:
        encoded = self.basic_auth.removeprefix("Basic ")
        return (self.settings.auth_token, encoded, *self.settings.shared_keys.values())

    def check(self, hook: Hook) -> None:
        """By Twilio's own validator, which tries the URL with and without the default port.

        A body that is not a form must be covered by `bodySHA256` in the signed URL.
        """
        from twilio.request_validator import (  # type: ignore[import-untyped]  # ships no types
            RequestValidator,
        )

        signature = hook.headers.get("x-twilio-signature")
        if not signature:
            raise HookRejected("X-Twilio-Signature is missing")
        if len(hook.body) > BODY_BYTES:
            raise HookRejected("the body is over 1 MiB")
        secret, algorithm = self._key_for(hook.headers.get(SETTINGS_HEADER, ""))
        try:
            fields = form_fields(hook)
            signed = MultiDict(fields or ()) if hook.method == "POST" else {}
            genuine = RequestValidator(secret).validate(hook.url, signed, signature, algorithm)
        except ValueError:
            raise HookRejected("the URL or the form is not valid UTF-8") from None
        if not genuine:
            raise HookRejected("X-Twilio-Signature is wrong")
        if fields is None:
            check_body_hash(hook)
        elif dict(reversed(fields)).get("AccountSid") != self.settings.account_sid:
            raise HookRejected("AccountSid is not this channel's account")

    def _key_for(self, settings_header: str) -> tuple[str, str]:
        """The secret and algorithm that the header names, if they are configured as a pair."""
        named = dict(part.strip().partition("=")[::2] for part in settings_header.split(","))
        algorithm = named.get("algorithm") or "HMAC_SHA1"
        if algorithm == "HMAC_SHA1":
            return self.settings.auth_token, algorithm
        secret = self.settings.shared_keys.get(named.get("key", ""))
        if algorithm != "HMAC_SHA256" or not secret:
            raise HookRejected("signed by a key or an algorithm that is not configured")
        return secret, algorithm

    def parse(self, hook: Hook) -> list[Parsed]:
        try:
            fields = form_fields(hook)
        except ValueError:
            raise HookUnreadable("the form is not valid UTF-8") from None
        if fields is None:
            raise HookUnreadable("the body is not a form")
        form = {name: value.replace("\0", "") for name, value in reversed(fields)}
        correlation_id = clean_text(query_value(hook, "m"))
        return read_form(form, self.line, correlation_id, hook.received_at)

    def answer(self, hook: Hook) -> HookAnswer:
        """Any plain text would be sent to the customer as an SMS."""
        return HookAnswer(b"<Response/>", "text/xml")

    async def send(self, out: Outbound) -> Sent:
        api = await self._open_api()
        shape = shape_of(out.message) if self.on_whatsapp else None
        fields = self._fields_of(out)
        if shape is not None:
            # Preparing it sends nothing; the message itself is one call.
            sid = await api.content(shape)
            fields |= content_fields(sid, values_of(out.message, shape))
            del fields["body"]
        try:
            return Sent(await api.create(fields))
        except Refused as error:
            if shape is None or error.code not in NO_SUCH_CONTENT:
                raise
            # Deleted at Twilio since it was created: the next try creates it anew.
            api.forget_contents()
            raise Unreachable(error.reason, code=error.code) from None

    def _fields_of(self, out: Outbound) -> dict[str, Any]:
        """The SDK's names of what makes this message, but for buttons."""
        message = out.message
        fields: dict[str, Any] = {"to": self._to(out), "status_callback": self._callback(out)}
        if self.settings.sender:
            fields["from_"] = self.settings.sender
        else:
            fields["messaging_service_sid"] = self.settings.messaging_service_sid
        if message.template and is_content(message.template.name):
            return fields | template_fields(message.template)
        if message.media:
            fields["media_url"] = [public_url(media) for media in message.media]
        if message.place and self.on_whatsapp:
            fields["persistent_action"] = [geo(message.place)]
        if text := text_of(message):
            fields["body"] = text
        elif message.template:
            raise Refused("the template has no Content SID of Twilio (HX...)")
        elif not message.media:
            raise Refused("the message has neither text nor attachments")
        return fields

    async def show_typing(self, to: Outbound) -> None:
        """On WhatsApp and RCS, for up to 25 s; WhatsApp marks the customer's message read."""
        address = self._to(to)
        wanted = {"messageId": to.reply_to, "channel": CHANNELS.get(prefix_of(address), "")}
        if address.startswith(RCS):
            wanted |= {"from": self.settings.sender, "to": address, "event": "START"}
        if all(wanted.values()):
            await (await self._open_api()).show_typing(wanted)

    async def list_templates(self) -> list[ListedTemplate]:
        """Twilio's Content SIDs are the names."""
        return await (await self._open_api()).templates()

    def _to(self, out: Outbound) -> str:
        to = out.to.external_id
        return to if to.startswith(self.prefix) else self.prefix + to

    def _callback(self, out: Outbound) -> str:
        url = self.channel.hook_url
        join = "&" if "?" in url else "?"
        return f"{url}{join}m={quote(out.correlation_id, safe='')}"

    async def look_up(self, out: Outbound, since: Micros) -> Sent | None:
        """The newest message to the customer of the same content, created at or after `since`
        (to the second, which is how Twilio's times are given)."""
        api = await self._open_api()
        earliest = datetime.fromtimestamp(since // SECOND, UTC)
        for found in await api.newest(self._to(out), self.settings.sender, earliest):
            if self._is_same(found, out.message):
                return Sent(found.sid)
        return None

    def _is_same(self, found: Any, message: Message) -> bool:
        service = self.settings.messaging_service_sid
        body, said = str(found.body or "").removeprefix(TRIAL_PREFIX).strip(), text_of(message)
        # Of a template Twilio lists the body alone, without what stands around it.
        is_same = bool(body) and body in said if message.template else body == said.strip()
        return (
            bool(found.sid)
            and str(found.direction or "outbound").startswith("outbound")
            and (not service or found.messaging_service_sid == service)
            and is_same
            and str(found.num_media or 0) == str(len(message.media))
        )

    @property
    def look_back(self) -> float:
        return float(self.settings.catch_up * 3600)

    async def list_missed(self, since: Micros, until: Micros, known: Known) -> Missed:
        """By the list of messages, which Twilio keeps for those it could not deliver too. What
        only a webhook tells, such as a WhatsApp profile or a tapped button's id, is not there."""
        api = await self._open_api()
        start, end = (datetime.fromtimestamp(at // SECOND, UTC) for at in (since, until))
        listed, is_whole = await api.inbound(self.settings.sender, start, end)
        ours = [one for one in listed if one.sid and self._is_ours(one)]
        here = await known([one.sid for one in ours])
        found: list[Parsed] = []
        for one in ours:
            if one.sid not in here:
                form = listed_form(one, await self._attachments(api, one))
                found += read_form(form, self.line, "", round(sent_at(one).timestamp()) * SECOND)
        return Missed(found, is_whole)

    def _is_ours(self, found: Any) -> bool:
        service = self.settings.messaging_service_sid
        return not service or found.messaging_service_sid == service

    async def _attachments(self, api: "Api", found: Any) -> list[tuple[str, str]]:
        if str(found.num_media or "0") == "0":
            return []
        base = self.settings.api_base
        return [(base + path, mime) for path, mime in await api.attachments(found)]

    async def media_request(self, media: Media) -> tuple[str, dict[str, str]]:
        """Attachments lie behind the account's credentials, which go to Twilio's hosts alone."""
        url = urlsplit(media.source_url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise MediaFailed("the attachment has no address")
        base = urlsplit(self.settings.api_base)
        is_twilio = url.scheme == "https" and url.hostname.endswith(".twilio.com")
        if is_twilio or (url.scheme, url.netloc) == (base.scheme, base.netloc):
            return media.source_url, {"Authorization": self.basic_auth}
        return media.source_url, {}

    async def who_am_i(self) -> str:
        return await (await self._open_api()).account()

    async def _open_api(self) -> "Api":
        if self._api is None:
            self._api = await asyncio.to_thread(self._import_api)
        return self._api

    def _import_api(self) -> "Api":
        from connectors._twilio_api import Api

        settings = self.settings
        return Api(self.http, settings.api_base, settings.account_sid, settings.auth_token)
