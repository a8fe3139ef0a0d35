"""Meta's Graph API, as far as WhatsApp, Messenger and Instagram share it: hooks are verified and
signed, bodies read, calls made and errors named in one way."""

import hmac
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, quote

import orjson

from hub.clock import SECOND, Micros
from hub.connector import Hook, HookAnswer, Http, HttpReply
from hub.errors import (
    Busy,
    HookRejected,
    HookUnreadable,
    Misconfigured,
    OutcomeUnknown,
    Refused,
    SendFailed,
    Unreachable,
)
from hub.signal import Parsed, Unreadable

APP = "meta"
API_BASE = "https://graph.facebook.com"
USER_AGENT = "onethread"

Codes = Mapping[int | tuple[int, int], tuple[type[SendFailed], str]]
"""What an error code, or a code with its subcode, means: the error to raise, and why in words for
agents and operators."""

KINDS = {
    "page": "messenger",
    "instagram": "instagram",
    "whatsapp_business_account": "whatsapp",
}
"""The channel kind of each product (`object`) whose hooks one app's URL takes."""
NAMES = {
    "page": "Page",
    "instagram": "Instagram account",
    "whatsapp_business_account": "WhatsApp Business account",
}

PREFIX = "sha256="
LONGEST_WAIT = 86_400.0

COMMON_CODES: Codes = {
    1: (Unreachable, "Meta reports a temporary problem"),
    2: (Unreachable, "Meta's service is temporarily unavailable"),
    0: (Misconfigured, "Meta could not authenticate the app"),
    3: (Misconfigured, "the app lacks a capability or permission"),
    4: (Busy, "the app made too many calls"),
    10: (Misconfigured, "the app lacks a permission"),
    17: (Busy, "too many calls"),
    32: (Busy, "too many calls"),
    100: (Refused, "Meta refuses a parameter of the request"),
    (100, 33): (Misconfigured, "the account does not exist or the token may not use it"),
    102: (Misconfigured, "the session of the access token has ended"),
    190: (Misconfigured, "the access token has expired or is not valid"),
    368: (Misconfigured, "the account is blocked for policy violations"),
    613: (Busy, "too many calls"),
    1200: (Unreachable, "Meta reports a temporary problem"),
}


def check(hook: Hook, app_secrets: Sequence[str], verify_token: str) -> None:
    """Is the hook Meta's? A GET must carry the verify token, a POST the signature of its raw
    body by one of the app secrets, with its prefix. Raises HookRejected."""
    if hook.method == "GET":
        asked = parse_qs(hook.query, keep_blank_values=True)
        token = asked.get("hub.verify_token", [""])[0]
        right = hmac.compare_digest(encoded(token), verify_token.encode())
        if not right or asked.get("hub.mode") != ["subscribe"]:
            raise HookRejected("wrong or missing verify token")
        return
    given = encoded(hook.headers.get("x-hub-signature-256", ""))
    genuine = False
    for secret in app_secrets:
        digest = hmac.digest(secret.encode(), hook.body, "sha256").hex()
        genuine |= hmac.compare_digest(given, (PREFIX + digest).encode())
    if hook.method != "POST" or not genuine:
        raise HookRejected("wrong or missing X-Hub-Signature-256")


def encoded(text: str) -> bytes:
    # What comes from outside may hold anything, and compare_digest takes non-ASCII only as bytes.
    return text.encode("utf-8", "surrogateescape")


def answer(hook: Hook) -> HookAnswer:
    """The challenge of a GET, echoed as text; else an empty 200."""
    if hook.method != "GET":
        return HookAnswer()
    challenge = parse_qs(hook.query).get("hub.challenge", [""])[0]
    return HookAnswer(challenge.encode())


def kind_of(hook: Hook, own: str) -> str:
    """The channel kind a hook is for, by its body's `object`; `own` where that names none."""
    try:
        return next((KINDS[name] for name, _ in read_bodies(hook) if name in KINDS), own)
    except HookUnreadable:
        return own


def parse(hook: Hook, product: str, read: Callable[[Any], Iterable[Parsed]]) -> list[Parsed]:
    """Everything in a hook, each entry of `product` by `read`. The entries of another product
    are unreadable: that they came here means that no channel has their account. Raises
    HookUnreadable."""
    if hook.method == "GET":
        return []
    found: list[Parsed] = []
    for named, entries in read_bodies(hook):
        for entry in entries:
            found += read(entry) if named in ("", product) else [foreign(entry, named)]
    return found


def read_bodies(hook: Hook) -> list[tuple[str, list[Any]]]:
    """The product and the entries of a hook; of each of several where the body is a list, as
    some of Instagram's are documented. Raises HookUnreadable."""
    payload = read_json(hook.body)
    bodies = payload if isinstance(payload, list) else [payload]
    found = [entries_of(body) for body in bodies]
    if not any(found):
        raise HookUnreadable("the body has no entries")
    return [
        (text_of(body, "object"), entries or [body])
        for body, entries in zip(bodies, found, strict=True)
    ]


def entries_of(body: Any) -> list[Any]:
    entries = body.get("entry") if isinstance(body, dict) else None
    return entries if isinstance(entries, list) else []


def foreign(entry: Any, product: str) -> Unreadable:
    """An entry of a product that is not this channel's."""
    account = text_of(entry, "id")
    if product in NAMES and re.fullmatch(r"[0-9]{1,40}", account):
        return Unreadable(account, f"no channel has the {NAMES[product]} {account}", entry)
    return Unreadable("", "an entry of no product that the hub reads", entry)


def text_of(value: Any, name: str) -> str:
    """The text under `name`, or nothing; ids have been seen as numbers."""
    text = value.get(name) if isinstance(value, dict) else None
    if isinstance(text, str):
        return text
    return str(text) if isinstance(text, int) and not isinstance(text, bool) else ""


def part_of(value: Any, name: str) -> dict[str, Any]:
    """The object under `name`, or an empty one."""
    part = value.get(name) if isinstance(value, dict) else None
    return part if isinstance(part, dict) else {}


def objects_of(value: Any, name: str) -> list[dict[str, Any]]:
    """The objects in the list under `name`."""
    items = value.get(name) if isinstance(value, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def read_json(body: bytes) -> Any:
    """The body as JSON, without what no database stores: NUL and lone surrogates, which cut
    emoji leave behind and which orjson refuses. Raises HookUnreadable."""
    try:
        if b"\\u0000" not in body:
            return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return cleaned(json.loads(body, parse_constant=refuse_constant, parse_int=read_int))
    except (ValueError, RecursionError):
        raise HookUnreadable("the body is no JSON") from None


def refuse_constant(name: str) -> Any:
    raise ValueError(name)


def read_int(digits: str) -> int | float:
    return int(digits) if len(digits) < 19 else float(digits)


UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return UNSTORABLE.sub("", value)
    if isinstance(value, list):
        return [cleaned(item) for item in value]
    if isinstance(value, dict):
        return {UNSTORABLE.sub("", key): cleaned(item) for key, item in value.items()}
    return value


async def call(
    http: Http, method: str, url: str, token: str, codes: Codes, body: Any = None
) -> dict[str, Any]:
    """Make one call and give its JSON object. Raises a SendFailed: by the error's code, else by
    the HTTP status; an answer of 2xx that is no object is OutcomeUnknown."""
    headers = {"Authorization": f"Bearer {token}", "User-Agent": USER_AGENT}
    if body is not None:
        headers["Content-Type"] = "application/json"
    data = None if body is None else orjson.dumps(body)
    reply = await http.request(method, url, headers=headers, body=data)
    answer = object_of(reply.body)
    if not 200 <= reply.status < 300 or "error" in answer:
        raise failure(reply, answer, codes)
    if not answer:
        raise OutcomeUnknown(f"HTTP {reply.status} without a JSON object")
    return answer


def object_of(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def failure(reply: HttpReply, answer: dict[str, Any], codes: Codes) -> SendFailed:
    """The error an answer stands for. Its text holds codes and our own words alone, since
    Meta's may repeat the access token or what was sent."""
    error = answer.get("error")
    error = error if isinstance(error, dict) else {}
    code = code_of(error)
    subcode = code_of(error, "error_subcode")
    named, words = meaning(code, codes, subcode)
    if named is None:
        named, words = by_status(reply.status, error), f"HTTP {reply.status}"
    wait = retry_after(reply.headers.get("Retry-After"))
    if wait is None and named is Busy:
        wait = regain_time(reply.headers.get("X-Business-Use-Case-Usage", ""))
    shown = f"{code}/{subcode}" if subcode is not None else str(code)
    reason = words if code is None else f"{words} (error {shown})"
    return named(reason, code="" if code is None else str(code), retry_in=wait)


def code_of(error: dict[str, Any], name: str = "code") -> int | None:
    """A code of an error object, which Meta has sent as a number and as text."""
    code = error.get(name)
    if isinstance(code, str) and re.fullmatch(r"[0-9]{1,9}", code):
        return int(code)
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def meaning(
    code: int | None, codes: Codes, subcode: int | None = None
) -> tuple[type[SendFailed] | None, str]:
    """The error a code stands for and why in words; (None, "") for a code we do not know."""
    if code is None:
        return None, ""
    if subcode is not None:
        pair = (code, subcode)
        if known := codes.get(pair) or COMMON_CODES.get(pair):
            return known
    if known := codes.get(code) or COMMON_CODES.get(code):
        return known
    if 200 <= code <= 299:
        return Misconfigured, "the app lacks a permission"
    if 80000 <= code <= 80014:
        return Busy, "the account made too many calls"
    return None, ""


def by_status(status: int, error: dict[str, Any]) -> type[SendFailed]:
    if status == 429:
        return Busy
    if status in (401, 403):
        return Misconfigured
    # An error may come with HTTP 200.
    judged = 200 <= status < 300 or (400 <= status < 500 and status != 408)
    if judged and error.get("is_transient") is not True:
        return Refused
    return Unreachable


def retry_after(value: str | None) -> float | None:
    """Seconds to wait by a Retry-After header, given as seconds or as a date; None if neither."""
    if not value:
        return None
    try:
        wait = float(value)
    except ValueError:
        try:
            wait = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return min(max(wait, 0.0), LONGEST_WAIT) if wait == wait else None


def regain_time(usage: str) -> float | None:
    """Seconds until the account may call again, which Meta tells in minutes; None if it does
    not."""
    minutes = [
        limit.get("estimated_time_to_regain_access")
        for limits in object_of(usage.encode()).values()
        for limit in objects_of({"limits": limits}, "limits")
    ]
    known = [float(one) for one in minutes if isinstance(one, int) and one > 0]
    return min(max(known) * 60.0, LONGEST_WAIT) if known else None


async def token_end(http: Http, root: str, token: str, asking: str, codes: Codes) -> Micros | None:
    """When `token`, or its leave to see data, ends; None for never. `asking` is the token to ask
    by: the app's own ("ID|SECRET") may always, others of the app may not. Raises a SendFailed."""
    url = f"{root}/debug_token?input_token={quote(token, safe='')}"
    data = part_of(await call(http, "GET", url, asking, codes), "data")
    if data.get("is_valid") is False:
        raise Misconfigured("the access token is not valid any more")
    ends = [data.get(name) for name in ("expires_at", "data_access_expires_at")]
    known = [end for end in ends if isinstance(end, int) and end > 0]
    return min(known) * SECOND if known else None
