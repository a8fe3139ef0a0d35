"""Dead letters: what was kept because it could not be used."""

import sqlalchemy as sa

from hub.store.schema import dead_letters


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
