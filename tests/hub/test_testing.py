"""The test kit says what is wrong with a dialog or a script, and lets a right one pass."""

import io
import random
import re
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from hub.chat import Button, Chat, Dialog, Message, Say, TimedOut, dialog
from hub.clock import HOUR, Clock
from hub.errors import SettingsError
from hub.testing import talk
from hub.testing.terminal import converse


@dialog("pizza", on=["pizza"])
async def pizza(chat: Chat) -> None:
    try:
        size = await chat.ask("What size?", buttons=["S", "M"], timeout=timedelta(hours=1))
    except TimedOut:
        size = await chat.ask("Still there?", timeout=timedelta(hours=1))
    await chat.say(f"One {size.text}")


async def test_time_is_moved_by_hand() -> None:
    clock = Clock()
    before = clock.offset
    async with talk(pizza, clock=clock) as t:
        await t.says("pizza")
        t.hears("What size?", "S", "M")
        await t.later(minutes=59)
        await t.later(minutes=1)
        t.hears("Still there?")
        await t.later(hours=2)
        t.ends()
    assert clock.offset - before == 3 * HOUR


async def test_time_outs_that_follow_each_other() -> None:
    async with talk(pizza) as t:
        await t.says("pizza")
        t.hears("What size?", "S", "M")
        await t.later(days=1)
        t.hears("Still there?")
        t.ends()


async def test_an_agent_gives_back() -> None:
    async with talk(pizza) as t:
        await t.says("pizza")
        t.hears("What size?", "S", "M")
        await t.resumes()
        t.hears("What size?", "S", "M")
        await t.taps("M")
        t.hears(re.compile(r"One \w"))


@pytest.mark.parametrize(
    ("text", "buttons", "complaint"),
    [
        ("What size", ("S", "M"), r"heard: 'What size\?' \[S\] \[M\]\nexpected: 'What size' \[S\]"),
        ("What size?", (), "expected"),
        ("What size?", ("M", "S"), "expected"),
    ],
)
async def test_hearing_something_else(text: str, buttons: tuple[str, ...], complaint: str) -> None:
    async with talk(pizza) as t:
        await t.says("pizza")
        with pytest.raises(AssertionError, match=complaint):
            t.hears(text, *buttons)


async def test_what_is_not_heard_is_told() -> None:
    with pytest.raises(AssertionError, match=r"not heard at the end:\n  'What size\?' \[S\] \[M\]"):
        async with talk(pizza) as t:
            await t.says("pizza")
    t = talk(pizza)
    await t.says("pizza")
    with pytest.raises(AssertionError, match="not heard before the customer speaks again"):
        await t.says("M")
    assert [one.message.text for one in t.transcript if isinstance(one, Say)] == ["What size?"]


async def test_other_wrong_scripts() -> None:
    async with talk(pizza) as t:
        with pytest.raises(AssertionError, match="nothing more was said"):
            t.hears("What size?")
        with pytest.raises(AssertionError, match="has not begun"):
            await t.resumes()
        await t.says("pizza")
        t.hears("What size?", "S", "M")
        with pytest.raises(AssertionError, match="no button 'L'"):
            await t.taps("L")
        with pytest.raises(AssertionError, match="has not ended"):
            t.ends()
        with pytest.raises(AssertionError, match="not handed over"):
            t.hands_over()
        await t.says("S")
        t.hears("One S")
        with pytest.raises(AssertionError, match="has ended"):
            await t.says("M")


async def test_what_a_dialog_raises_is_raised() -> None:
    @dialog("broken")
    async def broken(chat: Chat) -> None:
        raise ZeroDivisionError("in the dialog")

    async with talk(broken) as t:
        with pytest.raises(ZeroDivisionError, match="in the dialog"):
            await t.says("hi")


def throw_dice() -> Dialog:
    @dialog("dice")
    async def dice(chat: Chat) -> None:
        await chat.say(f"{random.random()}")

    return dice


def forget() -> Dialog:
    turns = iter(range(100))

    @dialog("forgetful")
    async def forgetful(chat: Chat) -> None:
        if next(turns) % 3 == 2:
            await chat.say("a")
        await chat.ask("?")

    return forgetful


def call_the_second_time() -> Dialog:
    turns = iter(range(100))

    async def step() -> None: ...

    @dialog("late")
    async def late(chat: Chat) -> None:
        if next(turns):
            await chat.call(step)

    return late


@pytest.mark.parametrize("make", [throw_dice, forget, call_the_second_time])
async def test_what_is_not_deterministic_fails_at_once(make: Callable[[], Dialog]) -> None:
    with pytest.raises(AssertionError, match=r"replayed|come back|second time"):
        async with talk(make()) as t:
            await t.says("hi")


async def test_restarts() -> None:
    @dialog("rounds")
    async def rounds(chat: Chat) -> None:
        done = chat.state.get("done", 0)
        assert isinstance(done, int)
        await chat.ask(f"round {done}?")
        await chat.restart(done=done + 1)

    async with talk(rounds) as t:
        await t.says("hi")
        for number in range(3):
            t.hears(f"round {number}?")
            await t.says("next")
        t.hears("round 3?")


async def test_a_dialog_that_only_restarts_fails() -> None:
    @dialog("spinning")
    async def spinning(chat: Chat) -> None:
        await chat.restart()

    with pytest.raises(AssertionError, match="without asking"):
        async with talk(spinning) as t:
            await t.says("hi")


async def test_the_terminal() -> None:
    page = io.StringIO()
    await converse("order_status", lines=io.StringIO("abc\n\n9999\n৪৪১১\n"), out=page)
    assert page.getvalue().splitlines() == [
        "What is your order number?",
        "That does not look like an order number.",
        "",
        "What is your order number?",
        "I cannot find order 9999. Please check the number and send it again.",
        *Message.of("আপনার ৪৪১১ নম্বর অর্ডারটি পথে আছে। বৃহস্পতিবার পৌঁছানোর কথা।").text.splitlines(),
        "(the dialog has ended)",
    ]


async def test_the_terminal_numbers_buttons_and_tells_how_it_ends() -> None:
    page = io.StringIO()
    await converse("welcome", language="bn", lines=io.StringIO("2\n"), out=page)
    assert page.getvalue().splitlines()[1:4] == [
        Message.of(line).text
        for line in ("   1. আমার অর্ডার কোথায়?", "   2. কথা বলতে চাই", "   3. অন্য প্রশ্ন")
    ]
    assert page.getvalue().endswith("(handed over to the agents: Asked to talk to a person.)\n")


async def test_the_terminal_ends_with_its_input_and_times_out() -> None:
    @dialog("links")
    async def links(chat: Chat) -> None:
        site = Button(id="x", title="Shop", url="https://shop.example")
        await chat.ask("?", buttons=[site, "A"], timeout=timedelta(seconds=0.01))

    page = io.StringIO()
    await converse(pizza, lines=io.StringIO(""), out=page)
    assert page.getvalue() == "What size?\n   1. S\n   2. M\n"

    class Silent(io.StringIO):
        def readline(self, size: int = -1) -> str:  # type: ignore[override]  # positional there
            time.sleep(0.5)
            return ""

    page = io.StringIO()
    await converse(links, lines=Silent(), out=page)
    assert page.getvalue() == (
        "?\n   Shop: https://shop.example\n   1. A\n(the dialog has ended)\n"
    )


async def test_the_terminal_names_the_dialogs_there_are() -> None:
    with pytest.raises(SettingsError, match=r"no dialog named nope; there are .*welcome"):
        await converse("nope", lines=io.StringIO(""))
