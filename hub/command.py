"""What all commands of `onethread` share: options, settings, units in the database, failures."""

import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from hub.settings import Settings
    from hub.store import Store, Unit

P = ParamSpec("P")
T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., Any])


def debug_option(command: Command) -> Command:
    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=_note_debug,
        help="Log in detail, and show the traceback of an error.",
    )(command)


def _note_debug(context: click.Context, _parameter: click.Parameter, on: bool) -> None:
    if on:
        context.find_root().meta["debug"] = True


def config_option(command: Command) -> Command:
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="The settings file. Default: ./onethread.toml",
    )(command)


def load(config: Path | None) -> "Settings":
    from hub.log import register_secrets
    from hub.settings import load_settings, secret_values

    settings = load_settings(config)
    # Dialogs beside the settings file are found by name; last, so that they hide nothing.
    sys.path.append(str((config.parent if config else Path()).resolve()))
    register_secrets(*secret_values(settings))
    configure_log(settings.hub.log_level)
    return settings


def configure_log(level: str) -> None:
    from hub.log import configure

    context = click.get_current_context().find_root()
    configure("debug" if context.meta.get("debug") else level)


def bring_up_to_date(settings: "Settings") -> bool:
    """Migrate the settings' database. True when there was anything to do."""
    from hub.store import migrate_database

    return run(migrate_database(settings.hub.database), settings)


def write(settings: "Settings", unit: "Unit[P, T]", *arguments: P.args, **named: P.kwargs) -> T:
    """Commit one unit in the settings' database, brought up to date first."""
    return _visit(settings, lambda store: store.write(unit, *arguments, **named))


def read(settings: "Settings", unit: "Unit[P, T]", *arguments: P.args, **named: P.kwargs) -> T:
    """What one unit reads in the settings' database, brought up to date first."""
    return _visit(settings, lambda store: store.read(unit, *arguments, **named))


def _visit(settings: "Settings", use: "Callable[[Store], Coroutine[Any, Any, T]]") -> T:
    from hub.store import open_store

    async def visit() -> T:
        store = open_store(settings.hub.database)
        try:
            return await use(store)
        finally:
            await store.close()

    bring_up_to_date(settings)
    return run(visit(), settings)


def run(work: Coroutine[Any, Any, T], settings: "Settings | None" = None) -> T:
    import asyncio

    with asyncio.Runner(loop_factory=_loop_factory(settings)) as runner:
        return runner.run(work)


def _loop_factory(settings: "Settings | None") -> Callable[[], Any] | None:
    if settings and not settings.hub.uvloop:
        return None
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def fail(text: str) -> NoReturn:
    """End the command with this line on standard error and exit code 1."""
    raise click.ClickException(text)
