"""What a provider call came to: the row's next state, and the lease given back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from hub.clock import Micros
from hub.errors import EarlierPartFailed, LeaseLost, OutcomeUnknown, SendFailed
from hub.message import Sent
from hub.store.bulk import Lookup, execute_many
from hub.store.pauses import pause
from hub.store.receipts import learn
from hub.store.schema import addresses, messages, receipts
from hub.store.sends import LOCK, MOVE, moved, note_changes
from hub.store.sql import has_row_locks
from hub.store.state import advance

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Settlement:
    """The outcome of one attempt. `retry_at` is when a retried or unknown one is looked at
    again; a final error has none."""

    address_id: bytes
    token: int
    message_id: bytes
    outcome: Sent | SendFailed
    at: Micros
    retry_at: Micros | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """`state` is the message's state now."""

    state: str


ROWS = Lookup(
    lambda keys: (
        sa.select(
            messages.c.id,
            messages.c.conversation_id,
            messages.c.seq,
            messages.c.address_id,
            messages.c.channel_id,
            messages.c.state,
            messages.c.unknowns,
            messages.c.external_id,
            messages.c.error_class,
            messages.c.error_code,
            messages.c.error_reason,
            messages.c.expires_at,
            messages.c.part_group,
            messages.c.part_index,
            messages.c.kind,
            addresses.c.lease_token,
        )
        .join(addresses, addresses.c.id == messages.c.address_id)
        .where(messages.c.id.in_(keys))
        .order_by(messages.c.id)
        .with_for_update(of=messages)
    )
)
EARLY_RECEIPTS = Lookup(
    lambda keys: sa.select(
        receipts.c.external_id,
        receipts.c.status,
        receipts.c.code,
        receipts.c.error_class,
        receipts.c.reason,
    ).where(
        receipts.c.channel_id == sa.bindparam("channel"),
        receipts.c.external_id.in_(keys),
    )
)
CLAIM_RECEIPTS = (
    receipts.update()
    .where(
        receipts.c.channel_id == sa.bindparam("of_channel"),
        receipts.c.external_id == sa.bindparam("of_external"),
        receipts.c.message_id.is_(None),
    )
    .values(message_id=sa.bindparam("to_message"))
)
FAILED_BEFORE = (
    sa.select(messages.c.id)
    .where(
        messages.c.conversation_id == sa.bindparam("thread"),
        messages.c.seq >= sa.bindparam("first"),
        messages.c.seq < sa.bindparam("own"),
        messages.c.part_group == sa.bindparam("of_group"),
        messages.c.state == "failed",
    )
    .limit(1)
)
GIVE_BACK = addresses.update().where(addresses.c.id == sa.bindparam("row_id")).values(lease_until=0)


def settle(conn: sa.Connection, items: Sequence[Settlement]) -> list[Settled | LeaseLost]:
    """Record outcomes and give the leases back. Where the lease was lost nothing is written: a
    receipt or the next holder settles the row."""
    if has_row_locks(conn):
        # The address before its messages, as whoever begins the next send locks them.
        LOCK.rows(conn, list({item.address_id for item in items}))
    rows = {row["id"]: row for row in ROWS.rows(conn, [item.message_id for item in items])}
    kept = [
        item
        for item in items
        if item.message_id in rows and rows[item.message_id]["lease_token"] == item.token
    ]
    if kept:
        _write(conn, kept, rows)
    held = {id(item) for item in kept}
    return [
        Settled(rows[item.message_id]["state"])
        if id(item) in held
        else LeaseLost("the address was claimed by another worker")
        for item in items
    ]


def _write(conn: sa.Connection, kept: list[Settlement], rows: dict[bytes, Row]) -> None:
    early = _early_receipts(conn, kept, rows)
    broken = {item.message_id for item in kept if _is_broken(conn, item, rows[item.message_id])}
    writes = _Writes(broken)
    for item in kept:
        writes.add(item, rows[item.message_id], early.get(item.message_id, ()))
    if writes.moves:
        execute_many(conn, MOVE, writes.moves)
    execute_many(conn, GIVE_BACK, [{"row_id": item.address_id} for item in kept])
    note_changes(conn, writes.changed, writes.failed)
    for learnt in writes.learnt:
        learn(conn, *learnt)
    _pause(conn, kept, rows)


def _early_receipts(
    conn: sa.Connection, items: list[Settlement], rows: dict[bytes, Row]
) -> dict[bytes, list[Row]]:
    """Receipts that came before the send's answer did."""
    sent: dict[bytes, dict[str, bytes]] = {}
    for item in items:
        if isinstance(item.outcome, Sent):
            channel = rows[item.message_id]["channel_id"]
            sent.setdefault(channel, {})[item.outcome.external_id] = item.message_id
    early: dict[bytes, list[Row]] = {}
    claims: dict[bytes, Row] = {}
    for channel_id, ids in sent.items():
        for receipt in EARLY_RECEIPTS.rows(conn, list(ids), channel=channel_id):
            external_id = receipt["external_id"]
            message_id = ids[external_id]
            early.setdefault(message_id, []).append(receipt)
            claims[message_id] = {
                "of_channel": channel_id,
                "of_external": external_id,
                "to_message": message_id,
            }
    if claims:
        execute_many(conn, CLAIM_RECEIPTS, list(claims.values()))
    return early


def _is_broken(conn: sa.Connection, item: Settlement, row: Row) -> bool:
    """Is this a part to be tried again, of which an earlier one has failed meanwhile? The
    receipt that told so could not cancel it while it was being sent."""
    if item.retry_at is None or isinstance(item.outcome, OutcomeUnknown) or not row["part_index"]:
        return False
    wanted = {
        "thread": row["conversation_id"],
        "first": row["seq"] - row["part_index"],
        "own": row["seq"],
        "of_group": row["part_group"],
    }
    return conn.execute(FAILED_BEFORE, wanted).first() is not None


class _Writes:
    def __init__(self, broken: set[bytes]) -> None:
        self.broken = broken
        self.moves: list[Row] = []
        self.changed: list[tuple[Row, Micros]] = []
        self.failed: list[tuple[Row, Micros]] = []
        self.learnt: list[tuple[bytes, str, str | None, Micros]] = []

    def add(self, item: Settlement, row: Row, early: Sequence[Row]) -> None:
        outcome = item.outcome
        if isinstance(outcome, Sent):
            self._sent(item, row, outcome, early)
        elif row["state"] not in ("sending", "unknown"):
            return  # a receipt has settled it meanwhile: what it says outranks our doubt
        elif isinstance(outcome, OutcomeUnknown):
            # One that lost its lease meanwhile was counted by whoever found it.
            unknowns = row["unknowns"] + (row["state"] == "sending")
            if unknowns > 1:
                self._move(item, row, moved(row, "failed", error=outcome, unknowns=unknowns))
                self.failed.append((row, item.at))
            else:
                due = item.retry_at
                params = moved(row, "unknown", due=due, error=outcome, unknowns=unknowns)
                self._move(item, row, params)
        elif row["id"] in self.broken:
            error = EarlierPartFailed("an earlier part of this message failed")
            self._move(item, row, moved(row, "cancelled", error=error))
        elif item.retry_at is not None:
            self._move(item, row, moved(row, "queued", due=item.retry_at, error=outcome))
        else:
            self._move(item, row, moved(row, "failed", error=outcome))
            self.failed.append((row, item.at))
            self.learnt.append((item.address_id, row["kind"], outcome.error_class, item.at))

    def _sent(self, item: Settlement, row: Row, sent: Sent, early: Sequence[Row]) -> None:
        state: Any = advance(row["state"], "sent") or row["state"]
        reason: Row = {}
        for receipt in early:
            if later := advance(state, receipt["status"]):
                state, reason = later, receipt if later == "failed" else {}
        params = moved(row, state, external_id=sent.external_id, sent_at=item.at)
        params["new_lane"] = None
        if state == "failed" == row["state"]:
            # A receipt that came first has said why.
            for name in ("class", "code", "reason"):
                params["new_" + name] = row["error_" + name]
        elif reason:
            params["new_class"] = reason["error_class"]
            params["new_code"] = reason["code"]
            params["new_reason"] = reason["reason"]
            self.failed.append((row, item.at))
            self.learnt.append((item.address_id, row["kind"], reason["error_class"], item.at))
        self._move(item, row, params)

    def _move(self, item: Settlement, row: Row, params: Row) -> None:
        row["state"] = params["new_state"]
        self.moves.append(params)
        self.changed.append((row, item.at))


def _pause(conn: sa.Connection, items: list[Settlement], rows: dict[bytes, Row]) -> None:
    found = [
        (rows[item.message_id]["channel_id"], item.outcome, item.at)
        for item in items
        if isinstance(item.outcome, SendFailed) and item.outcome.pauses_channel
    ]
    # In the order of ids, as every other unit locks channels.
    for channel_id, error, at in sorted(found, key=lambda one: one[0]):
        pause(conn, channel_id, error, at)
