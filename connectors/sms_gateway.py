"""Any SMS gateway with an HTTP API: its calls, answers and webhooks are described by settings.

docs/sms-gateway.md explains the settings and works three gateways through.
"""

import base64
import hmac
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

import orjson
from pydantic import Field, JsonValue, model_validator

from connectors._sms_gateway_document import find, read_body, read_form, text_at
from connectors._sms_gateway_items import Line, fields_of, read_hook, unbase64
from connectors._sms_gateway_numbers import NumberStyle, write_number
from connectors._sms_gateway_settings import (
    BUILT_IN,
    PLACEHOLDER,
    Balance,
    HookShape,
    Reply,
    Sending,
    Signature,
)
from hub import errors
from hub.connector import (
    ChannelRef,
    ChannelSettings,
    Connector,
    Hook,
    HookAnswer,
    Http,
    HttpReply,
    Limits,
)
from hub.message import Outbound, Sent
from hub.signal import Parsed

GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà\f^{}\\[~]|€"
)
FAILURES: dict[str, tuple[type[errors.SendFailed], str]] = {
    "unreachable": (errors.Unreachable, "the gateway cannot deliver now"),
    "busy": (errors.Busy, "the gateway asks for fewer messages"),
    "opted_out": (errors.OptedOut, "the customer has opted out at the gateway"),
    "blocked": (errors.Blocked, "the customer's number is blocked"),
    "no_such_recipient": (errors.NoSuchRecipient, "the gateway does not know the number"),
    "refused": (errors.Refused, "the gateway refuses the message"),
    "misconfigured": (errors.Misconfigured, "the gateway refuses the account"),
}
Fill = Callable[[str], str]


class SmsGateway(Connector):
    class Settings(ChannelSettings):
        """`sender` is the number or name that customers see. `secrets` are values that the
        templates name and no log may show. `numbers` is how the gateway writes phone numbers;
        `text_limit` the characters it takes in one call."""

        sender: str = Field(min_length=1, max_length=40)
        api_base: str = Field(pattern=r"^https?://[^/?#]+[^?#]*$")
        secrets: dict[str, str] = Field(default_factory=dict, repr=False)
        numbers: NumberStyle = "digits"
        text_limit: int = Field(default=1000, ge=70, le=10_000)
        send: Sending
        reply: Reply
        hook: HookShape | None = None
        balance: Balance | None = None

        @model_validator(mode="after")
        def _defines_what_it_names(self) -> Self:
            for name, named, known in (
                ("send", self.send.named(), BUILT_IN),
                ("balance", self.balance.named() if self.balance else iter(()), {"sender"}),
            ):
                if missing := set(named) - known - self.secrets.keys():
                    raise ValueError(f"{name} names {{{min(missing)}}}, which secrets do not hold")
            for name, value in self.secrets.items():
                if not value or not PLACEHOLDER.fullmatch(f"{{{name}}}"):
                    raise ValueError(f"secrets.{name} is empty or has an unusable name")
            return self

    limits: ClassVar[Limits] = Limits(text=1000, segments=True)

    def __init__(self, channel: ChannelRef, settings: Any, http: Http) -> None:
        super().__init__(channel, settings, http)
        self.limits = Limits(text=settings.text_limit, segments=True)  # type: ignore[misc]  # gateways differ

    @classmethod
    def account(cls, settings: Settings) -> str:
        return settings.sender

    def secrets(self) -> tuple[str, ...]:
        settings: SmsGateway.Settings = self.settings
        found = [*settings.secrets.values(), settings.send.basic.partition(":")[2]]
        if hook := settings.hook:
            found += [hook.token, hook.basic.partition(":")[2]]
            found += [hook.signature.secret] if hook.signature else []
        named = (value for value in found if not PLACEHOLDER.search(value))
        return tuple(dict.fromkeys(filter(None, named)))

    @property
    def methods(self) -> frozenset[str]:
        """Many gateways give a message in a GET's query."""
        return frozenset({"GET", "POST"}) if self.settings.hook else frozenset()

    def check(self, hook: Hook) -> None:
        shape: HookShape | None = self.settings.hook
        if shape is None:
            raise errors.HookRejected("the settings of this channel describe no webhooks")
        if shape.signature and not is_signed(hook, shape.signature):
            raise errors.HookRejected(f"{shape.signature.header} is wrong or missing")
        if shape.token and not is_same(token_of(hook, shape), shape.token):
            raise errors.HookRejected("the token is wrong or missing")
        if shape.basic and not is_same(password_of(hook), shape.basic):
            raise errors.HookRejected("the password is wrong or missing")

    def parse(self, hook: Hook) -> list[Parsed]:
        shape: HookShape | None = self.settings.hook
        if shape is None:
            return []
        return read_hook(hook, Line(self.settings.sender, self.channel.country, shape))

    def answer(self, hook: Hook) -> HookAnswer:
        shape: HookShape | None = self.settings.hook
        if shape is None:
            return HookAnswer()
        return HookAnswer(shape.answer.encode(), shape.answer_type)

    async def send(self, out: Outbound) -> Sent:
        settings: SmsGateway.Settings = self.settings
        sending = settings.send
        values = self.values(out)
        body, content_type = body_of(sending, values)
        headers = headers_of(sending.headers, sending.basic, values)
        if body is not None:
            headers.setdefault("Content-Type", content_type)
        url = self.url(sending.path, sending.query, values)
        reply = await self.http.request(sending.method, url, headers=headers, body=body)
        return outcome(reply, settings.reply, out.correlation_id)

    async def who_am_i(self) -> str:
        """The account's balance, where the settings say how to ask for it."""
        settings: SmsGateway.Settings = self.settings
        balance = settings.balance
        if balance is None:
            return f"{settings.sender}; no balance call is set, so the credentials were not tried"
        values = dict(settings.secrets) | {"sender": settings.sender}
        headers = headers_of(balance.headers, settings.send.basic, values)
        url = self.url(balance.path, balance.query, values)
        reply = await self.http.request("GET", url, headers=headers)
        refuse_status(reply)
        shown = find(read_reply(reply), reply.body, balance.shows)
        if shown is None:
            raise errors.Misconfigured("the gateway does not tell the balance")
        return f"{settings.sender}; balance {shown[:40]}"

    def values(self, out: Outbound) -> dict[str, str]:
        """What the placeholders stand for."""
        settings: SmsGateway.Settings = self.settings
        sending, text = settings.send, out.message.text
        plain, other = sending.unicode
        shown = text if sending.encoding == "utf-8" else text.encode("utf-16-be").hex().upper()
        return dict(settings.secrets) | {
            "sender": settings.sender,
            "to": write_number(out.to.external_id, settings.numbers),
            "text": shown,
            "id": out.correlation_id,
            "hook_url": self.channel.hook_url,
            "unicode": plain if GSM_7.issuperset(text) else other,
        }

    def url(self, path: str, query: Mapping[str, str], values: Mapping[str, str]) -> str:
        base: str = self.settings.api_base.rstrip("/")
        # A space as %20 and a plus as %2B: gateways disagree about what "+" means.
        asked = urlencode([(k, fill(v, values)) for k, v in query.items()], quote_via=quote)
        where = base + fill(path, values, lambda value: quote(value, safe=""))
        return f"{where}?{asked}" if asked else where


def fill(template: str, values: Mapping[str, str], write: Fill = str) -> str:
    return PLACEHOLDER.sub(
        lambda match: write(values[match[1]]) if match[1] in values else match[0], template
    )


def fill_all(template: JsonValue, values: Mapping[str, str]) -> JsonValue:
    if isinstance(template, str):
        return fill(template, values)
    if isinstance(template, dict):
        return {name: fill_all(inner, values) for name, inner in template.items()}
    if isinstance(template, list):
        return [fill_all(inner, values) for inner in template]
    return template


def body_of(sending: Sending, values: Mapping[str, str]) -> tuple[bytes | None, str]:
    """The body of a call and its content type; None for a call without one."""
    if sending.form is not None:
        pairs = [(name, fill(value, values)) for name, value in sending.form.items()]
        kind = sending.content_type or "application/x-www-form-urlencoded"
        return urlencode(pairs, quote_via=quote).encode(), kind
    if sending.json_body is not None:
        kind = sending.content_type or "application/json"
        return orjson.dumps(fill_all(sending.json_body, values)), kind
    if sending.text is not None:
        kind = sending.content_type or "text/plain; charset=utf-8"
        write: Fill = escape_xml if "xml" in kind else str
        return fill(sending.text, values, write).encode(), kind
    return None, ""


def escape_xml(value: str) -> str:
    return escape(value, {'"': "&quot;", "'": "&apos;"})


def headers_of(headers: Mapping[str, str], basic: str, values: Mapping[str, str]) -> dict[str, str]:
    found = {name: fill(value, values) for name, value in headers.items()}
    if basic:
        pair = base64.b64encode(fill(basic, values).encode()).decode()
        found["Authorization"] = f"Basic {pair}"
    return found


def outcome(reply: HttpReply, shape: Reply, correlation_id: str) -> Sent:
    """What an answer means, by the settings. Raises a SendFailed."""
    refuse_status(reply)
    document = read_reply(reply)
    code = find(document, reply.body, shape.code) if shape.code else None
    if code and (name := shape.errors.get(code)):
        named, reason = FAILURES[name]
        raise named(reason, code=code)
    if shape.accepted and find(document, reply.body, shape.accepted) is None:
        if code:
            raise errors.Refused("the gateway refuses the message", code=code)
        raise errors.OutcomeUnknown("the answer is not one that the settings describe")
    if shape.id is None:
        return Sent(correlation_id)
    if not (key := find(document, reply.body, shape.id)):
        raise errors.OutcomeUnknown("the answer names no message")
    return Sent(key)


def read_reply(reply: HttpReply) -> Any:
    return read_body(reply.body, reply.headers.get("Content-Type", ""))


def refuse_status(reply: HttpReply) -> None:
    """Raises what an HTTP status other than 2xx means."""
    status = reply.status
    if 200 <= status < 300:
        return
    code = str(status)
    if status == 429:
        wait = reply.headers.get("Retry-After", "")
        raise errors.Busy(code=code, retry_in=float(wait) if wait.isdecimal() else None)
    if status in (401, 403):
        raise errors.Misconfigured("the gateway refuses the account", code=code)
    if status >= 500 or status == 408:
        raise errors.Unreachable(f"HTTP {status}", code=code)
    raise errors.Refused(f"HTTP {status}", code=code)


# Webhooks


def is_same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), right.encode())


def is_signed(hook: Hook, signature: Signature) -> bool:
    given = hook.headers.get(signature.header.lower(), "")
    right = hmac.digest(signature.secret.encode(), hook.body, signature.algorithm)
    if signature.encoding == "base64":
        return hmac.compare_digest(unbase64(given.removeprefix(signature.prefix)), right)
    return is_same(given, signature.prefix + right.hex())


def token_of(hook: Hook, shape: HookShape) -> str:
    place, _, name = shape.token_in.partition(":")
    if place == "header":
        return str(hook.headers.get(name.lower(), ""))
    try:
        if place == "query":
            return read_form(hook.query.encode("utf-8", "surrogateescape")).get(name, "")
        return text_at(fields_of(hook, shape), name)
    except errors.HookUnreadable:
        return ""


def password_of(hook: Hook) -> str:
    scheme, _, pair = hook.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    return unbase64(pair).decode("utf-8", "replace")
