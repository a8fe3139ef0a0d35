"""Many rows of one statement, without SQLAlchemy's work for each of them.

The statement is compiled once for each dialect; a row then costs one tuple. That is half of the
store's time on the hot path (docs/benchmarks.md).
"""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.dml import UpdateBase

Row = dict[str, Any]
Arrange = Callable[[Row], tuple[Any, ...]]

_compiled: dict[tuple[UpdateBase, str, tuple[str, ...]], tuple[str, Arrange]] = {}


def execute_many(conn: sa.Connection, statement: UpdateBase, rows: Sequence[Row]) -> None:
    """Run an INSERT, UPDATE or DELETE for every row; all rows have the same keys.

    `statement` must be one that lives as long as the process: it is remembered.
    """
    key = (statement, conn.dialect.name, tuple(rows[0]))
    found = _compiled.get(key)
    if found is None:
        found = _compiled[key] = _compile(conn, statement, key[2])
    text, arrange = found
    conn.exec_driver_sql(text, [arrange(row) for row in rows])


def _compile(
    conn: sa.Connection, statement: UpdateBase, names: tuple[str, ...]
) -> tuple[str, Arrange]:
    given = list(names) if isinstance(statement, sa.Insert) else None
    compiled = statement.compile(dialect=conn.dialect, column_keys=given)
    assert compiled.positiontup is not None, "the dialect's parameters have no order"
    order = compiled.positiontup
    dumps: Any = conn.dialect._json_serializer
    constants = {name: value for name, value in compiled.params.items() if name not in names}
    texts = {
        name
        for name in order
        if name not in constants and isinstance(compiled.binds[name].type, sa.JSON)
    }
    if not constants and not texts and len(order) > 1:
        return str(compiled), itemgetter(*order)

    def arrange(row: Row) -> tuple[Any, ...]:
        values = []
        for name in order:
            if name in constants:
                values.append(constants[name])
            elif name in texts and row[name] is not None:
                values.append(dumps(row[name]))
            else:
                values.append(row[name])
        return tuple(values)

    return str(compiled), arrange
