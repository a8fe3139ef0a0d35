"""Dead letters: what was kept because it could not be used."""

from pathlib import Path

import sqlalchemy as sa

from hub.errors import StoreUnavailable
from hub.store.migrate import revision
from hub.store.schema import dead_letters
from hub.store.sqlite import create_engine


def unknown_accounts_of(path: Path) -> list[tuple[str, str, int]]:
    """`unknown_accounts` of a SQLite file no matter who uses it. Raises StoreUnavailable."""
    engine = create_engine(path, readonly=True)
    try:
        with engine.begin() as conn:
            return unknown_accounts(conn) if revision(conn) else []
    except sa.exc.DatabaseError as error:
        raise StoreUnavailable(f"{path}: {error.orig}") from error
    finally:
        engine.dispose()


def unknown_accounts(conn: sa.Connection) -> list[tuple[str, str, int]]:
    """(channel, reason, how many) of the hooks' dead letters that nobody has resolved."""
    rows = conn.execute(
        sa.select(dead_letters.c.channel, dead_letters.c.reason, sa.func.count())
        .where(dead_letters.c.kind == "hook", dead_letters.c.resolved_at.is_(None))
        .group_by(dead_letters.c.channel, dead_letters.c.reason)
        .order_by(sa.func.count().desc())
        .limit(20)
    )
    return [(channel or "", reason, count) for channel, reason, count in rows]
