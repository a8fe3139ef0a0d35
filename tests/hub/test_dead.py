"""Dead letters by the command, with and without a running hub, and their units on the store."""

import asyncio
import contextlib
import re
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.clock import SECOND, id_text, new_id
from hub.errors import NoSuchRecipient, OptedOut, OutcomeUnknown, Refused, SendFailed
from hub.message import Sent
from hub.store.dead import list_letters, load_letter
from hub.store.ownership import park
from hub.store.retries import Refusal, Retried, Wish, drop, fail_again, retry, take_due
from hub.store.schema import dead_letters, hooks, messages
from hub.store.sends import Attempt
from tests.databases import only_sqlite
from tests.hub.line import AT, Line, open_line
from tests.hub.test_cli import onethread
from tests.posting import text_item, wa_body, wa_signature

WISH = Wish(AT, AT + 3600 * SECOND, ("wa",))


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with open_line(tmp_path) as opened:
        yield opened


async def fail(line: Line, outcome: SendFailed, parts: int = 1) -> Attempt:
    attempt = await line.begin_send(parts)
    await line.answer(attempt, outcome)
    return attempt


# Sends


async def test_the_parts_of_a_message_go_again_in_their_order(line: Line) -> None:
    attempt = await fail(line, Refused("no", code="100"), parts=3)
    id, address_id = attempt.row["id"], attempt.row["address_id"]
    thread = messages.c.conversation_id == attempt.row["conversation_id"]
    before = await line.rows(thread, messages.c.direction == "out")
    assert sorted(row["state"] for row in before) == ["cancelled", "cancelled", "failed"]
    assert await line.store.write(retry, id, WISH) == Retried("send", address_id)
    said = []
    while isinstance(begun := await line.begin(address_id), Attempt):
        said.append(begun.row["text"])
        assert begun.row["expires_at"] == WISH.expires_at
        await line.answer(begun, Sent(new_id().hex()))
    assert said == ["part 0", "part 1", "part 2"]


async def test_a_send_under_way_is_not_begun_twice(line: Line) -> None:
    attempt = await fail(line, Refused("no"))
    id, address_id = attempt.row["id"], attempt.row["address_id"]
    both = await asyncio.gather(*(line.store.write(retry, id, WISH) for _ in range(2)))
    assert sorted(both, key=str) == [Retried("send"), Retried("send", address_id)]
    begun = await line.begin(address_id)
    assert isinstance(begun, Attempt)
    assert await line.store.write(retry, id, WISH) == Retried("send")
    assert (await line.row(attempt))["state"] == "sending"
    await line.answer(begun, Sent("wamid.1"))
    assert await line.store.write(retry, id, WISH) is None
    assert (await line.row(attempt))["state"] == "sent"


async def test_a_late_word_on_the_first_attempt_does_not_end_the_second(line: Line) -> None:
    attempt = await line.begin_send()
    await line.answer(attempt, Sent("wamid.first"))
    await line.store.write(_fail_by_hand, attempt.row["id"])
    await line.store.write(retry, attempt.row["id"], WISH)
    await line.receipt("failed", "wamid.first")
    assert (await line.row(attempt))["state"] == "queued"


async def test_a_send_that_was_unknown_twice_may_be_unknown_once_more(line: Line) -> None:
    attempt = await line.begin_send()
    address_id = attempt.row["address_id"]
    await line.answer(attempt, OutcomeUnknown("no answer"))
    later = AT + 120 * SECOND
    resent = await line.begin(address_id, later, resend=attempt.row["id"])
    await line.answer(resent, OutcomeUnknown("no answer"))
    assert (await line.row(attempt))["state"] == "failed"
    await line.store.write(retry, attempt.row["id"], WISH._replace(at=later))
    await line.answer(await line.begin(address_id, later), OutcomeUnknown("no answer"))
    assert (await line.row(attempt))["state"] == "unknown"


def _fail_by_hand(conn: sa.Connection, id: bytes) -> None:
    failed = {"state": "failed", "error_class": "refused", "lane": None}
    conn.execute(messages.update().where(messages.c.id == id).values(failed))


@pytest.mark.parametrize("outcome", [OptedOut("no"), NoSuchRecipient("nobody")], ids=str)
async def test_what_the_customer_decides_is_not_tried_again(
    line: Line, outcome: SendFailed
) -> None:
    attempt = await fail(line, outcome)
    done = await line.store.write(retry, attempt.row["id"], WISH)
    assert isinstance(done, Refusal)
    assert done.code == outcome.error_class
    assert await line.store.read(list_letters, None, 10) == []


async def test_a_channel_that_is_not_configured_now(line: Line) -> None:
    attempt = await fail(line, Refused("no"))
    done = await line.store.write(retry, attempt.row["id"], WISH._replace(channels=("sms",)))
    assert isinstance(done, Refusal)
    assert done.code == "no_such_channel"
    assert (await line.row(attempt))["state"] == "failed"


async def test_the_words_of_an_agent_go_again_whoever_has_it_now(line: Line) -> None:
    attempt = await fail(line, Refused("no"))
    where = attempt.row["conversation_id"]
    await line.store.write(
        park, where, owner_kind="agent", owner_id=new_id(), owner_name="Rafi", at=AT
    )
    assert isinstance(await line.store.write(retry, attempt.row["id"], WISH), Retried)
    assert isinstance(await line.begin(attempt.row["address_id"]), Attempt)


@only_sqlite
async def test_the_list_is_not_made_by_reading_every_message(line: Line) -> None:
    await fail(line, Refused("no"))

    def plans(conn: sa.Connection) -> list[str]:
        heard: list[tuple[str, Any]] = []

        def hear(_c: Any, _cursor: Any, text: str, given: Any, _x: Any, _many: bool) -> None:
            heard.append((text, given))

        sa.event.listen(conn, "before_cursor_execute", hear)
        assert len(list_letters(conn, None, 10)) == 1
        assert list_letters(conn, bytes(16), 10) == []
        sa.event.remove(conn, "before_cursor_execute", hear)
        return [
            row.detail
            for text, given in heard
            for row in conn.exec_driver_sql("EXPLAIN QUERY PLAN " + text, given)
        ]

    steps = await line.store.read(plans)
    read = [step for step in steps if re.match(r"(SCAN|SEARCH) messages", step)]
    assert read
    wanted = ("ix_messages_failed", "sqlite_autoindex_messages_1 (id=?)")
    assert [step for step in read if not any(index in step for index in wanted)] == []
    assert not any("TEMP B-TREE" in step for step in steps)


# Hooks


def add_letters(conn: sa.Connection, count: int) -> list[bytes]:
    found = []
    for _ in range(count):
        hook_id, id = new_id(), new_id()
        conn.execute(
            hooks.insert().values(
                id=hook_id, channel="wa", method="POST", body=b"x", received_at=AT
            )
        )
        conn.execute(
            dead_letters.insert().values(
                id=id, kind="hook", reference=hook_id, channel="wa", reason="why", created_at=AT
            )
        )
        found.append(id)
    return found


async def test_a_hook_is_taken_once_and_again_only_when_it_was_not_settled(line: Line) -> None:
    ids = await line.store.write(add_letters, 3)
    for id in ids:
        assert await line.store.write(retry, id, WISH) == Retried("hook")
    later = AT + 300 * SECOND
    taken = await asyncio.gather(*(line.store.write(take_due, AT, later, 2) for _ in range(4)))
    hooks_of = [one.id for some in taken for one in some]
    assert len(hooks_of) == len(set(hooks_of)) == 3
    assert await line.store.write(take_due, AT, later, 2) == []
    await line.store.write(fail_again, hooks_of[0], "in vain")
    again = await line.store.write(take_due, later, later * 2, 9)
    assert {one.id for one in again} == set(hooks_of[1:]), "whoever took them has died"
    told = {(await line.store.read(load_letter, id)) for id in ids}
    assert {(one.reason, one.attempt) for one in told if one} == {("in vain", 1), ("why", 2)}


async def test_a_hook_is_dropped_once(line: Line) -> None:
    [id] = await line.store.write(add_letters, 1)
    assert [await line.store.write(drop, id, AT) for _ in range(2)] == [True, False]
    assert await line.store.write(retry, id, WISH) is None


# The command


SETTINGS = """
[hub]
secret_key = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
[dialogs]
modules = []
default = ""
[limits]
poll = 0.1
[channels.wa]
kind = "whatsapp"
phone_number_id = "106500000000777"
access_token = "t"
app_secret = "wa-app-secret"
verify_token = "v"
api_base = "http://127.0.0.1:1"
"""
POISON = (
    "CREATE TRIGGER no_poison BEFORE INSERT ON messages WHEN NEW.text = 'poison'"
    " BEGIN SELECT RAISE(ABORT, 'refused'); END"
)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A hub as a process of its own; its URL."""
    with subprocess.Popen(
        [sys.executable, "-m", "hub.cli", "serve", "--port", "0"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().rsplit(" ", 1)[1].strip()
        finally:
            process.terminate()
            assert process.wait(20) == 0


def ask(folder: Path, query: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(folder / "onethread.db", timeout=10)) as conn:
        found = conn.execute(query).fetchall()
        conn.commit()
        return found


def poisoned(folder: Path, url: str) -> None:
    """A hook whose second message the database refuses, for now."""
    ask(folder, POISON)
    items = [text_item("wamid.1", "fine"), text_item("wamid.2", "poison")]
    body = wa_body(messages=items)
    request = urllib.request.Request(f"{url}/hooks/wa", body, wa_signature(body))
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
    ask(folder, "DROP TRIGGER no_poison")


def until(folder: Path, query: str, wanted: Callable[[list[Any]], bool]) -> None:
    end = time.monotonic() + 20
    while not wanted(found := ask(folder, query)):
        assert time.monotonic() < end, found
        time.sleep(0.05)


TEXTS = "SELECT text FROM messages ORDER BY seq"


@only_sqlite
def test_a_wish_is_carried_out_by_the_running_hub(tmp_path: Path) -> None:
    (tmp_path / "onethread.toml").write_text(SETTINGS, "utf-8")
    with serving(tmp_path) as url:
        poisoned(tmp_path, url)
        assert ask(tmp_path, TEXTS) == [("fine",)]
        listed = onethread(tmp_path, "dead", "list")
        found = re.fullmatch(r"(\S{36})  hook    \S+Z  wa  cannot be stored: \w+\n", listed.stdout)
        assert found, listed
        shown = onethread(tmp_path, "dead", "show", found[1], "--raw")
        assert '"poison"' in shown.stdout
        assert "poison" not in onethread(tmp_path, "dead", "show", found[1]).stdout
        done = onethread(tmp_path, "dead", "retry", found[1])
        assert (done.returncode, done.stdout) == (0, "1 will be tried again.\n")
        until(tmp_path, TEXTS, lambda rows: rows == [("fine",), ("poison",)])
        until(tmp_path, "SELECT 1 FROM dead_letters", lambda rows: not rows)
    again = onethread(tmp_path, "dead", "retry", found[1])
    assert (again.returncode, again.stdout) == (1, "0 will be tried again.\n")
    assert again.stderr == f"{found[1]}: there is no such dead letter\n"


@only_sqlite
def test_a_wish_waits_for_the_next_hub(tmp_path: Path) -> None:
    (tmp_path / "onethread.toml").write_text(SETTINGS, "utf-8")
    with serving(tmp_path) as url:
        poisoned(tmp_path, url)
    done = onethread(tmp_path, "dead", "retry", "--all", "--kind", "hook")
    assert (done.returncode, done.stdout) == (0, "1 will be tried again.\n")
    assert "  will be tried again:  " in onethread(tmp_path, "dead", "list").stdout
    assert ask(tmp_path, TEXTS) == [("fine",)]
    with serving(tmp_path):
        until(tmp_path, TEXTS, lambda rows: rows == [("fine",), ("poison",)])
        until(tmp_path, "SELECT 1 FROM dead_letters", lambda rows: not rows)
    assert onethread(tmp_path, "dead", "list").stderr == "There are none.\n"


@only_sqlite
def test_the_command_drops_and_says_what_it_cannot_do(tmp_path: Path) -> None:
    (tmp_path / "onethread.toml").write_text(SETTINGS, "utf-8")
    with serving(tmp_path) as url:
        poisoned(tmp_path, url)
    ask(tmp_path, "DELETE FROM hooks")
    refused = onethread(tmp_path, "dead", "retry", "--all")
    assert refused.returncode == 1
    assert ": raw_gone: The webhook itself is past" in refused.stderr
    dropped = onethread(tmp_path, "dead", "drop", "--all", "--channel", "wa")
    assert (dropped.returncode, dropped.stdout) == (0, "Dropped 1.\n")
    for wrong in (["retry"], ["retry", id_text(new_id()), "--all"], ["drop", "nonsense"]):
        assert onethread(tmp_path, "dead", *wrong).returncode == 2
