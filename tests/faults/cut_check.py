"""What must hold after a cut: the promises, read from the database and the stand-in."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from hub.store.schema import addresses, conversations, dead_letters, journal, messages, runs
from tests.faults.checker import Call, check_steps
from tests.faults.cut_scene import SPOKEN
from tests.faults.hooks import Line


@dataclass(frozen=True)
class State:
    """What the database holds."""

    rows: list[dict[str, Any]]
    recorded: set[str]
    """The step keys whose results are in a journal."""
    threads: int
    runs: int
    dead: int
    leased: bool

    @property
    def open(self) -> bool:
        """Is anything left to do?"""
        return any(
            row["lane"] is not None or (row["direction"] == "in" and row["handled_at"] is None)
            for row in self.rows
        )

    def sending(self) -> set[str]:
        return {row["id"].hex() for row in self.rows if row["state"] == "sending"}


async def look_at(url: str, line: Line) -> State:
    """Read all of it through a connection of its own."""
    if url.startswith("sqlite"):
        engine = sa.create_engine(url)
        try:
            with engine.connect() as conn:
                return read_state(conn, line)
        finally:
            engine.dispose()
    from hub.store.postgres import look

    return await look(url, read_state, line)


def read_state(conn: sa.Connection, line: Line) -> State:
    """What there is of the customer who writes from this number."""
    her = sa.select(addresses.c.customer_id).where(addresses.c.external_id == line.digits)
    theirs = sa.select(conversations).where(conversations.c.customer_id.in_(her))
    threads = conn.execute(theirs).mappings().all()
    ids = [thread["id"] for thread in threads]
    rows = conn.execute(
        sa.select(messages).where(messages.c.conversation_id.in_(ids)).order_by(messages.c.seq)
    )
    ran = conn.scalars(sa.select(runs.c.id).where(runs.c.conversation_id.in_(ids))).all()
    steps = conn.execute(
        sa.select(journal.c.run_id, journal.c.entries).where(journal.c.run_id.in_(ran))
    )
    recorded = {
        f"{run.hex()}:{entry[0]}"
        for run, entries in steps
        for entry in entries
        if entry[1] == "call"
    }
    dead = conn.scalars(sa.select(sa.func.count()).select_from(dead_letters)).one()
    leased = any(thread["lease_until"] for thread in threads)
    found = [dict(row) for row in rows.mappings()]
    return State(found, recorded, len(threads), len(ran), dead, leased)


@dataclass(frozen=True)
class After:
    """The database at the cut and at the end, the calls, and the rows whose receipt was there
    before anything was sent again."""

    cut: State
    end: State
    calls: list[Call]
    known: set[str]

    def repeated(self) -> set[str]:
        """The rows that were sent more than once."""
        return {row for row, count in Counter(c.row for c in self.calls).items() if count > 1}

    def hits(self) -> Iterator[str]:
        """What this cut interrupted."""
        if self.cut.sending():
            yield "sending"
        if self.cut.leased:
            yield "turn"
        if self.repeated():
            yield "repeated"
        if self.cut.sending() & self.known:
            yield "known"


def check_all(after: After, metrics: CollectorRegistry, record: Path, cut_at: float) -> None:
    """Raises AssertionError where a promise is broken."""
    end = after.end
    assert tuple(row["text"] for row in end.rows) == SPOKEN, [row["text"] for row in end.rows]
    assert [row["seq"] for row in end.rows] == [1, 2, 3, 4, 5]
    out = [row for row in end.rows if row["direction"] == "out"]
    assert {row["state"] for row in out} == {"delivered"}, [row["state"] for row in out]
    assert (end.threads, end.runs, end.dead) == (1, 1, 0)
    assert {call.row for call in after.calls} == {row["id"].hex() for row in out}
    assert len(after.calls) <= len(out) + 1, after.calls
    in_doubt = after.cut.sending() - after.known
    assert after.repeated() <= in_doubt
    counted = metrics.get_sample_value("onethread_sends_repeated_total", {"channel": "wa"})
    assert counted == len(in_doubt), "whatever may arrive twice is counted"
    steps = [json.loads(line) for line in record.read_text().splitlines() if line.endswith("}")]
    problems = check_steps(steps, [(cut_at, after.cut.recorded)])
    assert not problems, problems
    tries = Counter(step["key"] for step in steps if step["what"] in ("prepare", "begin"))
    assert len(tries) == 4
    assert sum(tries.values()) <= len(tries) + 1, tries
