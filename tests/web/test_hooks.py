"""The providers' webhooks at the door: what is let in, what is kept, what is answered.

Bodies and signatures are the test's own; the stand-ins sign none of these.
"""

import asyncio
import io
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
import structlog

from hub import log
from hub.clock import DAY
from hub.store.schema import dead_letters, hooks, messages
from hub.store.sweep import throw_away
from tests.databases import only_sqlite
from tests.faults.scene import FLOWS
from tests.posting import (
    WA_ID,
    post_sms,
    post_wa,
    sms_form,
    status_item,
    text_item,
    wa_body,
    wa_signature,
)
from tests.running import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    CUSTOMER,
    WA_SECRET,
    WA_TOKEN,
    WA_VERIFY,
    House,
    running_hub,
)

SECRETS = (WA_SECRET, WA_TOKEN, WA_VERIFY, AUTH_TOKEN, "k" * 40)
PRIVATE = "my card is 4111"


@pytest.fixture
def lines() -> Iterator[io.BytesIO]:
    """Everything the hub logs, down to debug, as its own configuration writes it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.BytesIO()
    log.configure("debug", stream)
    yield stream
    logging.captureWarnings(False)
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


async def table(house: House, name: sa.Table) -> list[dict[str, Any]]:
    def read(conn: sa.Connection) -> list[dict[str, Any]]:
        return [dict(row) for row in conn.execute(sa.select(name)).mappings()]

    return await house.hub.store.read(read)


async def heard(house: House) -> list[str]:
    """The texts customers wrote, in the order they were stored."""
    return [row["text"] for row in await house.rows(messages.c.direction == "in")]


async def test_only_a_genuine_signature_is_let_in(tmp_path: Path, lines: io.BytesIO) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        body = wa_body(messages=[text_item("wamid.1", PRIVATE)])
        refused = [
            {},
            {"X-Hub-Signature-256": ""},
            {"X-Hub-Signature-256": "sha256="},
            {"X-Hub-Signature-256": "sha256=" + "0" * 64},
            {"X-Hub-Signature-256": wa_signature(body)["X-Hub-Signature-256"][7:]},
            wa_signature(body, "another-secret"),
            wa_signature(body + b" "),
            {"X-Hub-Signature": wa_signature(body)["X-Hub-Signature-256"]},
        ]
        for headers in refused:
            assert await post_wa(house, body, headers) == 403
        form = sms_form("SM1", PRIVATE)
        assert await post_sms(house, form, signature="") == 403
        assert await post_sms(house, form, signature="AAAA") == 403
        assert await post_sms(house, {**form, "AccountSid": "AC" + "1" * 32}) == 403
        assert await heard(house) == []
        assert await table(house, hooks) == [], "the body of a forgery is not kept"
        assert await table(house, dead_letters) == []

        assert await post_wa(house, body) == 200
        assert await post_sms(house, form) == 200
        assert await heard(house) == [PRIVATE, PRIVATE]
        await house.settled()
    written = lines.getvalue().decode()
    assert "hook rejected" in written
    for private in (*SECRETS, PRIVATE):
        assert private not in written


GARBAGE = [
    b"",
    b"garbage",
    b"\xff\xfe\x00",
    b"null",
    b"[]",
    b"{}",
    b'"text"',
    b"[" * 3000,
    b'{"object":"whatsapp_business_account"}',
    b'{"object":"whatsapp_business_account","entry":null}',
    b'{"object":"page","entry":[{"id":"1"}]}',
]


async def test_garbage_with_a_good_signature_is_kept_and_answered(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        for body in GARBAGE:
            assert await post_wa(house, body) == 200
        kept = await table(house, hooks)
        assert [row["body"] for row in kept] == GARBAGE
        letters = await table(house, dead_letters)
        assert len(letters) == len(GARBAGE)
        assert {row["reference"] for row in letters} == {row["id"] for row in kept}
        assert await heard(house) == []
        assert await post_wa(house, wa_body(messages=[text_item("wamid.1", "sane")])) == 200
        assert await heard(house) == ["sane"]


async def test_a_twilio_form_that_says_nothing_is_kept(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        assert await post_sms(house, {"AccountSid": ACCOUNT_SID, "Colour": "green"}) == 200
        assert len(await table(house, hooks)) == 1
        assert len(await table(house, dead_letters)) == 1


async def test_ten_megabytes_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        ten = 10 * 1024 * 1024
        assert await _begin_post(house, f"Content-Length: {ten}", b"") == 413
        chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        assert await _begin_post(house, "Transfer-Encoding: chunked", chunk * 5) == 413
        assert await table(house, hooks) == []
        body = wa_body(messages=[text_item("wamid.2", "the largest")]).ljust(4 * 1024 * 1024)
        async with house.session.post(
            f"{house.url}/hooks/wa", data=io.BytesIO(body), headers=wa_signature(body)
        ) as answer:
            assert answer.status == 200
        assert await heard(house) == ["the largest"]


async def _begin_post(house: House, length: str, part: bytes) -> int:
    """The status of a POST whose body never ends."""
    host, port = house.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        head = f"POST /hooks/wa HTTP/1.1\r\nHost: {host}\r\n{length}\r\n\r\n"
        writer.write(head.encode() + part)
        line = await asyncio.wait_for(reader.readline(), 10)
        return int(line.split()[1])
    finally:
        writer.close()


async def test_unknown_channels_and_methods(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        body = wa_body(messages=[text_item("wamid.1", "hello")])
        assert await post_wa(house, body, path="/hooks/nobody") == 404
        assert await post_wa(house, body, path="/hooks/site") == 404
        assert await post_wa(house, body, path="/hooks/wa/more") == 404
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
            async with house.session.request(method, f"{house.url}/hooks/wa") as answer:
                assert answer.status == 405
                assert set(answer.headers["Allow"].split(", ")) == {"GET", "POST"}
        assert await table(house, hooks) == []


async def test_the_verify_handshake(tmp_path: Path, lines: io.BytesIO) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        query = {"hub.mode": "subscribe", "hub.verify_token": WA_VERIFY, "hub.challenge": "8231"}
        assert await _get(house, query) == (200, "8231")
        assert await house.whatsapp.verify(next(iter(house.whatsapp.accounts)))
        wrong = [
            {**query, "hub.verify_token": "guess"},
            {**query, "hub.verify_token": ""},
            {**query, "hub.mode": "unsubscribe"},
            {"hub.challenge": "8231"},
            {},
        ]
        for query in wrong:
            status, text = await _get(house, query)
            assert status == 403
            assert "8231" not in text
        assert await table(house, hooks) == []
    assert WA_VERIFY not in lines.getvalue().decode()


async def _get(house: House, query: dict[str, str]) -> tuple[int, str]:
    async with house.session.get(f"{house.url}/hooks/wa", params=query) as answer:
        return answer.status, await answer.text()


async def test_an_account_nobody_configured_is_kept_and_answered(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        body = wa_body(account="555", messages=[text_item("wamid.1", "hello")])
        assert await post_wa(house, body) == 200
        assert await heard(house) == []
        [kept] = await table(house, hooks)
        assert kept["body"] == body
        [letter] = await table(house, dead_letters)
        assert "555" in letter["reason"]
        assert letter["reference"] == kept["id"]


async def test_a_kind_nobody_knows_is_shown_as_unsupported(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        item = {
            "id": "wamid.1",
            "from": WA_ID,
            "timestamp": "1795176000",
            "type": "hologram",
            "hologram": {"depth": 3},
        }
        assert await post_wa(house, wa_body(messages=[item])) == 200
        [row] = await house.rows(messages.c.direction == "in")
        assert row["kind"] == "unsupported"
        assert row["raw"] == item
        assert await table(house, dead_letters) == []


async def test_null_fields_cost_nothing(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        item = {
            **text_item("wamid.1", "with nulls"),
            "timestamp": None,
            "context": None,
            "referral": None,
            "errors": None,
        }
        body = wa_body(messages=[item], contacts=None, statuses=None)
        assert await post_wa(house, body) == 200
        empty = {**text_item("wamid.2", ""), "text": None}
        assert await post_wa(house, wa_body(messages=[empty])) == 200
        assert (await heard(house))[0] == "with nulls"
        assert len(await heard(house)) == 2


async def test_what_no_database_stores_is_left_out_of_a_text(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        body = wa_body(messages=[text_item("wamid.1", "half NUL half")])
        body = body.replace(b" NUL ", b"\\u0000\\ud83d")
        assert await post_wa(house, body) == 200
        assert await heard(house) == ["halfhalf"]


async def test_a_batch_of_everything_is_stored_whole(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        first = orjson.loads(wa_body(messages=[text_item("wamid.1", "one")]))
        second = orjson.loads(wa_body(messages=[text_item("wamid.2", "two", "8801711000055")]))
        strange = orjson.loads(wa_body(account="555", messages=[text_item("wamid.4", "lost")]))
        third = orjson.loads(
            wa_body(statuses=[status_item("wamid.X", "read")], messages=[text_item("wamid.3", "3")])
        )
        first["entry"] += [*second["entry"], *strange["entry"], None, *third["entry"]]
        body = orjson.dumps(first)
        for _ in range(3):
            assert await post_wa(house, body) == 200
        assert sorted(await heard(house)) == ["3", "one", "two"]
        assert len(await table(house, hooks)) == 3


@only_sqlite
async def test_nothing_is_lost_while_the_database_is_away(tmp_path: Path) -> None:
    """Another process holds the database's write lock for longer than the hub waits."""
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        await house.writes("sms", "before")
        await house.settled()
        await house.hub.store.write(
            lambda conn: conn.exec_driver_sql("PRAGMA busy_timeout=50").close()
        )
        blocker = sqlite3.connect(tmp_path / "hub.db", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        try:
            body = wa_body(messages=[text_item("wamid.1", "while away")])
            for _ in range(2):
                assert await post_wa(house, body) == 200
            assert await post_wa(house, body, wa_signature(b"another")) == 403
            written = await house.writes("wa", "and after it")
            assert written["status"] == 200
            assert house.hub.state.spool.waiting() >= 3
            assert await heard(house) == ["before"]
        finally:
            blocker.execute("ROLLBACK")
            blocker.close()
        await house.until(lambda: not house.hub.state.spool.counts.waiting)
        assert await post_wa(house, body) == 200
        assert await heard(house) == ["before", "while away", "and after it"]
        await house.settled()
        assert await house.heard("sms") == ["echo before"]
        assert "echo and after it" in await house.heard("wa")


async def test_hooks_of_a_closed_store_are_there_after_the_next_start(tmp_path: Path) -> None:
    body = wa_body(messages=[text_item("wamid.1", "too late")])
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        await house.settled()
        await house.hub.store.close()
        assert await post_wa(house, body) == 200
        assert await post_sms(house, sms_form("SM1", "late too")) == 200
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        await house.until(lambda: not house.hub.state.spool.counts.waiting)
        assert sorted(await heard(house)) == ["late too", "too late"]


async def test_a_full_spool_answers_503(tmp_path: Path) -> None:
    body = wa_body(messages=[text_item("wamid.1", "x" * 2000)])
    async with running_hub(tmp_path, dialogs=FLOWS, limits={"spool_bytes": 5000}) as house:
        await house.hub.store.close()
        for status in (200, 503, 503):
            async with house.session.post(
                f"{house.url}/hooks/wa", data=body, headers=wa_signature(body)
            ) as answer:
                assert answer.status == status
                assert (status == 200) == ("Retry-After" not in answer.headers)
        assert house.hub.state.spool.counts.refused == 2


async def test_raw_hooks_are_thrown_away_after_fourteen_days(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        body = wa_body(messages=[text_item("wamid.1", "hello")])
        assert await post_wa(house, body) == 200
        [kept] = await table(house, hooks)
        assert (kept["body"], kept["channel"], kept["method"]) == (body, "wa", "POST")

        async def keep_house() -> int:
            return await house.hub.store.write(
                throw_away, house.hub.clock.now(), hooks_days=14, changes_days=7
            )

        house.hub.clock.move(14 * DAY / 1e6 - 60)
        assert await post_wa(house, wa_body(messages=[text_item("wamid.2", "later")])) == 200
        await keep_house()
        assert len(await table(house, hooks)) == 2
        house.hub.clock.move(120)
        await keep_house()
        [left] = await table(house, hooks)
        assert b"later" in left["body"]
        assert await heard(house) == ["hello", "later"], "the messages stay"


async def test_no_text_and_no_secret_is_ever_logged(tmp_path: Path, lines: io.BytesIO) -> None:
    async with running_hub(
        tmp_path, dialogs=FLOWS, limits={"send_timeout": 0.2, "reconcile_for": 60.0}
    ) as house:
        await house.writes("wa", PRIVATE)
        await house.writes("sms", PRIVATE)
        for fault in ("hang", "reset"):
            house.whatsapp.add_fault(fault)
        house.whatsapp.add_fault("status", status=401, code=190)
        house.twilio.add_fault("status", status=401, code=20003)
        for number in range(4):
            await house.writes("wa", PRIVATE, number=f"+880171100001{number}")
        await house.writes("sms", PRIVATE, number="+8801711000019")
        await house.writes("wa", f"break please {PRIVATE}", number="+8801711000018")
        await house.settled()
        assert await post_wa(house, PRIVATE.encode()) == 200
        assert await post_wa(house, b"{}", {"X-Hub-Signature-256": WA_SECRET}) == 403
        status, _ = await house.api("GET", "/conversations?q=" + CUSTOMER.replace("+", "%2B"))
        assert status == 200
        token = house.token
    written = lines.getvalue().decode()
    events = [orjson.loads(line) for line in written.splitlines()]
    assert any(event["event"] == "channel paused" for event in events)
    assert any(event["event"] == "dialog failed" for event in events)
    for private in (*SECRETS, token, PRIVATE, "4111", CUSTOMER.removeprefix("+")):
        assert private not in written
