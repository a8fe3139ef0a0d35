"""Webhooks of Messenger and Instagram bent at random: nothing but HookUnreadable is raised, and
no sibling is lost."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.connector import Connector, Hook
from hub.errors import HookUnreadable
from hub.message import Inbound, Message, Receipt
from hub.signal import Parsed
from tests.connectors.kit import HOOK_URL, PAYLOADS, RECEIVED_AT
from tests.connectors.meta_words import ACCOUNT, PAGE, make_account, make_page
from tests.connectors.oddities import assert_well_formed, bent, places

STORED = [
    json.loads(path.read_bytes())
    for folder in ("messenger", "instagram")
    for path in sorted((PAYLOADS / folder).glob("*.json"))
]
ENTRIES = [
    entry
    for body in STORED
    for one in (body if isinstance(body, list) else [body])
    for entry in one["entry"]
]
ITEMS = [item for entry in ENTRIES for item in entry.get("messaging", ()) if item]
KEYS = [
    "id", "mid", "text", "type", "payload", "url", "message", "sender", "read", "delivery",
    "mids", "watermark", "is_echo", "attachments", "sticker_id", "reaction", "value", "x",
]  # fmt: skip
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
    | st.sampled_from([PAGE, ACCOUNT, "m_x", "sticker", "fallback", "²", "٣", "\0", "\ud83d"])
    | st.sampled_from(["http://", "https://[", "https://x\n", "javascript:1"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=4,
)
BENT = settings(max_examples=40, deadline=None, derandomize=True)
CONNECTORS: dict[str, Connector] = {
    "page": make_page(None, "http://127.0.0.1:9"),  # type: ignore[arg-type]  # parse makes no call
    "instagram": make_account(None, "http://127.0.0.1:9"),  # type: ignore[arg-type]
}
PRODUCTS = pytest.mark.parametrize("product", ["page", "instagram"])


@st.composite
def bent_copies(draw: st.DrawFn, whole: list[Any]) -> Any:
    """One of the samples with up to three of its fields replaced by junk."""
    value = draw(st.sampled_from(whole))
    for _ in range(draw(st.integers(1, 3))):
        if found := list(places(value)):
            value = bent(value, draw(st.sampled_from(found)), draw(JUNK))
    return value


def dumps(value: Any) -> bytes:
    # Unlike orjson this writes everything a careless sender could: cut emoji, huge numbers.
    return json.dumps(value).encode()


def parse(product: str, body: bytes) -> list[Parsed]:
    connector = CONNECTORS[product]
    hook = Hook("POST", HOOK_URL, "", {}, body, RECEIVED_AT)
    connector.kind_of(hook)
    return connector.parse(hook)


def assert_bearable(product: str, body: bytes) -> None:
    try:
        items = parse(product, body)
    except HookUnreadable:
        return
    for item in items:
        assert_well_formed(item)


@PRODUCTS
@BENT
@given(bent_copies(STORED))
def test_a_bent_hook_raises_nothing_else(product: str, payload: Any) -> None:
    assert_bearable(product, dumps(payload))


@PRODUCTS
@BENT
@given(st.sampled_from(STORED), st.data())
def test_a_hook_of_damaged_bytes_raises_nothing_else(
    product: str, payload: Any, data: st.DataObject
) -> None:
    body = bytearray(dumps(payload))
    for _ in range(data.draw(st.integers(1, 5))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    assert_bearable(product, bytes(body[: data.draw(st.integers(0, len(body)))]))


def said(at: int) -> dict[str, Any]:
    message = {"mid": f"good{at}", "text": f"message {at}"}
    people = {"sender": {"id": "77"}, "recipient": {"id": "1"}}
    return {**people, "timestamp": 1_795_176_000_000, "message": message}


def delivered(at: int) -> dict[str, Any]:
    people = {"sender": {"id": "77"}, "recipient": {"id": "1"}}
    return {**people, "timestamp": 1_795_176_000_000, "delivery": {"mids": [f"good{at}"]}}


def good(items: list[Parsed]) -> list[str]:
    """The ids of the sound messages and receipts, with what they were read as."""
    return [
        f"{type(item).__name__} {item.external_id}"
        for item in items
        if isinstance(item, Inbound | Receipt) and item.external_id.startswith("good")
    ]


@PRODUCTS
@BENT
@given(bent_copies(ITEMS) | JUNK, st.integers(0, 3))
def test_a_bent_item_costs_no_sibling(product: str, poison: Any, at: int) -> None:
    items: list[Any] = [said(1), said(2), delivered(3)]
    items.insert(at, poison)
    entry = {"id": "1", "messaging": items, "standby": [poison, said(4)]}
    found = parse(product, dumps({"object": product, "entry": [entry]}))
    for item in found:
        assert_well_formed(item)
    assert good(found) == ["Inbound good1", "Inbound good2", "Receipt good3", "Inbound good4"]


@PRODUCTS
@BENT
@given(bent_copies(ENTRIES) | JUNK)
def test_a_bent_entry_costs_no_sibling(product: str, poison: Any) -> None:
    before, after = {"id": "1", "messaging": [said(1)]}, {"id": "2", "messaging": [said(2)]}
    found = parse(product, dumps({"object": product, "entry": [before, poison, after]}))
    assert good(found) == ["Inbound good1", "Inbound good2"]


@PRODUCTS
@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("cut \ud83d emoji", "cut  emoji"),
        ("whole \U0001f642 emoji", "whole \U0001f642 emoji"),
        ("a \0 in it", "a  in it"),
        ("e\u0301", "é"),
        ("\u09df", "\u09af\u09bc"),  # য় stays decomposed in NFC
        ("ক\u200dষ \u200e\u2066x\u2069", "ক\u200dষ \u200e\u2066x\u2069"),
    ],
)
def test_text_is_what_was_typed(product: str, typed: str, kept: str) -> None:
    item = said(1)
    item["message"]["text"] = typed
    [found] = parse(
        product, dumps({"object": product, "entry": [{"id": "1", "messaging": [item]}]})
    )
    assert isinstance(found, Inbound)
    assert found.message == Message.of(kept)
