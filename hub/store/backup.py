"""Whole copies of a SQLite file, taken while it is written, and put back in its place.

A copy is one file that needs no log beside it. It is given its name when it is complete, checked
and on the disk, and never before.
"""

import contextlib
import glob
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import NamedTuple

from hub.errors import SchemaTooNew, SettingsError, StoreUnavailable
from hub.store.migrate import HEAD, REVISIONS

PAGES = 2048
"""Copied at once: between two such steps the copy says how far it is."""

COUNTED = ("customers", "conversations", "messages", "receipts", "dead_letters")
OWN = (*COUNTED, "alembic_version")

Progress = Callable[[int, int], None]
"""Told how many pages are copied, and of how many."""


class Copy(NamedTuple):
    """What a checked copy holds: its revision and its rows by table."""

    revision: str
    counts: dict[str, int]
    size: int


def back_up(database: Path, target: Path, progress: Progress = lambda _done, _all: None) -> Copy:
    """Copy `database` as it is at this moment to the new file `target`, while others write it.

    Raises SettingsError when there is no such database or `target` is there already, and
    StoreUnavailable when the copy cannot be made or is not whole; then nothing is left behind.
    """
    if not database.exists():
        raise SettingsError(f"hub.database: there is no {database}")
    if os.path.lexists(target):
        raise _taken(target)
    with _draft(target) as draft:
        _copy(database, draft, progress)
        found = inspect(draft)
        _sync(draft)
        _name(draft, target)
    return found


def restore(
    source: Path, database: Path, *, replace: bool, progress: Progress = lambda _done, _all: None
) -> tuple[Copy, Path | None]:
    """Put a copy of `source` in the place of `database`, which no hub may be using (the caller
    holds its FileLock). At every moment there is either the old or the new database, whole.

    Returns what it holds, and where the old one is kept now. Raises SettingsError when there is
    one and `replace` is not given, or others have it open; SchemaTooNew and StoreUnavailable when
    `source` is not what this release can work with. Then nothing was touched.
    """
    if not source.exists():
        raise SettingsError(f"{source}: is not there")
    if database.exists() and os.path.samefile(source, database):
        raise SettingsError(f"{source}: is the database itself")
    inspect(source)
    if database.exists() and not replace:
        raise SettingsError(
            f"hub.database: {database} is already here; --replace keeps it under another name"
        )
    for left in database.parent.glob(f"{glob.escape(database.name)}.*.part*"):
        left.unlink()  # of a restore that was killed: this one is alone here
    with _draft(database) as draft:
        _copy(source, draft, progress)
        found = inspect(draft)
        _sync(draft)
        kept = _keep(database) if database.exists() else None
        for rest in _beside(database):
            rest.unlink(missing_ok=True)
        os.replace(draft, database)
        _sync_folder(database)
    return found, kept


def inspect(path: Path) -> Copy:
    """Check a file from its first page to its last. Raises StoreUnavailable when it is no whole
    database of a hub, SchemaTooNew when only a newer release knows it."""
    try:
        with _opened(path, write=False) as conn:
            faults = [row[0] for row in conn.execute("PRAGMA integrity_check(1)")]
            if faults != ["ok"]:
                raise StoreUnavailable(f"{path}: is damaged")
            tables = {row[0] for row in conn.execute("SELECT name FROM sqlite_master")}
            if not tables.issuperset(OWN):
                raise StoreUnavailable(f"{path}: is no database of a hub")
            [revision] = conn.execute("SELECT version_num FROM alembic_version").fetchone()
            counts = {
                name: conn.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in COUNTED
            }
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{path}: cannot be read as a database ({error})") from error
    if revision not in REVISIONS:
        raise SchemaTooNew(f"{path}: is at revision {revision}, this release knows {HEAD}")
    return Copy(revision, counts, path.stat().st_size)


@contextlib.contextmanager
def _opened(path: Path, *, write: bool) -> Iterator[sqlite3.Connection]:
    uri = f"{path.absolute().as_uri()}?mode={'rw' if write else 'ro'}"
    conn = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10)
    try:
        yield conn
    finally:
        conn.close()


def _copy(source: Path, target: Path, progress: Progress) -> None:
    """Copy one moment of `source`. Without the open transaction each commit of another process
    would begin the copy anew, and it would never end."""

    def step(_status: int, left: int, whole: int) -> None:
        progress(whole - left, whole)

    try:
        with _opened(source, write=False) as here, _opened(target, write=True) as there:
            here.execute("BEGIN")
            here.execute("SELECT count(*) FROM sqlite_master").fetchone()
            there.execute("PRAGMA synchronous=OFF")  # it is synced as a whole, before it has a name
            here.backup(there, pages=PAGES, progress=step)
            here.execute("ROLLBACK")
            there.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{source}: cannot be copied ({error})") from error


@contextlib.contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """An empty file beside `target`, for its owner's eyes; gone afterwards, with what SQLite laid
    beside it, unless it was given another name."""
    handle, name = tempfile.mkstemp(".part", target.name + ".", target.parent)
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
    finally:
        for path in (draft, *_beside(draft)):
            path.unlink(missing_ok=True)


def _name(draft: Path, target: Path) -> None:
    """Give the draft its name, unless there is such a file by now."""
    try:
        os.link(draft, target)
    except FileExistsError:
        raise _taken(target) from None
    except OSError:  # a file has one name only here
        if os.path.lexists(target):
            raise _taken(target) from None
        os.rename(draft, target)
    _sync_folder(target)


def _taken(target: Path) -> SettingsError:
    return SettingsError(f"{target}: is already here and is never overwritten")


def _keep(database: Path) -> Path:
    """Give the old database a second name with the time in it; its own stays until the new one
    takes it. Raises SettingsError when somebody has it open."""
    at = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    kept = next(one for one in _names(database, at) if not os.path.lexists(one))
    # Of a damaged one SQLite throws the log away, which may be all that can be saved.
    logs = [(rest, kept.with_name(kept.name + end)) for end, rest in _logs(database)]
    for rest, name in logs:
        _keep_as(rest, name)
    is_damaged = False
    try:
        is_damaged = not _fold_in(database)
    finally:
        for _, name in logs if not is_damaged else ():
            name.unlink()
    _keep_as(database, kept)
    _sync_folder(database)
    return kept


def _names(database: Path, at: str) -> Iterator[Path]:
    yield database.with_name(f"{database.name}.{at}")
    for number in count(2):
        yield database.with_name(f"{database.name}.{at}-{number}")


def _logs(database: Path) -> list[tuple[str, Path]]:
    ends = [(end, database.with_name(database.name + end)) for end in ("-wal", "-journal")]
    return [(end, path) for end, path in ends if path.exists()]


def _keep_as(path: Path, name: Path) -> None:
    try:
        os.link(path, name)
    except OSError:  # a file has one name only here
        shutil.copyfile(path, name)
        name.chmod(0o600)
        _sync(name)


def _fold_in(database: Path) -> bool:
    """Bring what is in the log into the database, so that it is one file. False when it is
    damaged. Raises SettingsError when somebody has it open."""
    try:
        with _opened(database, write=True) as conn:
            conn.execute("PRAGMA busy_timeout=1000")
            [busy, _, _] = conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return False
        busy = 1
    except sqlite3.DatabaseError:
        return False
    # The last one to close it takes the log away.
    if busy or any(rest.exists() for rest in _beside(database)):
        raise SettingsError(f"hub.database: {database} is open in another program")
    return True


def _beside(database: Path) -> list[Path]:
    return [database.with_name(database.name + end) for end in ("-wal", "-shm", "-journal")]


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(path: Path) -> None:
    _sync(path.absolute().parent)
