"""A Twilio webhook as it came: its form, its query, the hash that covers a body of another sort."""

import hashlib
import hmac
from urllib.parse import parse_qsl

from hub.connector import Hook
from hub.errors import HookRejected

FIELDS = 500


def form_fields(hook: Hook) -> list[tuple[str, str]] | None:
    """The form's fields, blank ones too, for Twilio signs them; None if there is no form.

    Raises ValueError if it is not UTF-8 or has too many fields.
    """
    if hook.method != "GET" and not is_form(hook):
        return None
    encoded = hook.query.encode() if hook.method == "GET" else hook.body
    return parse_qsl(
        encoded.decode(), keep_blank_values=True, errors="strict", max_num_fields=FIELDS
    )


def is_form(hook: Hook) -> bool:
    mime = hook.headers.get("content-type", "").partition(";")[0].strip().lower()
    return mime == "application/x-www-form-urlencoded"


def query_value(hook: Hook, name: str) -> str:
    return dict(reversed(parse_qsl(hook.query))).get(name, "")


def check_body_hash(hook: Hook) -> None:
    claimed = query_value(hook, "bodySHA256").encode()
    if not hmac.compare_digest(hashlib.sha256(hook.body).hexdigest().encode(), claimed):
        raise HookRejected("bodySHA256 is missing or wrong")
