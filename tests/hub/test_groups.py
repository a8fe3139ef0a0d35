"""Groups of SQLite: whoever waits is told, whatever happens to the transaction."""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from hub.errors import StoreUnavailable
from hub.store.group import Outcome, Queue, Waiting, commit_group
from hub.store.sqlite import create_engine, explain


def insert(conn: sa.Connection, items: Sequence[int]) -> list[int]:
    for item in items:
        conn.exec_driver_sql("INSERT INTO kept VALUES (?)", (item,))
    return list(items)


def lose_transaction(conn: sa.Connection, items: Sequence[int]) -> list[int]:
    """What SQLite does by itself on some errors of a disk: nothing is left to roll back to."""
    conn.exec_driver_sql("ROLLBACK")
    raise OSError("the disk")


def test_who_comes_after_a_lost_transaction_is_told_too(tmp_path: Path) -> None:
    engine = create_engine(tmp_path / "hub.db")
    with engine.begin() as conn:
        conn.exec_driver_sql("CREATE TABLE kept (item INTEGER)")
    queue: Queue[str] = Queue()
    queue.put(Waiting("before", insert, 1), urgent=False)
    queue.put(Waiting("fatal", lose_transaction, 2), urgent=False)
    queue.put(Waiting("after", lambda conn, items: insert(conn, items), 3), urgent=False)
    told: dict[str, Outcome[str]] = {}
    with engine.connect() as conn:
        while queue:
            for outcome in commit_group(conn, queue, explain):
                assert outcome.ticket not in told
                told[outcome.ticket] = outcome
        kept = conn.exec_driver_sql("SELECT item FROM kept").scalars().all()
    engine.dispose()
    assert set(told) == {"before", "fatal", "after"}
    for ticket, item in (("before", 1), ("after", 3)):
        assert (item in kept) is not told[ticket].failed, "told what is so"
    assert isinstance(told["fatal"].result, StoreUnavailable)
