"""Claims: a conversation is leased together with its first event and all a turn needs.

A claim bumps the fencing token; every later unit checks it under the row's lock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from hub.clock import SECOND, Micros
from hub.store.bulk import Lookup, execute_many
from hub.store.schema import (
    addresses,
    conversations,
    customers,
    journal,
    messages,
    runs,
    timers,
)
from hub.store.sql import lease_now

Row = dict[str, Any]
Entries = list[Any]


@dataclass(frozen=True, slots=True)
class Claim:
    """`lease` in microseconds; `at` is the hub's clock, which decides what is due."""

    conversation_id: bytes
    lease: Micros
    at: Micros


@dataclass(slots=True)
class Work:
    """A claimed conversation: its row, its customer's, the first event and the current run.

    Exactly one of `message` and `timer` is set. `album` are the messages that belong to `message`:
    all of one album are one event. `backlog` counts further unhandled messages; `claims` counts
    the claims since an event was last committed, this one included.
    """

    conversation: Row
    token: int
    message: Row | None = None
    timer: Row | None = None
    address: Row | None = None
    run: Row | None = None
    journal: Entries = field(default_factory=list)
    backlog: int = 0
    album: list[Row] = field(default_factory=list)

    @property
    def id(self) -> bytes:
        return self.conversation["id"]  # type: ignore[no-any-return]  # a row holds Any

    @property
    def event_id(self) -> bytes:
        event = self.message or self.timer
        assert event is not None
        return event["id"]  # type: ignore[no-any-return]  # a row holds Any

    @property
    def claims(self) -> int:
        return self.conversation["claims"] + 1  # type: ignore[no-any-return]  # a row holds Any


@dataclass(frozen=True, slots=True)
class Leased:
    """Someone else holds it for `left` more microseconds."""

    left: Micros


@dataclass(frozen=True, slots=True)
class Gathering:
    """The first event is an album of which more may come; look again in `left` microseconds."""

    left: Micros


Claimed = Work | Leased | Gathering | None

# Telegram tells no end of an album; its parts come within a second or so.
ALBUM_PAUSE = 3 * SECOND // 2
ALBUM_WAIT = 5 * SECOND

LOCK = Lookup(
    lambda keys: (
        sa.select(
            conversations,
            customers.c.name.label("customer_name"),
            customers.c.language.label("customer_language"),
            customers.c.timezone.label("customer_timezone"),
            customers.c.traits.label("customer_traits"),
            customers.c.kind.label("customer_kind"),
        )
        .join(customers, customers.c.id == conversations.c.customer_id)
        .where(conversations.c.id.in_(keys))
        .order_by(conversations.c.id)
        .with_for_update(of=conversations)
    )
)


# Who wants no marketing is answered all the same.
SILENCED = sa.case(
    (addresses.c.opt_out_scope == "marketing", None), else_=addresses.c.opted_out_at
).label("opted_out_at")


def _first_events(keys: list[sa.BindParameter[Any]]) -> sa.Select[Any]:
    first = (
        sa.select(
            messages.c.conversation_id.label("owner"),
            sa.func.min(messages.c.seq).label("seq"),
            sa.func.count().label("waiting"),
        )
        .where(messages.c.handled_at.is_(None), messages.c.conversation_id.in_(keys))
        .group_by(messages.c.conversation_id)
        .subquery()
    )
    return (
        sa.select(
            messages.c.id,
            messages.c.conversation_id,
            messages.c.seq,
            messages.c.kind,
            messages.c.text,
            messages.c.content,
            messages.c.address_id,
            messages.c.channel_id,
            messages.c.external_id,
            addresses.c.external_id.label("sender"),
            addresses.c.last_seen_at,
            SILENCED,
            first.c.waiting,
        )
        .join(
            first,
            sa.and_(messages.c.conversation_id == first.c.owner, messages.c.seq == first.c.seq),
        )
        .join(addresses, addresses.c.id == messages.c.address_id)
    )


FIRST_EVENTS = Lookup(_first_events)
UNHANDLED = Lookup(
    lambda keys: (
        sa.select(
            messages.c.id,
            messages.c.conversation_id,
            messages.c.kind,
            messages.c.text,
            messages.c.content,
            messages.c.address_id,
            messages.c.created_at,
        )
        .where(messages.c.handled_at.is_(None), messages.c.conversation_id.in_(keys))
        .order_by(messages.c.conversation_id, messages.c.seq)
    )
)
DUE_TIMERS = Lookup(
    lambda keys: (
        sa.select(timers)
        .where(
            timers.c.conversation_id.in_(keys),
            timers.c.due_at <= sa.bindparam("at"),
        )
        .order_by(timers.c.due_at)
    )
)
RUNS = Lookup(lambda keys: sa.select(runs).where(runs.c.id.in_(keys)))
JOURNALS = Lookup(
    lambda keys: (
        sa.select(journal)
        .where(journal.c.run_id.in_(keys))
        .order_by(journal.c.run_id, journal.c.step)
    )
)
ADDRESSES = Lookup(
    lambda keys: sa.select(
        addresses.c.id,
        addresses.c.channel_id,
        addresses.c.external_id,
        addresses.c.last_seen_at,
        SILENCED,
    ).where(addresses.c.id.in_(keys))
)
TAKE = (
    conversations.update()
    .where(conversations.c.id == sa.bindparam("row_id"))
    .values(
        lease_token=sa.bindparam("token"),
        lease_until=sa.bindparam("until"),
        claims=conversations.c.claims + 1,
    )
)


def claim(conn: sa.Connection, items: Sequence[Claim]) -> list[Claimed]:
    """Lease each conversation that has an event; None where there is nothing to handle."""
    now = lease_now(conn)
    ids = list({item.conversation_id for item in items})
    rows = {row["id"]: row for row in LOCK.rows(conn, ids)}
    free = [id for id, row in rows.items() if row["lease_until"] <= now]
    work = _load(conn, {id: rows[id] for id in free}, items[0].at) if free else {}
    waiting = _gather_albums(conn, work, items[0].at)
    lease = {item.conversation_id: item.lease for item in items}
    if work:
        execute_many(
            conn,
            TAKE,
            [{"row_id": id, "token": w.token, "until": now + lease[id]} for id, w in work.items()],
        )
    result: list[Claimed] = []
    for item in items:
        row = rows.get(item.conversation_id)
        if row is not None and row["lease_until"] > now:
            result.append(Leased(row["lease_until"] - now))
        elif item.conversation_id in waiting:
            result.append(waiting[item.conversation_id])
        else:  # a conversation asked for twice in one group is handed out once
            result.append(work.pop(item.conversation_id, None))
    return result


def _gather_albums(
    conn: sa.Connection, work: dict[bytes, Work], at: Micros
) -> dict[bytes, Gathering]:
    """Give each album its further messages; take out of `work` those of which more may come."""
    albums = {id: w for id, w in work.items() if w.message and _album_of(w.message)}
    waiting: dict[bytes, Gathering] = {}
    if not albums:
        return waiting
    parts: dict[bytes, list[Row]] = {id: [] for id in albums}
    for row in UNHANDLED.rows(conn, list(albums)):
        if _album_of(row) == _album_of(albums[row["conversation_id"]].message):
            parts[row["conversation_id"]].append(row)
    for id, found in parts.items():
        first, last = found[0]["created_at"], found[-1]["created_at"]
        left = min(last + ALBUM_PAUSE, first + ALBUM_WAIT) - at
        if left > 0:
            waiting[id] = Gathering(left)
            del work[id]
        else:
            albums[id].album = found[1:]
            albums[id].backlog -= len(found) - 1
    return waiting


def _album_of(row: Row | None) -> tuple[bytes, str] | None:
    """The address and the name of a message's album."""
    album = ((row or {}).get("content") or {}).get("album")
    return (row["address_id"], album) if row and album else None


def _load(conn: sa.Connection, rows: dict[bytes, Row], at: Micros) -> dict[bytes, Work]:
    work: dict[bytes, Work] = {}
    ids = list(rows)
    for event in FIRST_EVENTS.rows(conn, ids):
        row = rows[event["conversation_id"]]
        work[row["id"]] = Work(
            row,
            row["lease_token"] + 1,
            message=event,
            backlog=event["waiting"] - 1,
            address={
                "id": event["address_id"],
                "channel_id": event["channel_id"],
                "external_id": event["sender"],
                "last_seen_at": event["last_seen_at"],
                "opted_out_at": event["opted_out_at"],
            },
        )
    if quiet := [id for id in ids if id not in work]:
        for timer in DUE_TIMERS.rows(conn, quiet, at=at):
            row = rows[timer["conversation_id"]]
            if row["id"] not in work:
                work[row["id"]] = Work(row, row["lease_token"] + 1, timer=timer)
    _load_runs(conn, work)
    return work


def _load_runs(conn: sa.Connection, work: dict[bytes, Work]) -> None:
    current = {w.conversation["run_id"]: w for w in work.values() if w.conversation["run_id"]}
    if current:
        for run in RUNS.rows(conn, list(current)):
            current[run["id"]].run = run
    # A run is named by the message that opened it, so that a turn that died in its first event
    # finds the calls it had recorded.
    journals = dict(current)
    for w in work.values():
        if w.message and not w.run and w.claims > 1:
            journals[w.message["id"]] = w
    if journals:
        for row in JOURNALS.rows(conn, list(journals)):
            journals[row["run_id"]].journal += row["entries"]
    timed = {w.run["address_id"]: w for w in work.values() if w.timer and w.run}
    if timed:
        for address in ADDRESSES.rows(conn, list(timed)):
            for w in work.values():
                if w.timer and w.run and w.run["address_id"] == address["id"]:
                    w.address = address


RENEW = (
    conversations.update()
    .where(
        conversations.c.id == sa.bindparam("row_id"),
        conversations.c.lease_token == sa.bindparam("held"),
    )
    .values(lease_until=sa.bindparam("until"))
)


def renew(conn: sa.Connection, conversation_id: bytes, token: int, lease: Micros) -> bool:
    """Prolong a lease. False when it is lost."""
    row = {"row_id": conversation_id, "held": token, "until": lease_now(conn) + lease}
    return conn.execute(RENEW, row).rowcount == 1


def release(conn: sa.Connection, conversation_id: bytes, token: int, *, forget: bool) -> None:
    """Give a lease back with its event unhandled; `forget`: this claim does not count. One
    stays counted, so that the next finds the calls that this one recorded."""
    values: Row = {"lease_until": 0}
    if forget:
        values["claims"] = 1
    conn.execute(
        conversations.update()
        .where(conversations.c.id == conversation_id, conversations.c.lease_token == token)
        .values(values)
    )


def read_journal(conn: sa.Connection, run_id: bytes) -> Entries:
    return [entry for row in JOURNALS.rows(conn, [run_id]) for entry in row["entries"]]


def count_answers(
    conn: sa.Connection, conversation_id: bytes, address_id: bytes, since: Micros
) -> int:
    """How many messages dialogs wrote to an address since a time."""
    query = sa.select(sa.func.count()).where(
        messages.c.conversation_id == conversation_id,
        messages.c.position >= since,
        messages.c.address_id == address_id,
        messages.c.direction == "out",
        messages.c.author_kind == "bot",
    )
    return conn.execute(query).scalar_one()
