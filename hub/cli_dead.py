"""`onethread dead`: what ended badly, to be tried again or dropped.

It speaks to the database and not to the hub, so that it works whether one runs or not.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hub.command import config_option, debug_option, fail, load, read, write

if TYPE_CHECKING:
    from hub.settings import Settings
    from hub.store.dead import DeadKind, Letter

Command = TypeVar("Command", bound=Callable[..., Any])

KINDS = ("hook", "send", "media", "signal")
PAGE = 200
AT_ONCE = 50
MISSING = "there is no such dead letter"


@click.group()
def dead() -> None:
    """Dead letters: webhooks, sends and attachments that ended badly."""


def _narrowing(command: Command) -> Command:
    kind = click.option("--kind", type=click.Choice(KINDS), help="Only those of this kind.")
    channel = click.option("--channel", metavar="NAME", help="Only those of this channel.")
    return kind(channel(command))


def _chosen(command: Command) -> Command:
    """By their ids, or all of them: the arguments of `_wanted`."""
    ids = click.argument("ids", nargs=-1, metavar="[ID]...")
    every = click.option(
        "--all", "everything", is_flag=True, help="All of them, or all of a kind or channel."
    )
    return ids(every(_narrowing(config_option(debug_option(command)))))


@dead.command("list")
@_narrowing
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, metavar="N")
@config_option
@debug_option
def list_dead(
    kind: "DeadKind | None", channel: str | None, limit: int, config: Path | None
) -> None:
    """List them, the newest first."""
    settings = load(config)
    from hub.clock import iso

    count = 0
    for letter in _walk(settings, kind, channel):
        if count == limit:
            click.echo(f"There are more than {limit}; see --limit.", err=True)
            return
        count += 1
        place = (f"{letter.kind:6}", iso(letter.at), letter.channel or "-")
        again = ("will be tried again:",) if letter.due_at is not None else ()
        click.echo("  ".join([_text(letter.id), *place, *again, _why(letter)]))
    if not count:
        click.echo("There are none.", err=True)


@dead.command("show")
@click.argument("id")
@click.option("--raw", is_flag=True, help="Print the body of the webhook, as it came.")
@config_option
@debug_option
def show_dead(id: str, raw: bool, config: Path | None) -> None:
    """Show the one of this ID."""
    settings = load(config)
    from hub.clock import iso
    from hub.store.dead import load_hook, load_letter

    letter = read(settings, load_letter, _read_id(id))
    if letter is None:
        fail(f"ID: there is no dead letter {id}")
    kept = None
    if letter.kind == "hook" and letter.reference is not None:
        kept = read(settings, load_hook, letter.reference)
    if raw:
        if kept is None:
            fail(f"ID: of {id} no webhook is kept")
        click.echo(kept.body, nl=False)
        return
    facts = {
        "id": _text(letter.id),
        "kind": letter.kind,
        "channel": letter.channel,
        "at": iso(letter.at),
        "reason": _why(letter),
        "tried again": f"{letter.attempt} times" if letter.kind != "send" else None,
        "attempts": str(letter.attempt) if letter.kind == "send" else None,
        "waits": "will be tried again" if letter.due_at is not None else None,
        "conversation": _text(letter.conversation_id) if letter.conversation_id else None,
        "message": _text(letter.message_id) if letter.message_id else None,
        "webhook": f"{len(kept.body)} bytes of {kept.content_type}" if kept else None,
    }
    for name, value in facts.items():
        if value:
            click.echo(f"{name + ':':14}{value}")


@dead.command("retry")
@_chosen
def retry_dead(
    ids: tuple[str, ...],
    everything: bool,
    kind: "DeadKind | None",
    channel: str | None,
    config: Path | None,
) -> None:
    """Try those of these IDs again. The running hub does it, else the next one that starts."""
    settings = load(config)
    from hub.clock import SECOND, Clock
    from hub.store.retries import Refusal, Wish, retry_all

    at = Clock().now()
    wish = Wish(at, at + round(settings.limits.retry_horizon * SECOND), tuple(settings.channels))
    done = refused = 0
    for some in _wanted(settings, ids, everything, kind, channel):
        for id, outcome in zip(some, write(settings, retry_all, some, wish), strict=True):
            if outcome is not None and not isinstance(outcome, Refusal):
                done += 1
                continue
            refused += 1
            why = f"{outcome.code}: {outcome.reason}" if outcome else MISSING
            click.echo(f"{_text(id)}: {why}", err=True)
    click.echo(f"{done} will be tried again.")
    if refused:
        sys.exit(1)


@dead.command("drop")
@_chosen
def drop_dead(
    ids: tuple[str, ...],
    everything: bool,
    kind: "DeadKind | None",
    channel: str | None,
    config: Path | None,
) -> None:
    """Take those of these IDs off the list. Messages stay in their thread, as failed."""
    settings = load(config)
    from hub.clock import Clock
    from hub.store.retries import drop_all

    done = missing = 0
    for some in _wanted(settings, ids, everything, kind, channel):
        for id, dropped in zip(some, write(settings, drop_all, some, Clock().now()), strict=True):
            done += dropped
            missing += not dropped
            if not dropped:
                click.echo(f"{_text(id)}: {MISSING}", err=True)
    click.echo(f"Dropped {done}.")
    if missing:
        sys.exit(1)


def _wanted(
    settings: "Settings",
    ids: tuple[str, ...],
    everything: bool,
    kind: "DeadKind | None",
    channel: str | None,
) -> list[list[bytes]]:
    """The ids, some at a time: so many are written together while the hub waits its turn."""
    if bool(ids) == everything:
        raise click.UsageError("Give the IDs, or --all.")
    if ids and (kind or channel):
        raise click.UsageError("--kind and --channel go with --all.")
    if ids:
        found = [_read_id(id) for id in dict.fromkeys(ids)]
    else:
        found = [one.id for one in _walk(settings, kind, channel) if one.due_at is None]
    found.sort()
    return [found[start : start + AT_ONCE] for start in range(0, len(found), AT_ONCE)]


def _walk(settings: "Settings", kind: "DeadKind | None", channel: str | None) -> Iterator["Letter"]:
    """All of them, the newest first, page by page."""
    from hub.store.dead import list_letters

    before: bytes | None = None
    while page := read(settings, list_letters, before, PAGE, kind=kind, channel=channel):
        yield from page
        before = page[-1].id


def _why(letter: "Letter") -> str:
    named = ", ".join(filter(None, (letter.error_class, letter.error_code)))
    return f"{letter.reason} ({named})" if named else letter.reason


def _text(id: bytes) -> str:
    from hub.clock import id_text

    return id_text(id)


def _read_id(text: str) -> bytes:
    from hub.clock import parse_id

    try:
        return parse_id(text)
    except ValueError:
        raise click.BadParameter(f"{text} is no id", param_hint="ID") from None
