"""The pages for people: their examples run as printed, and what they name is there."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from pydantic import BaseModel

from hub.accounts import find_connector
from hub.connector import ChannelSettings
from hub.settings import AppsSettings, DialogSettings, HubSettings, LimitSettings, MetaApp

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
EXAMPLES = ("README.md", "docs/architecture.md", "docs/connectors.md", "docs/dialogs.md")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECRETS = dict.fromkeys(("ONETHREAD_SECRET_KEY", "PIGEON_TOKEN", "PIGEON_SECRET"), "x" * 40)


@dataclass(frozen=True)
class House:
    """A copy of the repository's code in which the examples of one page are tried."""

    folder: Path

    def run(self, command: str) -> str:
        """What the command prints, standard error included. Raises AssertionError."""
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=os.environ | SECRETS | {"PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        if name.endswith(".py") and path.parent != self.folder:
            (path.parent / "__init__.py").touch()


@pytest.fixture
def house(tmp_path: Path) -> House:
    without = shutil.ignore_patterns("ui", "static", "__pycache__")
    for name in ("hub", "connectors", "dialogs", "tests/connectors"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=without)
    for name in ("pyproject.toml", "tests/__init__.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    made = House(tmp_path)
    # From this copy and not from where the package is installed.
    for name, run in (("python", '"$@"'), ("onethread", '-m hub.cli "$@"')):
        made.write(f"bin/{name}", f'#!/bin/sh\nexec "{sys.executable}" {run}\n')
        (tmp_path / "bin" / name).chmod(stat.S_IRWXU)
    return made


@cache
def text_of(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def blocks(page: str, *languages: str) -> Iterator[str]:
    return (body for language, body in BLOCK.findall(text_of(page)) if language in languages)


def write_files(house: House, page: str) -> list[str]:
    """Lay down every file that the page shows; the first line of each is its path."""
    written = []
    for body in blocks(page, "python", "toml"):
        first = body.partition("\n")[0]
        named = re.fullmatch(r"# ([\w./]+\.(?:py|toml))", first)
        assert named, f"{page}: a block that begins with {first!r} and not with its path"
        house.write(named[1], body)
        written.append(named[1])
    return written


def commands(page: str) -> Iterator[tuple[str, str]]:
    """Every command of the page's consoles with what it prints, as the page has it."""
    for body in blocks(page, "console"):
        for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            yield command, printed


@pytest.mark.slow
@pytest.mark.parametrize("sheet", EXAMPLES)
def test_the_examples_run_as_printed(house: House, sheet: str) -> None:
    written = write_files(house, sheet)
    assert any(name.endswith(".py") for name in written)
    tests = [name for name in written if Path(name).name.startswith("test_")]
    for command, printed in commands(sheet):
        if "pytest" not in command:  # below, all tests of the page at once
            assert house.run(command) == printed
    python = [name for name in written if name.endswith(".py")]
    house.run(f"python -m ruff check {' '.join(python)}")
    house.run(f"python -m ruff format --check {' '.join(python)}")
    if tests:
        assert re.search(r"\d passed", house.run(f"python -m pytest -q {' '.join(tests)}"))


def test_the_channel_of_the_example_is_a_channel(house: House) -> None:
    page = "docs/connectors.md"
    write_files(house, page)
    said = house.run("onethread check")
    assert "channels.birds: hook URL http://127.0.0.1:8080/hooks/birds" in said


@pytest.mark.slow
def test_the_operators_commands_do_what_is_printed(house: House) -> None:
    for command, printed in commands("docs/operating.md"):
        assert house.run(command) == printed
    assert (house.folder / "backup.db").stat().st_size > 0


def settings_of(model: type[BaseModel], prefix: str = "") -> set[str]:
    return {prefix + name for name in model.model_fields}


def table(page: str, header: str) -> set[str]:
    """The names in the first column of the table whose first header cell is `header`."""
    rows = text_of(page).partition(f"| {header} |")[2].splitlines()[2:]
    names: set[str] = set()
    for row in rows:
        if not row.startswith("|"):
            break
        names |= set(re.findall(r"`([\w.]+)`", row.split("|")[1]))
    return names


def test_every_setting_is_in_the_operators_table() -> None:
    assert set(AppsSettings.model_fields) == {"meta"}
    known = (
        settings_of(HubSettings, "hub.")
        | settings_of(DialogSettings, "dialogs.")
        | settings_of(MetaApp, "apps.meta.")
        | settings_of(LimitSettings, "limits.")
    )
    assert table("docs/operating.md", "setting") == known


def test_every_default_is_the_one_in_force() -> None:
    for prefix, model in (("hub", HubSettings), ("limits", LimitSettings)):
        for name, field in model.model_fields.items():
            row = re.search(
                rf"^\| `{prefix}\.{name}` \| (.*?) \|", text_of("docs/operating.md"), re.M
            )
            assert row, name
            told = row[1].strip("`")
            if isinstance(field.default, bool):
                assert told == str(field.default).lower(), name
            elif isinstance(field.default, int | float):
                assert float(told) == field.default, name
            elif isinstance(field.default, tuple):
                assert json.loads(told) == list(map(str, field.default)), name
            else:
                assert told in (str(field.default), "empty", "none"), name
                assert told not in ("empty", "none") or not field.default, name


@pytest.mark.parametrize("kind", ["whatsapp", "twilio", "webchat"])
def test_every_setting_of_a_channel_is_told(kind: str) -> None:
    shared = settings_of(ChannelSettings)
    assert table("docs/operating.md", "every kind") == shared
    own = settings_of(find_connector(kind).Settings)
    assert table("docs/operating.md", f"`{kind}`") == own - shared


def test_every_kind_of_channel_is_told() -> None:
    kinds = {
        path.stem
        for path in (ROOT / "connectors").glob("[a-z]*.py")
        if "(Connector)" in path.read_text("utf-8")
    }
    row = re.search(r"^\| `kind` \|.*$", text_of("docs/operating.md"), re.MULTILINE)
    assert row
    assert set(re.findall(r"`(\w+)`", row[0])) == kinds | {"kind"}


def sources() -> list[Path]:
    found = [path for top in ("hub", "connectors", "dialogs", "tests") for path in walk(ROOT / top)]
    return [*found, *(ROOT / "docs").iterdir(), *ROOT.glob("*.*"), *(ROOT / "docker").iterdir()]


def walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name in ("node_modules", "__pycache__", "ui"):
            continue
        yield path
        if path.is_dir():
            yield from walk(path)


def test_what_the_pages_name_is_there() -> None:
    known = {path.relative_to(ROOT).as_posix() for path in sources()}
    shown = {n[1] for p in EXAMPLES for n in re.finditer(r"^# ([\w./]+\.\w+)$", text_of(p), re.M)}
    missing = []
    for page in PAGES:
        prose = BLOCK.sub("", text_of(page))
        for name in re.findall(r"`([\w./]+\.(?:py|md|toml))`", prose):
            inside = any(one == name or one.endswith(f"/{name}") for one in known | shown)
            if not inside and name not in ("pyproject.toml", "onethread.toml"):
                missing.append(f"{page}: {name}")
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", prose):
            if not ((ROOT / page).parent / link).exists():
                missing.append(f"{page}: {link}")
    assert missing == []


def test_the_house_names_every_module() -> None:
    page = text_of("docs/architecture.md")
    house = page.partition("## The house")[2].partition("## Promises")[0]
    named = set(re.findall(r"(\w+\.py)`", house))
    modules = {path.name for path in walk(ROOT / "hub") if path.suffix == ".py"}
    versions = {path.name for path in (ROOT / "hub/store/migrations").rglob("*.py")}
    unnamed = modules - versions - named - {"__init__.py"}
    assert unnamed == set(), "give each a word under The house in docs/architecture.md"


@pytest.mark.parametrize("sheet", PAGES)
def test_pages_are_plain(sheet: str) -> None:
    text = text_of(sheet)
    assert "\N{EM DASH}" not in text
    assert [line for line in text.splitlines() if line != line.rstrip()] == []
