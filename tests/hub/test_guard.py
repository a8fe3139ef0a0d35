"""What an author does wrong ends the turn as Failed, with a text that says what to do."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest
from pydantic import JsonValue

from hub.chat import Button, Chat, Dialog, DialogMisuse, Message, Say, dialog
from hub.errors import LeaseLost
from hub.replay import Answered, Done, Failed, Started, Turn, Waiting, replay
from tests.hub.replaying import CUSTOMER, Run

Body = Callable[[Chat], Awaitable[object]]


def make(body: Body) -> Dialog:
    @dialog("wrong")
    async def wrong(chat: Chat) -> None:
        await body(chat)

    return wrong


async def nothing() -> None: ...


async def misuse_of(body: Body) -> str:
    turn = await Run(make(body)).turn(Started())
    assert isinstance(turn.outcome, Failed), turn
    assert isinstance(turn.outcome.error, DialogMisuse), turn
    return str(turn.outcome.error)


async def test_a_forgotten_await_before_another_operation() -> None:
    async def body(chat: Chat) -> None:
        chat.say("a")  # type: ignore[unused-coroutine]  # the mistake under test
        await chat.ask("b")

    assert "chat.say before chat.ask has no await" in await misuse_of(body)


async def test_a_forgotten_await_at_the_end() -> None:
    async def body(chat: Chat) -> None:
        chat.say("a")  # type: ignore[unused-coroutine]  # the mistake under test

    assert "chat.say has no await" in await misuse_of(body)


async def test_gather() -> None:
    async def body(chat: Chat) -> None:
        await asyncio.gather(chat.ask("a"), chat.ask("b"))

    assert "one gather" in await misuse_of(body)


async def test_an_operation_in_a_task() -> None:
    async def body(chat: Chat) -> None:
        await asyncio.create_task(chat.say("a"))

    assert "a task" in await misuse_of(body)
    await asyncio.sleep(0)


async def test_an_operation_inside_the_step_of_a_call() -> None:
    async def body(chat: Chat) -> None:
        async def step() -> None:
            await chat.say("a")

        await chat.call(step)

    assert "chat.say while chat.call is open" in await misuse_of(body)


async def test_an_operation_in_a_task_while_a_call_is_open() -> None:
    async def body(chat: Chat) -> None:
        async def step() -> None:
            await asyncio.create_task(speak(chat))

        await chat.call(step)

    async def speak(chat: Chat) -> None:
        await chat.say("a")

    run = Run(make(body))
    turn = await run.turn(Started())
    assert isinstance(turn.outcome, Failed)
    assert "a task of its own" in str(turn.outcome.error)
    assert run.journal == {}


@pytest.mark.parametrize("wait", [lambda: asyncio.sleep(0), lambda: asyncio.sleep(9)])
async def test_awaiting_something_of_its_own(wait: Callable[[], Awaitable[None]]) -> None:
    async def body(chat: Chat) -> None:
        try:
            await wait()
        except Exception:
            await chat.say("swallowed")

    assert "put it in chat.call" in await misuse_of(body)


async def test_a_time_out_of_its_own_around_a_call() -> None:
    async def body(chat: Chat) -> None:
        async with asyncio.timeout(0.01):
            await chat.call(lambda: asyncio.sleep(5))

    assert "put time-outs inside its step" in await misuse_of(body)


async def test_a_bare_except() -> None:
    async def body(chat: Chat) -> None:
        try:
            await chat.ask("a")
        except BaseException:
            await chat.say("b")

    assert "catch Exception, nothing wider" in await misuse_of(body)


async def test_an_exception_group_around_the_signal() -> None:
    async def body(chat: Chat) -> None:
        async with asyncio.TaskGroup():
            await chat.ask("a")

    assert "catch Exception, nothing wider" in await misuse_of(body)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("own_wait", [True, False])
async def test_a_loop_that_catches_everything_is_given_up(own_wait: bool) -> None:
    async def body(chat: Chat) -> None:
        while True:
            with contextlib.suppress(BaseException):
                await (asyncio.sleep(1) if own_wait else chat.ask("a"))

    await misuse_of(body)


async def test_a_result_that_is_not_json_is_not_recorded() -> None:
    async def body(chat: Chat) -> None:
        async def step() -> object:
            return {1, 2}

        await chat.call(step)

    run = Run(make(body))
    outcome = await run.start()
    assert isinstance(outcome, Failed)
    assert "is not JSON" in str(outcome.error)
    assert 1 not in run.journal


async def test_a_restart_with_what_is_not_json() -> None:
    async def body(chat: Chat) -> None:
        await chat.restart(amount=float("nan"))

    assert "chat.restart takes JSON" in await misuse_of(body)


@pytest.mark.parametrize("text", ["", "\0"])
async def test_an_empty_message(text: str) -> None:
    assert "empty" in await misuse_of(lambda chat: chat.say(text))


async def test_buttons_of_one_id() -> None:
    question = Message.of("a", buttons=(Button(id="b1", title="A"),))
    assert "same id" in await misuse_of(lambda chat: chat.ask(question, buttons=["B"]))


async def test_what_a_finally_does_while_the_dialog_is_put_aside_does_nothing() -> None:
    seen: list[str] = []

    async def body(chat: Chat) -> None:
        try:
            await chat.ask("a")
        finally:
            await chat.say("cleaned up")
            seen.append("said")
            try:
                await chat.call(nothing)
            finally:
                seen.append("called")

    run = Run(make(body))
    turn = await run.turn(Started())
    assert isinstance(turn.outcome, Waiting)
    assert turn.commands == (Say(Message.of("a")),)
    assert seen == ["said", "called"]
    assert run.ran == []
    assert await run.start() == turn.outcome
    assert await run.answer("x") == Done()
    assert run.said == ["a", "cleaned up"]
    assert run.ran == ["nothing"]


async def test_no_coroutine_is_left_behind() -> None:
    closed: list[str] = []

    async def body(chat: Chat) -> None:
        try:
            await chat.ask("a")
        except GeneratorExit:
            closed.append("parked and collected")
            raise
        finally:
            closed.append("unwound")

    await Run(make(body)).turn(Started())
    assert closed == ["unwound"]


async def test_a_call_that_cannot_be_recorded_leaves_untouched() -> None:
    async def body(chat: Chat) -> None:
        for _ in range(3):
            try:
                await chat.call(nothing)
            except Exception:
                await chat.say("swallowed")

    lost = LeaseLost("another worker holds it")

    async def act(step: int, name: str, run: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        await run()
        raise lost

    run = Run(make(body))
    with pytest.raises(LeaseLost) as caught:
        await replay(run.dialog, {}, Started(), act, run.context)
    assert caught.value is lost


async def test_cancelling_the_worker_cancels_the_call() -> None:
    began = asyncio.Event()

    async def body(chat: Chat) -> None:
        async def hang() -> None:
            began.set()
            await asyncio.sleep(60)

        try:
            await chat.call(hang)
        except Exception:
            await chat.say("swallowed")

    run = Run(make(body))
    task = asyncio.create_task(run.turn(Started()))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert run.journal == {}


async def test_act_may_run_the_step_in_a_task_of_its_own() -> None:
    async def body(chat: Chat) -> None:
        await chat.say(await chat.call(speak))

    async def speak() -> str:
        await asyncio.sleep(0)
        return "spoken"

    async def act(step: int, name: str, run: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_await(run))
        return task.result()

    run = Run(make(body))
    turn: Turn = await replay(run.dialog, {}, Started(), act, run.context)
    assert turn.outcome == Done()
    assert turn.commands == (Say(Message.of("spoken")),)


async def _await(run: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
    return await run()


async def test_two_turns_at_once_do_not_meet() -> None:
    async def body(chat: Chat) -> None:
        await chat.ask("a")
        await chat.call(lambda: asyncio.sleep(0.01))
        await chat.say("b")

    runs = [Run(make(body)) for _ in range(20)]
    await asyncio.gather(*(run.start() for run in runs))
    answer = Answered(Message.of("x"), CUSTOMER, "wa")
    assert await asyncio.gather(*(run.take(answer) for run in runs)) == [Done()] * 20
