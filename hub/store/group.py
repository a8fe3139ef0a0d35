"""Group commit: what waits is committed together, one set of statements for all of a kind.

A `Queue` collects, `commit_group` commits once. Who is to be told is a ticket of the caller's
own kind, so that a thread and a process beside the hub can run the same groups.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import sqlalchemy as sa

from hub.errors import StoreUnavailable
from hub.store.sql import Batch, Unit

GROUP = 64
GROUP_SECONDS = 0.002

Ticket = TypeVar("Ticket")
Explain = Callable[[Exception], Exception]
"""Makes StoreUnavailable of an error that means the database cannot work now."""


@dataclass(slots=True)
class Waiting(Generic[Ticket]):
    """One item and the batch that commits it; `ticket` says who waits."""

    ticket: Ticket
    batch: Batch[Any, Any]
    item: Any


@dataclass(slots=True)
class Outcome(Generic[Ticket]):
    """What became of an item: its result, or with `failed` the error."""

    ticket: Ticket
    result: Any
    failed: bool


class Alone:
    """A batch of one unit that shares its statements with nobody."""

    __slots__ = ("arguments", "named", "unit")

    def __init__(
        self, unit: Unit[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        self.unit = unit
        self.arguments = arguments
        self.named = named

    def __call__(self, conn: sa.Connection, _items: Sequence[None]) -> Sequence[Any]:
        return [self.unit(conn, *self.arguments, **self.named)]


class Queue(Generic[Ticket]):
    """What waits to be committed. One thread may put while another takes."""

    def __init__(self) -> None:
        self._urgent: deque[Waiting[Ticket]] = deque()
        self._rest: deque[Waiting[Ticket]] = deque()

    def __bool__(self) -> bool:
        return bool(self._urgent or self._rest)

    def put(self, waiting: Waiting[Ticket], *, urgent: bool) -> None:
        (self._urgent if urgent else self._rest).append(waiting)

    def take(self, most: int) -> list[list[Waiting[Ticket]]]:
        """Up to `most` waiting items, urgent ones first, those of one batch together."""
        batches: dict[Batch[Any, Any], list[Waiting[Ticket]]] = {}
        for queue in (self._urgent, self._rest):
            while queue and most > 0:
                waiting = queue.popleft()
                batches.setdefault(waiting.batch, []).append(waiting)
                most -= 1
        return list(batches.values())

    def put_back(self, batches: list[list[Waiting[Ticket]]]) -> None:
        """What a group has no time for goes first in the next, after what is urgent by then."""
        waiting = [one for batch in batches for one in batch]
        self._rest.extendleft(reversed(waiting))


def commit_group(
    conn: sa.Connection, queue: Queue[Ticket], explain: Explain
) -> list[Outcome[Ticket]]:
    """Take what waits, commit it together, and say what became of each item."""
    outcomes: list[Outcome[Ticket]] = []
    taken: list[Waiting[Ticket]] = []
    left: list[list[Waiting[Ticket]]] = []
    try:
        with conn.begin():
            # What comes meanwhile makes the next group: taken now, a few at a time, it would
            # cost a set of statements for every few.
            started = time.monotonic()
            left = queue.take(GROUP)
            while left and (not taken or time.monotonic() - started <= GROUP_SECONDS):
                waiting = left.pop(0)
                taken += waiting
                outcomes += _run_batch(conn, waiting, explain)
    except Exception as error:
        lost = StoreUnavailable(type(error).__name__)
        lost.__cause__ = error
        # When not even BEGIN went through, those who wait must hear it too.
        taken = taken or [waiting for batch in queue.take(GROUP) for waiting in batch]
        return [Outcome(waiting.ticket, lost, True) for waiting in taken]
    finally:
        queue.put_back(left)
    return outcomes


def _run_batch(
    conn: sa.Connection, waiting: list[Waiting[Ticket]], explain: Explain
) -> list[Outcome[Ticket]]:
    """Run a batch in a savepoint; when it fails, each of its items alone, so that one item's
    error harms no other."""
    raw = cast(Any, conn.connection.dbapi_connection)
    raw.execute("SAVEPOINT batch")
    try:
        results = waiting[0].batch(conn, [one.item for one in waiting])
        done = [
            Outcome(one.ticket, result, isinstance(result, Exception))
            for one, result in zip(waiting, results, strict=True)
        ]
    except Exception as error:
        raw.execute("ROLLBACK TO batch")
        if len(waiting) == 1:
            done = [Outcome(waiting[0].ticket, explain(error), True)]
        else:
            done = [outcome for one in waiting for outcome in _run_batch(conn, [one], explain)]
    raw.execute("RELEASE batch")
    return done
