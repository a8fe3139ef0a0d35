"""The rules of the house (docs/architecture.md), held by the build and not by memory."""

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub import __version__

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CATALOGUES = ROOT / "hub/i18n"
LINES = 400
LINTER = str(Path(sys.executable).with_name("lint-imports"))
HEAVY = ("rasa_sdk", "twilio", "telegram", "alembic", "asyncpg", "redis")
TOP_LEVEL = {"pyproject.toml", "hub", "connectors", "dialogs", "tests", "docker"} | {
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "docs",
}


def tracked(*patterns: str) -> list[Path]:
    """The repository's files that match, new ones not yet added included."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def generated(path: Path) -> bool:
    return "static" in path.relative_to(ROOT).parts or ".gen." in path.name


def imports(path: Path) -> Iterator[str]:
    """The full names a module imports: `from a import b` gives `a.b`."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINTER, "--no-logo", "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_imports_follow_the_rules() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("hub/message.py", "import hub.store", "Imports of the hub go down the floors only"),
        ("hub/clock.py", "import connectors.graph", "The hub finds connectors and dialogs by name"),
        ("connectors/graph.py", "import hub.settings", "Connectors know the hub's words"),
        ("connectors/twilio.py", "import connectors.whatsapp", "Connectors do not know each other"),
        ("connectors/sandbox/media.py", "import hub.clock", "The stand-ins share nothing"),
        ("dialogs/welcome.py", "import hub.clock", "Dialogs know the dialog contract alone"),
        ("hub/compose.py", "import sqlalchemy", "Only the store knows SQL"),
        ("hub/worker.py", "import redis", "Only the bus and the rates know Redis"),
    ],
)
def test_each_import_rule_catches_its_breach(
    tmp_path: Path, module: str, line: str, broken: str
) -> None:
    for name in ("hub", "connectors", "dialogs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("ui"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    done = lint(tmp_path)
    assert done.returncode == 1
    assert re.search(f"{re.escape(broken)}.* BROKEN", done.stdout), done.stdout


def test_every_connector_is_under_the_rule_of_independence() -> None:
    found = set()
    for path in (ROOT / "connectors").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                names = {getattr(base, "id", getattr(base, "attr", "")) for base in node.bases}
                if "Connector" in names:
                    found.add(f"connectors.{path.stem}")
    assert found
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    [rule] = [c for c in contracts if c["id"] == "connectors-apart"]
    assert found | {"connectors.sandbox"} == set(rule["modules"])


def test_the_stand_ins_import_nothing_of_ours() -> None:
    paths = list((ROOT / "connectors/sandbox").rglob("*.py"))
    assert paths
    strangers = [
        f"{path.name}: {name}"
        for path in paths
        for name in imports(path)
        if name.split(".")[0] in ("hub", "connectors", "dialogs")
        and not name.startswith("connectors.sandbox")
    ]
    assert strangers == []


def test_only_the_web_serves_http() -> None:
    servers = {
        path.relative_to(ROOT).as_posix()
        for path in tracked("hub/*.py", "connectors/*.py", "dialogs/*.py")
        if any(name.startswith("aiohttp.web") for name in imports(path))
    }
    allowed = ("hub/web/", "hub/app.py", "hub/demo.py", "connectors/sandbox/")
    assert {name for name in servers if not name.startswith(allowed)} == set()


@pytest.mark.parametrize("module", ["hub.app", "hub.cli"])
def test_heavy_packages_are_left_to_what_uses_them(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(m for m in {HEAVY} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_sources_are_short_enough_to_read() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked("*.py", "*.ts", "*.tsx", "*.css")
        if not generated(path) and (lines := len(path.read_text("utf-8").splitlines())) >= LINES
    }
    assert long == {}


def test_the_top_level_is_the_agreed_one() -> None:
    names = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL


def test_no_file_holds_a_path_of_some_machine() -> None:
    machine = re.compile(rb"[^A-Za-z0-9./_}-]/(?:work|farm|home|root)/[a-z]")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]!r}"
        for path in tracked()
        if (match := machine.search(path.read_bytes()))
    ]
    assert found == []


def placeholders(text: str) -> list[str]:
    return sorted(set(re.findall(r"\{+\s*(\w+)\s*\}+", text)))


def flatten(entry: object, prefix: str = "") -> dict[str, str]:
    if not isinstance(entry, dict):
        return {prefix: str(entry)}
    return {
        name: text
        for key, value in entry.items()
        for name, text in flatten(value, f"{prefix}.{key}" if prefix else key).items()
    }


def test_every_catalogue_says_the_same_in_bangla() -> None:
    english = sorted(CATALOGUES.glob("*en.json"))
    bangla = sorted(CATALOGUES.glob("*bn.json"))
    assert english
    assert [p.name.replace("en.json", "bn.json") for p in english] == [p.name for p in bangla]
    for one, other in zip(english, bangla, strict=True):
        en, bn = (flatten(json.loads(p.read_text("utf-8"))) for p in (one, other))
        assert en.keys() == bn.keys(), one.name
        differing = [key for key in en if placeholders(en[key]) != placeholders(bn[key])]
        assert differing == [], one.name
        assert [key for key in en if not (en[key].strip() and bn[key].strip())] == [], one.name


def test_the_version_is_one() -> None:
    assert PYPROJECT["project"]["version"] == __version__
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_ci_runs_the_readmes_test_command() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    command = (ROOT / ".ci/run").read_text("utf-8").splitlines()[-1]
    assert command.endswith("python -m tests")
    assert command in readme
