"""The kinds of columns and indexes the tables are made of, for every database."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class CurrentTransaction(sa.sql.functions.FunctionElement[int]):
    """The number of the transaction that writes: on PostgreSQL ids are given out in another order
    than the one in which they become visible. 0 on SQLite, where one writer does both."""

    inherit_cache = True


@compiles(CurrentTransaction)
def _no_transaction(_element: Any, _compiler: Any, **_options: Any) -> str:
    return "0"


@compiles(CurrentTransaction, "postgresql")
def _xid(_element: Any, _compiler: Any, **_options: Any) -> str:
    return "(pg_current_xact_id()::text::bigint)"


class FilePath(sa.sql.functions.FunctionElement[str]):
    """The path of the file that a Media as JSON names, in words that a query shares with its
    index: as a parameter the name would match none."""

    type = sa.Text()
    inherit_cache = True


@compiles(FilePath)
def _extract(element: Any, compiler: Any, **options: Any) -> str:
    return f"json_extract({compiler.process(element.clauses, **options)}, '$.path')"


@compiles(FilePath, "postgresql")
def _text_of(element: Any, compiler: Any, **options: Any) -> str:
    return f"({compiler.process(element.clauses, **options)} ->> 'path')"


Id = sa.LargeBinary(16)
Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
Time = sa.BigInteger
Serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def id(name: str = "id", *, null: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, Id, primary_key=name == "id", nullable=null)


def time(name: str, *, null: bool = True) -> sa.Column[int]:
    return sa.Column(name, Time, nullable=null)


def text(name: str, default: str | None = "") -> sa.Column[str]:
    if default is None:
        return sa.Column(name, sa.Text)
    return sa.Column(name, sa.Text, nullable=False, server_default=default)


def count(name: str, default: int = 0) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=str(default))


def partial_index(
    name: str, where: sa.ColumnElement[bool], *columns: sa.Column[Any], unique: bool = False
) -> None:
    """An index of the rows for which `where` holds."""
    sa.Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)
