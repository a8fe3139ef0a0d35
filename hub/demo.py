"""`onethread demo`: one process on SQLite, with stand-ins playing the providers over HTTP.

The stand-ins send signed webhooks to the real hooks, and the real connectors call the
stand-ins' copies of the send APIs.
"""

import asyncio
import base64
import contextlib
import hmac
import importlib
import json
import os
import secrets
import socket
import tempfile
import time
import webbrowser
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import click
from aiohttp import web

from hub.app import Hub, open_hub, serving
from hub.log import register_secrets
from hub.process import spare_collector, watch_stop
from hub.settings import Settings, load_settings, secret_values
from hub.store import tokens
from hub.web.demo import Demo, add_demo

HOST = "127.0.0.1"
CUSTOMER = {"name": "Ayesha Rahman", "number": "+8801711000001"}
WHATSAPP_ACCOUNT = "106500000000777"
SMS_NUMBER = "+15550100"
PAGE_ID = "104800000000001"
INSTAGRAM_ACCOUNT = "17841400000000001"
TELEGRAM_BOT = "7000000001"
# Who she is to platforms that tell no number: ids of their own, by which nobody else knows her.
MESSENGER_PERSON = "7200000000000001"
INSTAGRAM_PERSON = "9900000000000001"
TELEGRAM_USER = "5500000001"
STANDINS = ("whatsapp", "twilio", "messenger", "instagram", "telegram")
SITE = "site_demo"
TOKEN_NAME = "Mina"
RECEIPT_DELAY = 0.4
SECRETS = (
    "secret_key", "access_token", "app_secret", "verify_token", "auth_token", "identity",
    "page_token", "instagram_token", "hook_token",
)  # fmt: skip
LANGUAGE_SAMPLES = (
    ("whatsapp", "+8801811000002", "রফিকুল ইসলাম", ("আমার অর্ডার কোথায়?",)),
    ("twilio", "+8801911000003", "Nadia Karim", ("talk to a person",)),
    ("whatsapp", "+8801611000004", "Tanvir Hasan", ("Hello",)),
)


async def run(data: Path | None, port: int, open_browser: bool) -> None:
    """Run the demo until it is stopped. Raises OSError when the port is taken."""
    stopped = watch_stop()
    with _free_port(port) as free, _folder(data) as folder:
        secret = _secrets(folder)
        async with contextlib.AsyncExitStack() as stack:
            sandboxes = {kind: await stack.enter_async_context(_sandbox(kind)) for kind in STANDINS}
            settings = _settings(folder, free, secret, sandboxes)
            register_secrets(*secret_values(settings))
            hub = await stack.enter_async_context(open_hub(settings))
            hub.state.demo = True
            session = await stack.enter_async_context(aiohttp.ClientSession())
            bases = {kind: sandbox.base_url for kind, sandbox in sandboxes.items()}
            demo = Demo(_config(secret), bases, session)

            def extend(app: web.Application) -> None:
                add_demo(app, demo)

            url = await stack.enter_async_context(serving(hub, HOST, free, extend))
            for kind, account in _accounts(settings, secret):
                sandboxes[kind].add_account(account)
            spare_collector()
            await _greet_until(stopped, _greet(hub, url, session, bases, open_browser))
            await stopped.wait()


async def _greet_until(stopped: asyncio.Event, greeting: Coroutine[Any, Any, None]) -> None:
    """Greet, for as long as nobody stops the demo: its samples are on their way for as long as
    their hooks fail, since WhatsApp delivers again for days."""
    greets, stop = asyncio.create_task(greeting), asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait({greets, stop}, return_when=asyncio.FIRST_COMPLETED)
        if greets.done():
            await greets
    finally:
        greets.cancel()
        stop.cancel()
        await asyncio.gather(greets, stop, return_exceptions=True)


async def _greet(
    hub: Hub,
    url: str,
    session: aiohttp.ClientSession,
    bases: dict[str, str],
    open_browser: bool,
) -> None:
    """Print where to look and how to log in, and seed a new folder."""
    secret = tokens.new_secret()
    at = hub.clock.now()
    # A token for this run: those of earlier runs of the same folder end here.
    await hub.store.write(tokens.revoke_tokens, TOKEN_NAME, at)
    await hub.store.write(tokens.create_token, TOKEN_NAME, "admin", tokens.hash_secret(secret), at)
    login = f"{url}/login?code={hub.state.login_codes.issue(secret)}&next=/demo"
    click.echo("Onethread demo is ready. Open this page (the link logs you in once):")
    click.echo(f"  {login}")
    click.echo(f"API token for this run: {secret}")
    click.echo("Ctrl-C stops it.")
    if not await hub.store.read(_has_customers):
        await _seed(session, bases)
    if open_browser:
        await asyncio.to_thread(webbrowser.open, login)


def _has_customers(conn: Any) -> bool:
    from hub.store.schema import customers

    return conn.execute(customers.select().limit(1)).first() is not None


async def _seed(session: aiohttp.ClientSession, bases: dict[str, str]) -> None:
    """A few other customers write, so that the hub does not look empty."""
    accounts = {"whatsapp": WHATSAPP_ACCOUNT, "twilio": SMS_NUMBER}
    for kind, number, name, texts in LANGUAGE_SAMPLES:
        phone = number.removeprefix("+") if kind == "whatsapp" else number
        for text in texts:
            body = {"account": accounts[kind], "text": text, "name": name, "wait": True}
            if kind == "twilio":
                del body["name"]
            url = f"{bases[kind]}/_sandbox/phones/{phone.replace('+', '%2B')}/messages"
            async with session.post(url, json=body) as answer:
                answer.raise_for_status()


@contextlib.contextmanager
def _folder(data: Path | None) -> Any:
    """The demo's folder: the one named, or one that goes with the process."""
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
        yield data
    else:
        with tempfile.TemporaryDirectory(prefix="onethread-demo-") as folder:
            yield Path(folder)


@contextlib.contextmanager
def _free_port(port: int) -> Any:
    """The port to listen on, known before the hub starts since the providers' URLs carry it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, port))
        found = probe.getsockname()[1]
    yield found


def _secrets(folder: Path) -> dict[str, str]:
    """This folder's secrets, made at its first start; an older folder gets those it lacks."""
    path = folder / "secrets.json"
    known = dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}
    made = {name: secrets.token_urlsafe(36) for name in SECRETS}
    made["account_sid"] = "AC" + secrets.token_hex(16)
    made["bot_token"] = f"{TELEGRAM_BOT}:{secrets.token_urlsafe(26)}"
    made |= known
    if made != known:
        fresh = path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(made, file)
        fresh.replace(path)
    return made


@contextlib.asynccontextmanager
async def _sandbox(kind: str) -> AsyncIterator[Any]:
    """A running stand-in, found by its module's name: the hub imports none."""
    sandbox = importlib.import_module(f"connectors.sandbox.{kind}").Sandbox()
    await sandbox.start()
    try:
        yield sandbox
    finally:
        await sandbox.stop()


def _settings(
    folder: Path, port: int, secret: dict[str, str], sandboxes: dict[str, Any]
) -> Settings:
    public_url = f"http://{HOST}:{port}"
    return load_settings(
        None,
        {
            "hub": {
                "name": "Onethread demo",
                "database": f"sqlite:///{(folder / 'demo.db').absolute()}",
                "media": str((folder / "media").absolute()),
                "spool": str((folder / "spool").absolute()),
                "public_url": public_url,
                "secret_key": secret["secret_key"],
                "allow_private_media": True,
            },
            "dialogs": {"modules": ["dialogs"], "default": "welcome"},
            "channels": _channels(public_url, secret, sandboxes),
        },
    )


def _channels(
    public_url: str, secret: dict[str, str], sandboxes: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    bases = {kind: sandbox.base_url for kind, sandbox in sandboxes.items()}
    app = {"app_secret": secret["app_secret"], "verify_token": secret["verify_token"]}
    return {
        "wa": {
            "kind": "whatsapp",
            "phone_number_id": WHATSAPP_ACCOUNT,
            "access_token": secret["access_token"],
            "api_base": bases["whatsapp"],
            **app,
        },
        "sms": {
            "kind": "twilio",
            "account_sid": secret["account_sid"],
            "auth_token": secret["auth_token"],
            "sender": SMS_NUMBER,
            "api_base": bases["twilio"],
        },
        "site": {
            "kind": "webchat",
            "site": SITE,
            "allowed_origins": [public_url],
            "identity": "optional",
            "identity_secret": secret["identity"],
        },
        "tg": {
            "kind": "telegram",
            "bot_token": secret["bot_token"],
            "secret_token": secret["hook_token"],
            # The stand-in is told of the hook below, so that a start waits for no call.
            "set_webhook": False,
            "api_base": bases["telegram"],
        },
        "page": {
            "kind": "messenger",
            "page_id": PAGE_ID,
            "access_token": secret["page_token"],
            "api_base": bases["messenger"],
            **app,
        },
        "ig": {
            "kind": "instagram",
            "account_id": INSTAGRAM_ACCOUNT,
            "login": "instagram",
            "access_token": secret["instagram_token"],
            "api_base": bases["instagram"],
            **app,
        },
    }


def _accounts(settings: Settings, secret: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """The business's account at each stand-in. Those of Meta are of one app, with one hook."""
    hooks = f"{settings.hub.public_url}/hooks"
    app = {
        "app_secret": secret["app_secret"],
        "verify_token": secret["verify_token"],
        "hook_url": f"{hooks}/meta",
        "receipt_delay": RECEIPT_DELAY,
    }
    whatsapp = {
        "phone_number_id": WHATSAPP_ACCOUNT,
        "display_phone_number": "15550123",
        "waba_id": "102900000000888",
        "access_token": secret["access_token"],
        **app,
    }
    twilio = {
        "account_sid": secret["account_sid"],
        "auth_token": secret["auth_token"],
        "number": SMS_NUMBER,
        "hook_url": f"{hooks}/sms",
        "retry": True,
        "receipt_delay": RECEIPT_DELAY,
    }
    telegram = {
        "token": secret["bot_token"],
        "secret_token": secret["hook_token"],
        "hook_url": f"{hooks}/tg",
    }
    messenger = {"page_id": PAGE_ID, "access_token": secret["page_token"], **app}
    instagram = {"ig_id": INSTAGRAM_ACCOUNT, "access_token": secret["instagram_token"], **app}
    return [
        ("whatsapp", whatsapp),
        ("twilio", twilio),
        ("telegram", telegram),
        ("messenger", messenger),
        ("instagram", instagram),
    ]


def _config(secret: dict[str, str]) -> dict[str, Any]:
    """What the page is told. Phones of one `person` are known to be hers from the start."""
    number = CUSTOMER["number"]
    identity = {"jwt": _identity_token(secret["identity"])}
    phones = (
        ("whatsapp", "wa", WHATSAPP_ACCOUNT, number.removeprefix("+")),
        ("twilio", "sms", SMS_NUMBER, number),
        ("telegram", "tg", TELEGRAM_BOT, TELEGRAM_USER),
        ("messenger", "page", PAGE_ID, MESSENGER_PERSON),
        ("instagram", "ig", INSTAGRAM_ACCOUNT, INSTAGRAM_PERSON),
    )
    shown: list[dict[str, Any]] = [
        {
            "kind": kind,
            "channel": channel,
            "account": account,
            "number": id,
            "person": "" if kind in ("whatsapp", "twilio") else kind,
        }
        for kind, channel, account, id in phones
    ]
    site = {"kind": "webchat", "channel": "site", "site": SITE, "identity": identity, "person": ""}
    shown.insert(2, site)
    return {"customer": CUSTOMER, "phones": shown}


def _identity_token(secret: str) -> str:
    """What a shop's own server signs for a customer who is logged in there."""
    now = int(time.time())
    claims = {
        "sub": "ayesha",
        "aud": SITE,
        "name": CUSTOMER["name"],
        "phone": CUSTOMER["number"],
        "iat": now,
        "exp": now + 24 * 3600,
    }
    head, body = (_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256"}, claims))
    signature = hmac.digest(secret.encode(), head + b"." + body, "sha256")
    return (head + b"." + body + b"." + _base64url(signature)).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
