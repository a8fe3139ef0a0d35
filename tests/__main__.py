"""Every check in one command, `python -m tests`: the quick ones first, a time for each.

All stages run even when one fails, so that one run shows everything there is to mend; only the
slow tests are left out after a failure of the fast ones.
"""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
UI = ROOT / "hub/web/ui"
PYTHON = sys.executable
FAST = "fast tests"
# Not `npm ci`: npm 11 refuses a lock file without entries for platforms that its registry did
# not offer. This too installs the locked versions, checks their hashes and changes no file.
NPM_INSTALL = ("npm", "install", "--no-save", "--no-audit", "--no-fund")


@dataclass(frozen=True)
class Stage:
    name: str
    commands: tuple[tuple[str, ...], ...]
    folder: Path = ROOT
    after: str = ""
    env: tuple[tuple[str, str], ...] = ()


STAGES = (
    Stage("format", ((PYTHON, "-m", "ruff", "format", "--check", "."),)),
    Stage("lint", ((PYTHON, "-m", "ruff", "check", "."),)),
    Stage("types", ((PYTHON, "-m", "mypy"),)),
    Stage("import rules", ((str(Path(PYTHON).with_name("lint-imports")), "--no-logo"),)),
    Stage(FAST, ((PYTHON, "-m", "pytest", "-q", "-n", "2", "-m", "not slow"),)),
    Stage("ui", (NPM_INSTALL, ("npm", "run", "check")), UI),
    Stage("slow tests", ((PYTHON, "-m", "pytest", "-q", "-n", "2", "-m", "slow"),), after=FAST),
    Stage(
        "the hub on PostgreSQL",
        ((PYTHON, "-m", "pytest", "-q", "-n", "2", "-m", "slow", "tests/hub", "tests/journeys"),),
        after=FAST,
        env=(("ONETHREAD_TEST_DATABASE", "postgresql"),),
    ),
)


def run_stage(stage: Stage) -> str:
    """Run its commands until one fails; returns "ok", "FAILED" or why it was left out."""
    if stage.folder == UI and not shutil.which("npm"):
        return "FAILED: npm is not installed" if os.environ.get("CI") else "left out: no npm"
    for command in stage.commands:
        click.echo(f"\n== {stage.name}: {' '.join(command)}")
        env = os.environ | dict(stage.env)
        # Each process of pytest, and each that a test starts, would compile everything anew.
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        if subprocess.run(command, cwd=stage.folder, env=env, check=False).returncode:
            return "FAILED"
    return "ok"


def main() -> int:
    """Run the stages and print what came of each; 0 when none failed."""
    results: dict[str, str] = {}
    lines = []
    for stage in STAGES:
        started = time.monotonic()
        if stage.after and results[stage.after] != "ok":
            results[stage.name] = f"left out: {stage.after} failed"
        else:
            results[stage.name] = run_stage(stage)
        seconds = time.monotonic() - started
        lines.append(f"{seconds:8.1f} s  {stage.name:21} {results[stage.name]}")
    click.echo("\n" + "\n".join(lines))
    failed = [name for name, result in results.items() if result.startswith("FAILED")]
    click.echo("\nFailed: " + ", ".join(failed) if failed else "\nAll passed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
