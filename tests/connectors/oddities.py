"""Payloads bent out of shape, one field at a time, and what every parsed item must still be."""

import copy
from collections import Counter
from collections.abc import Iterator
from typing import Any, get_args
from urllib.parse import parse_qsl, urlencode

import orjson

from hub.connector import Hook
from hub.message import Inbound, Message, Receipt, ReceiptStatus
from hub.signal import Parsed, Signal, Unreadable

GARBAGE = (
    b"",
    b"{",
    b"{}",
    b"[]",
    b"null",
    b"7",
    b'"text"',
    b"[null]",
    b"\xff\xfe\x00",
    b"[" * 5000,
)

REMOVED = object()
ODD: tuple[Any, ...] = (None, REMOVED, "", "x", 7, -1.5, True, [], {}, [None], ["x"], {"x": None})


def odd_bodies(hook: Hook) -> Iterator[tuple[str, bytes]]:
    """The hook's body with one field odd, for each field and oddity, and the field's place."""
    if "json" in hook.headers.get("content-type", ""):
        payload = orjson.loads(hook.body)
        for path in places(payload):
            for odd in ODD:
                if odd is REMOVED and path[-1] == 0 and len(holder_of(payload, path)) == 1:
                    continue  # the same as the emptied list, which is tried by itself
                yield ".".join(map(str, path)), orjson.dumps(bent(payload, path, odd))
        return
    pairs = parse_qsl(hook.body.decode(), keep_blank_values=True)
    for at, (name, _) in enumerate(pairs):
        for odd in ("", "x", "-1", "ü\0", None):
            others = [*pairs[:at], *([] if odd is None else [(name, odd)]), *pairs[at + 1 :]]
            yield f"form.{name}", urlencode(others).encode()


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every field and element below `value`."""
    if isinstance(value, dict):
        inner: Any = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    else:
        return
    for key, child in inner:
        yield (*path, key)
        yield from places(child, (*path, key))


def bent(payload: Any, path: tuple[str | int, ...], odd: Any) -> Any:
    """A copy of the payload with `odd` at the path."""
    payload = copy.deepcopy(payload)
    holder = holder_of(payload, path)
    if odd is REMOVED:
        del holder[path[-1]]
    else:
        holder[path[-1]] = copy.deepcopy(odd)
    return payload


def holder_of(payload: Any, path: tuple[str | int, ...]) -> Any:
    for key in path[:-1]:
        payload = payload[key]
    return payload


def siblings(hook: Hook, place: str) -> bytes | None:
    """The body without the element of a list that holds `place`, where the list has others; None
    where the place stands in no such list."""
    if "json" not in hook.headers.get("content-type", ""):
        return None
    payload = orjson.loads(hook.body)
    path: list[str | int] = []
    value = payload
    for step in place.split("."):
        key: str | int = int(step) if isinstance(value, list) else step
        if isinstance(value, list) and len(value) > 1 and value[0] != value[1]:
            return orjson.dumps(bent(payload, (*path, key), REMOVED))
        path.append(key)
        value = value[key]
    return None


def identities(items: list[Parsed]) -> Counter[tuple[str, ...]]:
    """What tells each item that was read from others."""
    return Counter(
        ("message", item.dedupe_key)
        if isinstance(item, Inbound)
        else ("receipt", item.external_id, item.correlation_id, item.status)
        if isinstance(item, Receipt)
        else (type(item).__name__, item.sender)
        for item in items
        if not isinstance(item, Unreadable)
    )


def dedupe_keys(items: list[Parsed]) -> list[str]:
    return [item.dedupe_key for item in items if isinstance(item, Inbound)]


def assert_well_formed(item: Parsed) -> None:
    """The types the store relies on, which dataclasses do not check by themselves."""
    if isinstance(item, Inbound):
        assert_texts(item.account, item.sender, item.dedupe_key)
        assert_texts(item.external_id, item.group, item.client_id, item.profile.name, empty=True)
        assert_texts(item.profile.username, item.profile.language, empty=True)
        assert_texts(*item.also, *(alias.value for alias in item.aliases))
        assert isinstance(item.sent_at, int)
        Message.model_validate(item.message.model_dump())
        orjson.dumps([item.raw, item.profile.traits])
    elif isinstance(item, Receipt):
        assert_texts(item.account, item.external_id or item.correlation_id)
        assert_texts(item.external_id, item.correlation_id, item.recipient, empty=True)
        assert item.status in get_args(ReceiptStatus)
        assert isinstance(item.at, int)
    elif isinstance(item, Signal):
        assert_texts(item.account, item.sender)
        assert isinstance(item.at, int)
    else:
        assert isinstance(item, Unreadable)
        assert_texts(item.reason)
        assert_texts(item.account, empty=True)
        orjson.dumps(item.raw)


def assert_texts(*values: Any, empty: bool = False) -> None:
    for value in values:
        assert isinstance(value, str)
        assert value or empty, "an id is empty"
