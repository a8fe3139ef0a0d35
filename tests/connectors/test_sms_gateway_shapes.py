"""SMS gateways of other shapes than the page's three, wrong settings, and junk."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sms_gateway import body_of
from hub.connector import Hook
from hub.errors import HookUnreadable, OutcomeUnknown, SettingsError
from hub.message import Inbound
from tests.connectors import kit
from tests.connectors.gateways import GATEWAYS, gateway
from tests.connectors.oddities import assert_well_formed
from tests.connectors.test_sms_gateway import AT, HERS, TEXT, message_item, offline, sign


def test_a_long_message_in_parts_is_one_album() -> None:
    fields = GATEWAYS["reporting"]["hook"]["message"] | {"part": {"udh": "udh"}}
    connector = offline("reporting", hook=GATEWAYS["reporting"]["hook"] | {"message": fields})
    parts = [message_item(sms=text, udh=f"050003CC02{at:02}") for at, text in enumerate("ab", 1)]
    wide = message_item(sms="c", udh="06080412340201")
    items = connector.parse(kit.json_hook({"events": [*parts, wide, message_item(udh="zz")]}))
    albums = [item.message.album for item in items]
    assert albums == [f"{HERS}:cc", f"{HERS}:cc", f"{HERS}:1234", ""]
    assert [item.dedupe_key for item in items] == ["r1 1/2", "r1 2/2", "r1 1/2", "r1"]


def test_a_body_of_xml_has_its_values_escaped() -> None:
    sending = {"text": "<sms><to>{to}</to><body>{text}</body></sms>", "content_type": "text/xml"}
    connector = offline("masked", send=sending, reply={"id": {"path": "result.id"}})
    values = {"to": HERS, "text": "a < b & {to}"}
    assert body_of(connector.settings.send, values) == (
        f"<sms><to>{HERS}</to><body>a &lt; b &amp; {{to}}</body></sms>".encode(),
        "text/xml",
    )


SHAPES = [
    ({"id": {"matches": r"^OK:\s*(\w+)"}}, b"OK: a17", "a17"),
    ({"accepted": {"matches": "^1701"}, "id": {"matches": r"\|(\d+)$"}}, b"1701|88017|55", "55"),
    (
        {"id": {"path": "response.message.id"}},
        b"<response><message><id>9</id></message></response>",
        "9",
    ),
    ({"accepted": {"path": "ok", "equals": ["1"]}}, b'{"ok":1}', kit.CORRELATION),
    ({"id": {"path": "0.id"}}, b'[{"id":"z"}]', "z"),
]


@pytest.mark.parametrize(("reply", "body", "sent"), SHAPES)
async def test_answers_of_other_shapes(reply: Any, body: bytes, sent: str) -> None:
    case = kit.Sends("any", TEXT, reply=kit.Reply(200, body), sent=sent)
    await kit.Runner(partial(gateway, "masked", reply=reply), sign, True).sends(case)


@pytest.mark.parametrize(
    "body", [b"ERR: credit", b"", b"<a><b></a>", b"<!DOCTYPE x [<!ENTITY a 'b'>]><x/>"]
)
async def test_an_answer_that_says_no_is_no_success(body: bytes) -> None:
    case = kit.Sends("any", TEXT, reply=kit.Reply(200, body), fails=OutcomeUnknown)
    make = partial(gateway, "masked", reply={"id": {"matches": "^OK (.*)"}})
    await kit.Runner(make, sign, True).sends(case)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"send": {"query": {"to": "{to}"}}}, "send: must hold {to} and {text}"),
        ({"send": {"form": {"a": "{to}{text}{key}"}}}, "send names {key}"),
        ({"reply": {}}, "reply: needs accepted or id"),
        ({"reply": {"id": {"matches": "("}}}, "reply.id.matches: is not a regular expression"),
        (
            {"hook": {"message": {"from": "a", "text": "b"}}},
            "hook: needs token, basic or signature",
        ),
        ({"hook": {"token": "x"}}, "hook: needs message or report"),
        ({"hook": {"token": "x", "mesage": {}}}, "hook.mesage: is not a setting"),
        ({"send": {"form": {"a": "{to}{text}"}, "json": {}}}, "send: has more than one of"),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=r"channels\.masked") as caught:
        offline("masked", **changes)
    assert named in str(caught.value)
    assert "s3cret" not in str(caught.value)


# Anything at all


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(max_size=8)
    | st.sampled_from([HERS, "DELIVRD", "stop"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["msisdn", "sms", "sms_status", "reference_id", "csms_id", "time"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(JUNK, max_size=4), st.integers(0, 4))
def test_no_junk_costs_a_sibling(junk: list[Any], at: int) -> None:
    events = [*junk[:at], message_item(reference_id="good"), *junk[at:]]
    items = offline("reporting").parse(kit.json_hook({"events": events}))
    for item in items:
        assert_well_formed(item)
    assert "good" in [item.external_id for item in items if isinstance(item, Inbound)]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=60))
def test_any_bytes_raise_nothing_else(body: bytes) -> None:
    hook = Hook(
        "POST", kit.HOOK_URL, "", {"content-type": "application/json"}, body, kit.RECEIVED_AT
    )
    for name in ("longcode", "reporting"):
        try:
            items = offline(name).parse(hook)
        except HookUnreadable:
            continue
        for item in items:
            assert_well_formed(item)


def test_times_may_be_of_any_kind() -> None:
    fields = {**GATEWAYS["reporting"]["hook"]["message"], "at_format": ""}
    connector = offline("reporting", hook=GATEWAYS["reporting"]["hook"] | {"message": fields})
    given = ["2026-11-20T18:00:00", "2026-11-20T12:00:00Z", AT // 1_000_000, AT // 1000, "tomorrow"]
    events = [message_item(time=time, reference_id=str(n)) for n, time in enumerate(given)]
    items = connector.parse(kit.json_hook({"events": events}))
    assert [item.sent_at for item in items] == [AT, AT, AT, AT, kit.RECEIVED_AT]
    assert datetime.fromtimestamp(AT / 1e6, UTC).hour == 12
