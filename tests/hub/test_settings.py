"""Reading settings: what wins over what, and how each mistake is named."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, JsonValue

from hub.errors import SettingsError
from hub.settings import (
    Settings,
    load_settings,
    require_secret_key,
    secret_values,
    validate_channel,
)

KEY = "0123456789abcdef0123456789abcdef"
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "onethread.toml"
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.fixture
def environ() -> Iterator[dict[str, str]]:
    """The process's environment, put back afterwards."""
    before = dict(os.environ)
    yield os.environ  # type: ignore[misc]  # os.environ is the dict to change
    os.environ.clear()
    os.environ.update(before)


def refusal(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    return str(caught.value)


def test_defaults_need_no_file(write: Write) -> None:
    settings = load_settings(write(""))
    assert settings.hub.default_country == "BD"
    assert settings.dialogs.default == "welcome"
    assert settings.limits.lease == 30.0
    assert settings.channels == {}


def test_settings_built_in_code_ignore_the_environment(environ: dict[str, str]) -> None:
    environ["ONETHREAD_HUB__NAME"] = "from outside"
    assert Settings().hub.name == "Onethread"


def test_relative_paths_count_from_the_file(write: Write, tmp_path: Path) -> None:
    hub = load_settings(write('[hub]\ndatabase = "sqlite:///d/x.db"\nmedia = "./m"')).hub
    assert hub.database == f"sqlite:///{tmp_path}/d/x.db"
    assert hub.media == tmp_path / "m"


def test_absolute_paths_stay(write: Write) -> None:
    hub = load_settings(write('[hub]\ndatabase = "sqlite:////data/x.db"\nmedia = "/data/m"')).hub
    assert (hub.database, hub.media) == ("sqlite:////data/x.db", Path("/data/m"))


def test_the_environment_wins_over_the_file_and_overrides_over_both(
    write: Write, environ: dict[str, str]
) -> None:
    path = write('[hub]\nname = "file"\npublic_url = "https://file"\n[limits]\nworkers = 1')
    environ["ONETHREAD_HUB__NAME"] = "environment"
    environ["ONETHREAD_HUB__PUBLIC_URL"] = "https://environment/"
    environ["ONETHREAD_LIMITS__WORKERS"] = "5"
    environ["ONETHREAD_DIALOGS__MODULES"] = '["a", "b"]'
    settings = load_settings(path, {"hub": {"name": "override"}})
    assert settings.hub.name == "override"
    assert settings.hub.public_url == "https://environment"
    assert settings.limits.workers == 5
    assert settings.dialogs.modules == ("a", "b")


def test_a_channels_values_from_the_environment_stay_text(
    write: Write, environ: dict[str, str]
) -> None:
    path = write('[channels.wa]\nkind = "whatsapp"\nphone_number_id = "1"')
    environ["ONETHREAD_CHANNELS__WA__PHONE_NUMBER_ID"] = "106540352242922"
    assert load_settings(path).channels["wa"]["phone_number_id"] == "106540352242922"


def test_references_are_read_from_environment_dotenv_and_files(
    write: Write, environ: dict[str, str], tmp_path: Path
) -> None:
    environ["T_ONE"] = "from environment"
    (tmp_path / ".env").write_text("T_ONE=dotenv\nT_TWO='from $T_ONE'\n", "utf-8")
    (tmp_path / "three").write_text("from file\n", "utf-8")
    path = write(
        '[channels.a]\nkind = "x"\none = { env = "T_ONE" }\ntwo = { env = "T_TWO" }\n'
        'three = { file = "three" }\nlist = ["plain", { env = "T_ONE" }]'
    )
    assert load_settings(path).channels["a"] == {
        "kind": "x",
        "one": "from environment",
        "two": "from $T_ONE",
        "three": "from file",
        "list": ["plain", "from environment"],
    }


def test_an_overridden_reference_is_not_needed(write: Write, environ: dict[str, str]) -> None:
    environ["ONETHREAD_HUB__SECRET_KEY"] = KEY
    path = write('[hub]\nsecret_key = { env = "T_NOT_SET" }')
    assert require_secret_key(load_settings(path)) == KEY


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        (
            '[channels.wa]\nkind = "whatsapp"\naccess_token = { env = "T_NOT_SET" }',
            "channels.wa.access_token: environment variable T_NOT_SET is not set",
        ),
        (
            '[channels.ig]\nkind = "x"\napp_secret = ["a", { env = "T_NOT_SET" }]',
            "channels.ig.app_secret.1: environment variable T_NOT_SET is not set",
        ),
        (
            '[hub]\nsecret_key = { file = "nowhere" }',
            "hub.secret_key: file nowhere cannot be read (No such file or directory)",
        ),
        (
            '[hub]\ndatabse = "sqlite:///x.db"',
            "hub.databse: is not a setting; did you mean database?",
        ),
        ("[hubs]", "hubs: is not a setting; did you mean hub?"),
        ("hub = 3", "hub: should be a table"),
        (
            '[limits]\nlease = "soon"',
            "limits.lease: should be a valid number, unable to parse string as a number",
        ),
        ("[limits]\nlease = 0", "limits.lease: should be greater than 0"),
        ("[limits]\nlease = inf", "limits.lease: should be a finite number"),
        (
            '[hub]\ndatabase = "mysql://x"',
            "hub.database: should be sqlite:///FILE or postgresql://USER@HOST/DATABASE",
        ),
        (
            '[hub]\ndatabase = "sqlite:///:memory:"',
            "hub.database: should be sqlite:///FILE or postgresql://USER@HOST/DATABASE",
        ),
        ('[hub]\nsecret_key = "short"', "hub.secret_key: should have at least 32 characters"),
        ("[channels]\nwa = 1", "channels.wa: should be a table"),
        ("[channels.wa]", "channels.wa.kind: is required"),
        (
            '[channels.wa]\nkind = "../x"',
            "channels.wa.kind: is not the name of a connector",
        ),
        (
            '[apps.meta]\napp_secret = "x"',
            "apps.meta.verify_token: is required",
        ),
    ],
)
def test_mistakes_are_named_in_full(write: Write, toml: str, line: str) -> None:
    assert refusal(write(toml)) == line


@pytest.mark.parametrize("name", ["WA", "a b", "meta", "ডাক", "-a"])
def test_a_channels_name_is_a_piece_of_url(write: Write, name: str) -> None:
    text = refusal(write(f'[channels."{name}"]\nkind = "whatsapp"'))
    assert text.startswith(f"channels.{name}: is not a name for a channel")


def test_every_mistake_has_its_line(write: Write) -> None:
    text = refusal(write("[limits]\nlease = 0\nworkers = 0\n[hub]\nuvloop = 7"))
    assert [line.split(":")[0] for line in text.splitlines()] == [
        "hub.uvloop",
        "limits.lease",
        "limits.workers",
    ]


def test_an_empty_variable_is_not_a_secret(write: Write, environ: dict[str, str]) -> None:
    environ["T_EMPTY"] = ""
    path = write('[hub]\nsecret_key = { env = "T_EMPTY" }')
    assert refusal(path) == "hub.secret_key: environment variable T_EMPTY is empty"


def test_a_mistyped_variable_is_refused(write: Write, environ: dict[str, str]) -> None:
    environ["ONETHREAD_HUB__DATABSE"] = "sqlite:///x.db"
    assert refusal(write("")).startswith("hub.databse: is not a setting")


def test_a_variable_that_is_no_json_is_named(write: Write, environ: dict[str, str]) -> None:
    environ["ONETHREAD_DIALOGS"] = "dialogs"
    assert refusal(write("")).startswith("dialogs: ")


def test_a_missing_or_broken_file_is_named(write: Write, tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    assert refusal(missing) == f"{missing}: cannot be read (No such file or directory)"
    path = write("[hub\n")
    assert refusal(path).startswith(f"{path}: is not valid TOML: ")


def test_no_refusal_or_repr_holds_a_value(write: Write) -> None:
    secret = "s3cr3t-value"
    path = write(f'[hub]\nsecret_key = "{secret}"\nredis = "{secret}"\nunknown = "{secret}"')
    assert secret not in refusal(path)
    url = f"postgresql://u:{secret}@h/d"
    path = write(
        f'[hub]\nsecret_key = "{KEY}"\ndatabase = "{url}"\nredis = "redis://:p%40ss@h"\n'
        f'[apps.meta]\napp_secret = "{secret}"\nverify_token = "vvvv"\n'
        f'[channels.a]\nkind = "x"\ntoken = "{secret}"'
    )
    settings = load_settings(path)
    assert secret not in repr(settings)
    assert KEY not in repr(settings)
    assert secret_values(settings) == (KEY, secret, "p%40ss", "p@ss", "vvvv")


def test_the_secret_key_is_required_to_serve(write: Write) -> None:
    with pytest.raises(SettingsError, match=r"^hub\.secret_key: is required"):
        require_secret_key(load_settings(write("")))


def test_meta_channels_share_the_apps_secrets(write: Write) -> None:
    channels = load_settings(
        write(
            '[apps.meta]\napp_secret = "shared"\nverify_token = "v"\n'
            '[channels.wa]\nkind = "whatsapp"\n'
            '[channels.ig]\nkind = "instagram"\napp_secret = "own"\n'
            '[channels.sms]\nkind = "twilio"'
        )
    ).channels
    assert channels["wa"] == {"kind": "whatsapp", "app_secret": "shared", "verify_token": "v"}
    assert channels["ig"] == {"kind": "instagram", "app_secret": "own", "verify_token": "v"}
    assert channels["sms"] == {"kind": "twilio"}


class Gateway(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: str
    secret: str
    hosts: str | tuple[str, ...] = ()
    port: int = 1


def test_a_channel_is_read_as_its_connectors_settings() -> None:
    raw: dict[str, JsonValue] = {"kind": "gateway", "secret": "x", "hosts": ["a", "b"]}
    assert validate_channel("sms", raw, Gateway).hosts == ("a", "b")


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({}, "channels.sms.secret: is required"),
        ({"secret": 5}, "channels.sms.secret: should be text in quotes"),
        ({"secret": "x", "hosts": 5}, "channels.sms.hosts: should be text in quotes"),
        ({"secret": "x", "hosts": [5]}, "channels.sms.hosts: should be text in quotes"),
        (
            {"secret": "x", "prt": 5},
            "channels.sms.prt: is not a setting; did you mean port?",
        ),
    ],
)
def test_a_channels_mistakes_are_named_in_full(more: dict[str, JsonValue], line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        validate_channel("sms", {"kind": "gateway", **more}, Gateway)
    assert str(caught.value).splitlines()[0] == line
