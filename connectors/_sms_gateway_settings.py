"""What an SMS gateway's settings say: how its calls, answers and webhooks are shaped."""

import re
import zoneinfo
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

from hub.message import ReceiptStatus

ErrorName = Literal[
    "unreachable", "busy", "opted_out", "blocked", "no_such_recipient", "refused", "misconfigured"
]
BUILT_IN = frozenset({"sender", "to", "text", "id", "hook_url", "unicode"})
PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
STATUSES: dict[str, ReceiptStatus] = {
    # SMPP 3.4, appendix B, message states as text, and the numbers of its DLR masks.
    "DELIVRD": "delivered",
    "DELIVERED": "delivered",
    "SUCCESS": "delivered",
    "1": "delivered",
    "ACCEPTD": "sent",
    "ACCEPTED": "sent",
    "ENROUTE": "sent",
    "SENT": "sent",
    "BUFFERED": "sent",
    "4": "sent",
    "8": "sent",
    "UNDELIV": "failed",
    "UNDELIVERED": "failed",
    "EXPIRED": "failed",
    "REJECTD": "failed",
    "REJECTED": "failed",
    "UNKNOWN": "failed",
    "DELETED": "failed",
    "FAILED": "failed",
    "2": "failed",
    "16": "failed",
}
LATER = frozenset({"UNDELIV", "UNDELIVERED", "EXPIRED", "UNKNOWN"})
"""Failed for the handset's or the network's sake; the others were refused."""


def placeholders(value: JsonValue) -> Iterator[str]:
    """The names in braces anywhere in a template."""
    if isinstance(value, str):
        yield from PLACEHOLDER.findall(value)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from placeholders(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from placeholders(inner)


def checked_pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return value


def checked_zone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise ValueError("is not a time zone such as Asia/Dhaka") from None
    return value


Pattern = Annotated[str, AfterValidator(checked_pattern)]
Zone = Annotated[str, AfterValidator(checked_zone)]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Find(Shape):
    """Where a value stands. `path` leads there in JSON, XML or a form ("data.0.id"); without it
    the whole body is meant. `matches` is searched in what was found, and its first group, if it
    has one, is the value. `equals` are the values that count."""

    path: str = ""
    matches: Pattern = ""
    equals: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.path or self.matches or self.equals):
            raise ValueError("needs a path, matches or equals")
        return self


class Sending(Shape):
    """The call that sends one message. Texts may hold {sender}, {to}, {text}, {id} (our id of the
    message), {hook_url}, {unicode} and the names of `secrets`.

    One of `form`, `json` and `text` is the body; `text` is XML where `content_type` says so, and
    values are then escaped. `unicode` is what {unicode} stands for: in a text of GSM-7 letters,
    and in any other. `encoding` "ucs2-hex" writes {text} as UTF-16BE in hexadecimal.
    """

    method: Literal["GET", "POST"] = "POST"
    path: str = Field(default="/", pattern=r"^/")
    query: dict[str, str] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    basic: str = Field(default="", repr=False, pattern=r"^$|:")
    form: dict[str, str] | None = None
    json_body: JsonValue = Field(default=None, alias="json")
    text: str | None = None
    content_type: str = ""
    encoding: Literal["utf-8", "ucs2-hex"] = "utf-8"
    unicode: tuple[str, str] = ("0", "1")

    @model_validator(mode="after")
    def _has_one_body(self) -> Self:
        bodies = [one for one in (self.form, self.json_body, self.text) if one is not None]
        if len(bodies) > 1:
            raise ValueError("has more than one of form, json and text")
        if bodies and self.method == "GET":
            raise ValueError("a GET has no body: put the fields under query")
        if not {"to", "text"} <= set(self.named()):
            raise ValueError("must hold {to} and {text}")
        return self

    def named(self) -> Iterator[str]:
        parts: list[JsonValue] = [self.path, self.basic, self.json_body, self.text]
        for part in parts:
            yield from placeholders(part)
        for fields in (self.query, self.headers, self.form or {}):
            for value in fields.values():
                yield from placeholders(value)


class Reply(Shape):
    """How an answer of 2xx is read. `accepted` says that the gateway took the message, `id` is
    its id of it; one of the two is needed. `code` is the gateway's own error code, `errors` what
    the codes mean."""

    accepted: Find | None = None
    id: Find | None = None
    code: Find | None = None
    errors: dict[str, ErrorName] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _tells_acceptance(self) -> Self:
        if not (self.accepted or self.id):
            raise ValueError("needs accepted or id, or a refusal would pass for a success")
        return self


class Balance(Shape):
    """A call that `check` makes to see whether the credentials work, and what of its answer is
    shown. Its texts may hold {sender} and the names of `secrets`."""

    path: str = Field(pattern=r"^/")
    query: dict[str, str] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    shows: Find

    def named(self) -> Iterator[str]:
        for value in (self.path, *self.query.values(), *self.headers.values()):
            yield from placeholders(value)


class Signature(Shape):
    """An HMAC of the raw body in a header."""

    header: str = Field(min_length=1)
    secret: str = Field(min_length=1, repr=False)
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""


class Part(Shape):
    """The fields that say which part of a long message this is, or `udh`, the header in
    hexadecimal (050003CC0201)."""

    reference: str = ""
    number: str = ""
    count: str = ""
    udh: str = ""


class MessageFields(Shape):
    """The fields of a customer's message. `at_format` is one of strptime's; without it times are
    ISO 8601 or seconds or milliseconds since 1970. `redelivers`: the gateway repeats a webhook
    that it thinks lost, and gives neither ids nor times: equal messages within five minutes are
    then one."""

    sender: str = Field(alias="from")
    text: str
    to: str = ""
    id: str = ""
    at: str = ""
    at_format: str = ""
    timezone: Zone = "UTC"
    encoding: Literal["utf-8", "latin-1", "ucs2-hex"] = "utf-8"
    part: Part | None = None
    redelivers: bool = False


class ReportFields(Shape):
    """The fields of a delivery report. It is known by `status`, or by `when`. One of `id` (the
    gateway's id of the message) and `correlation` (ours, which we gave as {id}) is needed.
    `statuses` adds to the usual words."""

    status: str
    id: str = ""
    correlation: str = ""
    code: str = ""
    at: str = ""
    at_format: str = ""
    timezone: Zone = "UTC"
    when: Find | None = None
    statuses: dict[str, ReceiptStatus] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_the_message(self) -> Self:
        if not (self.id or self.correlation):
            raise ValueError("needs id or correlation")
        return self


class HookShape(Shape):
    """The gateway's webhooks. They are genuine by a `token`, whose place is `token_in`
    ("query:NAME", "header:NAME" or "field:NAME"), by `basic` ("user:password"), or by a
    `signature`. `items` leads to the list of a batch. `answer` is what the gateway wants to
    hear."""

    token: str = Field(default="", repr=False)
    token_in: str = Field(default="query:token", pattern=r"^(query|header|field):.+$")
    basic: str = Field(default="", repr=False, pattern=r"^$|:")
    signature: Signature | None = None
    items: str = ""
    message: MessageFields | None = None
    report: ReportFields | None = None
    answer: str = ""
    answer_type: str = "text/plain"

    @model_validator(mode="after")
    def _is_guarded(self) -> Self:
        if not (self.token or self.basic or self.signature):
            raise ValueError("needs token, basic or signature, or anyone could write as a customer")
        if not (self.message or self.report):
            raise ValueError("needs message or report, or nothing is read")
        return self
