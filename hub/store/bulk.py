"""The hot path's statements: SQLAlchemy builds and compiles them once, the driver's cursor runs
them.

What SQLAlchemy does for every execution costs more than SQLite does for a row, and was half of
the store's time (docs/benchmarks.md).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, cast

import orjson
import sqlalchemy as sa
from sqlalchemy.sql.dml import UpdateBase

Row = dict[str, Any]
Arrange = Callable[[Row], Sequence[Any]]
Make = Callable[[list[sa.BindParameter[Any]]], sa.Select[Any] | sa.CompoundSelect[Any]]

SIZES = (1, 2, 4, 8, 16, 32, 64)

listeners: list[Callable[[sa.Connection, Any, str, Any, None, bool], None]] = []
"""Hear of each statement before it runs, as SQLAlchemy's `before_cursor_execute` does of its own:
(connection, cursor, text, parameters, None, many)."""

_writes: dict[tuple[UpdateBase, str, tuple[str, ...]], tuple[str, Arrange]] = {}


def execute_many(conn: sa.Connection, statement: UpdateBase, rows: Sequence[Row]) -> None:
    """Run an INSERT, UPDATE or DELETE for every row; all rows have the same keys.

    `statement` must be one that lives as long as the process: it is remembered.
    """
    key = (statement, conn.dialect.name, tuple(rows[0]))
    found = _writes.get(key)
    if found is None:
        found = _writes[key] = _compile_write(conn, statement, key[2])
    text, arrange = found
    values = [arrange(row) for row in rows]
    cursor = conn.connection.cursor()
    try:
        for listener in listeners:
            listener(conn, cursor, text, list(map(tuple, values)), None, True)
        cursor.executemany(text, values)
    finally:
        cursor.close()


def _compile_write(
    conn: sa.Connection, statement: UpdateBase, names: tuple[str, ...]
) -> tuple[str, Arrange]:
    given = list(names) if isinstance(statement, sa.Insert) else None
    compiled = statement.compile(dialect=conn.dialect, column_keys=given)
    assert compiled.positiontup is not None, "the dialect's parameters have no order"
    # SQLAlchemy's names are a subclass of str, which every look-up in a dict pays for.
    order = [str(name) for name in compiled.positiontup]
    constants = {str(n): value for n, value in compiled.params.items() if n not in names}
    texts = [
        place
        for place, name in enumerate(order)
        if name not in constants and isinstance(compiled.binds[name].type, sa.JSON)
    ]
    if len(order) == 1:
        [only] = order
        return str(compiled), lambda row: (row[only],)
    take = itemgetter(*order)
    if not constants and not texts:
        return str(compiled), take

    def arrange(row: Row) -> Sequence[Any]:
        values = list(take(row | constants if constants else row))
        for place in texts:
            if values[place] is not None:
                values[place] = orjson.dumps(values[place]).decode()
        return values

    return str(compiled), arrange


@dataclass(frozen=True, slots=True)
class _Select:
    """A compiled SELECT: its parameters with the constants in their places, where each named one
    goes, and where the keys begin."""

    text: str
    constants: list[Any]
    params: list[tuple[int, str]]
    starts: list[int]


class Lookup:
    """A SELECT that asks for many keys at once: `make(keys)` builds it for that many bound keys.

    It is compiled for a few numbers of keys, and fewer are filled up with the last one.
    """

    def __init__(self, make: Make) -> None:
        self._make = make
        self._compiled: dict[tuple[str, int], _Select] = {}
        self._names: tuple[str, ...] = ()
        self._texts: list[int] = []

    def rows(self, conn: sa.Connection, keys: Sequence[Any], **params: Any) -> list[Row]:
        """The rows found, as dicts by column name."""
        return [
            dict(zip(self._names, row, strict=True)) for row in self.tuples(conn, keys, **params)
        ]

    def tuples(
        self, conn: sa.Connection, keys: Sequence[Any], **params: Any
    ) -> list[tuple[Any, ...]]:
        """The rows found, in the order of the selected columns."""
        found: list[tuple[Any, ...]] = []
        for start in range(0, len(keys), SIZES[-1]):
            found += self._fetch(conn, keys[start : start + SIZES[-1]], params)
        return found

    def _fetch(
        self, conn: sa.Connection, keys: Sequence[Any], params: dict[str, Any]
    ) -> list[tuple[Any, ...]]:
        size = next(size for size in SIZES if size >= len(keys))
        known = (conn.dialect.name, size)
        found = self._compiled.get(known)
        if found is None:
            found = self._compiled[known] = self._compile(conn, size)
        text, given = found.text, found.constants.copy()
        for place, name in found.params:
            given[place] = params[name]
        filled = (*keys, *([keys[-1]] * (size - len(keys))))
        for start in found.starts:
            given[start : start + size] = filled
        cursor = conn.connection.cursor()
        try:
            for listener in listeners:
                listener(conn, cursor, text, tuple(given), None, False)
            cursor.execute(text, given)
            rows = cursor.fetchall()
        finally:
            cursor.close()
        if self._texts:
            return [self._read(row) for row in rows]
        return cast(list[tuple[Any, ...]], rows)

    def _compile(self, conn: sa.Connection, size: int) -> "_Select":
        keys = [f"key_{place}" for place in range(size)]
        statement = self._make([sa.bindparam(key) for key in keys])
        columns = list(statement.selected_columns)
        # SQLAlchemy's names are a subclass of str, which every look-up in a dict pays for.
        self._names = tuple(str(column.key or "") for column in columns)
        self._texts = [i for i, c in enumerate(columns) if isinstance(c.type, sa.JSON)]
        compiled = statement.compile(dialect=conn.dialect)
        assert compiled.positiontup is not None, "the dialect's parameters have no order"
        order = list(map(str, compiled.positiontup))
        constants = [compiled.params[name] for name in order]
        starts = [place for place, name in enumerate(order) if name == keys[0]]
        assert all(order[start : start + size] == keys for start in starts)
        taken = {*keys, *(name for name, value in compiled.params.items() if value is not None)}
        params = [(place, name) for place, name in enumerate(order) if name not in taken]
        return _Select(str(compiled), constants, params, starts)

    def _read(self, row: Sequence[Any]) -> tuple[Any, ...]:
        values = list(row)
        for place in self._texts:
            if isinstance(values[place], str | bytes):
                values[place] = orjson.loads(values[place])
        return tuple(values)
