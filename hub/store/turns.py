"""What a turn commits: the result of one call by itself, everything else together.

Each unit checks the lease's token under the conversation's lock; one that lost it writes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from hub.clock import Micros, new_id
from hub.errors import LeaseLost
from hub.store.attachments import enclose
from hub.store.bulk import Lookup, execute_many
from hub.store.held import keep
from hub.store.schema import changes, conversations, customers, journal, messages, runs, timers
from hub.store.sends import SendClaim, SendClaimed, begin
from hub.store.sql import insert_new

Row = dict[str, Any]
Entries = list[Any]

INSERT_MESSAGES = messages.insert()
INSERT_CHANGES = changes.insert()
INSERT_JOURNAL = journal.insert()
INSERT_TIMERS = timers.insert()
FENCE = Lookup(
    lambda keys: (
        sa.select(
            conversations.c.id,
            conversations.c.lease_token,
            conversations.c.owner_epoch,
            conversations.c.next_seq,
        )
        .where(conversations.c.id.in_(keys))
        .order_by(conversations.c.id)
        .with_for_update()
    )
)


def _fence(conn: sa.Connection, ids: list[bytes]) -> dict[bytes, Row]:
    return {row["id"]: row for row in FENCE.rows(conn, ids)}


DROP_STEP = journal.delete().where(
    journal.c.run_id == sa.bindparam("of_run"), journal.c.step == sa.bindparam("at_step")
)
DROP_LATER = journal.delete().where(
    journal.c.run_id == sa.bindparam("of_run"), journal.c.step > sa.bindparam("after_step")
)


@dataclass(frozen=True, slots=True)
class Step:
    """The result of one chat.call, committed before the dialog goes on."""

    conversation_id: bytes
    token: int
    epoch: int
    run_id: bytes
    step: int
    entry: Any


def record_step(conn: sa.Connection, items: Sequence[Step]) -> list[LeaseLost | None]:
    """Keep the results of calls, in place of what an uncommitted turn left at the same step. An
    owner who came meanwhile ends the turn: its result must not answer a later question."""
    held = _fence(conn, [item.conversation_id for item in items])
    results: list[LeaseLost | None] = []
    rows: list[Row] = []
    for item in items:
        row = held.get(item.conversation_id)
        if row is None or row["lease_token"] != item.token:
            results.append(LeaseLost("the conversation was claimed by another worker"))
            continue
        if row["owner_epoch"] != item.epoch:
            results.append(LeaseLost("the conversation has another owner now"))
            continue
        results.append(None)
        rows.append({"run_id": item.run_id, "step": item.step, "entries": [item.entry]})
    if rows:
        execute_many(conn, DROP_STEP, [{"of_run": r["run_id"], "at_step": r["step"]} for r in rows])
        execute_many(conn, INSERT_JOURNAL, rows)
    return results


@dataclass(slots=True)
class RunState:
    """The run's row after the turn. `entries` are the new ones that no call recorded by itself;
    `retried`: an earlier attempt at this turn may have left calls that this one did not make."""

    id: bytes
    is_new: bool
    dialog: str
    version: int
    state: str
    step: int
    opening_message_id: bytes
    address_id: bytes
    start: Row | None = None
    waiting: Row | None = None
    reason: str | None = None
    entries: Entries = field(default_factory=list)
    timeout_at: Micros | None = None
    retried: bool = False


@dataclass(slots=True)
class Ending:
    """Everything a turn commits together. `rows` are messages without conversation and seq.
    `album` are the messages handled together with `message_id`. Where a row is held, `seen` is
    when the customer was known to have written there last.
    With `send` the first send to that address is begun in the same transaction."""

    conversation_id: bytes
    token: int
    epoch: int
    at: Micros
    message_id: bytes | None
    timer_id: bytes | None
    rows: list[Row] = field(default_factory=list)
    runs: list[RunState] = field(default_factory=list)
    run_id: bytes | None = None
    to_queue: bool = False
    team: str | None = None
    menu: list[Row] | None = None
    language: str | None = None
    customer_id: bytes | None = None
    album: list[bytes] = field(default_factory=list)
    seen: Micros | None = None
    send: SendClaim | None = None


COMMIT = (
    conversations.update()
    .where(conversations.c.id == sa.bindparam("row_id"))
    .values(
        lease_until=0,
        claims=0,
        next_seq=sa.bindparam("seq"),
        run_id=sa.bindparam("run"),
        menu=sa.bindparam("new_menu", type_=conversations.c.menu.type),
        last_message_id=sa.func.coalesce(sa.bindparam("last"), conversations.c.last_message_id),
        last_message_at=sa.func.coalesce(sa.bindparam("at"), conversations.c.last_message_at),
    )
)
# The epoch stays: what the bot has said before it hands over is still to be sent.
TO_QUEUE = (
    conversations.update()
    .where(conversations.c.id == sa.bindparam("row_id"))
    .values(
        owner_kind="queue",
        owner_id=None,
        owner_name=None,
        team=sa.func.coalesce(sa.bindparam("new_team"), conversations.c.team),
    )
)
HANDLED = (
    messages.update()
    .where(messages.c.id == sa.bindparam("row_id"))
    .values(handled_at=sa.bindparam("at"))
)
UPDATE_RUN = (
    runs.update()
    .where(runs.c.id == sa.bindparam("row_id"))
    .values(
        state=sa.bindparam("new_state"),
        step=sa.bindparam("new_step"),
        waiting=sa.bindparam("new_waiting", type_=runs.c.waiting.type),
        address_id=sa.bindparam("new_address"),
        reason=sa.bindparam("new_reason"),
        updated_at=sa.bindparam("at"),
    )
)
DROP_TIMERS = timers.delete().where(timers.c.run_id == sa.bindparam("of_run"))
DROP_TIMER = timers.delete().where(timers.c.id == sa.bindparam("row_id"))
LANGUAGE = (
    customers.update()
    .where(customers.c.id == sa.bindparam("row_id"))
    .values(language=sa.bindparam("new_language"))
)


def commit(conn: sa.Connection, items: Sequence[Ending]) -> list[LeaseLost | SendClaimed]:
    """Commit turns: event done, journal, replies, owner, timers; or, where the lease or the
    owner was lost, nothing of that turn. Returns the send that was begun, if any."""
    held = _fence(conn, [item.conversation_id for item in items])
    results: list[LeaseLost | SendClaimed] = []
    kept: list[tuple[Ending, int]] = []
    for item in items:
        row = held.get(item.conversation_id)
        if row is None or row["lease_token"] != item.token:
            results.append(LeaseLost("the conversation was claimed by another worker"))
        elif row["owner_epoch"] != item.epoch:
            results.append(LeaseLost("the conversation has another owner now"))
        else:
            results.append(None)
            kept.append((item, row["next_seq"]))
    if kept:
        _write_turns(conn, kept)
    sends = [(place, i.send) for place, i in enumerate(items) if i.send and results[place] is None]
    if sends:
        begun = begin(conn, [send for _, send in sends])
        for (place, _), claimed in zip(sends, begun, strict=True):
            results[place] = claimed
    return results


def _write_turns(conn: sa.Connection, kept: list[tuple[Ending, int]]) -> None:
    rows: list[Row] = []
    updates: list[Row] = []
    seen: list[Row] = []
    for item, next_seq in kept:
        for seq, row in enumerate(item.rows, next_seq):
            row["conversation_id"], row["seq"] = item.conversation_id, seq
            row["owner_epoch"] = item.epoch
            seen.append(_change(item, "message", row["id"]))
        rows += item.rows
        if item.to_queue:
            seen.append(_change(item, "owner", None))
        updates.append(
            {
                "row_id": item.conversation_id,
                "seq": next_seq + len(item.rows),
                "run": item.run_id,
                "new_menu": item.menu,
                "last": item.rows[-1]["id"] if item.rows else None,
                "at": item.at if item.rows else None,
            }
        )
    execute_many(conn, COMMIT, updates)
    turns = [item for item, _ in kept]
    handled = [(i.at, id) for i in turns if i.message_id for id in (i.message_id, *i.album)]
    if handled:
        execute_many(conn, HANDLED, [{"row_id": id, "at": at} for at, id in handled])
    if fired := [i for i in turns if i.timer_id]:
        execute_many(conn, DROP_TIMER, [{"row_id": i.timer_id} for i in fired])
    if rows:
        execute_many(conn, INSERT_MESSAGES, rows)
        enclose(conn, rows, turns[0].at)
    for item in turns:
        if held := next((row for row in item.rows if row["state"] == "held"), None):
            keep(conn, item.conversation_id, held["address_id"], item.seen, item.at)
    _write_runs(conn, turns)
    if queued := [i for i in turns if i.to_queue]:
        execute_many(
            conn, TO_QUEUE, [{"row_id": i.conversation_id, "new_team": i.team} for i in queued]
        )
    if spoken := [i for i in turns if i.language]:
        execute_many(
            conn, LANGUAGE, [{"row_id": i.customer_id, "new_language": i.language} for i in spoken]
        )
    if seen:
        execute_many(conn, INSERT_CHANGES, seen)


def _change(item: Ending, kind: str, message_id: bytes | None) -> Row:
    return {
        "conversation_id": item.conversation_id,
        "kind": kind,
        "message_id": message_id,
        "at": item.at,
    }


def _write_runs(conn: sa.Connection, turns: list[Ending]) -> None:
    states = [(item, run) for item in turns for run in item.runs]
    if not states:
        return
    if new := [_run_row(item, run) for item, run in states if run.is_new]:
        execute_many(conn, insert_new(conn, runs), new)
    if old := [(item, run) for item, run in states if not run.is_new]:
        execute_many(
            conn,
            UPDATE_RUN,
            [
                {
                    "row_id": run.id,
                    "new_state": run.state,
                    "new_step": run.step,
                    "new_waiting": run.waiting,
                    "new_address": run.address_id,
                    "new_reason": run.reason,
                    "at": item.at,
                }
                for item, run in old
            ],
        )
        execute_many(conn, DROP_TIMERS, [{"of_run": run.id} for _, run in old])
    chunks = [
        {"run_id": run.id, "step": run.entries[0][0], "entries": run.entries}
        for _, run in states
        if run.entries
    ]
    if left := [run for _, run in states if run.retried]:
        execute_many(conn, DROP_LATER, [{"of_run": r.id, "after_step": r.step} for r in left])
        first = [{"of_run": r.id, "at_step": r.entries[0][0]} for r in left if r.entries]
        if first:
            execute_many(conn, DROP_STEP, first)
    if chunks:
        execute_many(conn, INSERT_JOURNAL, chunks)
    due = [
        {
            "id": new_id(),
            "conversation_id": item.conversation_id,
            "run_id": run.id,
            "step": run.step,
            "kind": "timeout",
            "due_at": run.timeout_at,
        }
        for item, run in states
        if run.timeout_at is not None
    ]
    if due:
        execute_many(conn, INSERT_TIMERS, due)


def _run_row(item: Ending, run: RunState) -> Row:
    return {
        "id": run.id,
        "conversation_id": item.conversation_id,
        "dialog": run.dialog,
        "version": run.version,
        "state": run.state,
        "step": run.step,
        "opening_message_id": run.opening_message_id,
        "address_id": run.address_id,
        "start": run.start,
        "waiting": run.waiting,
        "reason": run.reason,
        "created_at": item.at,
        "updated_at": item.at,
    }
