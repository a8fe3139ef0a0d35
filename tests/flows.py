"""Dialogs for the loop's tests: small, and with steps a test can hold and count."""

import asyncio
from datetime import timedelta

from hub.chat import Chat, TimedOut, dialog
from hub.message import Media, Message


class Bench:
    """What the steps of these dialogs did, and the gate that some of them wait at."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.go = asyncio.Event()

    def reset(self) -> None:
        self.calls.clear()
        self.go = asyncio.Event()


bench = Bench()


async def note(what: str) -> str:
    bench.calls.append(what)
    return f"noted {what}"


async def wait_for_go(what: str) -> str:
    bench.calls.append(what)
    await bench.go.wait()
    return f"went {what}"


@dialog("echo")
async def echo(chat: Chat) -> None:
    await chat.say(f"echo {chat.opening.text}")


@dialog("hold", on=["hold on"])
async def hold(chat: Chat) -> None:
    await chat.say("holding")
    await chat.say(await chat.call(wait_for_go, "hold"))


@dialog("two_steps", on=["two steps please"])
async def two_steps(chat: Chat) -> None:
    first = await chat.call(note, "first")
    await chat.say(f"{first}, {await chat.call(wait_for_go, 'second')}")


@dialog("order", on=["my order"])
async def order(chat: Chat) -> None:
    number = await chat.ask("Which order?")
    await chat.say(await chat.call(note, number.text))


@dialog("held_order", on=["my held order"])
async def held_order(chat: Chat) -> None:
    number = await chat.ask("Which held order?")
    await chat.say(await chat.call(wait_for_go, number.text))


@dialog("talkative", on=["tell me much"])
async def talkative(chat: Chat) -> None:
    for number in range(5):
        await chat.say(f"line {number}")


@dialog("broken", on=["break please"])
async def broken(chat: Chat) -> None:
    await chat.say("about to break")
    raise ValueError("the customer wrote: break please")


@dialog("unsendable", on=["send what cannot go"])
async def unsendable(chat: Chat) -> None:
    await chat.say(Message.of(media=(Media(kind="file", size=2**40),)))


@dialog("poison", on=["poison please"])
async def poison(chat: Chat) -> None:
    noted = await chat.call(note, "poison")
    await chat.say(f"poisoned reply, {noted}")


@dialog("person", on=["a person please"])
async def person(chat: Chat) -> None:
    await chat.say("A colleague will answer.")
    await chat.hand_over("Asked for a person.", team="sales")


@dialog("patient", on=["ask me slowly"])
async def patient(chat: Chat) -> None:
    try:
        answer = await chat.ask("Take your time.", timeout=timedelta(hours=1))
    except TimedOut:
        await chat.say("Time is over.")
        return
    await chat.say(f"In time: {answer.text}")


@dialog("overdue", on=["ask me tomorrow"])
async def overdue(chat: Chat) -> None:
    try:
        await chat.ask("Sleep over it.", timeout=timedelta(hours=25))
    except TimedOut:
        await chat.say("A day has passed.")


@dialog("endless", on=["never end"])
async def endless(chat: Chat) -> None:
    while True:
        await chat.call(note, "step")


@dialog("counter", on=["count with me"])
async def counter(chat: Chat) -> None:
    count = int(str(chat.state.get("count", 0)))
    answer = await chat.ask(f"At {count}. More?")
    if answer.text == "enough":
        await chat.say(f"Counted to {count}.")
        return
    await chat.restart(count=count + 1)
