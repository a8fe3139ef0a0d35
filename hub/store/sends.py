"""The outbox's units: begin the next send to an address, settle it.

The address holds the delivery lease. `sending` is committed before the provider is called, and
the head of the line is the row with an attempt, else the oldest reply, else the oldest push.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from hub.clock import Micros
from hub.errors import Expired, SendFailed
from hub.store.bulk import Lookup, execute_many
from hub.store.receipts import INSERT_CHANGES, cancel_later_parts
from hub.store.schema import addresses, conversations, messages
from hub.store.sql import lease_now

Row = dict[str, Any]
Gate = Callable[[Row, Micros], SendFailed | None]
"""Whether a row (with its address's and conversation's facts) may be sent now."""


@dataclass(frozen=True, slots=True)
class SendClaim:
    """Ask for the head of one address's line. Times in microseconds; `lease` in real time,
    `unknown_for` is how long an attempt that died waits for its receipt, and `reconcile_for` how
    long at least from when it is found: after an outage whoever made the call may yet say what it
    came to. `resend` names the row of unknown outcome that the provider was asked about in vain.
    """

    address_id: bytes
    at: Micros
    lease: Micros
    unknown_for: Micros
    gate: Gate
    paused: frozenset[bytes] = frozenset()
    resend: bytes | None = None
    reconcile_for: Micros = 0
    asked: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A row to send now, already `sending`; or, with `look_up`, one of unknown outcome about
    which the provider is to be asked first. The lease holds at least its length from `asked`, by
    the monotonic clock of whoever asked: clocks of machines differ."""

    row: Row
    token: int
    asked: float
    look_up: bool = False

    @property
    def more(self) -> bool:
        """Whether further rows waited behind this one."""
        return bool(self.row["waiting"] > 1)


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to send before `until` (the hub's clock; 0: look again at once). Where a row came
    to another state without a call: which channel's, the state, and why. `held`: another worker
    has the address until then."""

    until: Micros
    channel_id: bytes = b""
    state: str = ""
    error_class: str = ""
    held: bool = False


SendClaimed = Attempt | Wait | None

LOCK = Lookup(
    lambda keys: (
        sa.select(
            addresses.c.id,
            addresses.c.channel_id,
            addresses.c.external_id.label("recipient"),
            addresses.c.last_seen_at,
            addresses.c.blocked_at,
            addresses.c.opted_out_at,
            addresses.c.opt_out_scope,
            addresses.c.lease_token,
            addresses.c.lease_until,
        )
        .where(addresses.c.id.in_(keys))
        .order_by(addresses.c.id)
        .with_for_update()
    )
)


def _heads(keys: list[sa.BindParameter[Any]]) -> sa.Select[Any]:
    ranked = (
        sa.select(
            messages.c.id,
            sa.func.row_number()
            .over(partition_by=messages.c.address_id, order_by=(messages.c.lane, messages.c.seq))
            .label("place"),
            sa.func.count().over(partition_by=messages.c.address_id).label("waiting"),
        )
        .where(messages.c.address_id.in_(keys), messages.c.lane.isnot(None))
        .subquery()
    )
    # Asked again outside: where another transaction held the row meanwhile, PostgreSQL looks
    # anew at the outer conditions alone.
    return (
        sa.select(
            messages.c.id,
            messages.c.conversation_id,
            messages.c.address_id,
            messages.c.author_kind,
            messages.c.kind,
            messages.c.text,
            messages.c.content,
            messages.c.reply_to,
            messages.c.state,
            messages.c.lane,
            messages.c.attempt,
            messages.c.unknowns,
            messages.c.due_at,
            messages.c.sending_at,
            messages.c.expires_at,
            messages.c.owner_epoch,
            messages.c.external_id,
            messages.c.part_group,
            messages.c.part_index,
            messages.c.created_at,
            conversations.c.owner_epoch.label("current_epoch"),
            ranked.c.waiting,
        )
        .join(ranked, sa.and_(messages.c.id == ranked.c.id, ranked.c.place == 1))
        .join(conversations, conversations.c.id == messages.c.conversation_id)
        .where(messages.c.lane.isnot(None))
        .with_for_update(of=messages)
    )


HEADS = Lookup(_heads)
SENDING = (
    messages.update()
    .where(messages.c.id == sa.bindparam("row_id"))
    .values(
        state="sending",
        lane=0,
        attempt=messages.c.attempt + 1,
        sending_at=sa.bindparam("at"),
        due_at=None,
    )
)
TAKE = (
    addresses.update()
    .where(addresses.c.id == sa.bindparam("row_id"))
    .values(lease_token=sa.bindparam("token"), lease_until=sa.bindparam("until"))
)
MOVE = (
    messages.update()
    .where(messages.c.id == sa.bindparam("row_id"))
    .values(
        state=sa.bindparam("new_state"),
        lane=sa.bindparam("new_lane"),
        due_at=sa.bindparam("due"),
        unknowns=sa.bindparam("new_unknowns"),
        external_id=sa.bindparam("new_external_id"),
        sent_at=sa.func.coalesce(sa.bindparam("sent"), messages.c.sent_at),
        error_class=sa.bindparam("new_class"),
        error_code=sa.bindparam("new_code"),
        error_reason=sa.bindparam("new_reason"),
    )
)


def moved(
    row: Row,
    state: str,
    *,
    due: Micros | None = None,
    error: SendFailed | None = None,
    external_id: str | None = None,
    sent_at: Micros | None = None,
    unknowns: int | None = None,
) -> Row:
    """The parameters of MOVE: a row leaves the outbox unless it has a next time."""
    return {
        "row_id": row["id"],
        "new_state": state,
        "new_lane": 0 if state in ("queued", "unknown") else None,
        "due": due,
        "new_unknowns": row["unknowns"] if unknowns is None else unknowns,
        "new_external_id": external_id or row["external_id"],
        "sent": sent_at,
        "new_class": error.error_class if error else None,
        "new_code": error.code if error else None,
        "new_reason": error.reason if error else None,
    }


def begin(conn: sa.Connection, items: Sequence[SendClaim]) -> list[SendClaimed]:
    """Begin the next send to each address. None: nothing waits."""
    now = lease_now(conn)
    ids = list({item.address_id for item in items})
    held = {row["id"]: row for row in LOCK.rows(conn, ids)}
    free = [id for id, row in held.items() if row["lease_until"] <= now]
    heads = {}
    if free:
        heads = {row["address_id"]: row for row in HEADS.rows(conn, free)}
    step = _Step()
    results: list[SendClaimed] = []
    for item in items:
        row = heads.pop(item.address_id, None)  # asked for twice in one group: handed out once
        left = held[item.address_id]["lease_until"] - now if item.address_id in held else 0
        if left > 0:
            results.append(Wait(item.at + left, held=True))
        elif row is None:
            results.append(None)
        else:
            results.append(step.decide(item, row | _facts(held[item.address_id]), now))
    step.write(conn)
    return results


def _facts(address: Row) -> Row:
    return {name: value for name, value in address.items() if name != "id"}


class _Step:
    """Decides for each head and collects what to write."""

    def __init__(self) -> None:
        self.sending: list[Row] = []
        self.leases: list[Row] = []
        self.moves: list[Row] = []
        self.changed: list[tuple[Row, Micros]] = []
        self.failed: list[tuple[Row, Micros]] = []

    def decide(self, item: SendClaim, row: Row, now: Micros) -> SendClaimed:
        at, state = item.at, row["state"]
        stale_bot = row["author_kind"] == "bot" and row["owner_epoch"] != row["current_epoch"]
        if state == "sending":
            return self._lose(item, row)
        if row["due_at"] is not None and row["due_at"] > at:
            return Wait(row["due_at"])
        if state == "unknown":
            if stale_bot:
                return self._end(row, "failed", at, "the outcome of the send is unknown")
            if item.resend != row["id"]:
                return self._take(item, row, now, look_up=True)
        elif stale_bot:
            return self._end(row, "cancelled", at, "an agent took over")
        if row["channel_id"] in item.paused:
            return Wait(at + item.unknown_for)
        if row["expires_at"] is not None and row["expires_at"] <= at:
            return self._fail(row, at, Expired("not sent in time"))
        if refusal := item.gate(row, at):
            return self._fail(row, at, refusal)
        self.sending.append({"row_id": row["id"], "at": at})
        row["attempt"] += 1
        return self._take(item, row, now)

    def _take(self, item: SendClaim, row: Row, now: Micros, *, look_up: bool = False) -> Attempt:
        token, until = row["lease_token"] + 1, now + item.lease
        self.leases.append({"row_id": row["address_id"], "token": token, "until": until})
        return Attempt(row, token, item.asked, look_up)

    def _lose(self, item: SendClaim, row: Row) -> Wait:
        """The process that was sending this died or lost its lease: nobody knows."""
        unknowns = row["unknowns"] + 1
        if unknowns > 1:
            return self._end(row, "failed", item.at, "the outcome of the send is unknown", unknowns)
        due = max((row["sending_at"] or item.at) + item.unknown_for, item.at + item.reconcile_for)
        self.moves.append(moved(row, "unknown", due=due, unknowns=unknowns))
        self.changed.append((row, item.at))
        return Wait(due, row["channel_id"], "unknown", "outcome_unknown")

    def _end(
        self, row: Row, state: str, at: Micros, reason: str, unknowns: int | None = None
    ) -> Wait:
        params = moved(row, state, unknowns=unknowns)
        params["new_class"] = "outcome_unknown" if state == "failed" else None
        params["new_reason"] = reason
        self.moves.append(params)
        self.changed.append((row, at))
        if state == "failed":
            self.failed.append((row, at))
        return Wait(0, row["channel_id"], state, params["new_class"] or "")

    def _fail(self, row: Row, at: Micros, error: SendFailed) -> Wait:
        self.moves.append(moved(row, "failed", error=error))
        self.changed.append((row, at))
        self.failed.append((row, at))
        return Wait(0, row["channel_id"], "failed", error.error_class)

    def write(self, conn: sa.Connection) -> None:
        if self.leases:
            execute_many(conn, TAKE, self.leases)
        if self.sending:
            execute_many(conn, SENDING, self.sending)
        if self.moves:
            execute_many(conn, MOVE, self.moves)
        note_changes(conn, self.changed, self.failed)


def note_changes(
    conn: sa.Connection, changed: list[tuple[Row, Micros]], failed: list[tuple[Row, Micros]]
) -> None:
    """Tell the live updates, and cancel the later parts of what failed for good."""
    rows = [
        {
            "conversation_id": row["conversation_id"],
            "kind": "receipt",
            "message_id": row["id"],
            "at": at,
        }
        for row, at in changed
    ]
    for row, at in failed:
        rows += cancel_later_parts(conn, row, at)
    if rows:
        execute_many(conn, INSERT_CHANGES, rows)


def abandon(conn: sa.Connection, attempt: Attempt, due_at: Micros | None = None) -> None:
    """Give an attempt's lease back. A `sending` whose call certainly did not begin is undone: the
    row stands in its lane again as it was, due at `due_at`. One of unknown outcome stays that."""
    row = attempt.row
    held = (addresses.c.id == row["address_id"], addresses.c.lease_token == attempt.token)
    if not conn.execute(addresses.update().where(*held).values(lease_until=0)).rowcount:
        return
    if not attempt.look_up:
        conn.execute(
            messages.update()
            .where(messages.c.id == row["id"], messages.c.state == "sending")
            .values(
                state=row["state"],
                lane=row["lane"],
                attempt=messages.c.attempt - 1,
                due_at=due_at,
                sending_at=row["sending_at"],
            )
        )
