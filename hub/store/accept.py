"""Intake's unit: everything one webhook brought is stored together, once.

Set-based: one call stores the hooks of many requests with a fixed number of statements.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import sqlalchemy as sa

from hub.clock import Micros, new_id
from hub.message import Alias, Inbound, Profile, Receipt
from hub.signal import Signal
from hub.store import identities
from hub.store.bulk import Lookup, execute_many
from hub.store.edits import apply_early
from hub.store.held import release
from hub.store.hub_tables import early
from hub.store.identities import Person
from hub.store.receipts import apply_receipts
from hub.store.retries import settle_hook
from hub.store.schema import (
    addresses,
    cases,
    changes,
    conversations,
    dead_letters,
    hooks,
    media,
    messages,
)
from hub.store.signals import apply_signal

Row = dict[str, Any]


@dataclass(slots=True)
class Arrival:
    """One inbound message on its way in: `row` holds the columns that are known beforehand, the
    rest says who wrote (see message.Inbound). `media` are the attachments, as JSON."""

    channel_id: bytes
    row: Row
    external_id: str
    is_group: bool
    also: tuple[str, ...]
    aliases: tuple[Alias, ...]
    profile: Profile
    media: list[Row]
    may_join: bool = True

    @classmethod
    def of(cls, channel_id: bytes, inbound: Inbound, row: Row, *, may_join: bool = True) -> Self:
        """`may_join`: whether proven aliases join it to a known customer."""
        return cls(
            channel_id,
            row,
            inbound.group or inbound.sender,
            bool(inbound.group),
            inbound.also,
            inbound.aliases,
            inbound.profile,
            [one.model_dump(mode="json", exclude_defaults=True) for one in inbound.message.media],
            may_join,
        )


@dataclass(slots=True)
class Acceptance:
    """What one webhook brought. `redeems`: the hook of that id was kept, is read again, and its
    dead letters give way to what `dead` holds now."""

    at: Micros
    arrivals: list[Arrival] = field(default_factory=list)
    receipts: list[tuple[bytes, Receipt]] = field(default_factory=list)
    signals: list[tuple[bytes, Signal]] = field(default_factory=list)
    dead: list[Row] = field(default_factory=list)
    hook: Row | None = None
    redeems: bytes | None = None


@dataclass(frozen=True, slots=True)
class StoredMessage:
    id: bytes
    seq: int
    conversation_id: bytes
    new: bool


@dataclass(slots=True)
class Accepted:
    """What became of it. `turns` are conversations with something to handle, `sends` addresses
    whose outbox may go on; `stored` is in the order of the arrivals; `reconciled` has the channel
    of each send whose outcome was unknown until now."""

    stored: list[StoredMessage] = field(default_factory=list)
    turns: set[bytes] = field(default_factory=set)
    sends: set[bytes] = field(default_factory=set)
    reconciled: list[bytes] = field(default_factory=list)
    fetches: bool = False


def accept(conn: sa.Connection, items: Sequence[Acceptance]) -> list[Accepted]:
    """Store many webhooks. A redelivered message changes nothing and answers as the first."""
    results = [Accepted() for _ in items]
    arrivals = [(item, result) for item, result in zip(items, results, strict=True)]
    if any(item.arrivals for item in items):
        _store_arrivals(conn, arrivals)
    receipts = [(c, r, item.at) for item in items for c, r in item.receipts]
    if receipts:
        applied = apply_receipts(conn, receipts)
        results[0].reconciled = applied.reconciled  # counted for the process, not for one item
        for item, result in arrivals:
            if item.receipts:
                result.sends |= applied.woken
    for item, result in arrivals:
        for channel_id, signal in item.signals:
            result.turns |= apply_signal(conn, channel_id, signal, item.at)
    dead = [row for item in items for row in _letters(conn, item)]
    if dead:
        execute_many(conn, INSERT_DEAD, dead)
    if raw := [item.hook for item in items if item.hook]:
        execute_many(conn, INSERT_HOOKS, raw)
    return results


def _letters(conn: sa.Connection, item: Acceptance) -> list[Row]:
    """The dead letters to add."""
    return settle_hook(conn, item.redeems, item.dead, item.at) if item.redeems else item.dead


def _store_arrivals(conn: sa.Connection, pairs: list[tuple[Acceptance, Accepted]]) -> None:
    arrivals = [arrival for item, _ in pairs for arrival in item.arrivals]
    at = pairs[0][0].at
    people = identities.resolve(conn, arrivals, at)
    threads = _lock_threads(conn, people)
    known, amended = _known(conn, arrivals)
    write = _Writes()
    waited: dict[bytes, dict[bytes, Accepted]] = {}
    for item, result in pairs:
        for arrival, person in ((a, people[_key(a)]) for a in item.arrivals):
            key = (arrival.channel_id, arrival.row["dedupe_key"])
            stored = known.get(key)
            if stored is None:
                stored = _append(write, threads[person.conversation_id], arrival, person, item.at)
                known[key] = StoredMessage(stored.id, stored.seq, stored.conversation_id, False)
                if arrival.row["handled_at"] is None:
                    result.turns.add(stored.conversation_id)
                result.fetches |= bool(arrival.media)
                if threads[person.conversation_id].row.get("held"):
                    waited.setdefault(person.conversation_id, {})[person.address_id] = result
            result.stored.append(stored)
    write.run(conn, threads)
    for channel_id, external_id in sorted(amended):
        apply_early(conn, channel_id, external_id, at)
    for conversation_id, results in sorted(waited.items()):
        for address_id in release(conn, conversation_id, list(results), at):
            results[address_id].sends.add(address_id)


def _key(arrival: Arrival) -> tuple[bytes, str]:
    return arrival.channel_id, arrival.external_id


class Thread:
    """A conversation's row while messages are appended to it under its lock."""

    __slots__ = ("changed", "id", "is_new", "row")

    def __init__(self, id: bytes, row: Row, is_new: bool) -> None:
        self.id = id
        self.row = row
        self.is_new = is_new
        self.changed = False


THREAD_COLUMNS = (
    conversations.c.id,
    conversations.c.next_seq,
    conversations.c.status,
    conversations.c.snoozed_until,
    conversations.c.owner_kind,
    conversations.c.unread,
    conversations.c.held,
    conversations.c.case_id,
    conversations.c.last_message_id,
    conversations.c.last_message_at,
    conversations.c.last_in_address_id,
)
LOCK_THREADS = Lookup(
    lambda keys: (
        sa.select(*THREAD_COLUMNS)
        .where(conversations.c.id.in_(keys))
        .order_by(conversations.c.id)
        .with_for_update()
    )
)


def _lock_threads(
    conn: sa.Connection, people: dict[tuple[bytes, str], Person]
) -> dict[bytes, Thread]:
    threads: dict[bytes, Thread] = {}
    existing: set[bytes] = set()
    for person in people.values():
        if person.new_conversation is not None:
            threads[person.conversation_id] = Thread(
                person.conversation_id, person.new_conversation, True
            )
        else:
            existing.add(person.conversation_id)
    if existing:
        for found in LOCK_THREADS.rows(conn, sorted(existing)):
            threads[found["id"]] = Thread(found["id"], found, False)
    return threads


# Beside the messages that are here, by their dedupe keys, what came early for others, by their
# external ids: that has no seq.
NO_SEQ = 0
KNOWN = Lookup(
    lambda keys: sa.union_all(
        sa.select(
            messages.c.dedupe_key, messages.c.id, messages.c.seq, messages.c.conversation_id
        ).where(
            messages.c.channel_id == sa.bindparam("channel"),
            messages.c.direction == "in",
            messages.c.dedupe_key.in_(keys),
        ),
        sa.select(
            early.c.external_id,
            early.c.channel_id,
            sa.literal_column(str(NO_SEQ)),
            early.c.channel_id,
        ).where(early.c.channel_id == sa.bindparam("channel"), early.c.external_id.in_(keys)),
    )
)


def _known(
    conn: sa.Connection, arrivals: list[Arrival]
) -> tuple[dict[tuple[bytes, str], StoredMessage], set[tuple[bytes, str]]]:
    """The messages that are here already, and the external ids that something came early for."""
    keys: dict[bytes, set[str]] = {}
    for arrival in arrivals:
        both = {arrival.row["dedupe_key"], arrival.row["external_id"]}
        keys.setdefault(arrival.channel_id, set()).update(filter(None, both))
    known: dict[tuple[bytes, str], StoredMessage] = {}
    amended: set[tuple[bytes, str]] = set()
    for channel_id, wanted in keys.items():
        rows = KNOWN.tuples(conn, list(wanted), channel=channel_id)
        for key, id, seq, conversation_id in rows:
            if seq == NO_SEQ:
                amended.add((channel_id, key))
            else:
                known[channel_id, key] = StoredMessage(id, seq, conversation_id, False)
    return known, amended


def _append(
    write: "_Writes", thread: Thread, arrival: Arrival, person: Person, at: Micros
) -> StoredMessage:
    """Give the message its place in the thread; the rows are written by `_Writes.run`."""
    row, state = arrival.row, thread.row
    row["conversation_id"] = thread.id
    row["address_id"] = person.address_id
    row["seq"] = seq = state["next_seq"]
    standby = (row["content"] or {}).get("standby", False)
    quiet = person.is_group or standby or state["owner_kind"] != "bot"
    row["handled_at"] = at if quiet else None
    state["next_seq"] = seq + 1
    state["unread"] += 1
    state["last_message_id"] = row["id"]
    state["last_message_at"] = at
    state["last_in_address_id"] = person.address_id
    if state["status"] != "open" or state["case_id"] is None:
        if state["status"] == "resolved" or state["case_id"] is None:
            state["case_id"] = new_id()
            write.cases.append(
                {"id": state["case_id"], "conversation_id": thread.id, "opened_at": at}
            )
        state["status"] = "open"
        state["snoozed_until"] = None
    thread.changed = True
    write.messages.append(row)
    if not person.is_new:
        write.seen[person.address_id] = at
    write.changes.append(
        {"conversation_id": thread.id, "kind": "message", "message_id": row["id"], "at": at}
    )
    for item, attachment in enumerate(arrival.media):
        state = attachment.get("state", "pending")
        if state in ("pending", "stored"):
            write.media.append(
                {
                    "id": new_id(),
                    "message_id": row["id"],
                    "item": item,
                    "channel_id": arrival.channel_id,
                    "media": attachment,
                    "state": state,
                    "due_at": at if state == "pending" else None,
                    "created_at": at,
                }
            )
    return StoredMessage(row["id"], seq, thread.id, True)


INSERT_DEAD = dead_letters.insert()
INSERT_HOOKS = hooks.insert()
INSERT_CONVERSATIONS = conversations.insert()
INSERT_CASES = cases.insert()
INSERT_MESSAGES = messages.insert()
INSERT_CHANGES = changes.insert()
INSERT_MEDIA = media.insert()
UPDATE_THREAD = (
    conversations.update()
    .where(conversations.c.id == sa.bindparam("row_id"))
    .values(
        {
            column.name: sa.bindparam("new_" + column.name)
            for column in THREAD_COLUMNS
            if column.name not in ("id", "owner_kind", "held")
        }
    )
)
SEEN = (
    addresses.update()
    .where(addresses.c.id == sa.bindparam("row_id"))
    .values(last_seen_at=sa.bindparam("seen"), blocked_at=None)
)


class _Writes:
    """The rows of one group, written table by table."""

    def __init__(self) -> None:
        self.messages: list[Row] = []
        self.changes: list[Row] = []
        self.cases: list[Row] = []
        self.media: list[Row] = []
        self.seen: dict[bytes, Micros] = {}

    def run(self, conn: sa.Connection, threads: dict[bytes, Thread]) -> None:
        changed = [
            {"row_id": t.id} | {"new_" + name: value for name, value in t.row.items()}
            for t in threads.values()
            if t.changed and not t.is_new
        ]
        if changed:
            execute_many(conn, UPDATE_THREAD, changed)
        if new := [t.row for t in threads.values() if t.is_new]:
            execute_many(conn, INSERT_CONVERSATIONS, new)
        for statement, rows in (
            (INSERT_CASES, self.cases),
            (INSERT_MESSAGES, self.messages),
            (INSERT_CHANGES, self.changes),
            (INSERT_MEDIA, self.media),
        ):
            if rows:
                execute_many(conn, statement, rows)
        if self.seen:
            # In the order of ids, as every other unit locks addresses.
            seen = [{"row_id": id, "seen": at} for id, at in sorted(self.seen.items())]
            execute_many(conn, SEEN, seen)
