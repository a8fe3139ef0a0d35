"""The hot path's statements: SQLAlchemy builds and compiles them once, the driver's cursor runs
them.

What SQLAlchemy does for every execution costs more than SQLite does for a row, and was half of
the store's time (docs/benchmarks.md).
"""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, cast

import orjson
import sqlalchemy as sa
from sqlalchemy.sql.dml import UpdateBase

Row = dict[str, Any]
Arrange = Callable[[Row], Sequence[Any]]

SIZES = (1, 2, 4, 8, 16, 32, 64)

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
        _announce(conn, cursor, text, values, many=True)
        cursor.executemany(text, values)
    finally:
        cursor.close()


def _announce(conn: sa.Connection, cursor: Any, text: str, values: Any, *, many: bool) -> None:
    """Whoever listens to SQLAlchemy's statements (traces, tests of query plans) hears these."""
    if listeners := conn.dispatch.before_cursor_execute:
        for listener in listeners:
            listener(conn, cursor, text, values, None, many)


def _compile_write(
    conn: sa.Connection, statement: UpdateBase, names: tuple[str, ...]
) -> tuple[str, Arrange]:
    given = list(names) if isinstance(statement, sa.Insert) else None
    compiled = statement.compile(dialect=conn.dialect, column_keys=given)
    assert compiled.positiontup is not None, "the dialect's parameters have no order"
    order = [str(name) for name in compiled.positiontup]
    constants = {name: value for name, value in compiled.params.items() if name not in names}
    texts = {
        name
        for name in order
        if name not in constants and isinstance(compiled.binds[name].type, sa.JSON)
    }
    if not constants and not texts and len(order) > 1:
        return str(compiled), itemgetter(*order)

    def arrange(row: Row) -> Sequence[Any]:
        values = []
        for name in order:
            if name in constants:
                values.append(constants[name])
            elif name in texts and row[name] is not None:
                values.append(orjson.dumps(row[name]).decode())
            else:
                values.append(row[name])
        return tuple(values)

    return str(compiled), arrange


class Lookup:
    """A SELECT that asks for many keys at once: `make(keys)` builds it for that many bound keys.

    It is compiled for a few numbers of keys, and fewer are filled up with the last one.
    """

    def __init__(self, make: Callable[[list[sa.BindParameter[Any]]], sa.Select[Any]]) -> None:
        self._make = make
        self._compiled: dict[tuple[str, int], tuple[str, list[str], dict[str, Any]]] = {}
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
        key = (conn.dialect.name, size)
        if key not in self._compiled:
            self._compiled[key] = self._compile(conn, size)
        text, order, constants = self._compiled[key]
        values = {**constants, **params}
        for place in range(size):
            values[f"key_{place}"] = keys[place] if place < len(keys) else keys[-1]
        given = tuple(values[name] for name in order)
        cursor = conn.connection.cursor()
        try:
            _announce(conn, cursor, text, given, many=False)
            cursor.execute(text, given)
            rows = cursor.fetchall()
        finally:
            cursor.close()
        if self._texts:
            return [self._read(row) for row in rows]
        return cast(list[tuple[Any, ...]], rows)

    def _compile(self, conn: sa.Connection, size: int) -> tuple[str, list[str], dict[str, Any]]:
        statement = self._make([sa.bindparam(f"key_{place}") for place in range(size)])
        columns = list(statement.selected_columns)
        # SQLAlchemy's names are a subclass of str, which every look-up in a dict pays for.
        self._names = tuple(str(column.key or "") for column in columns)
        self._texts = [i for i, c in enumerate(columns) if isinstance(c.type, sa.JSON)]
        compiled = statement.compile(dialect=conn.dialect)
        assert compiled.positiontup is not None, "the dialect's parameters have no order"
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        return str(compiled), [str(name) for name in compiled.positiontup], constants

    def _read(self, row: Sequence[Any]) -> tuple[Any, ...]:
        values = list(row)
        for place in self._texts:
            if isinstance(values[place], str | bytes):
                values[place] = orjson.loads(values[place])
        return tuple(values)
