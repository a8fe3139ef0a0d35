from dataclasses import replace
from datetime import timedelta

import pytest

from hub import i18n
from hub.chat import Again, Button, Chat, Customer, HandOver, Message, Say, dialog
from hub.chat import TimedOut as AskTimedOut
from hub.message import Choice
from hub.replay import Answered, Cancelled, Done, HandedOver, TimedOut, Waiting
from tests.hub.replaying import CUSTOMER, Run


@dialog("pizza")
async def pizza(chat: Chat) -> None:
    await chat.say("Pizza!")
    await chat.ask("What size?", buttons=["S", "M"], timeout=timedelta(minutes=5))


async def test_only_the_time_out_of_the_open_question_counts() -> None:
    run = Run(pizza)
    await run.start()
    stale = await run.turn(TimedOut(1))
    assert isinstance(stale.outcome, Waiting)
    assert stale.outcome.step == 2
    assert (stale.commands, stale.entries) == ((), ())
    assert await run.take(TimedOut(2)) == Done()
    assert run.said == ["Pizza!", "What size?"]


async def test_a_time_out_is_raised_at_the_ask_and_replayed() -> None:
    @dialog("patient")
    async def patient(chat: Chat) -> None:
        try:
            await chat.ask("First?", timeout=timedelta(seconds=10))
        except AskTimedOut:
            await chat.say("Still there?")
        await chat.ask("Second?")
        await chat.say("Thanks")

    run = Run(patient)
    await run.start()
    await run.take(TimedOut(1))
    assert await run.answer("yes") == Done()
    assert run.said == ["First?", "Still there?", "Second?", "Thanks"]


def small(message: Message) -> int:
    if not message.text.isdigit():
        raise Again("A number, please.")
    if int(message.text) > 9:
        raise ValueError("At most 9.")
    return int(message.text)


@dialog("counts")
async def counts(chat: Chat) -> None:
    number = await chat.ask("How many?", buttons=["One"], check=small)
    await chat.say(f"{number + 1}")
    await chat.ask("Note?")


async def test_a_check_asks_again_with_its_reason() -> None:
    run = Run(counts)
    await run.start()
    assert isinstance(await run.answer("many"), Waiting)
    waiting = await run.answer("12")
    assert isinstance(waiting, Waiting)
    assert [option.title for option in waiting.options] == ["One"]
    await run.answer("3")
    assert run.said == [
        "How many?",
        "A number, please.\n\nHow many?",
        "At most 9.\n\nHow many?",
        "4",
        "Note?",
    ]


@pytest.mark.parametrize("language", ["en", "bn"])
async def test_three_failed_checks_go_to_the_agents(language: str) -> None:
    customer = Customer("c1", language=language)
    run = Run(counts, customer=customer)
    await run.start()
    for text in ("many", "more"):
        assert isinstance(await run.answer(text, customer), Waiting)
    turn = await run.turn(Answered(Message.of("most"), customer, "wa"))
    note = "No valid answer to: How many?"
    assert turn.outcome == HandedOver(note)
    assert turn.commands == (
        Say(Message.of(i18n.text("handing_over", language))),
        HandOver(note),
    )


async def test_what_python_says_of_a_bad_number_is_not_said_to_the_customer() -> None:
    @dialog("raw")
    async def raw(chat: Chat) -> None:
        await chat.ask("How many?", check=lambda message: int(message.text))

    run = Run(raw)
    await run.start()
    await run.answer("abc")
    assert run.said[-1] == "Sorry, I did not understand that.\n\nHow many?"


@pytest.mark.parametrize(
    ("text", "language"), [("cancel", "en"), ("বাতিল", "bn"), ("bad din", "bn")]
)
async def test_a_cancel_word_ends_the_run(text: str, language: str) -> None:
    run = Run(pizza)
    await run.start()
    assert await run.answer(text, replace(CUSTOMER, language=language)) == Cancelled()
    assert run.said[-1] == i18n.text("cancelled", language)


async def test_a_button_that_says_cancel_is_an_answer() -> None:
    @dialog("sure")
    async def sure(chat: Chat) -> None:
        answer = await chat.ask("Cancel the order?", buttons=[Button(id="no", title="Stop")])
        assert answer.choice
        await chat.say(answer.choice.id)

    for message in (
        Message.of("stop"),
        Message.of(choice=Choice(type="button", id="no", title="Stop")),
    ):
        run = Run(sure)
        await run.start()
        assert await run.take(Answered(message, CUSTOMER, "wa")) == Done()
        assert run.said[-1] == "no"
