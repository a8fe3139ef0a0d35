"""`onethread spool`: webhooks on the disk, and those put aside tried again."""

from pathlib import Path

import click

from hub.command import config_option, debug_option, fail, load


@click.group()
def spool() -> None:
    """Webhooks that wait on the disk, and those that could not be stored."""


@spool.command("list")
@config_option
@debug_option
def list_spool(config: Path | None) -> None:
    """List them by kind and account of their channel."""
    root = load(config).hub.spool
    from hub.spool_aside import asides
    from hub.spool_files import survey

    try:
        waiting, aside = survey(root), list(asides(root))
    except OSError as error:
        fail(f"hub.spool: {root} cannot be read ({error.strerror})")
    lines = [
        f"{key}  waits  {one.records} webhooks  {one.bytes} bytes"
        for key, one in sorted(waiting.items())
        if one.records
    ]
    lines += [f"{one.key}  aside  {one.hooks} webhooks  {one.bytes} bytes" for one in aside]
    for line in lines:
        click.echo(line)
    if not lines:
        click.echo("There are none.", err=True)


@spool.command("retry")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--all", "everything", is_flag=True, help="Those of all channels.")
@config_option
@debug_option
def retry_spool(keys: tuple[str, ...], everything: bool, config: Path | None) -> None:
    """Try those put aside again, of these KEYs as `list` prints them. The running hub does it, else
    the next one that starts."""
    if bool(keys) == everything:
        raise click.UsageError("Give the KEYs, or --all.")
    root = load(config).hub.spool
    from hub.spool_aside import asides, bring_back

    try:
        found = [one for one in asides(root) if everything or one.key in keys]
        if missing := sorted(set(keys) - {one.key for one in found}):
            fail(f"KEY: nothing of {missing[0]} was put aside")
        if unreadable := [one for one in found if not one.hooks]:
            fail(f"hub.spool: {unreadable[0].path} holds no webhook that can be read")
        bring_back(root, found)
    except OSError as error:
        fail(f"hub.spool: {root} cannot be written ({error.strerror})")
    click.echo(f"{sum(one.hooks for one in found)} will be tried again.")
