"""A turn whose call takes long: what follows is said, and counted, from when it is said."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.chat import Chat, TimedOut, dialog
from hub.clock import HOUR, SECOND
from hub.store.schema import conversations, messages, runs, timers
from tests.faults.scene import Scene, playing
from tests.flows import bench, wait_for_go

LONG = 2 * 3600.0


@dialog("office", on=["office please"])
async def office(chat: Chat) -> None:
    found = await chat.call(wait_for_go, "files")
    try:
        await chat.ask(f"{found}. Which one?", timeout=timedelta(hours=1))
    except TimedOut:
        await chat.say("The office is closed.")
        return
    await chat.say("The office thanks.")


@pytest.fixture(autouse=True)
def fresh_bench() -> None:
    bench.reset()


async def rows(scene: Scene, table: sa.Table) -> list[dict[str, Any]]:
    def read(conn: sa.Connection) -> list[dict[str, Any]]:
        return [dict(row) for row in conn.execute(sa.select(table)).mappings()]

    return await scene.house.hub.store.read(read)


async def begin_long_call(scene: Scene, words: str) -> None:
    """The customer writes; the dialog's call is under way, and hours pass."""
    await scene.house.writes("wa", words)
    await scene.house.until(lambda: bench.calls)
    scene.house.hub.clock.move(LONG)


async def test_a_timeout_counts_from_when_it_was_asked(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        scene.house.hub.dialogs["office"] = office
        await begin_long_call(scene, "office please")
        earliest = scene.house.hub.clock.now()
        bench.go.set()
        await scene.quiet()
        [timer] = await rows(scene, timers)
        assert earliest + HOUR <= timer["due_at"] <= scene.house.hub.clock.now() + HOUR
        await scene.pass_time(1800)
        assert scene.shown("The office is closed.") == 0
        await scene.pass_time(1801)
        assert scene.shown("The office is closed.") == 1


async def test_an_answer_within_the_time_counts(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        scene.house.hub.dialogs["office"] = office
        await begin_long_call(scene, "office please")
        bench.go.set()
        await scene.quiet()
        await scene.pass_time(3000)
        await scene.house.writes("wa", "the second")
        await scene.quiet()
        assert scene.shown("The office thanks.") == 1
        assert scene.shown("The office is closed.") == 0


async def test_the_thread_shows_it_after_what_came_meanwhile(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        await begin_long_call(scene, "hold on")
        await scene.house.writes("sms", "are you there?")
        scene.house.hub.clock.move(60)
        bench.go.set()
        await scene.quiet()
        where = await scene.conversation()
        _, found = await scene.house.api("GET", f"/conversations/{where}/messages")
        told = [item["text"] for item in reversed(found["items"])]
        assert told[-5:] == [
            "hold on", "are you there?", "holding", "went hold", "echo are you there?"
        ]  # fmt: skip


async def test_its_rows_and_their_end_are_of_that_time(tmp_path: Path) -> None:
    """A reply that is said late has its whole time to arrive."""
    async with playing(tmp_path, "wa") as scene:
        await begin_long_call(scene, "hold on")
        earliest = scene.house.hub.clock.now()
        bench.go.set()
        await scene.quiet()
        horizon = round(scene.house.hub.settings.limits.retry_horizon * SECOND)
        for text in ("holding", "went hold"):
            row = await scene.row(text)
            assert row["position"] >= earliest
            assert row["created_at"] >= earliest
            assert row["expires_at"] >= earliest + horizon
        [question] = await scene.house.rows(messages.c.text == "hold on")
        assert question["handled_at"] >= earliest
        [thread] = await rows(scene, conversations)
        assert thread["last_message_at"] >= earliest
        newest = max(await rows(scene, runs), key=lambda run: bytes(run["id"]))
        assert newest["updated_at"] >= earliest
