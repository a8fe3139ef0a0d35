"""`onethread check`: what is wrong and what to mend, one line each."""

import asyncio
import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from hub.accounts import read_channels
from hub.chat import collect
from hub.check_channels import check_channels
from hub.check_templates import check_templates
from hub.connector import ChannelRef, Http
from hub.errors import HubError, SettingsError, StoreUnavailable
from hub.log import register_secrets
from hub.redis_bus import ask_version
from hub.settings import Settings, require_secret_key
from hub.spool_files import survey
from hub.store import sqlite_path
from hub.store.dead import unknown_accounts, unknown_accounts_of
from hub.store.migrate import HEAD, REVISIONS, revision, revision_of


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `text` says what is so, or what to mend."""

    ok: bool
    name: str
    text: str


async def find(settings: Settings) -> list[Finding]:
    findings = [
        _check_secret(settings),
        await _check_database(settings),
        *await _check_redis(settings.hub.redis),
        _check_media(settings.hub.media),
        await asyncio.to_thread(_check_spool, settings.hub.spool),
        _check_dialogs(settings),
    ]
    try:
        found = read_channels(settings)
    except SettingsError as error:
        name, _, text = str(error).partition(": ")
        return [*findings, Finding(False, name, text)]
    if not found:
        findings.append(Finding(True, "channels", "none is configured yet"))
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        http = Http(session, timeout=settings.limits.send_timeout)
        channels = [
            connector(
                ChannelRef(b"", name, checked.kind, f"{settings.hub.public_url}/hooks/{name}"),
                checked,
                http,
            )
            for name, connector, checked in found
        ]
        for channel in channels:
            register_secrets(*channel.secrets())
        findings += [Finding(*one) for one in await check_channels(settings, channels)]
        findings += [Finding(*one) for one in await check_templates(settings, channels)]
    findings += await _check_unknown_accounts(settings)
    return findings


def _check_secret(settings: Settings) -> Finding:
    try:
        require_secret_key(settings)
    except SettingsError as error:
        return Finding(False, "hub.secret_key", str(error).partition(": ")[2])
    return Finding(True, "hub.secret_key", "is set")


async def _check_database(settings: Settings) -> Finding:
    if settings.hub.on_sqlite:
        return await asyncio.to_thread(_check_file, sqlite_path(settings.hub.database))
    from hub.store.postgres import look

    try:
        current = await look(settings.hub.database, revision)
    except StoreUnavailable as error:
        return Finding(False, "hub.database", f"PostgreSQL: {error}")
    ok, state = _state_of(current)
    return Finding(ok, "hub.database", f"PostgreSQL answers; the database {state}")


def _check_file(path: Path) -> Finding:
    try:
        if not path.exists():
            if not os.access(_nearest(path.parent), os.W_OK):
                return Finding(False, "hub.database", f"{path.parent} cannot be written")
            return Finding(True, "hub.database", f"{path} will be made by the first start")
        current = revision_of(path)
    except HubError as error:
        return Finding(False, "hub.database", str(error).removeprefix("hub.database: "))
    ok, state = _state_of(current)
    return Finding(ok, "hub.database", f"{path} {state}")


def _state_of(current: str | None) -> tuple[bool, str]:
    """Can this release work with a database of that revision, and what will be done?"""
    if current == HEAD:
        return True, "is up to date"
    if current is None or current in REVISIONS:
        return True, "will be migrated by the next start"
    return False, f"is of a newer release (revision {current}): install that, or restore a backup"


def _nearest(folder: Path) -> Path:
    """The folder, or what of its way there is."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


async def _check_redis(url: str) -> list[Finding]:
    """Nothing where none is set."""
    if not url:
        return []
    try:
        version = await ask_version(url)
    except SettingsError as error:
        return [Finding(False, "hub.redis", str(error).removeprefix("hub.redis: "))]
    except ConnectionError as error:
        text = f"does not answer ({error}); processes work without it, only slower"
        return [Finding(False, "hub.redis", text)]
    return [Finding(True, "hub.redis", f"answers, release {version}")]


def _check_media(folder: Path) -> Finding:
    if not os.access(_nearest(folder), os.W_OK):
        return Finding(False, "hub.media", f"{folder} cannot be written")
    return Finding(True, "hub.media", str(folder))


def _check_spool(folder: Path) -> Finding:
    """What waits there, whether or not a hub is running."""
    if not os.access(_nearest(folder), os.W_OK):
        return Finding(False, "hub.spool", f"{folder} cannot be written")
    try:
        found = survey(folder)
    except OSError as error:
        return Finding(False, "hub.spool", f"{folder} cannot be read: {error.strerror}")
    told = [
        f"{one.records} webhooks of {key} wait for the database ({one.bytes} bytes)"
        for key, one in sorted(found.items())
        if one.records
    ]
    told += [
        f"{one.unusable} bytes of {key} could not be used and are kept"
        for key, one in sorted(found.items())
        if one.unusable
    ]
    return Finding(not told, "hub.spool", f"{folder}: {'; '.join(told) or 'nothing waits'}")


def _check_dialogs(settings: Settings) -> Finding:
    try:
        dialogs = collect(settings.dialogs.modules)
    except (HubError, ImportError) as error:
        return Finding(False, "dialogs.modules", str(error).removeprefix("dialogs.modules: "))
    default = settings.dialogs.default
    if default and default not in dialogs:
        return Finding(False, "dialogs.default", f"there is no dialog named {default}")
    return Finding(True, "dialogs", ", ".join(sorted(dialogs)) or "none")


async def _check_unknown_accounts(settings: Settings) -> list[Finding]:
    found: list[tuple[str, str, int]] = []
    # Where it cannot be read, the database's own line says what is wrong.
    with contextlib.suppress(HubError):
        if not settings.hub.on_sqlite:
            from hub.store.postgres import look

            found = await look(settings.hub.database, unknown_accounts)
        elif (path := sqlite_path(settings.hub.database)).exists():
            found = await asyncio.to_thread(unknown_accounts_of, path)
    return [
        Finding(False, f"channels.{channel}", f"{count} hooks kept: {reason}")
        for channel, reason, count in found
    ]
