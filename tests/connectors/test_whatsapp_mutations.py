"""WhatsApp webhooks bent at random: nothing but HookUnreadable is raised, no sibling is lost."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors._whatsapp_items import Change, read_item
from hub.connector import Connector, Hook, Http
from hub.errors import HookUnreadable
from hub.message import Inbound, Message, Receipt
from hub.signal import Parsed, Unreadable
from tests.connectors.kit import HOOK_URL, PAYLOADS, RECEIVED_AT
from tests.connectors.oddities import assert_well_formed, bent, places
from tests.connectors.whatsapp_number import NUMBER, make

STORED = [json.loads(path.read_bytes()) for path in sorted(PAYLOADS.glob("whatsapp/*.json"))]
CHANGES = [
    change
    for payload in STORED
    for entry in payload["entry"]
    for change in entry["changes"]
    if change and change["value"]
]
MESSAGES = [m for c in CHANGES for m in c["value"].get("messages", ()) if isinstance(m, dict)]
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
    | st.sampled_from(
        ["BD.77aa", "8801700000001", "wamid.x", "text", "sent", "stop", "²", "٣", "\0", "\ud83d"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "type", "text", "from", "x"]), inner, max_size=3)
    ),
    max_leaves=4,
)
BENT = settings(max_examples=200, deadline=None, derandomize=True)
NUMBER_UNDER_TEST: Connector = make(Http(None), "http://127.0.0.1:9")  # type: ignore[arg-type]  # parse makes no call


@st.composite
def bent_copies(draw: st.DrawFn, whole: list[Any]) -> Any:
    """One of the samples with up to three of its fields replaced by junk."""
    value = draw(st.sampled_from(whole))
    for _ in range(draw(st.integers(1, 3))):
        if found := list(places(value)):
            value = bent(value, draw(st.sampled_from(found)), draw(JUNK))
    return value


def parse(body: bytes) -> list[Parsed]:
    return NUMBER_UNDER_TEST.parse(Hook("POST", HOOK_URL, "", {}, body, RECEIVED_AT))


def assert_bearable(body: bytes) -> None:
    try:
        items = parse(body)
    except HookUnreadable:
        return
    for item in items:
        assert_well_formed(item)


def dumps(value: Any) -> bytes:
    # Unlike orjson this writes everything a careless sender could: cut emoji, huge numbers.
    return json.dumps(value).encode()


def envelope(*changes: Any) -> bytes:
    entries = [{"id": "1", "changes": list(changes)}]
    return dumps({"object": "whatsapp_business_account", "entry": entries})


@BENT
@given(bent_copies(STORED))
def test_a_bent_hook_raises_nothing_else(payload: Any) -> None:
    assert_bearable(dumps(payload))


@BENT
@given(st.sampled_from(STORED), st.data())
def test_a_hook_of_damaged_bytes_raises_nothing_else(payload: Any, data: st.DataObject) -> None:
    body = bytearray(dumps(payload))
    for _ in range(data.draw(st.integers(1, 5))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    assert_bearable(bytes(body[: data.draw(st.integers(0, len(body)))]))


@BENT
@given(st.binary(max_size=60))
def test_any_bytes_raise_nothing_else(body: bytes) -> None:
    assert_bearable(body)


def message(at: int) -> dict[str, Any]:
    text = {"body": f"message {at}"}
    key = f"wamid.good{at}"
    return {"from": "88017", "id": key, "timestamp": "1795176000", "type": "text", "text": text}


def status(at: int) -> dict[str, Any]:
    return {"id": f"wamid.good{at}", "status": "read", "timestamp": "1795176000"}


def value(**lists: Any) -> dict[str, Any]:
    return {"metadata": {"phone_number_id": NUMBER}, **lists}


def good(items: list[Parsed]) -> list[str]:
    """The ids of the sound messages and statuses, with what they were read as."""
    found = []
    for item in items:
        if isinstance(item, Inbound | Receipt) and item.external_id.startswith("wamid.good"):
            found.append(f"{type(item).__name__} {item.external_id}")
    return found


@BENT
@given(bent_copies(MESSAGES) | JUNK, st.integers(0, 4))
def test_a_bent_message_costs_no_sibling(poison: Any, at: int) -> None:
    messages: list[Any] = [message(n) for n in range(4)]
    messages.insert(at, poison)
    statuses = [status(9), poison]
    items = parse(envelope({"value": value(messages=messages, statuses=statuses)}))
    wanted = [f"Inbound wamid.good{n}" for n in range(4)] + ["Receipt wamid.good9"]
    assert good(items) == wanted
    assert len(items) >= 6, "the poisoned message left no trace"


@BENT
@given(bent_copies(CHANGES) | JUNK)
def test_a_bent_change_costs_no_sibling(poison: Any) -> None:
    before = {"field": "messages", "value": value(messages=[message(1)])}
    after = {"field": "messages", "value": value(statuses=[status(2)])}
    entry = {"id": "1", "changes": [before, poison, after]}
    entries = [entry, poison, {"id": "2", "changes": [before]}]
    items = parse(dumps({"object": "whatsapp_business_account", "entry": entries}))
    assert good(items) == ["Inbound wamid.good1", "Receipt wamid.good2", "Inbound wamid.good1"]


@BENT
@given(st.lists(bent_copies(CHANGES[:1])) | JUNK)
def test_bent_contacts_cost_no_message(contacts: Any) -> None:
    items = parse(envelope({"value": value(contacts=contacts, messages=[message(1)])}))
    assert good(items) == ["Inbound wamid.good1"]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("cut \ud83d emoji", "cut  emoji"),
        ("whole \U0001f642 emoji", "whole \U0001f642 emoji"),
        ("a \0 in it", "a  in it"),
        ("\\u0000 written out", "\\u0000 written out"),
        ("e\u0301", "é"),
        ("\u09af\u09bc", "\u09af\u09bc"),  # য় stays decomposed in NFC
        ("\u09df", "\u09af\u09bc"),
        ("ক\u200dষ \u200e\u2066x\u2069", "ক\u200dষ \u200e\u2066x\u2069"),
    ],
)
def test_text_is_what_was_typed(typed: str, kept: str) -> None:
    said = message(1) | {"text": {"body": typed}}
    contacts = [{"wa_id": "88017", "profile": {"name": typed}}]
    (item,) = parse(envelope({"value": value(contacts=contacts, messages=[said])}))
    assert isinstance(item, Inbound)
    assert item.message == Message.of(kept)
    assert item.profile.name == kept


def test_an_unreadable_item_keeps_its_raw() -> None:
    poison: dict[str, Any] = {"type": "text", "text": {"body": "whose?"}}
    (item,) = parse(envelope({"value": value(messages=[poison])}))
    assert item == Unreadable(NUMBER, "a message without an id", poison)


@pytest.mark.parametrize("unstorable", ["\0", "\ud83d"])
def test_what_no_database_stores_reaches_no_raw_and_no_id(unstorable: str) -> None:
    said = {"from": "88017", "id": f"wamid.{unstorable}1", "type": "hologram"}
    told = {f"a{unstorable}": [f"b{unstorable}"]}
    (item,) = parse(envelope({"value": value(messages=[said | {"hologram": told}])}))
    assert isinstance(item, Inbound)
    assert item.dedupe_key == "wamid.1"
    assert item.raw == {"from": "88017", "id": "wamid.1", "type": "hologram"} | {
        "hologram": {"a": ["b"]}
    }


def test_an_unknown_list_costs_no_message_beside_it() -> None:
    lists = {"calls": [{"id": "wacid.1"}], "messages": [message(1)], "groups": [{}]}
    items = parse(envelope({"value": value(**lists)}))
    assert [type(item) for item in items] == [Unreadable, Inbound, Unreadable]


def test_digits_of_another_script_are_no_phone() -> None:
    (item,) = parse(envelope({"value": value(messages=[message(1) | {"from": "٨٨٠²"}])}))
    assert isinstance(item, Inbound)
    assert (item.sender, item.aliases) == ("٨٨٠²", ())


def test_a_reader_that_breaks_costs_its_item_alone() -> None:
    def broken(item: dict[str, Any], change: Change) -> Parsed:
        raise RuntimeError(item["text"])

    item = read_item(broken, {"text": "private"}, Change(NUMBER, {}, RECEIVED_AT), "messages")
    assert item == Unreadable(NUMBER, "RuntimeError in messages", {"text": "private"})


@pytest.mark.parametrize("latitude", ["nan", "inf", True, [23.8]])
def test_a_place_is_in_numbers(latitude: Any) -> None:
    place = {"latitude": latitude, "longitude": 90.4}
    said = message(1) | {"type": "location", "location": place}
    (item,) = parse(envelope({"value": value(messages=[said])}))
    assert isinstance(item, Inbound)
    assert (item.message.kind, item.message.place) == ("unsupported", None)
