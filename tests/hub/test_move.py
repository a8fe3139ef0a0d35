"""Moving a SQLite hub to PostgreSQL: all of it, once, however often it is cut off."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from hub.cli import cli
from hub.errors import SettingsError
from hub.message import Sent
from hub.store import open_store
from hub.store.changes import START, changes_after
from hub.store.migrate import migrate_sqlite
from hub.store.move import CHUNK, move
from hub.store.postgres import create_engine
from hub.store.schema import messages, metadata
from tests.hub.test_postgres import open_line

TEXTS = ("আমার অর্ডার কোথায়?", "nul is not stored, “quotes” are", "👩‍👩‍👧 ZWJ", " spaces ")
PEOPLE = 140


class Cut(Exception):
    """The copy is cut off here."""


@pytest.fixture
async def database(tmp_path: Path) -> Path:
    """A hub in which something was said, answered and received."""
    path = tmp_path / "hub.db"
    migrate_sqlite(path)
    store = open_store(f"sqlite:///{path}")
    line = await open_line(store)
    for number in range(PEOPLE):
        await line.accept(*(line.arrival(f"88017{number}", text) for text in TEXTS))
    attempt = await line.begin_send(parts=2)
    await line.receipt("delivered", "wamid.1")
    await line.answer(attempt, Sent("wamid.1"))
    await store.close()
    return path


def nothing(_done: int, _whole: int) -> None:
    return


async def test_everything_is_there_and_goes_on(database: Path, fresh_postgres: str) -> None:
    steps: list[tuple[int, int]] = []
    counts = await move(database, fresh_postgres, lambda done, whole: steps.append((done, whole)))
    assert counts["messages"] == PEOPLE * len(TEXTS) + 3
    assert set(counts) == set(metadata.tables)
    assert steps == sorted(steps)
    assert steps[-1] == (2 * sum(counts.values()), 2 * sum(counts.values()))
    store = open_store(fresh_postgres)
    line = await open_line(store)
    before = await store.read(changes_after, START, 10_000)
    await line.accept(line.arrival("880170", "and now on PostgreSQL"))
    [her] = await line.rows(messages.c.text == "and now on PostgreSQL")
    assert her["seq"] == len(TEXTS) + 1, "in her thread"
    after = await store.read(changes_after, before[-1].place, 10)
    assert [change.message_id for change in after] == [her["id"]]
    await store.close()


async def test_a_copy_that_was_cut_off_goes_on(database: Path, fresh_postgres: str) -> None:
    for cut in (1, 500, 900, 1300):

        def stop(done: int, _whole: int, cut: int = cut) -> None:
            if done >= cut:
                raise Cut

        with pytest.raises(Cut):
            await move(database, fresh_postgres, stop)
    counts = await move(database, fresh_postgres, nothing)
    assert counts["messages"] > CHUNK, "it was cut off in the middle of a table too"
    assert await move(database, fresh_postgres, nothing) == counts, "again costs nothing"


@pytest.mark.parametrize("statement", [
    "UPDATE messages SET text = 'other' WHERE seq = 2",
    "DELETE FROM messages WHERE seq = 1",
    "INSERT INTO tokens (id, name, role, hash, created_at) VALUES ('\\x00', 'x', 'admin', '', 1)",
])  # fmt: skip
async def test_a_database_of_another_hub_is_refused(
    database: Path, fresh_postgres: str, statement: str
) -> None:
    await move(database, fresh_postgres, nothing)
    engine = create_engine(fresh_postgres)
    async with engine.begin() as conn:
        await conn.execute(sa.text(statement.replace("\\x", "\\\\x")).execution_options())
    await engine.dispose()
    with pytest.raises(SettingsError, match=r"--to: the table (messages|tokens) there"):
        await move(database, fresh_postgres, nothing)


def test_the_command(tmp_path: Path, fresh_postgres: str) -> None:
    migrate_sqlite(tmp_path / "hub.db")
    config = tmp_path / "onethread.toml"
    config.write_text(f'[hub]\ndatabase = "sqlite:///{tmp_path}/hub.db"\nuvloop = false\n')

    def run(url: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli, ["move", "--to", url, "--config", str(config)])
        return done.exit_code, done.output

    code, told = run(fresh_postgres)
    assert (code, "both sides are the same" in told) == (0, True), told
    assert run("sqlite:///x.db")[0] == 2
    config.write_text(f'[hub]\ndatabase = "{fresh_postgres}"\n')
    code, told = run(fresh_postgres)
    assert (code, "is on PostgreSQL already" in told) == (1, True), told
