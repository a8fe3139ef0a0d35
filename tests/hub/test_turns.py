"""Turns that fail, are lost or run long: nothing is said twice, no call is run twice."""

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.sandbox import twilio, whatsapp
from hub.clock import Clock
from hub.store.schema import conversations, messages, runs, timers
from tests.databases import accept_again, refuse
from tests.faults.scene import Scene, playing
from tests.flows import bench

APOLOGY = "Sorry, something went wrong on our side. A colleague will help you here soon."


@pytest.fixture(autouse=True)
def fresh_bench() -> None:
    bench.reset()


async def thread(scene: Scene) -> list[tuple[str, str]]:
    rows = await scene.house.rows(messages.c.text.notin_(("open", "echo open")))
    return [(row["direction"], row["text"]) for row in rows]


async def conversation(scene: Scene) -> dict[str, Any]:
    def read(conn: sa.Connection) -> dict[str, Any]:
        return dict(conn.execute(sa.select(conversations)).mappings().one())

    return await scene.house.hub.store.read(read)


async def forbid_poison(scene: Scene) -> None:
    """From now on the database refuses every turn that says something poisoned."""
    await scene.house.hub.store.write(refuse, "poisoned%")


async def allow_poison(scene: Scene) -> None:
    await scene.house.hub.store.write(accept_again)


async def test_three_claims_without_a_commit_go_to_the_agents(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        await forbid_poison(scene)
        await scene.house.writes("wa", "poison please")
        await scene.house.until(lambda: scene.shown(APOLOGY))
        await scene.quiet()
        said = await thread(scene)
        assert said[0] == ("in", "poison please")
        assert said[1] == ("out", APOLOGY)
        assert said[2][0] == "note"
        assert said[2][1].startswith("3 attempts")
        assert len(said) == 3
        assert scene.shown(APOLOGY) == 1
        assert bench.calls == ["poison"], "what was recorded is not done again"
        found = await conversation(scene)
        assert (found["owner_kind"], found["claims"], found["run_id"]) == ("queue", 0, None)
        await scene.assert_others_unharmed("afterwards", by_agent=True)


async def test_a_lost_turn_is_run_again_but_not_its_call(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa", limits={"turn_claims": 100}) as scene:
        await forbid_poison(scene)
        await scene.house.writes("wa", "poison please")

        async def failed_twice() -> bool:
            return bool((await conversation(scene))["claims"] >= 2)

        await scene.house.until(failed_twice)
        await allow_poison(scene)
        await scene.house.until(lambda: scene.shown("poisoned reply, noted poison"))
        await scene.quiet()
        assert bench.calls == ["poison"]
        assert scene.shown("poisoned reply, noted poison") == 1
        assert (await conversation(scene))["owner_kind"] == "bot"


async def test_a_call_recorded_before_a_stop_is_not_run_again(tmp_path: Path) -> None:
    clock = Clock()
    sandboxes: dict[str, Any] = {"wa": whatsapp.Sandbox(), "sms": twilio.Sandbox()}
    for sandbox in sandboxes.values():
        await sandbox.start()
    common: dict[str, Any] = {"clock": clock, "sandboxes": sandboxes, "limits": {"shutdown": 0.2}}
    try:
        async with playing(tmp_path, "wa", **common) as scene:
            await scene.house.writes("wa", "two steps please")
            await scene.house.until(lambda: bench.calls == ["first", "second"])
        async with playing(tmp_path, "wa", known=False, **common) as scene:
            await scene.house.until(lambda: bench.calls == ["first", "second", "second"])
            bench.go.set()
            await scene.house.until(lambda: scene.shown("noted first, went second"))
            await scene.quiet()
            assert scene.shown("noted first, went second") == 1
    finally:
        for sandbox in sandboxes.values():
            await sandbox.stop()


async def test_a_dialog_that_raises_apologises_once(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        await scene.house.writes("wa", "break please")
        await scene.quiet()
        said = await thread(scene)
        assert said == [
            ("in", "break please"),
            ("out", "about to break"),
            ("out", APOLOGY),
            ("note", "dialog broken failed with ValueError"),
        ]
        assert (await conversation(scene))["owner_kind"] == "queue"
        for _ in range(3):
            await scene.pass_time(600)
        assert await thread(scene) == said
        assert scene.shown(APOLOGY) == 1
        await scene.house.writes("wa", "and now?")
        await scene.quiet()
        assert scene.shown(APOLOGY) == 1


async def test_agents_are_told_why_what_a_dialog_says_cannot_go(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        await scene.house.writes("wa", "send what cannot go")
        await scene.quiet()
        (_, note), *_ = [one for one in await thread(scene) if one[0] == "note"]
        assert note.startswith("dialog unsendable failed with MediaFailed: this channel takes")


async def test_a_dialog_of_another_version_goes_to_the_agents(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        await scene.house.writes("wa", "my order")
        await scene.quiet()
        dialogs = scene.house.hub.dialogs
        dialogs["order"] = dataclasses.replace(dialogs["order"], version=2)
        await scene.house.writes("wa", "4411")
        await scene.quiet()
        assert await thread(scene) == [
            ("in", "my order"),
            ("out", "Which order?"),
            ("in", "4411"),
            ("out", APOLOGY),
            ("note", "dialog order version 1 is no longer there"),
        ]
        assert (await conversation(scene))["owner_kind"] == "queue"
        assert bench.calls == []
        await scene.pass_time(600)
        assert scene.shown(APOLOGY) == 1


async def test_a_journal_that_does_not_fit_goes_to_the_agents(tmp_path: Path) -> None:
    """The author changed the steps and forgot the version."""
    async with playing(tmp_path, "wa") as scene:
        await scene.house.writes("wa", "my order")
        await scene.quiet()
        dialogs = scene.house.hub.dialogs
        dialogs["order"] = dataclasses.replace(dialogs["order"], run=dialogs["person"].run)
        await scene.house.writes("wa", "4411")
        await scene.quiet()
        said = await thread(scene)
        assert said[-2] == ("out", APOLOGY)
        assert said[-1][0] == "note"
        assert "dialog order was changed while it ran" in said[-1][1]
        assert scene.shown(APOLOGY) == 1


async def test_a_dialog_without_end_meets_the_cap_of_its_journal(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa", limits={"journal_cap": 20}) as scene:
        await scene.house.writes("wa", "never end")
        await scene.house.until(lambda: scene.shown(APOLOGY))
        await scene.quiet()
        assert len(bench.calls) == 19
        kind, note = (await thread(scene))[-1]
        assert kind == "note"
        assert "the run has 20 steps" in note
        assert (await conversation(scene))["owner_kind"] == "queue"
        await scene.assert_others_unharmed("afterwards", by_agent=True)


async def test_a_restart_begins_with_an_empty_journal_and_its_state(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa", limits={"journal_cap": 6}) as scene:
        await scene.house.writes("wa", "count with me")
        for _ in range(12):
            await scene.quiet()
            await scene.house.writes("wa", "more")
        await scene.quiet()
        await scene.house.writes("wa", "enough")
        await scene.quiet()
        said = [text for direction, text in await thread(scene) if direction == "out"]
        assert said == [*(f"At {n}. More?" for n in range(13)), "Counted to 12."]

        def states(conn: sa.Connection) -> list[str]:
            query = sa.select(runs.c.state).where(runs.c.dialog == "counter")
            return sorted(conn.execute(query).scalars())

        found = await scene.house.hub.store.read(states)
        assert found == ["done", *["restarted"] * 12]


async def test_an_ask_times_out_by_the_moved_clock(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        await scene.house.writes("wa", "ask me slowly")
        await scene.quiet()
        await scene.pass_time(3500)
        assert (await thread(scene))[-1] == ("out", "Take your time.")
        await scene.pass_time(200)
        assert (await thread(scene))[-1] == ("out", "Time is over.")
        await scene.house.writes("wa", "too late")
        await scene.quiet()
        assert (await thread(scene))[-1] == ("out", "echo too late")


async def test_an_answer_in_time_turns_the_timer_off(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        await scene.house.writes("wa", "ask me slowly")
        await scene.quiet()
        await scene.pass_time(3000)
        await scene.house.writes("wa", "here")
        await scene.quiet()
        assert (await thread(scene))[-1] == ("out", "In time: here")

        def left(conn: sa.Connection) -> int:
            return int(conn.execute(sa.select(sa.func.count()).select_from(timers)).scalar_one())

        assert await scene.house.hub.store.read(left) == 0
        await scene.pass_time(7200)
        assert (await thread(scene))[-1] == ("out", "In time: here")


async def test_two_messages_at_once_are_handled_one_after_the_other(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        wrote = [scene.house.writes("wa", "hold on"), scene.house.writes("sms", "next")]
        await asyncio.gather(*wrote)
        await scene.house.until(lambda: bench.calls)
        before = [text for direction, text in await thread(scene) if direction == "out"]
        assert before in ([], ["echo next"])
        bench.go.set()
        await scene.quiet()
        said = await thread(scene)
        outs = [text for direction, text in said if direction == "out"]
        first_in = next(text for direction, text in said if direction == "in")
        expected = [["holding", "went hold"], ["echo next"]]
        if first_in == "next":
            expected.reverse()
        assert outs == [*expected[0], *expected[1]]
