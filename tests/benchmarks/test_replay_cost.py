"""What a replay costs: printed (pytest -s), never asserted."""

import time
from collections.abc import Awaitable, Callable
from statistics import median

from pydantic import JsonValue

from hub.chat import Chat, Message, dialog
from hub.replay import Answered, Context, Done, Entry, Resumed, Started, Waiting, replay
from tests.hub.replaying import CUSTOMER, Run

ROUNDS = 30


@dialog("long")
async def long(chat: Chat) -> None:
    while True:
        answer = await chat.ask(f"Hello {chat.customer.name}?", buttons=["A", "B", "C"])
        await chat.call(count, answer.text)
        await chat.say("Noted")


async def count(text: str) -> int:
    return len(text)


async def test_replay_cost() -> None:
    run = Run(long)
    await run.start()
    while len(run.journal) < 199:
        assert isinstance(await run.answer("2"), Waiting)
    journal = dict(run.journal)
    context = Context("run", CUSTOMER, "wa", Message(text="hi"))

    async def act(step: int, name: str, run: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        return await run()

    async def once(past: dict[int, Entry], event: Started | Resumed | Answered) -> float:
        began = time.perf_counter()
        turn = await replay(long, past, event, act, context)
        took = time.perf_counter() - began
        assert not isinstance(turn.outcome, Done)
        assert turn.commands
        return took * 1e6

    first = median([await once({}, Started()) for _ in range(ROUNDS)])
    full = median([await once(journal, Resumed()) for _ in range(ROUNDS)])
    print(f"\nfirst turn {first:.0f} us; {len(journal)}-step journal {full:.0f} us")
