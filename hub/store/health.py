"""What there is to say of the database itself: does it take a write, and what waits in it."""

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from hub.clock import Micros, new_id
from hub.store.dead import count_letters
from hub.store.schema import HELD, idempotency, media, messages, timers

MOST = 10_000


def try_write(conn: sa.Connection, at: Micros) -> None:
    """Write a row and take it back: whoever commits this can write. Each time another one, so that
    no process that stands still in the middle holds up the others."""
    trial = {"scope": "health", "key": new_id().hex()}
    conn.execute(sa.insert(idempotency).values(**trial, fingerprint="", created_at=at))
    conn.execute(sa.delete(idempotency).filter_by(**trial))


def try_read(conn: sa.Connection) -> None:
    """Look something up: whoever returns can read."""
    trial = {"scope": "health", "key": ""}
    conn.execute(sa.select(idempotency.c.created_at).filter_by(**trial)).first()


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many wait in each queue, and since when the oldest of them: since it was written, or
    since its call where one was begun. No more than MOST are looked at in one queue, so that a
    look costs little on the worst day."""

    counts: dict[str, int] = field(default_factory=dict)
    oldest: dict[str, Micros] = field(default_factory=dict)
    dead: dict[str, int] = field(default_factory=dict)
    """Dead letters that nobody has resolved, of the last MOST, by kind."""


def read_backlog(conn: sa.Connection, at: Micros) -> Backlog:
    found = Backlog()
    waiting = (
        ("unhandled", messages.c.created_at, messages.c.handled_at.is_(None)),
        ("timers", timers.c.due_at, timers.c.due_at <= at),
        ("media", media.c.created_at, media.c.due_at.isnot(None)),
        ("held", messages.c.created_at, HELD),
    )
    for queue, since, condition in waiting:
        rows = sa.select(since.label("since")).where(condition).limit(MOST).subquery()
        query = sa.select(sa.func.count(), sa.func.min(rows.c.since)).select_from(rows)
        _note(found, queue, *conn.execute(query).one())
    begun = sa.case((messages.c.state.in_(("sending", "unknown")), messages.c.sending_at))
    rows = (
        sa.select(messages.c.state, sa.func.coalesce(begun, messages.c.created_at).label("since"))
        .where(messages.c.lane.isnot(None))
        .limit(MOST)
        .subquery()
    )
    by_state = sa.select(rows.c.state, sa.func.count(), sa.func.min(rows.c.since))
    for state, count, since in conn.execute(by_state.group_by(rows.c.state)):
        _note(found, state, count, since)
    found.dead.update(count_letters(conn, MOST))
    return found


def _note(found: Backlog, queue: str, count: int, since: Any) -> None:
    found.counts[queue] = count
    if since is not None:
        found.oldest[queue] = int(since)
