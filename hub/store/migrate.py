"""Bring a database up to date; refuse one that a newer release has changed.

Alembic is imported only when there is something to do: comparing the revision costs a
millisecond, importing alembic a hundred.
"""

from pathlib import Path

import sqlalchemy as sa

from hub.errors import SchemaTooNew, StoreUnavailable

HEAD = "0010"
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010")


def migrate_sqlite(path: Path) -> bool:
    """Migrate under the database's own write lock. True when anything was done. Raises
    StoreUnavailable."""
    from hub.store.sqlite import create_engine, explain

    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)  # customers' words are for the hub's own user
    engine = create_engine(path)
    try:
        with engine.begin() as conn:
            return migrate(conn)
    except sa.exc.DatabaseError as error:
        if (explained := explain(error)) is error:
            raise
        raise StoreUnavailable(f"hub.database: {path}: {error.orig}") from explained
    finally:
        engine.dispose()


def revision_of(path: Path) -> str | None:
    """The revision of a SQLite file. Raises StoreUnavailable when it is no readable database."""
    from hub.store.sqlite import create_engine

    engine = create_engine(path, readonly=True)
    try:
        with engine.begin() as conn:
            return revision(conn)
    except sa.exc.DatabaseError as error:
        raise StoreUnavailable(f"{path}: {error.orig}") from error
    finally:
        engine.dispose()


def migrate(conn: sa.Connection) -> bool:
    """Migrate inside the caller's transaction. Raises SchemaTooNew."""
    current = revision(conn)
    if current == HEAD:
        return False
    if current is not None and current not in REVISIONS:
        raise SchemaTooNew(
            f"hub.database: the database is at revision {current}, this release knows {HEAD}:"
            " install a newer release or restore a backup"
        )
    if current is None and not sa.inspect(conn).get_table_names():
        _create(conn)
    else:
        upgrade(conn)
    return True


def upgrade(conn: sa.Connection) -> None:
    """Run the migrations that are missing, all of them on an empty database."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = conn
    command.upgrade(config, "head")


def _create(conn: sa.Connection) -> None:
    """Give an empty database today's tables at once, without alembic, which would take a third
    of a first start. A test holds that the migrations come to the same tables."""
    from hub.store.schema import metadata

    metadata.create_all(conn)
    version = sa.Table(
        "alembic_version",
        sa.MetaData(),
        sa.Column("version_num", sa.String(32), primary_key=True),
    )
    version.create(conn)
    conn.execute(version.insert().values(version_num=HEAD))


def revision(conn: sa.Connection) -> str | None:
    """The revision the database is at, or None for an empty one."""
    if not sa.inspect(conn).has_table("alembic_version"):
        return None
    return conn.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
