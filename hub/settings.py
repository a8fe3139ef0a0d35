"""Everything a deployment can set, with its defaults, and the reading of it.

A value comes from the TOML file, and `ONETHREAD_HUB__DATABASE=...` in the environment wins over
it. Any value may be `{ env = "NAME" }` or `{ file = "PATH" }`. What is wrong is refused with the
setting's full name; no error text ever holds a value.
"""

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    JsonValue,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as UnreadableVariable

from hub.errors import SettingsError
from hub.sources import Resolver, merge, read_toml

CONFIG_NAME = "onethread.toml"
SECRET_KEY_LENGTH = 32
META_KINDS = frozenset({"whatsapp", "messenger", "instagram"})

_KiB = 1024
_MiB = 1024 * _KiB
_CHANNEL_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_KIND = re.compile(r"[a-z][a-z0-9_]*")

S = TypeVar("S", bound=BaseModel)


def _check_database(url: str) -> str:
    if url.startswith("sqlite:///") and not url.endswith((":memory:", "/")):
        return url
    parts = urlsplit(url)
    # A server of this machine may be reached by the folder of its socket, as libpq names it.
    if url.startswith("postgresql://") and (parts.hostname or "host" in parse_qs(parts.query)):
        return url
    raise ValueError("should be sqlite:///FILE or postgresql://USER@HOST/DATABASE")


def _check_redis(url: str) -> str:
    if url and not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("should be empty or redis://HOST:PORT/NUMBER")
    return url


def _check_traces(url: str) -> str:
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ValueError("should be empty or http://COLLECTOR:4318")
    return url


def _check_public_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("should be http://HOST or https://HOST, with a port and path if needed")
    return url.rstrip("/")


def _check_secret_key(key: str) -> str:
    if key and len(key) < SECRET_KEY_LENGTH:
        raise ValueError(f"should have at least {SECRET_KEY_LENGTH} characters")
    return key


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HubSettings(Section):
    """`allow_private_media` lets attachments be fetched from private and loopback addresses.
    `proxies`: networks whose word for a visitor's address is believed.
    `metrics`: `/metrics` for tokens of role metrics or admin, or for whoever can reach it."""

    name: str = "Onethread"
    database: Annotated[str, AfterValidator(_check_database)] = Field(
        default="sqlite:///onethread.db", repr=False
    )
    redis: Annotated[str, AfterValidator(_check_redis)] = Field(default="", repr=False)
    public_url: Annotated[str, AfterValidator(_check_public_url)] = "http://127.0.0.1:8080"
    media: Path = Path("media")
    templates: Path = Path("templates")
    spool: Path = Path("spool")
    secret_key: Annotated[str, AfterValidator(_check_secret_key)] = Field(default="", repr=False)
    default_country: Annotated[
        str,
        BeforeValidator(lambda code: code.upper() if isinstance(code, str) else code),
        Field(pattern=r"^[A-Z]{2}$"),
    ] = "BD"
    allow_private_media: bool = False
    uvloop: bool = True
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    proxies: tuple[IPvAnyNetwork, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
    metrics: Literal["token", "open"] = "token"
    traces: Annotated[str, AfterValidator(_check_traces)] = Field(default="", repr=False)
    traces_share: float = Field(default=1.0, ge=0, le=1)

    @property
    def on_sqlite(self) -> bool:
        return self.database.startswith("sqlite:")


class DialogSettings(Section):
    """`modules` are packages or modules searched for dialogs; `default` answers what no trigger
    matched, "" leaves it to agents. `when_closed`: what becomes of what a dialog says once the
    customer's window is closed."""

    modules: tuple[str, ...] = ("dialogs",)
    default: str = "welcome"
    when_closed: Literal["refuse", "hold"] = "refuse"


class MetaApp(Section):
    app_secret: str = Field(min_length=1, repr=False)
    verify_token: str = Field(min_length=1, repr=False)


class AppsSettings(Section):
    meta: MetaApp | None = None


Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class LimitSettings(Section):
    """Seconds and counts the hub works within.

    `lease`: how long a claim holds without renewal. `reconcile_for`: how long an unknown outcome
    waits for a receipt before the one resend. `retry_horizon`: when retrying ends. `hold`: how long
    a message waits for the customer to write, where that was asked for. `resume_after`: when a
    paused channel is first tried again. `workers`: conversations handled at once. `sends`:
    provider calls at once. `poll`: how often waiters look at the store without being woken.
    `turn_claims`: claims of one event before agents get it.
    `journal_cap`: steps of one run. `shutdown`: how long a stop waits for work in hand.
    """

    lease: Seconds = 30.0
    send_timeout: Seconds = Field(10.0, validate_default=True)
    reconcile_for: Seconds = 60.0
    retry_horizon: Seconds = 86400.0
    hold: Seconds = 604800.0
    resume_after: Seconds = 180.0
    hook_bytes: Count = 4 * _MiB
    media_bytes: Count = 50 * _MiB
    spool_bytes: Count = 256 * _MiB
    workers: Count = 64
    sends: Count = 64
    poll: Seconds = 2.0
    turn_claims: Count = 3
    journal_cap: Count = 1000
    raw_hooks_days: Count = 14
    changes_days: Count = 7
    shutdown: Seconds = 8.0

    @field_validator("send_timeout")
    @classmethod
    def _check_send_timeout(cls, seconds: float, info: ValidationInfo) -> float:
        if seconds >= info.data.get("lease", math.inf):
            raise ValueError("should be less than limits.lease, which must outlast a send")
        return seconds


class Settings(BaseSettings):
    """All settings. `channels` maps each name to its raw table, which has a `kind`; the
    connector's own Settings class checks the rest (`validate_channel`)."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix="ONETHREAD_",
        env_nested_delimiter="__",
    )

    hub: HubSettings = HubSettings()
    dialogs: DialogSettings = DialogSettings()
    apps: AppsSettings = AppsSettings()
    limits: LimitSettings = LimitSettings()
    channels: dict[str, dict[str, JsonValue]] = Field(default_factory=dict, repr=False)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed in counts: `load_settings` reads the environment, so that a
        Settings built in code is the same on every machine."""
        return (init_settings,)

    @model_validator(mode="after")
    def _share_meta_app(self) -> "Settings":
        if meta := self.apps.meta:
            for channel in self.channels.values():
                if channel.get("kind") in META_KINDS:
                    channel.setdefault("app_secret", meta.app_secret)
                    channel.setdefault("verify_token", meta.verify_token)
        return self


def load_settings(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings: `overrides` win over the environment, the environment over the file.

    Without `path`, `onethread.toml` of the working folder is read if there is one. Relative paths
    count from the file's folder. Raises SettingsError.
    """
    if path is None and Path(CONFIG_NAME).is_file():
        path = Path(CONFIG_NAME)
    folder = (path.parent if path else Path()).resolve()
    raw: dict[str, Any] = read_toml(path) if path else {}
    raw = merge(raw, _read_environment())
    raw = merge(raw, overrides or {})
    problems: list[str] = []
    raw = Resolver(folder, problems).resolve(raw, "")
    if isinstance(channels := raw.get("channels"), dict):
        problems.extend(_channel_problems(channels))
    if problems:
        raise SettingsError("\n".join(problems))
    try:
        return _anchor(Settings(**raw), folder)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(error, raw, "", Settings))) from None


def validate_channel(name: str, raw: Mapping[str, JsonValue], settings_class: type[S]) -> S:
    """One channel's table as its connector's settings. Raises SettingsError."""
    try:
        return settings_class.model_validate(dict(raw))
    except ValidationError as error:
        lines = _explain(error, raw, f"channels.{name}", settings_class)
        raise SettingsError("\n".join(lines)) from None


def require_secret_key(settings: Settings) -> str:
    """The key that signs sessions and links. Raises SettingsError when none is set."""
    if not settings.hub.secret_key:
        raise SettingsError("hub.secret_key: is required; `onethread init` writes a fresh one")
    return settings.hub.secret_key


def secret_values(settings: Settings) -> tuple[str, ...]:
    """What the hub's own settings hold that must never reach a log. Connectors name theirs."""
    found = [settings.hub.secret_key]
    for url in (settings.hub.database, settings.hub.redis, settings.hub.traces):
        if password := urlsplit(url).password:
            found += [password, unquote(password)]
    if meta := settings.apps.meta:
        found += [meta.app_secret, meta.verify_token]
    return tuple(dict.fromkeys(filter(None, found)))


def _read_environment() -> dict[str, Any]:
    try:
        return EnvSettingsSource(Settings)()
    except UnreadableVariable as error:
        field = re.search(r'field "(\w+)"', str(error))
        section = field[1] if field else "settings"
        raise SettingsError(
            f"{section}: an environment variable ONETHREAD_{section.upper()}... is not valid JSON"
        ) from None


def _channel_problems(channels: Mapping[str, Any]) -> Iterator[str]:
    """Names become URLs and kinds become module names, so both are held to a plain form."""
    for name, channel in channels.items():
        if not _CHANNEL_NAME.fullmatch(name) or name == "meta":
            yield (
                f"channels.{name}: is not a name for a channel"
                " (small letters, digits, - and _; meta is taken)"
            )
        elif not isinstance(channel, dict):
            yield f"channels.{name}: should be a table"
        elif "kind" not in channel:
            yield f"channels.{name}.kind: is required"
        elif not (isinstance(channel["kind"], str) and _KIND.fullmatch(channel["kind"])):
            yield f"channels.{name}.kind: is not the name of a connector"


def _anchor(settings: Settings, folder: Path) -> Settings:
    hub = settings.hub
    folders = {"media": hub.media, "spool": hub.spool, "templates": hub.templates}
    anchored: dict[str, Any] = {name: folder / path for name, path in folders.items()}
    if hub.on_sqlite:
        file = folder / hub.database.removeprefix("sqlite:///")
        anchored["database"] = f"sqlite:///{file}"
    return settings.model_copy(update={"hub": hub.model_copy(update=anchored)})


def _explain(
    error: ValidationError, raw: Mapping[str, Any], prefix: str, model: type[BaseModel]
) -> list[str]:
    """One line for each wrong setting: its full name and what it should be, never its value."""
    lines: dict[str, str] = {}
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        names = list(_names(problem["loc"], raw))
        full = ".".join([prefix, *names] if prefix else names)
        text = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
        if problem["type"] == "extra_forbidden":
            text = "is not a setting" + _suggest(names, model)
        text = _PLAINER.get(problem["type"], text)
        lines.setdefault(full or "settings", text[:1].lower() + text[1:])
    return [f"{name}: {text}" for name, text in lines.items()]


_PLAINER = {
    "missing": "is required",
    "model_type": "should be a table",
    "dict_type": "should be a table",
    "string_type": "should be text in quotes",
}


def _names(loc: tuple[int | str, ...], raw: Any) -> Iterator[str]:
    """The part of pydantic's location that names settings; it ends where union members begin."""
    for part in loc:
        if isinstance(raw, Mapping):
            yield str(part)
            raw = raw.get(part)
        elif isinstance(raw, list) and isinstance(part, int):
            yield str(part)
            raw = raw[part]
        else:
            return


def _suggest(names: list[str], model: type[BaseModel]) -> str:
    for name in names[:-1]:
        field = model.model_fields.get(name)
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return ""
        model = inner
    close = difflib.get_close_matches(names[-1], model.model_fields, 1)
    return f"; did you mean {close[0]}?" if close else ""
