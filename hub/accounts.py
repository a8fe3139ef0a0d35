"""The configured accounts: each with its connector, found by the kind's name, and its row."""

import importlib
from types import ModuleType

from hub.channels import Channel, Channels
from hub.clock import Clock
from hub.connector import ChannelRef, ChannelSettings, Connector, Http
from hub.errors import SettingsError
from hub.log import register_secrets
from hub.settings import Settings, validate_channel
from hub.store import Store
from hub.store.accounts import enrol


def find_connector(kind: str, name: str = "") -> type[Connector]:
    """The one Connector of `connectors/<kind>.py`. Raises SettingsError."""
    where = f"channels.{name}.kind: " if name else ""
    try:
        module: ModuleType = importlib.import_module(f"connectors.{kind}")
    except ModuleNotFoundError as error:
        if error.name != f"connectors.{kind}":
            raise
        raise SettingsError(f"{where}there is no channel kind {kind}") from None
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Connector)
        and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise SettingsError(f"{where}{kind} is no channel kind")
    return found[0]


def read_channels(settings: Settings) -> list[tuple[str, type[Connector], ChannelSettings]]:
    """Every configured channel with its connector's class and checked settings. Raises
    SettingsError; two channels of one account are refused."""
    found: list[tuple[str, type[Connector], ChannelSettings]] = []
    seen: dict[tuple[str, str], str] = {}
    for name, raw in settings.channels.items():
        connector = find_connector(str(raw["kind"]), name)
        checked = validate_channel(name, raw, connector.Settings)
        key = (checked.kind, connector.account(checked))
        if key in seen:
            raise SettingsError(f"channels.{name}: has the same account as channels.{seen[key]}")
        seen[key] = name
        found.append((name, connector, checked))
    return found


async def open_channels(settings: Settings, store: Store, clock: Clock, http: Http) -> Channels:
    """Enrol the configured channels in the store and give each its connector."""
    found = read_channels(settings)
    wanted = [(c.kind, connector.account(c), name) for name, connector, c in found]
    rows = await store.write(enrol, wanted, clock.now())
    channels = []
    for (name, connector, checked), row in zip(found, rows, strict=True):
        reference = ChannelRef(
            id=row["id"],
            name=name,
            kind=checked.kind,
            hook_url=f"{settings.hub.public_url}/hooks/{name}",
            country=settings.hub.default_country,
        )
        made = connector(reference, checked, http)
        register_secrets(*made.secrets())
        channels.append(
            Channel(
                id=row["id"],
                name=name,
                kind=checked.kind,
                account=row["account"],
                settings=checked,
                connector=made,
                paused=row["paused_reason"],
            )
        )
    return Channels(channels)
