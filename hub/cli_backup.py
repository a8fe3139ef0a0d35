"""`onethread backup` and `onethread restore`: whole copies of a SQLite hub."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hub.command import config_option, debug_option, fail, load

if TYPE_CHECKING:
    from hub.settings import Settings
    from hub.store.backup import Copy

MIB = 1024 * 1024
SHOWN = ("customers", "conversations", "messages")

_file = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("file", type=_file)
@click.option("--media", is_flag=True, help="Copy the attachments too, into FILE.media.")
@config_option
@debug_option
def backup(file: Path, media: bool, config: Path | None) -> None:
    """Copy the whole SQLite database to the new FILE; the hub may run meanwhile."""
    settings = load(config)
    database = _database(settings, "backup", "pg_dump")
    from hub.store.backup import back_up

    beside = _media_of(file)
    if media and os.path.lexists(beside):
        fail(f"{beside}: is already here and is never overwritten")
    copy = back_up(database, file, _progress())
    click.echo(f"Wrote {file}: {_told(copy)}.")
    if media:
        # After the database: each file it names is there by now, and files never change.
        beside.mkdir(mode=0o700)
        count = _copy_files(settings.hub.media, beside)
        click.echo(f"Wrote {beside}: {count} attachments.")


@click.command()
@click.argument("file", type=_file)
@click.option("--replace", is_flag=True, help="Keep the present database under another name.")
@click.option("--media", is_flag=True, help="Bring the attachments back too, from FILE.media.")
@config_option
@debug_option
def restore(file: Path, replace: bool, media: bool, config: Path | None) -> None:
    """Put FILE, a copy made by `onethread backup`, in the place of the SQLite database."""
    settings = load(config)
    database = _database(settings, "restore", "pg_restore")
    from hub.store import backup as copies
    from hub.store.sqlite import FileLock

    beside = _media_of(file)
    if media and not beside.is_dir():
        fail(f"{beside}: is not there")
    database.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(database)
    try:
        if media:
            # Before the database, which then names no file that is missing.
            count = _copy_files(beside, settings.hub.media)
            click.echo(f"Brought {count} attachments back.")
        copy, kept = copies.restore(file, database, replace=replace, progress=_progress())
    finally:
        lock.release()
    click.echo(f"Restored {database.name}: {_told(copy)}.")
    if kept:
        click.echo(f"The database before is kept as {kept}.")


def _database(settings: "Settings", command: str, instead: str) -> Path:
    if not settings.hub.on_sqlite:
        fail(
            f"hub.database: `onethread {command}` is for SQLite; for PostgreSQL use {instead},"
            " see docs/operating.md"
        )
    from hub.store import sqlite_path

    return sqlite_path(settings.hub.database)


def _told(copy: "Copy") -> str:
    return ", ".join(f"{copy.counts[name]} {name}" for name in SHOWN)


def _media_of(file: Path) -> Path:
    return file.with_name(file.name + ".media")


def _progress() -> Callable[[int, int], None]:
    """Says on a terminal how far a copy is."""
    if not sys.stderr.isatty():
        return lambda _done, _whole: None

    def show(done: int, whole: int) -> None:
        part = 100 * done // max(whole, 1)
        click.echo(f"\r{part:3} % copied", nl=done >= whole, err=True)

    return show


def _copy_files(source: Path, target: Path) -> int:
    """Copy the attachments that `target` has not, each whole or not at all; how many."""
    count = 0
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        drafts = path.relative_to(source).parts[0] == "tmp"
        if drafts or not path.is_file() or path.suffix == ".part" or place.exists():
            continue
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = place.with_name(place.name + ".part")
        with path.open("rb") as old, draft.open("wb") as new:
            shutil.copyfileobj(old, new, MIB)
            os.fchmod(new.fileno(), 0o600)
            new.flush()
            os.fsync(new.fileno())
        os.replace(draft, place)
        count += 1
    return count
