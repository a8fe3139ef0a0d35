from dataclasses import replace
from datetime import timedelta

import pytest

from hub.chat import Button, CallFailed, Chat, Customer, HandOver, Message, Say, dialog
from hub.chat import TimedOut as AskTimedOut
from hub.errors import LeaseLost
from hub.replay import (
    Answered,
    Done,
    Entry,
    Failed,
    HandedOver,
    Mismatch,
    Restarted,
    Resumed,
    Started,
    TimedOut,
    Waiting,
)
from tests.hub.replaying import CUSTOMER, Run

MITU = {"id": "c1", "name": "Mitu", "language": "en"}
TWO = {"text": "২", "kind": "choice", "choice": {"type": "button", "id": "b2", "title": "M"}}


@dialog("pizza")
async def pizza(chat: Chat) -> None:
    await chat.say("Pizza!")
    size = await chat.ask("What size?", buttons=["S", "M"], timeout=timedelta(minutes=5))
    order = await chat.call(place, size.choice.title if size.choice else size.text)
    await chat.say(f"{order} for {chat.customer.name} on {chat.channel}")


async def place(size: str) -> str:
    return f"order of {size}"


async def test_a_dialog_says_asks_calls_and_ends() -> None:
    run = Run(pizza)
    options = (Button(id="b1", title="S"), Button(id="b2", title="M"))
    assert await run.start() == Waiting(2, options, 300.0)
    assert await run.answer("২", replace(CUSTOMER, name="Rumi"), "sms") == Done()
    assert run.said == ["Pizza!", "What size?", "order of M for Rumi on sms"]
    assert run.ran == ["place"]
    assert [run.journal[step].to_json() for step in range(5)] == [
        [0, "start", "pizza@1", {"customer": MITU, "channel": "wa"}],
        [1, "say"],
        [2, "ask", "", {"message": TWO, "customer": MITU | {"name": "Rumi"}, "channel": "sms"}],
        [3, "call", "place", {"value": "order of M"}],
        [4, "say"],
    ]


async def test_a_replay_sees_the_customer_as_each_event_did() -> None:
    seen: list[tuple[str, str]] = []

    @dialog("names")
    async def names(chat: Chat) -> None:
        seen.clear()
        for _ in range(3):
            await chat.ask("?")
            seen.append((chat.customer.name, chat.channel))

    run = Run(names)
    await run.start()
    await run.answer("a", Customer("c1", "A", "bn", "Asia/Dhaka", {"vip": True}), "sms")
    run.context = replace(run.context, customer=Customer("c1", "Z"), channel="z")
    await run.answer("b", Customer("c1", "A", "bn", "Asia/Dhaka", {"vip": True}), "sms")
    await run.answer("c", Customer("c1"), "wa")
    assert seen == [("A", "sms"), ("A", "sms"), ("", "wa")]


async def test_a_call_recorded_in_a_lost_turn_is_not_run_again() -> None:
    run = Run(pizza)
    await run.start()
    answer = Answered(Message.of("S"), CUSTOMER, "wa")
    lost = await run.turn(answer)
    turn = await run.turn(answer)
    assert (turn.commands, turn.outcome) == (lost.commands, lost.outcome)
    assert run.ran == ["place"]


async def test_what_a_lost_turn_recorded_on_another_way_does_not_count() -> None:
    @dialog("ways")
    async def ways(chat: Chat) -> None:
        try:
            await chat.ask("?", timeout=timedelta(hours=1))
        except AskTimedOut:
            await chat.call(remember)
            await chat.say("late")
        else:
            await chat.call(place, "S")
            await chat.say("in time")

    run = Run(ways)
    await run.start()
    await run.turn(TimedOut(1))
    assert await run.answer("S") == Done()
    assert run.said == ["?", "in time"]
    assert run.ran == ["remember", "place"]


async def remember() -> None: ...


async def test_an_agent_gives_back_and_the_question_is_asked_again() -> None:
    run = Run(pizza)
    waiting = await run.start()
    again = await run.turn(Resumed())
    assert again.outcome == waiting
    assert [one.message.text for one in again.commands if isinstance(one, Say)] == ["What size?"]
    assert again.entries == ()


async def test_hand_over_ends_the_run() -> None:
    @dialog("person")
    async def person(chat: Chat) -> None:
        await chat.say("One moment")
        await chat.hand_over("wants a refund", team="billing")

    turn = await Run(person).turn(Started())
    assert turn.outcome == HandedOver("wants a refund", "billing")
    assert turn.commands[-1] == HandOver("wants a refund", "billing")


async def test_restart_takes_state_along() -> None:
    @dialog("rounds")
    async def rounds(chat: Chat) -> None:
        done = chat.state.get("done", 0)
        assert isinstance(done, int)
        await chat.say(f"round {done}")
        await chat.restart(done=done + 1, names=["a"])

    run = Run(rounds)
    outcome = await run.start()
    assert outcome == Restarted({"done": 1, "names": ["a"]})
    run.context, run.journal = replace(run.context, state=outcome.state), {}
    await run.start()
    assert run.said == ["round 0", "round 1"]


async def test_sub_dialogs_share_the_journal() -> None:
    @dialog("outer")
    async def outer(chat: Chat) -> None:
        await pizza(chat)
        await chat.say("Bye")

    run = Run(outer)
    await run.start()
    assert await run.answer("S") == Done()
    assert run.said[-2:] == ["order of S for Mitu on wa", "Bye"]


async def test_the_step_key_names_the_step_in_the_argument_and_in_the_step() -> None:
    keys: list[str] = []

    @dialog("keys")
    async def key_dialog(chat: Chat) -> None:
        async def note(key: str) -> None:
            keys.extend([key, chat.step_key])

        await chat.say("a")
        await chat.call(note, chat.step_key)
        await chat.call(note, chat.step_key)

    await Run(key_dialog).start()
    assert keys == ["run:2", "run:2", "run:3", "run:3"]


async def test_a_failed_call_is_recorded_and_takes_the_same_way_in_a_replay() -> None:
    attempts: list[int] = []

    async def flaky() -> str:
        attempts.append(1)
        if len(attempts) == 1:
            raise ConnectionError("secret=hunter2")
        return "works now"

    @dialog("flaky")
    async def flaky_dialog(chat: Chat) -> None:
        try:
            await chat.say(await chat.call(flaky))
        except CallFailed as failed:
            await chat.say(failed.error)
        await chat.ask("?")
        await chat.say("end")

    run = Run(flaky_dialog)
    await run.start()
    assert await run.answer("x") == Done()
    assert run.said == ["ConnectionError", "?", "end"]
    assert "hunter2" not in str(run.journal)


async def test_an_uncaught_failure_keeps_its_cause_for_the_operators_log() -> None:
    async def broken() -> None:
        raise KeyError("x")

    @dialog("broken")
    async def broken_dialog(chat: Chat) -> None:
        await chat.call(broken)

    outcome = await Run(broken_dialog).start()
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error.__cause__, KeyError)


async def test_what_a_first_run_sees_of_a_result_is_what_a_replay_sees() -> None:
    seen: list[object] = []

    async def pair() -> tuple[int, dict[int, str]]:
        return 1, {2: "b"}

    @dialog("pairs")
    async def pairs(chat: Chat) -> None:
        seen.append(await chat.call(pair))
        await chat.ask("?")

    run = Run(pairs)
    await run.start()
    await run.answer("x")
    assert seen == [[1, {"2": "b"}]] * 2


async def test_lease_lost_passes_through_an_authors_except_exception() -> None:
    passed: list[str] = []

    @dialog("stubborn")
    async def stubborn(chat: Chat) -> None:
        try:
            await chat.call(place, "S")
        except Exception:
            passed.append("caught")
        finally:
            await chat.say("never said")
            passed.append("finally")

    run = Run(stubborn)
    lost = LeaseLost("another worker")

    async def act(step: int, name: str, run: object) -> None:
        raise lost

    run.act = act  # type: ignore[assignment, method-assign]  # the same call, refusing
    with pytest.raises(LeaseLost) as caught:
        await run.start()
    assert caught.value is lost
    assert passed == ["finally"]


@pytest.mark.parametrize(
    ("journal", "reason"),
    [
        ([Entry(0, "start", "pizza@2")], "start pizza@2"),
        ([Entry(0, "start", "pasta@1")], "start pasta@1"),
        ([Entry(0, "start", "pizza@1", {}), Entry(1, "ask", "", {})], "step 1"),
        ([Entry(0, "start", "pizza@1", {})], "open question"),
        (
            [
                Entry(0, "start", "pizza@1", {}),
                Entry(1, "say"),
                Entry(2, "ask", "", {"message": {"text": "S"}}),
                Entry(3, "call", "order", {"value": "x"}),
            ],
            "was call order and is now call place",
        ),
        (
            [
                Entry(0, "start", "pizza@1", {}),
                Entry(1, "say"),
                Entry(2, "ask", "", {"message": {"text": "S"}}),
                Entry(3, "call", "place", {"value": "x"}),
                Entry(4, "say"),
                Entry(5, "say"),
            ],
            "ends at step 5",
        ),
    ],
)
async def test_a_journal_of_other_code_is_a_mismatch(journal: list[Entry], reason: str) -> None:
    run = Run(pizza)
    run.journal = {entry.step: entry for entry in journal}
    turn = await run.turn(Answered(Message.of("S"), CUSTOMER, "wa"))
    assert isinstance(turn.outcome, Mismatch)
    assert reason in turn.outcome.reason
    assert turn.commands == ()


async def test_a_full_journal_says_what_to_do() -> None:
    @dialog("loops")
    async def loops(chat: Chat) -> None:
        while True:
            await chat.ask("?")

    run = Run(loops, cap=5)
    await run.start()
    for _ in range(3):
        assert isinstance(await run.answer("x"), Waiting)
    outcome = await run.answer("x")
    assert isinstance(outcome, Failed)
    assert "chat.restart" in str(outcome.error)


async def test_what_was_said_before_a_failure_is_in_the_turn() -> None:
    @dialog("fails")
    async def fails(chat: Chat) -> None:
        await chat.say("a")
        raise RuntimeError("b")

    turn = await Run(fails).turn(Started())
    assert isinstance(turn.outcome, Failed)
    assert turn.commands == (Say(Message.of("a")),)


async def test_what_no_database_stores_is_left_out_of_a_calls_result() -> None:
    seen: list[object] = []

    async def fetch() -> dict[str, object]:
        return {"a\0": ["b\0c", "\ud83d", "👩‍👩‍👧", r"\u0000", 1, None]}

    @dialog("strange")
    async def strange(chat: Chat) -> None:
        seen.append(await chat.call(fetch))

    assert await Run(strange).start() == Done()
    assert seen == [{"a": ["bc", "", "👩‍👩‍👧", r"\u0000", 1, None]}]
