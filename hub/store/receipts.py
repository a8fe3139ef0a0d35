"""What providers say later of our messages: always kept, and state only moves forward."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from hub.clock import Micros
from hub.message import Receipt
from hub.store.bulk import Lookup, execute_many
from hub.store.schema import addresses, changes, messages, receipts
from hub.store.sql import insert_new
from hub.store.state import advance

Row = dict[str, Any]

COLUMNS = (
    messages.c.id,
    messages.c.conversation_id,
    messages.c.channel_id,
    messages.c.address_id,
    messages.c.external_id,
    messages.c.state,
    messages.c.lane,
    messages.c.part_group,
    messages.c.part_index,
    messages.c.kind,
)
BY_ID = Lookup(
    lambda keys: (
        sa.select(*COLUMNS)
        .where(
            messages.c.id.in_(keys),
            messages.c.direction == "out",
        )
        .order_by(messages.c.id)
        .with_for_update()
    )
)
BY_EXTERNAL = Lookup(
    lambda keys: (
        sa.select(*COLUMNS)
        .where(
            messages.c.channel_id == sa.bindparam("channel"),
            messages.c.external_id.in_(keys),
            messages.c.external_id.isnot(None),
            messages.c.direction == "out",
        )
        .order_by(messages.c.id)
        .with_for_update()
    )
)
UPDATE = (
    messages.update()
    .where(messages.c.id == sa.bindparam("row_id"))
    .values(
        state=sa.bindparam("new_state"),
        lane=sa.bindparam("new_lane"),
        due_at=None,
        external_id=sa.bindparam("new_external_id"),
        error_class=sa.bindparam("new_class"),
        error_code=sa.bindparam("new_code"),
        error_reason=sa.bindparam("new_reason"),
    )
)
INSERT_CHANGES = changes.insert()
CANCEL_LATER_PARTS = (
    messages.update()
    .where(
        messages.c.address_id == sa.bindparam("failed_address"),
        messages.c.part_group == sa.bindparam("failed_group"),
        messages.c.part_index > sa.bindparam("failed_index"),
        messages.c.lane.isnot(None),
        messages.c.state.in_(("queued", "held")),
    )
    .values(
        state="cancelled",
        lane=None,
        due_at=None,
        error_class="earlier_part_failed",
        error_reason="an earlier part of this message failed",
    )
    .returning(messages.c.id, messages.c.conversation_id)
)


@dataclass(slots=True)
class Applied:
    """`woken`: addresses whose outbox may go on. `reconciled`: the channel of each send whose
    outcome was unknown until now."""

    woken: set[bytes] = field(default_factory=set)
    reconciled: list[bytes] = field(default_factory=list)


def apply_receipts(conn: sa.Connection, heard: Sequence[tuple[bytes, Receipt, Micros]]) -> Applied:
    """Keep every receipt and move the messages it is about forward. A receipt whose message is
    not known yet waits under its external id for the send to settle."""
    found = _find(conn, heard)
    rows: list[Row] = []
    changed: dict[bytes, Row] = {}
    moved: list[Row] = []
    applied = Applied()
    for channel_id, receipt, at in heard:
        message = found.get((channel_id, receipt))
        code = receipt.error.code if receipt.error else ""
        rows.append(
            {
                "channel_id": channel_id,
                "external_id": receipt.external_id,
                "status": receipt.status,
                "code": code,
                "message_id": message["id"] if message else None,
                "error_class": receipt.error.error_class if receipt.error else None,
                "reason": receipt.error.reason if receipt.error else None,
                "at": receipt.at,
                "created_at": at,
            }
        )
        if message and (state := advance(message["state"], receipt.status)):
            # Who is sending it goes on by itself.
            if message["lane"] is not None and message["state"] != "sending":
                applied.woken.add(message["address_id"])
            if message["state"] == "unknown":
                applied.reconciled.append(channel_id)
            settle_row(message, state, receipt)
            changed[message["id"]] = message
            moved.append(
                {
                    "conversation_id": message["conversation_id"],
                    "kind": "receipt",
                    "message_id": message["id"],
                    "at": at,
                }
            )
    execute_many(conn, insert_new(conn, receipts), rows)
    write_rows(conn, changed.values())
    for message in changed.values():
        if message["state"] == "failed":
            learn(
                conn,
                message["address_id"],
                message["kind"],
                message["error_class"],
                heard[0][2],
            )
            moved += cancel_later_parts(conn, message, heard[0][2])
    if moved:
        execute_many(conn, INSERT_CHANGES, moved)
    return applied


def _find(
    conn: sa.Connection, heard: Sequence[tuple[bytes, Receipt, Micros]]
) -> dict[tuple[bytes, Receipt], Row]:
    """The message of each receipt: by our own correlation id, else by the provider's id."""
    ids = {id for _, receipt, _ in heard if (id := correlated(receipt.correlation_id))}
    by_id: dict[bytes, Row] = {}
    if ids:
        by_id = {row["id"]: row for row in BY_ID.rows(conn, list(ids))}
    found: dict[tuple[bytes, Receipt], Row] = {}
    rest: dict[bytes, list[Receipt]] = {}
    for channel_id, receipt, _ in heard:
        message = by_id.get(correlated(receipt.correlation_id) or b"")
        if message is not None and message["channel_id"] == channel_id:
            found[channel_id, receipt] = message
        elif receipt.external_id:
            rest.setdefault(channel_id, []).append(receipt)
    for channel_id, unfound in rest.items():
        wanted = list({receipt.external_id for receipt in unfound})
        by_external = {
            row["external_id"]: by_id.get(row["id"]) or row
            for row in BY_EXTERNAL.rows(conn, wanted, channel=channel_id)
        }
        for receipt in unfound:
            if receipt.external_id in by_external:
                found[channel_id, receipt] = by_external[receipt.external_id]
    return found


def correlated(correlation_id: str) -> bytes | None:
    """The message id in a correlation id of ours (32 hex digits), else None."""
    if len(correlation_id) != 32:
        return None
    try:
        return bytes.fromhex(correlation_id)
    except ValueError:
        return None


def learn(
    conn: sa.Connection, address_id: bytes, kind: str, error_class: str | None, at: Micros
) -> None:
    """A provider's final word on an address holds for what comes after: until she writes again,
    or opts in. Who refuses a template may only have stopped marketing: she is still answered."""
    if error_class == "blocked":
        values: Row = {"blocked_at": at}
    elif error_class == "opted_out":
        scope = "marketing" if kind == "template" else "all"
        values = {"opted_out_at": at, "opt_out_scope": scope}
    else:
        return
    conn.execute(addresses.update().where(addresses.c.id == address_id).values(values))


def settle_row(message: Row, state: str, receipt: Receipt) -> None:
    """Move a loaded message to `state`, which is a final one for the outbox."""
    message["state"] = state
    message["lane"] = None
    message["external_id"] = message["external_id"] or receipt.external_id or None
    failed = receipt.error if state == "failed" else None
    message["error_class"] = failed.error_class if failed else None
    message["error_code"] = failed.code if failed else None
    message["error_reason"] = failed.reason if failed else None


def write_rows(conn: sa.Connection, rows: Iterable[Row]) -> None:
    """Write back messages that `settle_row` moved."""
    values = [
        {
            "row_id": row["id"],
            "new_state": row["state"],
            "new_lane": row["lane"],
            "new_external_id": row["external_id"],
            "new_class": row["error_class"],
            "new_code": row["error_code"],
            "new_reason": row["error_reason"],
        }
        for row in rows
    ]
    if values:
        execute_many(conn, UPDATE, values)


def cancel_later_parts(conn: sa.Connection, message: Row, at: Micros) -> list[Row]:
    """Cancel what follows a part that failed for good; returns the rows of `changes`."""
    if message["part_group"] is None:
        return []
    cancelled = conn.execute(
        CANCEL_LATER_PARTS,
        {
            "failed_address": message["address_id"],
            "failed_group": message["part_group"],
            "failed_index": message["part_index"],
        },
    )
    return [
        {"conversation_id": conversation_id, "kind": "receipt", "message_id": id, "at": at}
        for id, conversation_id in cancelled
    ]
