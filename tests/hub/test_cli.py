"""The command line as a user meets it: a process, its two streams and its exit code."""

import asyncio
import contextlib
import logging
import os
import re
import socket
import sqlite3
import stat
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from hub import cli
from hub.accounts import read_channels
from hub.cli import EXAMPLE
from hub.connector import Hook
from hub.settings import load_settings
from hub.spool import Spool
from hub.store import tokens

HEAVY = ("pydantic", "aiohttp", "sqlalchemy", "structlog", "orjson", "asyncio", "uvloop")
CATALOGUES = (Path(cli.__file__).parent / "i18n").glob("hub.*.json")
COMMANDS = (
    *("demo", "serve", "worker", "init", "check", "migrate", "talk", "token"),
    *("dead", "backup", "restore", "spool"),
)


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


Here = Callable[..., Done]


@pytest.fixture
def here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    """Runs a command in `tmp_path` inside this process, which saves its start-up."""
    root = logging.getLogger()
    handlers, level, path = root.handlers[:], root.level, sys.path[:]

    def run(*arguments: str) -> Done:
        with contextlib.chdir(tmp_path), pytest.raises(SystemExit) as stop:
            cli.main(list(arguments))
        assert isinstance(stop.value.code, int)
        return Done(stop.value.code, *capsys.readouterr())

    yield run
    logging.captureWarnings(False)
    root.handlers[:], root.level, sys.path[:] = handlers, level, path
    structlog.reset_defaults()


def onethread(
    folder: Path, *arguments: str, stdin: str = "", **environ: str
) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ONETHREAD_")}
    return subprocess.run(
        [sys.executable, "-m", "hub.cli", *arguments],
        cwd=folder,
        env=kept | environ,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, hub.cli\n"
        "try: hub.cli.main(['--help'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        f"print('loaded:', [m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", done.stdout, re.MULTILINE)


def test_version(tmp_path: Path) -> None:
    done = onethread(tmp_path, "--version")
    assert done.returncode == 0
    assert re.fullmatch(r"onethread, version \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["serve", "--prt", "1"], "onethread serve: No such option '--prt'"),
        (["serve", "--port", "x"], "onethread serve: Invalid value for '--port'"),
        (["serve", "--port", "70000"], "onethread serve: Invalid value for '--port'"),
        (["serv"], "onethread: No such command 'serv'"),
        (["talk"], "onethread talk: Missing argument 'DIALOG'"),
        (["token", "create", "--role", "agent"], "onethread token create: Missing option '--name'"),
        (
            ["token", "create", "--name", " ", "--role", "agent"],
            "onethread token create: Invalid value for '--name'",
        ),
        (
            ["token", "create", "--name", "n", "--role", "boss"],
            "onethread token create: Invalid value for '--role'",
        ),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_2(arguments: list[str], line: str, here: Here) -> None:
    done = here(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["token"]])
def test_a_call_without_a_command_shows_the_help(arguments: list[str], here: Here) -> None:
    done = here(*arguments)
    assert done.returncode == 2
    assert "Commands:" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve"],
        ["worker"],
        ["check"],
        ["migrate"],
        ["talk", "welcome"],
        ["token", "list"],
        ["token", "revoke", "x"],
        ["token", "create", "--name", "n", "--role", "agent"],
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_1(
    tmp_path: Path, arguments: list[str], here: Here
) -> None:
    (tmp_path / "onethread.toml").write_text(
        '[channels.wa]\nkind = "whatsapp"\naccess_token = { env = "WA_TOKEN" }\n', "utf-8"
    )
    done = here(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        "onethread: channels.wa.access_token: environment variable WA_TOKEN is not set\n"
    )


def test_a_missing_settings_file_is_named(here: Here) -> None:
    done = here("check", "--config", "other.toml")
    assert done.returncode == 1
    assert done.stderr == "onethread: other.toml: cannot be read (No such file or directory)\n"


@pytest.mark.parametrize("place", [0, 3])
def test_debug_shows_the_traceback(tmp_path: Path, place: int) -> None:
    arguments = ["check", "--config", "other.toml"]
    arguments.insert(place, "--debug")
    done = onethread(tmp_path, *arguments)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "SettingsError: other.toml: cannot be read" in done.stderr


@pytest.mark.parametrize("arguments", [["worker"], ["serve", "--no-worker"]])
def test_sharing_the_work_is_refused_on_sqlite(
    tmp_path: Path, arguments: list[str], here: Here
) -> None:
    done = here(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(f"onethread: hub.database: `onethread {' '.join(arguments)}`")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_init_writes_settings_that_load_and_a_private_dotenv(tmp_path: Path, here: Here) -> None:
    done = here("init")
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    settings = load_settings(tmp_path / "onethread.toml")
    assert len(settings.hub.secret_key) >= 32
    assert settings.hub.secret_key not in done.stdout + done.stderr


def test_every_init_has_its_own_secrets(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        assert onethread(folder, "init").returncode == 0
    one, two = ((folder / ".env").read_text("utf-8").splitlines()[1:] for folder in folders)
    assert one
    assert not set(one) & set(two)


@pytest.mark.parametrize("name", ["onethread.toml", ".env"])
def test_init_never_overwrites(tmp_path: Path, name: str, here: Here) -> None:
    (tmp_path / name).write_text("mine", "utf-8")
    done = here("init")
    assert done.returncode == 1
    assert done.stderr.startswith(f"onethread: {name}: is already here")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text("utf-8") == "mine"


def test_init_follows_no_link(tmp_path: Path, here: Here) -> None:
    (tmp_path / ".env").symlink_to(tmp_path / "elsewhere")
    assert here("init").returncode == 1
    assert not (tmp_path / "elsewhere").exists()


def test_the_comments_of_the_example_are_settings_too(tmp_path: Path) -> None:
    """Taking each `#` off the commented settings gives a file that loads."""
    example = EXAMPLE.read_text("utf-8")
    opened = re.sub(r"^# (?=\[[a-z.]+\]|[a-z_]+ = )", "", example, flags=re.MULTILINE)
    assert opened != example
    names = re.findall(r'env = "([A-Z_]+)" }', opened)
    dotenv = "".join(f"{name}={'v' * 40}\n" for name in names if name != "TELEGRAM_BOT_TOKEN")
    dotenv += f"TELEGRAM_BOT_TOKEN=7000000001:{'v' * 35}\n"
    (tmp_path / ".env").write_text(dotenv, "utf-8")
    (tmp_path / "onethread.toml").write_text(opened, "utf-8")
    settings = load_settings(tmp_path / "onethread.toml")
    assert len({checked.kind for _, _, checked in read_channels(settings)}) == 8, "every kind"
    assert settings.channels["wa"]["verify_token"] == "v" * 40
    limits = type(settings.limits)()
    for name, value in tomllib.loads(opened)["limits"].items():
        assert getattr(limits, name) == value


def test_the_roles_are_the_stores() -> None:
    assert set(cli.ROLES) == {*tokens.ROLES, "metrics"}


def test_the_languages_are_the_catalogues() -> None:
    assert set(cli.LANGUAGES) == {path.name.split(".")[1] for path in CATALOGUES}


TALKED = """
from hub.chat import Chat, dialog

@dialog("greet", on=["hello"])
async def greet(chat: Chat) -> None:
    name = await chat.ask("Your name?")
    await chat.say(f"Good day, {name.text}.")
"""


def test_talk_runs_a_dialog_that_lies_beside_the_settings(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "flows.py").write_text(TALKED, "utf-8")
    (folder / "onethread.toml").write_text('[dialogs]\nmodules = ["flows"]', "utf-8")
    done = onethread(tmp_path, "talk", "greet", "--config", "shop/onethread.toml", stdin="রহিমা\n")
    assert done.returncode == 0, done.stderr
    assert "Your name?" in done.stdout
    assert "Good day, রহিমা." in done.stdout


def test_talk_names_a_dialog_that_is_not_there(here: Here) -> None:
    done = here("talk", "nothing")
    assert done.returncode == 1
    assert "nothing" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_token_is_created_listed_and_revoked(tmp_path: Path, here: Here) -> None:
    created = here("token", "create", "--name", "shop", "--role", "agent")
    assert created.returncode == 0, created.stderr
    secret = created.stdout.strip()
    with sqlite3.connect(tmp_path / "onethread.db") as database:
        [(name, stored)] = database.execute("SELECT name, hash FROM tokens").fetchall()
    database.close()
    assert (name, stored) == ("shop", tokens.hash_secret(secret))
    assert secret.encode() not in (tmp_path / "onethread.db").read_bytes()

    listed = here("token", "list").stdout
    assert re.fullmatch(r"[0-9a-f-]{36}  agent +created \S+Z  valid  shop\n", listed)
    revoked = here("token", "revoke", "shop")
    assert (revoked.returncode, revoked.stdout) == (0, "Revoked shop.\n")
    assert "  revoked 20" in here("token", "list").stdout

    again = here("token", "revoke", "shop")
    assert again.returncode == 1
    assert again.stderr == "onethread: TOKEN: no valid token has the name or id shop\n"


def test_migrate_says_whether_there_was_anything_to_do(here: Here) -> None:
    assert here("migrate").stdout == "The database is up to date.\n"
    again = here("migrate")
    assert (again.returncode, again.stdout) == (0, "The database was up to date already.\n")
    assert again.stderr == ""


def test_a_database_of_a_newer_release_is_refused(tmp_path: Path, here: Here) -> None:
    here("migrate")
    with sqlite3.connect(tmp_path / "onethread.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    done = here("token", "list")
    assert done.returncode == 1
    assert done.stderr.startswith("onethread: hub.database: the database is at revision 9999")
    assert done.stderr.count("\n") == 1


def test_a_file_that_is_no_database_is_named(tmp_path: Path, here: Here) -> None:
    (tmp_path / "onethread.db").write_bytes(b"no database " * 100)
    done = here("migrate")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "onethread.db: file is not a database" in done.stderr


def test_check_knows_a_database_of_a_newer_release(tmp_path: Path, here: Here) -> None:
    assert here("init").returncode == 0
    assert here("migrate").returncode == 0
    with sqlite3.connect(tmp_path / "onethread.db") as conn:
        conn.execute("UPDATE alembic_version SET version_num = '9999'")
    conn.close()
    told = here("check")
    assert told.returncode == 1
    assert "is of a newer release (revision 9999)" in told.stdout


def test_check_says_what_is_well_and_what_to_mend(tmp_path: Path, here: Here) -> None:
    here("init")
    well = here("check")
    assert well.returncode == 0, well.stdout + well.stderr
    assert all(line.startswith("ok    ") for line in well.stdout.splitlines())
    assert "\nok    hub.database: " in well.stdout

    config = tmp_path / "onethread.toml"
    config.write_text(config.read_text("utf-8").replace('"welcome"', '"nothing"'), "utf-8")
    wrong = here("check")
    assert wrong.returncode == 1
    mend = [line for line in wrong.stdout.splitlines() if not line.startswith("ok    ")]
    assert mend == ["mend  dialogs.default: there is no dialog named nothing"]


def test_serve_says_when_it_is_ready_and_ends_well_on_sigterm(tmp_path: Path) -> None:
    onethread(tmp_path, "init")
    with subprocess.Popen(
        [sys.executable, "-m", "hub.cli", "serve", "--port", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as serving:
        assert serving.stdout
        try:
            line = serving.stdout.readline()
            found = re.fullmatch(r"Onethread is ready at (http://127\.0\.0\.1:\d+)\n", line)
            assert found, line
            with urllib.request.urlopen(f"{found[1]}/healthz", timeout=10) as answer:
                assert answer.status == 200
        finally:
            serving.terminate()
        _, errors = serving.communicate(timeout=20)
    assert (serving.returncode, errors) == (0, "")


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    onethread(tmp_path, "init")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = onethread(tmp_path, "serve", "--port", str(port))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"onethread: --port: 127.0.0.1:{port} is already in use; choose another with --port"
    )
    assert "Traceback" not in done.stderr


def test_check_tells_of_webhooks_that_wait(tmp_path: Path, here: Here) -> None:
    here("init")

    async def fill() -> None:
        spool = Spool(tmp_path / "spool", 1 << 20)
        for n in range(3):
            await spool.append("whatsapp.1065", Hook("POST", "/", "", {}, b"hello", n))
        await spool.close()

    asyncio.run(fill())
    told = here("check")
    assert told.returncode == 1
    [line] = [line for line in told.stdout.splitlines() if line.startswith("mend  ")]
    assert line.startswith("mend  hub.spool: ")
    assert "3 webhooks of whatsapp.1065 wait for the database" in line
