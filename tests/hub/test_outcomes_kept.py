"""What is known of a send is recorded, whatever the store does meanwhile; errors of the raw
driver are told apart; one attempt counts as one unknown."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.twilio import Twilio
from hub.clock import Micros
from hub.errors import (
    Blocked,
    NoSuchRecipient,
    OptedOut,
    OutcomeUnknown,
    SendFailed,
    SettingsError,
    StoreUnavailable,
)
from hub.message import Message, Outbound, Receipt, ReceiptError, Sent
from hub.settings import load_settings
from hub.signal import Echo, OptOut
from hub.store import open_store
from hub.store.accept import Acceptance, accept
from hub.store.bulk import Lookup
from hub.store.ownership import park
from hub.store.schema import addresses, conversations, dead_letters, messages
from hub.store.sends import Wait
from tests.databases import only_sqlite
from tests.faults.scene import RECONCILE, playing
from tests.hub.line import AT, Line, open_line
from tests.posting import post_wa, text_item, wa_body

HER = "8801711000001"


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with open_line(tmp_path) as opened:
        yield opened


def nothing(conn: sa.Connection) -> None:
    """A write that finds the database there, or not."""


# The store is away while a provider answers


@only_sqlite
async def test_an_answer_is_kept_while_the_database_is_locked(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        house = scene.house
        scene.fault("slow", seconds=0.2)
        scene.fault("no_receipts")
        await house.hub.store.write(
            lambda conn: conn.exec_driver_sql("PRAGMA busy_timeout=50").close()
        )
        await house.writes("wa", "hello")
        await scene.reaches("echo hello", "sending")
        calls = house.counted("send_seconds", "count")
        blocker = sqlite3.connect(tmp_path / "hub.db", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        try:
            await house.until(lambda: house.counted("send_seconds", "count") == calls + 1)
            # The answer stands in the writer's queue before this, and goes the same way.
            with pytest.raises(StoreUnavailable):
                await house.hub.store.write(nothing)
            assert await scene.state("echo hello") == ("sending", None)
        finally:
            blocker.execute("ROLLBACK")
            blocker.close()
        await scene.reaches("echo hello", "sent")
        await scene.pass_time(RECONCILE * 3)
        assert await scene.state("echo hello") == ("sent", None)
        assert len(scene.calls("echo hello")) == 1
        assert house.counted("sends_repeated") == 0


async def lapse(line: Line, address_id: bytes) -> None:
    """The lease ends before its holder settles."""
    await line.store.write(
        lambda conn: conn.execute(
            addresses.update().where(addresses.c.id == address_id).values(lease_until=0)
        ).close()
    )


async def test_an_unknown_outcome_that_was_counted_already(line: Line) -> None:
    attempt = await line.begin_send()
    await lapse(line, attempt.row["address_id"])
    assert isinstance(await line.begin(attempt.row["address_id"]), Wait)
    found = await line.row(attempt)
    assert (found["state"], found["unknowns"]) == ("unknown", 1)
    await line.answer(attempt, OutcomeUnknown("no answer"))
    found = await line.row(attempt)
    assert (found["state"], found["unknowns"], found["lane"]) == ("unknown", 1, 0)


async def test_an_answer_to_what_was_counted_as_unknown(line: Line) -> None:
    attempt = await line.begin_send()
    await lapse(line, attempt.row["address_id"])
    assert isinstance(await line.begin(attempt.row["address_id"]), Wait)
    await line.answer(attempt, Sent("wamid.1"))
    found = await line.row(attempt)
    assert (found["state"], found["external_id"], found["lane"]) == ("sent", "wamid.1", None)


@pytest.mark.parametrize(
    "limits",
    [
        {"lease": 3.0, "send_timeout": 3.0},
        {"lease": 3.0, "send_timeout": 4.0},
        {"send_timeout": 30.0},
        {"lease": 10.0},
    ],
    ids=str,
)
def test_a_lease_must_outlast_a_send(limits: dict[str, float]) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {"limits": limits})
    assert str(caught.value).startswith("limits.send_timeout: ")
    assert load_settings(None, {"limits": {"lease": 3.0, "send_timeout": 2.9}})


# Errors of the raw driver


def raw_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("from the driver itself")
    error.sqlite_errorcode = code
    return error


AWAY = [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_BUSY]


@only_sqlite
@pytest.mark.parametrize("code", AWAY)
@pytest.mark.parametrize("way", ["write", "read"])
async def test_a_raw_error_means_that_the_store_is_away(line: Line, way: str, code: int) -> None:
    def strike(conn: sa.Connection) -> None:
        raise raw_error(code)

    with pytest.raises(StoreUnavailable):
        await getattr(line.store, way)(strike)
    await line.store.write(nothing)


@pytest.mark.parametrize("way", ["write", "read"])
async def test_any_other_error_stays_what_it_is(line: Line, way: str) -> None:
    def strike(conn: sa.Connection) -> None:
        raise raw_error(sqlite3.SQLITE_ERROR)

    with pytest.raises(sqlite3.OperationalError):
        await getattr(line.store, way)(strike)


@only_sqlite
async def test_a_full_disk_costs_no_message(tmp_path: Path) -> None:
    """SQLite's own limit of pages stands for the disk's end."""
    async with playing(tmp_path, "wa") as scene:
        house, store = scene.house, scene.house.hub.store

        def pages(conn: sa.Connection, most: int) -> int:
            return int(conn.exec_driver_sql(f"PRAGMA max_page_count={most}").scalar_one())

        await store.write(pages, 1)  # it is never less than there are
        text = "x" * 4000
        items = [text_item(f"wamid.{n}", text) for n in range(100)]
        assert await post_wa(house, wa_body(messages=items)) == 200
        assert house.hub.state.spool.counts.waiting == 1
        line = Line(store, house.hub.channels.by_name["wa"].id)
        with pytest.raises(StoreUnavailable):
            await line.accept(*(line.arrival(HER, text) for _ in range(100)))
        assert await line.rows(table=dead_letters) == [], "nothing is wrong with the message"
        await store.write(pages, 1_000_000)
        await house.until(lambda: not house.hub.state.spool.counts.waiting)
        assert len(await house.rows(messages.c.text == text)) == 100


THREADS = Lookup(lambda keys: sa.select(messages).where(messages.c.seq.in_(keys)))


@only_sqlite
@pytest.mark.parametrize("first", [0, 4096], ids=["all of it", "all but its first page"])
async def test_a_corrupted_file_is_an_absent_one_to_readers(tmp_path: Path, first: int) -> None:
    async with open_line(tmp_path) as line:
        await line.accept(*(line.arrival(HER, "x" * 2000) for _ in range(50)))
    file = tmp_path / "hub.db"
    store = open_store(f"sqlite:///{file}")
    try:
        await store.write(nothing)
        with file.open("r+b") as raw:
            raw.seek(first)
            raw.write(b"\xa5" * (file.stat().st_size - first))
        with pytest.raises(StoreUnavailable):
            await store.read(lambda conn: conn.execute(sa.select(messages)).all())
        with pytest.raises(StoreUnavailable):
            await store.read(lambda conn: THREADS.rows(conn, [1, 2, 3]))
    finally:
        await store.close()


# A look-up that fails


class Forgetful(Twilio):
    """A connector with a mistake in its look-up."""

    asked = 0

    async def look_up(self, out: Outbound, since: Micros) -> Sent | None:
        self.asked += 1
        raise KeyError("sid")


async def test_a_look_up_with_a_mistake_leads_to_one_resend(tmp_path: Path) -> None:
    async with playing(tmp_path, "sms") as scene:
        channel = scene.house.hub.channels.by_name["sms"]
        sound = channel.connector
        forgetful = Forgetful(sound.channel, sound.settings, sound.http)
        channel.connector = forgetful
        scene.fault("hang")
        await scene.house.writes("sms", "first")
        await scene.reaches("echo first", "unknown", "outcome_unknown")
        await scene.house.writes("sms", "second")
        await scene.reaches("echo second", "queued")
        await scene.pass_time(RECONCILE + 1)
        assert (len(scene.calls("echo first")), forgetful.asked) == (2, 1)
        assert await scene.state("echo first") == ("delivered", None)
        assert await scene.state("echo second") == ("delivered", None)
        await scene.pass_time(RECONCILE * 3)
        assert len(scene.calls("echo first")) == 2


# What an outcome says of the address


async def address(line: Line, id: bytes) -> dict[str, Any]:
    return (await line.rows(addresses.c.id == id, table=addresses))[0]


FINAL: list[tuple[SendFailed, bool, str | None]] = [
    (Blocked("blocked"), True, None),
    (OptedOut("stopped"), False, "all"),
    (NoSuchRecipient("nobody"), False, None),
]


@pytest.mark.parametrize(("outcome", "blocked", "scope"), FINAL, ids=lambda one: type(one).__name__)
async def test_a_final_answer_marks_the_address(
    line: Line, outcome: SendFailed, blocked: bool, scope: str | None
) -> None:
    attempt = await line.begin_send()
    await line.answer(attempt, outcome)
    await assert_marked(line, attempt.row, blocked, scope)


@pytest.mark.parametrize("when", ["after the answer", "before the answer", "instead of it"])
@pytest.mark.parametrize(("error", "blocked", "scope"), FINAL, ids=lambda one: type(one).__name__)
async def test_a_failed_receipt_marks_the_address(
    line: Line, error: SendFailed, blocked: bool, scope: str | None, when: str
) -> None:
    attempt = await line.begin_send()
    told = ReceiptError("1", error.error_class, error.reason)
    own = attempt.row["id"].hex() if when == "instead of it" else ""
    heard = Receipt("1", "wamid.1", "failed", AT, own, told)
    if when == "after the answer":
        await line.answer(attempt, Sent("wamid.1"))
    await line.store.each(accept, Acceptance(AT, receipts=[(line.channel_id, heard)]))
    if when == "before the answer":
        await line.answer(attempt, Sent("wamid.1"))
    row = await line.row(attempt)
    assert (row["state"], row["error_class"]) == ("failed", error.error_class)
    await assert_marked(line, attempt.row, blocked, scope)


@pytest.mark.parametrize("when", ["in the answer", "in a receipt"])
async def test_who_refuses_a_template_may_only_have_stopped_marketing(
    line: Line, when: str
) -> None:
    attempt = await line.begin_send(kind="template")
    if when == "in the answer":
        await line.answer(attempt, OptedOut("stopped"))
    else:
        await line.answer(attempt, Sent("wamid.1"))
        told = ReceiptError("131050", "opted_out", "stopped")
        heard = Receipt("1", "wamid.1", "failed", AT, "", told)
        await line.store.each(accept, Acceptance(AT, receipts=[(line.channel_id, heard)]))
    await assert_marked(line, attempt.row, False, "marketing")


async def assert_marked(line: Line, row: dict[str, Any], blocked: bool, scope: str | None) -> None:
    """Her address says so, until she writes again; an opt-out until she opts in."""
    found = await address(line, row["address_id"])
    assert (found["blocked_at"] is not None, found["opt_out_scope"]) == (blocked, scope)
    assert (found["opted_out_at"] is not None) == (scope is not None)
    await line.accept(line.arrival(row["recipient"], "it's me"))
    found = await address(line, row["address_id"])
    assert found["blocked_at"] is None
    assert found["opt_out_scope"] == scope
    await line.signal(OptOut("1", row["recipient"], AT, on=False))
    assert (await address(line, row["address_id"]))["opted_out_at"] is None


async def test_the_next_send_to_a_blocked_address_is_not_made(tmp_path: Path) -> None:
    async with playing(tmp_path, "sms") as scene:
        scene.fault("status", status=400, code=21610)
        await scene.house.writes("sms", "first")
        await scene.reaches("echo first", "failed", "opted_out")
        assert (await scene.reply("an answer"))[0] == 409
        await scene.house.writes("sms", "second")
        await scene.quiet()
        assert len(scene.calls("an answer")) == len(scene.calls("echo second")) == 0


# Signals


@pytest.mark.parametrize("on", [True, False])
async def test_a_wish_of_someone_who_never_wrote_is_kept(line: Line, on: bool) -> None:
    await line.signal(OptOut("1", HER, AT, on=on))
    [letter] = await line.rows(table=dead_letters)
    assert (letter["kind"], letter["reference"]) == ("signal", line.channel_id)
    assert letter["raw"] == {"sender": HER, "on": on, "scope": "all"}
    assert letter["resolved_at"] is None


async def test_an_echo_takes_nothing_from_a_named_agent(line: Line) -> None:
    [stored] = await line.accept(line.arrival(HER))
    agent = b"a" * 16
    epoch = await line.store.write(
        park, stored.conversation_id, owner_kind="agent", owner_id=agent, owner_name="Rima", at=AT
    )
    await line.signal(Echo("1", HER, AT, "wamid.echo", Message(text="from the shop's phone")))
    [found] = await line.rows(table=conversations)
    assert (found["owner_id"], found["owner_name"]) == (agent, "Rima")
    assert found["owner_epoch"] == epoch
    assert [row["text"] for row in await line.rows(messages.c.direction == "out")] == [
        "from the shop's phone"
    ]
