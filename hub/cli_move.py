"""`onethread move`: from SQLite to PostgreSQL."""

import sys
from collections.abc import Callable
from pathlib import Path

import click

from hub.command import config_option, debug_option, fail, load, run


@click.command()
@click.option("--to", "url", required=True, metavar="URL", help="postgresql://USER@HOST/DATABASE")
@config_option
@debug_option
def move(url: str, config: Path | None) -> None:
    """Copy a SQLite hub, which must not run, into an empty PostgreSQL database.

    May be cut off and called again: it goes on where it was. At the end every table is compared.
    """
    settings = load(config)
    if not settings.hub.on_sqlite:
        fail("hub.database: is on PostgreSQL already")
    from hub.store import is_postgres, sqlite_path

    if not is_postgres(url):
        raise click.BadParameter("should be postgresql://USER@HOST/DATABASE", param_hint="'--to'")
    database = sqlite_path(settings.hub.database)
    if not database.exists():
        fail(f"hub.database: {database} is not there")
    from hub.log import register_secrets
    from hub.store.move import move as copy
    from hub.store.sqlite import FileLock

    register_secrets(url)
    lock = FileLock(database)
    try:
        counts = run(copy(database, url, _progress()), settings)
    finally:
        lock.release()
    shown = ", ".join(f"{counts[name]} {name}" for name in ("customers", "messages", "changes"))
    click.echo(f"Moved {sum(counts.values())} rows ({shown}); both sides are the same.")
    click.echo("Next: set hub.database to that URL and start. Attachments stay where they are.")


def _progress() -> Callable[[int, int], None]:
    """A bar on a terminal."""
    if not sys.stderr.isatty():
        return lambda _done, _whole: None
    shown = -1

    def show(done: int, whole: int) -> None:
        nonlocal shown
        part = 100 * done // max(whole, 1)
        if part != shown:
            shown = part
            bar = "#" * (part // 4)
            click.echo(f"\r[{bar:25}] {part:3} %", nl=done >= whole, err=True)

    return show
