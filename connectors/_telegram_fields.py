"""Reads Telegram's JSON without trusting its shape: what is not as it should be is absent."""

import json
import math
import re
from typing import Any

import orjson

from hub.errors import HookUnreadable

Object = dict[str, Any]

UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""What no database stores. Telegram cuts long texts between the halves of an emoji."""


def read_object(body: bytes) -> Object:
    """The body as a JSON object that can be stored. Raises HookUnreadable."""
    try:
        value = orjson.loads(body) if b"\\u0000" not in body else None
    except orjson.JSONDecodeError:
        value = None
    if value is None:
        try:
            value = cleaned(json.loads(body, parse_constant=refuse_constant, parse_int=read_int))
        except (ValueError, RecursionError):
            raise HookUnreadable("the body is no JSON") from None
    if not isinstance(value, dict) or not value:
        raise HookUnreadable("the body is no update")
    return value


def refuse_constant(name: str) -> Any:
    raise ValueError(name)


def read_int(digits: str) -> int | float:
    return int(digits) if len(digits) < 19 else float(digits)


def cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return UNSTORABLE.sub("", value)
    if isinstance(value, list):
        return [cleaned(item) for item in value]
    if isinstance(value, dict):
        return {UNSTORABLE.sub("", key): cleaned(item) for key, item in value.items()}
    return value


def part_of(value: Any, name: str) -> Object:
    """The object under `name`, or an empty one."""
    part = value.get(name) if isinstance(value, dict) else None
    return part if isinstance(part, dict) else {}


def parts_of(value: Object, name: str) -> list[Object]:
    """The objects of the list under `name`."""
    items = value.get(name)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def text_of(value: Object, name: str) -> str:
    text = value.get(name)
    return text if isinstance(text, str) else ""


def whole(value: Any) -> int | None:
    """A whole number; a bool is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number(value: Any) -> float | None:
    """A finite number."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None
