"""Resolving and giving back: what the bot has still to say is said, what it had begun ends."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.store.schema import runs, timers
from tests.faults.scene import RECONCILE, Scene, playing
from tests.flows import bench


@pytest.fixture(autouse=True)
def fresh_bench() -> None:
    bench.reset()


async def rows(scene: Scene, table: sa.Table) -> list[dict[str, Any]]:
    def read(conn: sa.Connection) -> list[dict[str, Any]]:
        return [dict(row) for row in conn.execute(sa.select(table)).mappings()]

    return await scene.house.hub.store.read(read)


async def ended(scene: Scene, dialog: str) -> list[tuple[str, str | None]]:
    """State and reason of each run of that dialog."""
    return [(r["state"], r["reason"]) for r in await rows(scene, runs) if r["dialog"] == dialog]


async def resolve(scene: Scene) -> None:
    where = await scene.conversation()
    status, found = await scene.house.api(
        "PATCH", f"/conversations/{where}", {"status": "resolved"}
    )
    assert (status, found["status"], found["owner"]["kind"]) == (200, "resolved", "bot")


async def give_back(scene: Scene, **how: Any) -> None:
    where = await scene.conversation()
    status, _ = await scene.house.api("POST", f"/conversations/{where}/release", how)
    assert status == 200


async def test_a_reply_that_waits_is_still_sent(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        scene.fault("status", status=429, retry_after=30)
        await scene.house.writes("wa", "ask me slowly")
        await scene.reaches("Take your time.", "queued", "busy")
        await resolve(scene)
        await scene.pass_time(31)
        assert scene.shown("Take your time.") == 1
        assert await scene.state("Take your time.") == ("read", None)
        assert await ended(scene, "patient") == [("cancelled", "resolved")]
        assert await rows(scene, timers) == []
        await scene.pass_time(2 * 3600)
        assert scene.shown("Time is over.") == 0
        await scene.house.writes("wa", "hello again")
        await scene.quiet()
        assert scene.shown("echo hello again") == 1


async def test_all_parts_that_wait_behind_it_too(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        scene.fault("status", status=429, retry_after=30)
        await scene.house.writes("wa", "tell me much")
        await scene.reaches("line 0", "queued", "busy")
        await resolve(scene)
        await scene.pass_time(31)
        assert [scene.shown(f"line {number}") for number in range(5)] == [1] * 5


async def test_resolving_ends_a_parked_run(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        await scene.house.writes("wa", "ask me slowly")
        await scene.quiet()
        assert (await scene.reply("An agent here."))[0] == 201
        assert await ended(scene, "patient") == [("parked", None)]
        await resolve(scene)
        assert await ended(scene, "patient") == [("cancelled", "resolved")]
        assert await rows(scene, timers) == []


async def test_resolving_while_a_turn_runs_leaves_no_run(tmp_path: Path) -> None:
    """The turn goes on: what it says belongs to the case that is closed, and waits for nobody."""
    async with playing(tmp_path, "wa") as scene:
        await scene.house.writes("wa", "my held order")
        await scene.quiet()
        await scene.house.writes("wa", "4411")
        await scene.house.until(lambda: bench.calls == ["4411"])
        await resolve(scene)
        bench.go.set()
        await scene.quiet()
        [(state, _)] = await ended(scene, "held_order")
        assert state in ("done", "cancelled")
        await scene.house.writes("wa", "something else")
        await scene.quiet()
        assert scene.shown("echo something else") == 1


@pytest.mark.parametrize("resume", [False, True])
async def test_giving_back_keeps_the_bots_last_words(tmp_path: Path, resume: bool) -> None:
    async with playing(tmp_path, "wa") as scene:
        scene.fault("status", status=429, retry_after=30)
        await scene.house.writes("wa", "a person please")
        await scene.reaches("A colleague will answer.", "queued", "busy")
        await give_back(scene, resume=resume)
        await scene.pass_time(31)
        assert scene.shown("A colleague will answer.") == 1


async def test_resolving_after_a_hand_over_keeps_them_too(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        scene.fault("status", status=429, retry_after=30)
        await scene.house.writes("wa", "a person please")
        await scene.reaches("A colleague will answer.", "queued", "busy")
        await resolve(scene)
        await scene.pass_time(31)
        assert scene.shown("A colleague will answer.") == 1


async def test_what_an_agent_cut_off_stays_cut_off(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        scene.fault("status", status=429, retry_after=30)
        await scene.house.writes("wa", "tell me much")
        await scene.reaches("line 0", "queued", "busy")
        assert (await scene.reply("An agent here."))[0] == 201
        await give_back(scene)
        await scene.pass_time(31)
        assert [scene.shown(f"line {number}") for number in range(5)] == [0] * 5
        assert scene.shown("An agent here.") == 1


@pytest.mark.parametrize("how", ["release", "resolve"])
async def test_nor_is_what_was_in_doubt_when_she_came_sent_again(tmp_path: Path, how: str) -> None:
    """A send of unknown outcome over which an agent took over is not the bot's to repeat, though
    the conversation is the bot's again."""
    async with playing(tmp_path, "wa") as scene:
        scene.fault("hang")
        await scene.house.writes("wa", "first")
        await scene.reaches("echo first", "unknown", "outcome_unknown")
        assert (await scene.reply("An agent here."))[0] == 201
        await (resolve(scene) if how == "resolve" else give_back(scene))
        await scene.pass_time(RECONCILE * 2)
        assert len(scene.calls("echo first")) == 1
        assert await scene.state("echo first") == ("failed", "outcome_unknown")
        assert scene.shown("An agent here.") == 1
