"""Hears every statement that this process runs, whoever runs it."""

import contextlib
from collections.abc import Callable, Iterator

import sqlalchemy as sa

from hub.store import bulk


@contextlib.contextmanager
def heard_by(listener: Callable[..., None]) -> Iterator[None]:
    """Calls `listener(connection, cursor, text, parameters, context, many)` before each."""
    sa.event.listen(sa.Engine, "before_cursor_execute", listener)
    bulk.listeners.append(listener)
    try:
        yield
    finally:
        bulk.listeners.remove(listener)
        sa.event.remove(sa.Engine, "before_cursor_execute", listener)
