"""Agents and the bot never share the stage: taking over, giving back, handing over.

Calls are read from the stand-in's own log; its clock is the hub's.
"""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.clock import parse_id
from hub.store.schema import cases, changes, journal, messages, runs, timers
from tests.faults.scene import OTHER, Scene, playing
from tests.flows import bench
from tests.posting import post_wa, text_item, wa_body
from tests.running import CUSTOMER


@pytest.fixture(autouse=True)
def fresh_bench() -> None:
    bench.reset()


async def texts(scene: Scene) -> list[str]:
    """The thread of the customer, both ways and notes, after the two openings."""
    rows = await scene.house.rows(messages.c.text.notin_(("open", "echo open")))
    return [row["text"] for row in rows]


async def owner(scene: Scene) -> dict[str, Any]:
    where = await scene.conversation()
    _, found = await scene.house.api("GET", f"/conversations/{where}")
    return dict(found["owner"])


async def count(scene: Scene, table: sa.Table, *where: Any) -> int:
    def read(conn: sa.Connection) -> int:
        query = sa.select(sa.func.count()).select_from(table).where(*where)
        return int(conn.execute(query).scalar_one())

    return await scene.house.hub.store.read(read)


async def run_state(scene: Scene) -> str:
    def read(conn: sa.Connection) -> str:
        newest = sa.select(runs.c.state).order_by(runs.c.id.desc()).limit(1)
        return str(conn.execute(newest).scalar_one())

    return await scene.house.hub.store.read(read)


async def release(scene: Scene, **how: Any) -> None:
    where = await scene.conversation()
    status, _ = await scene.house.api("POST", f"/conversations/{where}/release", how)
    assert status == 200
    await scene.quiet()


def bot_calls_after(scene: Scene, moment: float, *agents_words: str) -> list[str]:
    """What of the bot was sent after `moment` on either channel."""
    return [
        text
        for sandbox in scene.house.sandboxes.values()
        for call in sandbox.log()
        if call.method == "POST" and call.at > moment
        if (text := str(call.body.get("Body") or (call.body.get("text") or {}).get("body")))
        not in agents_words
    ]


async def take_over(scene: Scene, words: str = "An agent here.") -> float:
    """Reply as an agent; the time after which no bot send may begin."""
    status, _ = await scene.reply(words)
    assert status == 201
    return scene.house.hub.clock.now() / 1e6


async def test_while_a_turn_runs(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        await scene.house.writes("wa", "hold on")
        await scene.house.until(lambda: bench.calls == ["hold"])
        moment = await take_over(scene)
        bench.go.set()
        await scene.quiet()
        assert bot_calls_after(scene, moment, "An agent here.") == []
        assert await texts(scene) == ["hold on", "An agent here."]
        assert (await owner(scene))["kind"] == "agent"
        assert bench.calls == ["hold"]
        await scene.house.writes("wa", "still me")
        await scene.quiet()
        assert await texts(scene) == ["hold on", "An agent here.", "still me"]


async def test_while_bot_rows_wait_behind_a_slow_send(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa", limits={"send_timeout": 5.0, "lease": 10.0}) as scene:
        scene.fault("slow", seconds=0.5)
        scene.fault("no_receipts")
        await scene.house.writes("wa", "tell me much")
        await scene.reaches("line 0", "sending")
        moment = await take_over(scene)
        await scene.quiet()
        assert bot_calls_after(scene, moment, "An agent here.") == []
        states = [await scene.state(f"line {number}") for number in range(5)]
        assert states == [("sent", None), *[("cancelled", None)] * 4]
        heard = [i.text for i in scene.standin.shown(CUSTOMER) if i.direction == "out"]
        assert heard[-2:] == ["line 0", "An agent here."]


@pytest.mark.parametrize("by", ["reply", "assign", "team"])
async def test_while_bot_rows_wait_to_be_tried_again(tmp_path: Path, by: str) -> None:
    async with playing(tmp_path, "wa") as scene:
        scene.fault("status", status=429, retry_after=100)
        await scene.house.writes("wa", "tell me much")
        await scene.reaches("line 0", "queued", "busy")
        where = await scene.conversation()
        if by == "reply":
            moment = await take_over(scene)
        else:
            body = {"agent": "me"} if by == "assign" else {"team": "sales"}
            status, _ = await scene.house.api("POST", f"/conversations/{where}/assign", body)
            assert status == 200
            moment = scene.house.hub.clock.now() / 1e6
        await scene.quiet()
        if by == "reply":
            assert scene.shown("An agent here.") == 1, "she need not wait for the bot's retry"
        await scene.pass_time(200)
        assert bot_calls_after(scene, moment, "An agent here.") == []
        states = {(await scene.row(f"line {number}"))["state"] for number in range(5)}
        assert states == {"cancelled"}
        assert (await owner(scene))["kind"] == ("queue" if by == "team" else "agent")


async def test_a_send_of_unknown_outcome_is_not_repeated_over_an_agent(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        scene.fault("hang")
        await scene.house.writes("wa", "first")
        await scene.reaches("echo first", "unknown", "outcome_unknown")
        moment = await take_over(scene)
        await scene.pass_time(100)
        assert bot_calls_after(scene, moment, "An agent here.") == []
        assert await scene.state("echo first") == ("failed", "outcome_unknown")
        assert scene.shown("An agent here.") == 1


async def test_while_an_ask_waits_parks_the_run_with_its_timers_off(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        await scene.house.writes("wa", "ask me slowly")
        await scene.quiet()
        assert await count(scene, timers) == 1
        moment = await take_over(scene)
        assert await count(scene, timers) == 0
        assert await run_state(scene) == "parked"
        await scene.pass_time(2 * 3600)
        await scene.house.writes("wa", "an answer")
        await scene.quiet()
        assert bot_calls_after(scene, moment, "An agent here.") == []

        await release(scene, resume=True)
        assert await texts(scene) == [
            "ask me slowly", "Take your time.", "An agent here.", "an answer", "Take your time."
        ]  # fmt: skip
        assert await run_state(scene) == "waiting"
        await scene.house.writes("wa", "here I am")
        await scene.quiet()
        assert (await texts(scene))[-1] == "In time: here I am"
        assert (await owner(scene))["kind"] == "bot"


async def test_a_resumed_ask_times_out_anew(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        await scene.house.writes("wa", "ask me slowly")
        await scene.quiet()
        await take_over(scene)
        await scene.pass_time(1800)
        await release(scene, resume=True)
        await scene.pass_time(3500)
        assert (await texts(scene))[-1] == "Take your time."
        await scene.pass_time(200)
        assert (await texts(scene))[-1] == "Time is over."


async def test_given_back_without_resume_the_run_ends(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        await scene.house.writes("wa", "my order")
        await scene.quiet()
        await take_over(scene)
        await release(scene, note="solved by phone")
        assert await run_state(scene) == "cancelled"
        await scene.house.writes("wa", "4411")
        await scene.quiet()
        assert await texts(scene) == [
            "my order", "Which order?", "An agent here.", "solved by phone", "4411", "echo 4411"
        ]  # fmt: skip
        [note] = await scene.house.rows(messages.c.direction == "note")
        assert note["text"] == "solved by phone"
        assert note["state"] is None
        assert not scene.calls("solved by phone")
        assert bench.calls == []


async def test_a_call_of_a_turn_that_an_agent_cut_off_does_not_answer_the_next(
    tmp_path: Path,
) -> None:
    """The bot had looked up 1111 when the agent came; asked again she says 2222."""
    async with playing(tmp_path, "wa") as scene:
        await scene.house.writes("wa", "my held order")
        await scene.quiet()
        await scene.house.writes("wa", "1111")
        await scene.house.until(lambda: bench.calls == ["1111"])
        await take_over(scene)
        bench.go.set()
        await scene.quiet()
        await release(scene, resume=True)
        assert (await texts(scene))[-1] == "Which held order?"
        await scene.house.writes("wa", "2222")
        await scene.quiet()
        assert (await texts(scene))[-1] == "went 2222"
        assert bench.calls == ["1111", "2222"]


async def test_a_call_that_ends_after_the_conversation_was_given_back(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        await scene.house.writes("wa", "my held order")
        await scene.quiet()
        await scene.house.writes("wa", "1111")
        await scene.house.until(lambda: bench.calls == ["1111"])
        await take_over(scene)
        where = await scene.conversation()
        await scene.house.api("POST", f"/conversations/{where}/release", {"resume": True})
        bench.go.set()
        await scene.quiet()
        assert (await texts(scene))[-1] == "Which held order?"
        await scene.house.writes("wa", "2222")
        await scene.quiet()
        assert (await texts(scene))[-1] == "went 2222"


async def test_a_note_takes_nothing_over(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        await scene.house.writes("wa", "my order")
        await scene.quiet()
        where = await scene.conversation()
        path = f"/conversations/{where}/messages"
        status, answer = await scene.house.api("POST", path, {"text": "VIP", "note": True})
        assert status == 201
        assert answer["items"][0]["direction"] == "note"
        await scene.house.writes("wa", "4411")
        await scene.quiet()
        assert (await texts(scene))[-1] == "noted 4411"
        assert not scene.calls("VIP")


async def test_a_repeated_client_id_says_nothing_twice(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        where = await scene.conversation()
        body = {"text": "Once.", "client_id": "c-1"}
        path = f"/conversations/{where}/messages"
        answers = [await scene.house.api("POST", path, body) for _ in range(3)]
        assert [status for status, _ in answers] == [201, 201, 201]
        assert len({answer["items"][0]["id"] for _, answer in answers}) == 1
        await scene.quiet()
        assert len(scene.calls("Once.")) == 1


async def test_after_resolving_the_bot_answers_the_next_message(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        where = await scene.conversation()
        await take_over(scene)
        status, found = await scene.house.api(
            "PATCH", f"/conversations/{where}", {"status": "resolved"}
        )
        assert (status, found["status"], found["owner"]["kind"]) == (200, "resolved", "bot")
        await scene.house.writes("wa", "hello again")
        await scene.quiet()
        assert (await texts(scene))[-1] == "echo hello again"
        _, found = await scene.house.api("GET", f"/conversations/{where}")
        assert found["status"] == "open"


async def test_a_reply_after_resolving_opens_a_new_case(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        where = f"/conversations/{await scene.conversation()}"
        await take_over(scene)
        await scene.house.api("PATCH", where, {"status": "resolved"})
        await take_over(scene, "One more thing.")
        _, found = await scene.house.api("GET", where)
        assert (found["status"], found["owner"]["kind"]) == ("open", "agent")
        assert await count(scene, cases, cases.c.resolved_at.is_(None)) == 1
        assert await count(scene, cases, cases.c.first_response_at.isnot(None)) == 2
        await scene.house.writes("wa", "thanks")
        await scene.house.api("PATCH", where, {"status": "resolved"})
        assert await count(scene, cases) == await count(scene, cases, cases.c.resolved_at > 0) == 2


async def test_resolving_ends_what_the_bot_had_asked(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        await scene.house.writes("wa", "ask me slowly")
        await scene.quiet()
        where = f"/conversations/{await scene.conversation()}"
        await scene.house.api("PATCH", where, {"status": "resolved"})
        await scene.pass_time(2 * 3600)
        assert (await texts(scene))[-1] == "Take your time."
        await scene.house.writes("wa", "something else")
        await scene.quiet()
        assert (await texts(scene))[-1] == "echo something else"


async def test_a_hand_over_goes_to_the_queue_and_the_bot_is_silent(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        await scene.house.writes("wa", "a person please")
        await scene.quiet()
        assert await texts(scene) == [
            "a person please", "A colleague will answer.", "Asked for a person."
        ]  # fmt: skip
        assert scene.shown("A colleague will answer.") == 1
        assert not scene.calls("Asked for a person.")
        where = await scene.conversation()
        _, found = await scene.house.api("GET", f"/conversations/{where}")
        assert (found["owner"]["kind"], found["team"]) == ("queue", "sales")
        await scene.house.writes("wa", "hello?")
        await scene.house.writes("sms", "hello?")
        await scene.quiet()
        assert (await texts(scene))[-2:] == ["hello?", "hello?"]


async def test_what_the_bot_said_before_it_handed_over_still_arrives(tmp_path: Path) -> None:
    """The replies of earlier turns wait for a busy provider while the bot itself hands over."""
    async with playing(tmp_path, "wa") as scene:
        scene.fault("status", status=429, retry_after=30)
        await scene.house.writes("wa", "first")
        await scene.reaches("echo first", "queued", "busy")
        await scene.house.writes("wa", "a person please")
        await scene.reaches("A colleague will answer.", "queued")
        await scene.pass_time(31)
        heard = [i.text for i in scene.standin.shown(CUSTOMER) if i.direction == "out"]
        assert heard[-2:] == ["echo first", "A colleague will answer."]


async def test_an_agent_who_takes_from_the_queue_need_not_wait_for_the_bots_retry(
    tmp_path: Path,
) -> None:
    async with playing(tmp_path, "wa") as scene:
        scene.fault("status", status=429, retry_after=100)
        await scene.house.writes("wa", "a person please")
        await scene.reaches("A colleague will answer.", "queued", "busy")
        moment = await take_over(scene)
        await scene.quiet()
        assert scene.shown("An agent here.") == 1
        await scene.pass_time(200)
        assert bot_calls_after(scene, moment, "An agent here.") == []
        assert (await scene.row("A colleague will answer."))["state"] == "cancelled"


async def test_every_take_over_is_told_to_the_screens(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        where = parse_id(await scene.conversation())
        told = (changes.c.conversation_id == where, changes.c.kind == "owner")
        await take_over(scene)
        assert await count(scene, changes, *told) == 1
        await take_over(scene, "More words.")
        assert await count(scene, changes, *told) == 1, "she has it already"
        await release(scene)
        assert await count(scene, changes, *told) == 2
        assert await count(scene, journal) >= 1


async def test_a_send_that_only_waits_for_its_turn_at_the_provider_is_not_begun(
    tmp_path: Path,
) -> None:
    """Two replies are due at once and one call at a time is allowed: while the first is slow, an
    agent takes over the other's conversation."""
    async with playing(
        tmp_path, "wa", limits={"sends": 1, "send_timeout": 5.0, "lease": 10.0}
    ) as scene:
        house = scene.house
        await house.writes("wa", "open", number=OTHER)
        await scene.quiet()
        house.whatsapp.add_fault("slow", {"text_contains": "both"}, seconds=1.0, times=2)
        bodies = [text_item(f"wamid.{n}", "both", n[1:]) for n in (CUSTOMER, OTHER)]
        assert await post_wa(house, wa_body(messages=bodies)) == 200
        await house.until(lambda: scene.calls("echo both"))
        [call] = scene.calls("echo both")
        late = OTHER if call.to == CUSTOMER[1:] else CUSTOMER
        _, found = await house.api("GET", f"/conversations?q=%2B{late[1:]}")
        path = f"/conversations/{found['items'][0]['id']}/messages"
        status, _ = await house.api("POST", path, {"text": "An agent here.", "channel": "wa"})
        assert status == 201
        await scene.quiet()
        assert len(scene.calls("echo both")) == 1
        assert await house.heard("wa", late) == ["echo open", "An agent here."]
