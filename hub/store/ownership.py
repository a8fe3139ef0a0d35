"""Who answers: taking over from the bot and giving back, each in one transaction.

A take-over bumps the owner epoch, cancels the bot's rows that are not being sent and parks
the run with its timers off; turn commits and sending commits check the epoch.
"""

from typing import Any

import sqlalchemy as sa

from hub.clock import Micros, new_id
from hub.store.schema import HELD, changes, conversations, journal, messages, runs, timers

Row = dict[str, Any]


def lock(conn: sa.Connection, conversation_id: bytes) -> Row:
    """The conversation's row, locked. Raises KeyError."""
    row = (
        conn.execute(
            sa.select(conversations).where(conversations.c.id == conversation_id).with_for_update()
        )
        .mappings()
        .first()
    )
    if row is None:
        raise KeyError(conversation_id)
    return dict(row)


def park(
    conn: sa.Connection,
    conversation_id: bytes,
    *,
    owner_kind: str,
    owner_id: bytes | None,
    owner_name: str | None,
    at: Micros,
    team: str | None = None,
) -> int:
    """Give the conversation to an agent or the queue. Returns the owner epoch, which is the old
    one when nothing changed. Raises KeyError."""
    row = lock(conn, conversation_id)
    same = row["owner_kind"] == owner_kind and row["owner_id"] == owner_id
    if same and (team is None or team == row["team"]):
        return int(row["owner_epoch"])
    epoch = row["owner_epoch"] + 1
    conn.execute(
        conversations.update()
        .where(conversations.c.id == conversation_id)
        .values(
            owner_kind=owner_kind,
            owner_id=owner_id,
            owner_name=owner_name,
            owner_epoch=epoch,
            team=team if team is not None else row["team"],
        )
    )
    # Also from the queue: the bot's parting words may still wait, and hold the agent's up.
    silence_bot(conn, conversation_id, at)
    if row["held"]:
        recount(conn, conversation_id)
    if row["owner_kind"] == "bot":
        if row["run_id"] is not None:
            conn.execute(
                runs.update()
                .where(runs.c.id == row["run_id"], runs.c.state.in_(("waiting", "running")))
                .values(state="parked", updated_at=at)
            )
        conn.execute(timers.delete().where(timers.c.conversation_id == conversation_id))
        conn.execute(
            messages.update()
            .where(messages.c.conversation_id == conversation_id, messages.c.handled_at.is_(None))
            .values(handled_at=at)
        )
    conn.execute(changes.insert().values(conversation_id=conversation_id, kind="owner", at=at))
    return int(epoch)


def silence_bot(conn: sa.Connection, conversation_id: bytes, at: Micros) -> None:
    """Cancel what of the bot is not being sent at this moment, retries included."""
    cancelled = conn.execute(
        messages.update()
        .where(
            messages.c.conversation_id == conversation_id,
            messages.c.author_kind == "bot",
            sa.or_(messages.c.lane.isnot(None), HELD),
            messages.c.state.in_(("queued", "held")),
        )
        .values(state="cancelled", lane=None, due_at=None, error_reason="an agent took over")
        .returning(messages.c.id)
    ).scalars()
    rows = [
        {"conversation_id": conversation_id, "kind": "receipt", "message_id": id, "at": at}
        for id in cancelled
    ]
    if rows:
        conn.execute(changes.insert(), rows)


def recount(conn: sa.Connection, conversation_id: bytes) -> None:
    """Say in a conversation's row how many of its messages are held."""
    waiting = sa.select(sa.func.count()).where(messages.c.conversation_id == conversation_id, HELD)
    conn.execute(
        conversations.update()
        .where(conversations.c.id == conversation_id)
        .values(held=waiting.scalar_subquery())
    )


def keep_bot_rows(conn: sa.Connection, conversation_id: bytes, epoch: int) -> None:
    """What the bot still has to say is said under the new epoch too. What is of an older one than
    the last, an agent has cut off."""
    conn.execute(
        messages.update()
        .where(
            messages.c.conversation_id == conversation_id,
            messages.c.author_kind == "bot",
            sa.or_(messages.c.lane.isnot(None), HELD),
            messages.c.owner_epoch == epoch - 1,
        )
        .values(owner_epoch=epoch)
    )


def end_run(conn: sa.Connection, row: Row, reason: str, at: Micros) -> None:
    """End the conversation's run, whether it waits or is parked, with its timers."""
    if row["run_id"] is not None:
        conn.execute(
            runs.update()
            .where(runs.c.id == row["run_id"], runs.c.state.in_(("waiting", "running", "parked")))
            .values(state="cancelled", reason=reason, updated_at=at)
        )
        conn.execute(timers.delete().where(timers.c.run_id == row["run_id"]))


def give_back(conn: sa.Connection, conversation_id: bytes, *, resume: bool, at: Micros) -> bool:
    """Give the conversation back to the bot. With `resume` a parked run asks its question again,
    else it ends. True when the bot has something to do. Raises KeyError."""
    row = lock(conn, conversation_id)
    if row["owner_kind"] == "bot":
        return False
    run = None
    if row["run_id"] is not None:
        parked = (runs.c.id == row["run_id"], runs.c.state == "parked")
        run = conn.execute(sa.select(runs.c.id, runs.c.step).where(*parked)).first()
    again = run is not None and resume
    conn.execute(
        conversations.update()
        .where(conversations.c.id == conversation_id)
        .values(
            owner_kind="bot",
            owner_id=None,
            owner_name=None,
            owner_epoch=row["owner_epoch"] + 1,
            run_id=row["run_id"] if again else None,
        )
    )
    keep_bot_rows(conn, conversation_id, row["owner_epoch"] + 1)
    if not again:
        end_run(conn, row, "given back", at)
    elif run is not None:
        waiting = runs.update().where(runs.c.id == run.id).values(state="waiting", updated_at=at)
        conn.execute(waiting)
        # Calls of a turn that the take-over cut off belong to an answer that is gone.
        conn.execute(journal.delete().where(journal.c.run_id == run.id, journal.c.step >= run.step))
        conn.execute(
            timers.insert().values(
                id=new_id(),
                conversation_id=conversation_id,
                run_id=run.id,
                step=run.step,
                kind="resume",
                due_at=at,
            )
        )
    conn.execute(changes.insert().values(conversation_id=conversation_id, kind="owner", at=at))
    return again
