"""The `onethread` command.

Each command imports what it needs when it runs, so that `--help` is instant. Whatever goes wrong
is one readable line on standard error: exit 2 for a wrong call, 1 for a failure.
"""

import errno
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from hub import __version__
from hub.cli_backup import backup, restore
from hub.cli_dead import dead
from hub.cli_move import move
from hub.cli_spool import spool
from hub.command import (
    bring_up_to_date,
    config_option,
    configure_log,
    debug_option,
    fail,
    load,
    run,
    write,
)
from hub.errors import HubError

if TYPE_CHECKING:
    from hub.settings import Settings
    from hub.store.tokens import TokenRole

ROLES = ("admin", "supervisor", "agent", "metrics")
LANGUAGES = ("en", "bn")
EXAMPLE = Path(__file__).with_name("example.toml")


_port = click.IntRange(0, 65535)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="onethread")
@debug_option
def cli() -> None:
    """Every customer, one thread: conversations of all channels, dialogs and a shared inbox."""


@cli.command()
@click.option("--port", type=_port, default=8080, show_default=True, metavar="N")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep the demo's data here. Default: a temporary folder.",
)
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@debug_option
def demo(port: int, data: Path | None, no_browser: bool) -> None:
    """Try it without accounts: phones and thread on one page."""
    from hub import app

    configure_log("warning")
    _listen(app.demo(data, port, not no_browser), "127.0.0.1", port)


@cli.command()
@config_option
@click.option("--host", default="127.0.0.1", show_default=True, metavar="H")
@click.option("--port", type=_port, default=8080, show_default=True, metavar="N")
@click.option("--no-worker", is_flag=True, help="Serve the web alone; workers run elsewhere.")
@debug_option
def serve(config: Path | None, host: str, port: int, no_worker: bool) -> None:
    """Serve the web and handle conversations, in one process."""
    settings = load(config)
    if no_worker:
        _refuse_on_sqlite(settings, "serve --no-worker")
    from hub import app

    def ready(url: str) -> None:
        click.echo(f"Onethread is ready at {url}")

    ground = app.prepare(settings)
    running = app.serve(settings, ground, host, port, worker=not no_worker, ready=ready)
    _listen(running, host, port, settings)


@cli.command()
@config_option
@click.option("--host", default="127.0.0.1", show_default=True, metavar="H")
@click.option("--port", type=_port, metavar="N", help="Answer /readyz and /metrics there.")
@debug_option
def worker(config: Path | None, host: str, port: int | None) -> None:
    """Handle conversations without serving the web (PostgreSQL only)."""
    settings = load(config)
    _refuse_on_sqlite(settings, "worker")
    from hub import app

    _listen(app.run_worker(settings, host, port), host, port or 0, settings)


@cli.command()
@debug_option
def init() -> None:
    """Write a commented onethread.toml and a .env with fresh secrets."""
    from hub.settings import CONFIG_NAME

    config, dotenv = Path(CONFIG_NAME), Path(".env")
    for path in (config, dotenv):
        if path.exists() or path.is_symlink():
            fail(f"{path}: is already here and is never overwritten; nothing was written")
    _write_new(dotenv, _fresh_secrets(), 0o600)
    _write_new(config, EXAMPLE.read_text("utf-8"), 0o644)
    click.echo(f"Wrote {config} and {dotenv}. Next: edit them, then `onethread check`.")


@cli.command()
@config_option
@debug_option
def check(config: Path | None) -> None:
    """Say what is wrong and what to mend, one line each."""
    settings = load(config)
    from hub import app

    findings = run(app.check(settings), settings)
    for finding in findings:
        mark = click.style("ok  ", fg="green") if finding.ok else click.style("mend", fg="red")
        click.echo(f"{mark}  {finding.name}: {finding.text}")
    if not all(finding.ok for finding in findings):
        sys.exit(1)


@cli.command()
@config_option
@debug_option
def migrate(config: Path | None) -> None:
    """Bring the database up to date; serve does so by itself."""
    settings = load(config)
    done = bring_up_to_date(settings)
    click.echo("The database is up to date." if done else "The database was up to date already.")


@cli.command()
@click.argument("dialog")
@click.option("--language", type=click.Choice(LANGUAGES), help="Default: that of your answers.")
@config_option
@debug_option
def talk(dialog: str, language: str | None, config: Path | None) -> None:
    """Talk to one dialog here in the terminal."""
    settings = load(config)
    from hub.testing.terminal import converse

    run(converse(dialog, settings.dialogs.modules, language=language or ""), settings)


@cli.group()
def token() -> None:
    """API tokens: stored hashed, shown once."""


@token.command("create")
@click.option("--name", required=True, metavar="N", help="What the token is for.")
@click.option("--role", required=True, type=click.Choice(ROLES), help="What it may do.")
@config_option
@debug_option
def create_token(name: str, role: "TokenRole", config: Path | None) -> None:
    """Create a token and print it, this once."""
    if not name.strip():
        raise click.BadParameter("is empty", param_hint="'--name'")
    settings = load(config)
    from hub.clock import Clock
    from hub.store import tokens

    secret = tokens.new_secret()
    write(settings, tokens.create_token, name, role, tokens.hash_secret(secret), Clock().now())
    click.echo(secret)
    click.echo("Keep it now: it is stored hashed and never shown again.", err=True)


@token.command("list")
@config_option
@debug_option
def list_tokens(config: Path | None) -> None:
    """List the tokens, without their secrets."""
    settings = load(config)
    from hub.clock import id_text, iso
    from hub.store import tokens

    for row in write(settings, tokens.list_tokens):
        state = f"revoked {iso(row.revoked_at)}" if row.revoked_at else "valid"
        line = (id_text(row.id), f"{row.role:10}", f"created {iso(row.created_at)}", state)
        click.echo("  ".join([*line, row.name]))


@token.command("revoke")
@click.argument("token")
@config_option
@debug_option
def revoke_token(token: str, config: Path | None) -> None:
    """Revoke TOKEN, given by its name or id; it stops working at once."""
    settings = load(config)
    from hub.clock import Clock
    from hub.store import tokens

    if not write(settings, tokens.revoke_tokens, token, Clock().now()):
        fail(f"TOKEN: no valid token has the name or id {token}")
    click.echo(f"Revoked {token}.")


for command in (backup, restore, move, dead, spool):
    cli.add_command(command)


def _refuse_on_sqlite(settings: "Settings", command: str) -> None:
    if settings.hub.on_sqlite:
        fail(
            f"hub.database: `onethread {command}` shares the work between processes and needs"
            " PostgreSQL; on SQLite one `onethread serve` does it all"
        )


def _listen(
    work: Coroutine[Any, Any, None], host: str, port: int, settings: "Settings | None" = None
) -> None:
    try:
        run(work, settings)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        if click.get_current_context().find_root().meta.get("debug"):
            raise
        fail(f"--port: {host}:{port} is already in use; choose another with --port")


def _fresh_secrets() -> str:
    from secrets import token_urlsafe

    return (
        "# Secrets of this Onethread. Keep this file out of version control.\n"
        f"ONETHREAD_SECRET_KEY={token_urlsafe(48)}\n"
        f"META_VERIFY_TOKEN={token_urlsafe(24)}\n"
    )


def _write_new(path: Path, text: str, mode: int) -> None:
    import os

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        fail(f"{path}: cannot be written ({error.strerror})")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit. 130 is a stop by Ctrl-C that no command took for its end."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code = cli.main(arguments, prog_name="onethread", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "onethread"
        click.echo(f"{path}: {error.format_message()}", err=True)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception as error:
        if "--debug" in arguments:
            raise
        for line in _explain(error).splitlines():
            click.echo(f"onethread: {line}", err=True)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: Exception) -> str:
    """What to tell of an error. Foreign ones may quote contents, so only their type is told."""
    if isinstance(error, HubError | ImportError):
        return str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{type(error).__name__}; run again with --debug to see where"


if __name__ == "__main__":
    main()
