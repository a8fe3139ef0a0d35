"""Copies of a SQLite hub: whole while it is written, put back whole or not at all."""

import contextlib
import os
import pty
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.errors import SchemaTooNew, SettingsError, StoreUnavailable
from hub.store.backup import back_up, inspect, restore
from hub.store.migrate import HEAD, migrate_sqlite
from tests.databases import only_sqlite
from tests.hub.test_cli import onethread

pytestmark = only_sqlite

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = '[hub]\nsecret_key = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"\n'


def ask(path: Path, query: str, *values: Any) -> list[Any]:
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as conn:
        found = conn.execute(query, values).fetchall()
        conn.commit()
        return found


def make(path: Path, name: str, rows: int = 0) -> Path:
    """A database of a hub with one channel of that name, and much in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    migrate_sqlite(path)
    ask(path, "INSERT INTO channels (id, name, created_at) VALUES (?, ?, 1)", os.urandom(16), name)
    with contextlib.closing(sqlite3.connect(path)) as conn:
        conn.executemany(
            "INSERT INTO hooks (id, body, received_at) VALUES (?, ?, 1)",
            ((os.urandom(16), os.urandom(2000)) for _ in range(rows)),
        )
        conn.commit()
    return path


def name_in(path: Path) -> str:
    return str(ask(path, "SELECT name FROM channels")[0][0])


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Callable[[], int]]:
    """A process that commits pairs of rows as fast as it can; how many it has acknowledged."""
    command = [sys.executable, "-m", "tests.faults.writer", str(path), "run"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        os.set_blocking(writer.stdout.fileno(), False)
        acknowledged = 0

        def count() -> int:
            nonlocal acknowledged
            with contextlib.suppress(BlockingIOError):
                while chunk := os.read(writer.stdout.fileno(), 1 << 20):  # type: ignore[union-attr]  # asserted above
                    acknowledged += chunk.count(b"\n")
            return acknowledged

        try:
            wait_for_more(count, 50)
            yield count
        finally:
            writer.kill()


def wait_for_more(count: Callable[[], int], than: int) -> None:
    end = time.monotonic() + 20
    while count() <= than:
        assert time.monotonic() < end, "the writer does not write"
        time.sleep(0.02)


def test_a_copy_taken_while_hundreds_of_rows_a_second_are_written(tmp_path: Path) -> None:
    path = make(tmp_path / "hub.db", "live", rows=20_000)
    told: list[tuple[int, int]] = []
    with writing(path) as count:
        began, before = time.monotonic(), count()

        def progress(done: int, whole: int) -> None:
            told.append((done, whole))
            time.sleep(0.05)  # so that much is committed between two steps

        copies = []
        for n in range(3):
            copies.append(back_up(path, tmp_path / f"{n}.db", progress))
            wait_for_more(count, count())
        rate = (count() - before) / (time.monotonic() - began)
        after = count()
    assert rate > 100, f"{rate:.0f} units a second are no load"
    assert len(told) > 9
    assert all(done <= whole for done, whole in told)
    found = []
    for n, copy in enumerate(copies):
        file = tmp_path / f"{n}.db"
        assert inspect(file) == copy
        halves = ask(file, "SELECT name FROM pairs GROUP BY name HAVING count(*) != 2")
        assert halves == [], "half a unit"
        found.append(ask(file, "SELECT count(*) FROM pairs")[0][0] // 2)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert before // 2 < found[0] < found[1] < found[2] <= after + 64
    assert not {name for name in names(tmp_path) if ".part" in name}


def test_a_copy_is_one_file_that_can_be_read_where_nothing_can_be_written(tmp_path: Path) -> None:
    back_up(make(tmp_path / "hub.db", "live"), tmp_path / "copy.db")
    assert {name for name in names(tmp_path) if name.startswith("copy")} == {"copy.db"}
    uri = f"file:{tmp_path / 'copy.db'}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as conn:
        assert conn.execute("SELECT name FROM channels").fetchall() == [("live",)]
        assert conn.execute("PRAGMA journal_mode").fetchall() == [("delete",)]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = make(tmp_path / "hub.db", "live")
    for name in ("file.db", "link.db"):
        target = tmp_path / name
        if name == "link.db":
            target.symlink_to(tmp_path / "nowhere")
        else:
            target.write_text("mine", "utf-8")
        with pytest.raises(SettingsError, match="never overwritten"):
            back_up(path, target)
    assert (tmp_path / "file.db").read_text("utf-8") == "mine"
    assert not (tmp_path / "nowhere").exists()


def test_one_that_comes_meanwhile_is_not_overwritten_either(tmp_path: Path) -> None:
    path, target = make(tmp_path / "hub.db", "live"), tmp_path / "copy.db"
    with pytest.raises(SettingsError, match="never overwritten"):
        back_up(path, target, lambda _done, _whole: target.write_text("mine", "utf-8") and None)
    assert target.read_text("utf-8") == "mine"
    assert not {name for name in names(tmp_path) if ".part" in name}


def test_a_damaged_database_gives_no_copy(tmp_path: Path) -> None:
    path = make(tmp_path / "hub.db", "live", rows=500)
    damage(path)
    with pytest.raises(StoreUnavailable):
        back_up(path, tmp_path / "copy.db")
    assert not {name for name in names(tmp_path) if name.startswith("copy")}


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(os.urandom(8192))


# Putting one back


def test_a_database_is_put_back_and_the_old_one_kept(tmp_path: Path) -> None:
    old, copy = make(tmp_path / "hub.db", "old"), tmp_path / "copy.db"
    back_up(make(tmp_path / "other.db", "new", rows=100), copy)
    with contextlib.closing(sqlite3.connect(old)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("UPDATE channels SET name = 'old, in the log'")
        conn.commit()
        state = old.read_bytes(), old.with_name("hub.db-wal").read_bytes()
    for end, content in zip(("", "-wal"), state, strict=True):  # as a killed hub leaves it
        old.with_name(f"hub.db{end}").write_bytes(content)
    with pytest.raises(SettingsError, match="--replace"):
        restore(copy, old, replace=False)
    assert (old.read_bytes(), old.with_name("hub.db-wal").read_bytes()) == state
    found, kept = restore(copy, old, replace=True)
    assert found.counts == inspect(copy).counts
    assert kept is not None
    assert kept.name.startswith("hub.db.20")
    assert (name_in(old), name_in(kept)) == ("new", "old, in the log")
    assert not old.with_name("hub.db-wal").exists()
    assert stat.S_IMODE(old.stat().st_mode) == 0o600


def test_a_damaged_database_is_replaced_and_kept_as_it_is(tmp_path: Path) -> None:
    old, copy = tmp_path / "hub.db", tmp_path / "copy.db"
    back_up(make(tmp_path / "other.db", "new"), copy)
    old.write_bytes(b"no database at all" * 1000)
    old.with_name("hub.db-wal").write_bytes(b"its log")
    _, kept = restore(copy, old, replace=True)
    assert kept is not None
    assert name_in(old) == "new"
    assert kept.read_bytes().startswith(b"no database")
    assert kept.with_name(kept.name + "-wal").read_bytes() == b"its log"


@pytest.mark.parametrize("wrong", ["damaged", "newer", "of another program", "no database", "gone"])
def test_what_cannot_be_used_is_refused_before_anything_is_touched(
    tmp_path: Path, wrong: str
) -> None:
    old, copy = make(tmp_path / "hub.db", "old"), make(tmp_path / "copy.db", "new", rows=500)
    if wrong == "damaged":
        damage(copy)
    elif wrong == "newer":
        ask(copy, "UPDATE alembic_version SET version_num = '9999'")
    elif wrong == "of another program":
        copy.unlink()
        ask(copy, "CREATE TABLE messages (id)")
    elif wrong == "no database":
        copy.write_text("text", "utf-8")
    else:
        copy.unlink()
    before = names(tmp_path), old.read_bytes()
    with pytest.raises((StoreUnavailable, SchemaTooNew, SettingsError), match=r"copy\.db: "):
        restore(copy, old, replace=True)
    assert (names(tmp_path) - {"copy.db-wal", "copy.db-shm"}, old.read_bytes()) == (
        before[0] - {"copy.db-wal", "copy.db-shm"},
        before[1],
    )


def test_a_database_that_a_program_has_open_is_not_replaced(tmp_path: Path) -> None:
    old, copy = make(tmp_path / "hub.db", "old"), tmp_path / "copy.db"
    back_up(make(tmp_path / "other.db", "new"), copy)
    with contextlib.closing(sqlite3.connect(old)) as conn:
        conn.execute("SELECT count(*) FROM channels").fetchall()
        with pytest.raises(SettingsError, match="open in another program"):
            restore(copy, old, replace=True)
    assert name_in(old) == "old"


def restore_and_die(copy: Path, database: Path, step: int) -> None:
    """Restore, and be killed at the `step`-th thing that is done to a file."""
    left = step

    def audit(event: str, _arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event in ("open", "os.link", "os.rename", "os.remove", "sqlite3.connect", "tempfile"):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def progress(_done: int, _whole: int) -> None:
        audit("open", ())

    sys.addaudithook(audit)
    restore(copy, database, replace=True, progress=progress)


def dies(copy: Path, database: Path, step: int) -> bool:
    child = os.fork()
    if child == 0:
        try:
            restore_and_die(copy, database, step)
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert not (os.WIFEXITED(status) and os.WEXITSTATUS(status)), "the restore failed by itself"
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("log", [True, False], ids=["of a killed hub", "of a stopped hub"])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_restore_killed_at_any_step_leaves_one_of_the_two_whole(
    tmp_path: Path, log: bool
) -> None:
    copy = tmp_path / "copy.db"
    back_up(make(tmp_path / "other.db", "new", rows=3000), copy)
    template = make(tmp_path / "old.db", "old", rows=300)
    with contextlib.closing(sqlite3.connect(template)) as conn:
        conn.execute("INSERT INTO hooks (id, body, received_at) VALUES (x'00', x'00', 1)")
        conn.commit()
        if not log:
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        files = {path.name: path.read_bytes() for path in tmp_path.glob("old.db*")}
    rows = {"old": 301, "new": 3000}
    seen, step = [], 0
    while True:
        step += 1
        database = tmp_path / f"{step}" / "hub.db"
        database.parent.mkdir()
        for end in ("", "-wal") if log else ("",):
            database.with_name(f"hub.db{end}").write_bytes(files[f"old.db{end}"])
        killed = dies(copy, database, step)
        inspect(database)
        name = name_in(database)
        assert ask(database, "SELECT count(*) FROM hooks") == [(rows[name],)]
        if name == "new":
            [kept] = database.parent.glob("hub.db.2*Z")
            assert ask(kept, "SELECT count(*) FROM hooks") == [(rows["old"],)]
        seen.append(name)
        if not killed:
            break
        # Nothing is in the way of doing it again.
        assert not dies(copy, database, 0)
        assert name_in(database) == "new"
        assert not list(database.parent.glob("*.part*"))
    assert seen[-1] == "new"
    assert seen.count("old") > 5
    assert seen.count("new") > 1, "it was not killed after the change"
    assert "".join(name[0] for name in seen) == "o" * seen.count("old") + "n" * seen.count("new")


# The commands


def test_backup_and_restore_by_the_commands(tmp_path: Path) -> None:
    (tmp_path / "onethread.toml").write_text(SETTINGS, "utf-8")
    make(tmp_path / "onethread.db", "first")
    media = tmp_path / "media" / "ab"
    media.mkdir(parents=True)
    (media / "picture").write_bytes(b"picture")
    (tmp_path / "media" / "tmp").mkdir()
    (tmp_path / "media" / "tmp" / "draft.part").write_bytes(b"draft")
    done = onethread(tmp_path, "backup", "copy.db", "--media")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "Wrote copy.db: 0 customers, 0 conversations, 0 messages.\n"
        "Wrote copy.db.media: 1 attachments.\n"
    )
    assert onethread(tmp_path, "backup", "copy.db").stderr == (
        "onethread: copy.db: is already here and is never overwritten\n"
    )
    ask(tmp_path / "onethread.db", "UPDATE channels SET name = 'second'")
    (media / "picture").unlink()
    refused = onethread(tmp_path, "restore", "copy.db")
    assert refused.returncode == 1
    assert "--replace" in refused.stderr
    done = onethread(tmp_path, "restore", "copy.db", "--replace", "--media")
    assert done.returncode == 0, done.stderr
    assert "The database before is kept as " in done.stdout
    assert name_in(tmp_path / "onethread.db") == "first"
    assert (media / "picture").read_bytes() == b"picture"
    assert onethread(tmp_path, "migrate").stdout == "The database was up to date already.\n"


def test_a_backup_beside_a_running_hub_and_no_restore(tmp_path: Path) -> None:
    (tmp_path / "onethread.toml").write_text(SETTINGS, "utf-8")
    with subprocess.Popen(
        [sys.executable, "-m", "hub.cli", "serve", "--port", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as serving:
        assert serving.stdout
        try:
            assert "ready" in serving.stdout.readline()
            assert onethread(tmp_path, "backup", "copy.db").returncode == 0
            refused = onethread(tmp_path, "restore", "copy.db", "--replace")
        finally:
            serving.terminate()
            assert serving.wait(20) == 0
    assert refused.returncode == 1
    assert "is in use by another onethread process" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert inspect(tmp_path / "copy.db").revision == HEAD
    assert onethread(tmp_path, "restore", "copy.db", "--replace").returncode == 0


def test_on_a_terminal_it_says_how_far_it_is(tmp_path: Path) -> None:
    (tmp_path / "onethread.toml").write_text(SETTINGS, "utf-8")
    make(tmp_path / "onethread.db", "live", rows=6000)
    ours, theirs = pty.openpty()
    try:
        command = [sys.executable, "-m", "hub.cli", "backup", "copy.db"]
        done = subprocess.run(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs, check=True
        )
        shown = os.read(ours, 4096).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert shown.startswith("\r")
    assert shown.rstrip().endswith("100 % copied")
    assert shown.count("%") > 1
    assert done.stdout.startswith(b"Wrote copy.db: ")


@pytest.mark.parametrize(("command", "instead"), [("backup", "pg_dump"), ("restore", "pg_restore")])
def test_postgresql_has_its_own_tools(tmp_path: Path, command: str, instead: str) -> None:
    (tmp_path / "onethread.toml").write_text(SETTINGS, "utf-8")
    url = "postgresql://nobody@127.0.0.1:1/none"
    done = onethread(tmp_path, command, "copy.db", ONETHREAD_HUB__DATABASE=url)
    assert done.returncode == 1
    assert done.stderr == (
        f"onethread: hub.database: `onethread {command}` is for SQLite;"
        f" for PostgreSQL use {instead}, see docs/operating.md\n"
    )
    assert not (tmp_path / "copy.db").exists()
