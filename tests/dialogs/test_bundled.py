"""The bundled dialogs in both languages, word for word."""

import json
from dataclasses import replace

import pytest

from dialogs.order_status import DAYS, SAMPLE_ORDERS, STATES, order_status
from dialogs.talk_to_human import talk_to_human
from dialogs.welcome import welcome
from hub import i18n
from hub.chat import Message, collect
from hub.testing import talk
from hub.trigger import find_dialog

MENU = ("Where is my order?", "Talk to a person", "Another question")
MENU_BN = ("আমার অর্ডার কোথায়?", "কথা বলতে চাই", "অন্য প্রশ্ন")
ON_ITS_WAY = "Order 4411 is on its way. It should arrive on Thursday."
ON_ITS_WAY_BN = "আপনার ৪৪১১ নম্বর অর্ডারটি পথে আছে। বৃহস্পতিবার পৌঁছানোর কথা।"


def bangla(text: str) -> str:
    return Message.of(text).text


async def test_order_status() -> None:
    async with talk(order_status) as t:
        await t.says("Where is my order?")
        t.hears("What is your order number?")
        await t.says("it is #4411")
        t.hears(ON_ITS_WAY)
        t.ends()


async def test_order_status_in_bangla() -> None:
    async with talk(order_status, language="bn") as t:
        await t.says("আমার অর্ডার কোথায়?")
        t.hears(bangla("আপনার অর্ডার নম্বর কত?"))
        await t.says("৪৪১১")
        t.hears(bangla(ON_ITS_WAY_BN))
        t.ends()


async def test_order_status_with_the_number_at_once() -> None:
    async with talk(order_status) as t:
        await t.says("where is my order ৪৪১৩?")
        t.hears("Order 4413 has been delivered.")
        t.ends()


async def test_order_status_goes_on_where_she_answers_and_in_her_language() -> None:
    async with talk(order_status, channel="sms") as t:
        await t.says("order status")
        t.hears("What is your order number?")
        t.customer = replace(t.customer, language="bn")
        await t.says("৪৪১১", channel="whatsapp")
        t.hears(bangla(ON_ITS_WAY_BN))


async def test_order_status_asks_again() -> None:
    async with talk(order_status) as t:
        await t.says("order status")
        t.hears("What is your order number?")
        await t.says("I do not know, call 01711234567")
        t.hears("That does not look like an order number.\n\nWhat is your order number?")
        await t.says("9999")
        t.hears("I cannot find order 9999. Please check the number and send it again.")
        await t.says("4412")
        t.hears("Order 4412 is being packed. It should arrive on Saturday.")
        t.ends()


async def test_order_status_gives_up_after_three_unknown_numbers() -> None:
    async with talk(order_status, language="bn") as t:
        await t.says("order status 9991")
        for number, shown in (("9992", "৯৯৯১"), ("9993", "৯৯৯২")):
            t.hears(bangla(f"{shown} নম্বরের কোনো অর্ডার পাচ্ছি না। নম্বরটি দেখে আবার পাঠান।"))
            await t.says(number)
        t.hears(bangla("এটিও পাচ্ছি না। আমাদের একজন সহকর্মী খুঁজে দেখে এখানেই আপনাকে জানাবেন।"))
        t.hands_over("No order under the numbers the customer gave.")


async def test_order_status_can_be_cancelled() -> None:
    async with talk(order_status, language="bn") as t:
        await t.says("order status")
        t.hears(bangla("আপনার অর্ডার নম্বর কত?"))
        await t.says("থাক, লাগবে না")
        t.hears(bangla("ঠিক আছে, বাতিল করা হলো। যেকোনো সময় আমাদের লিখুন।"))


def test_every_sample_order_can_be_told() -> None:
    orders = json.loads(SAMPLE_ORDERS.read_text("utf-8"))
    assert orders
    assert {order["state"] for order in orders.values()} == set(STATES)
    assert {order["expected"] for order in orders.values() if "expected" in order} <= set(DAYS)


async def test_welcome_greets_by_name_in_one_message() -> None:
    async with talk(welcome, name="Mitu") as t:
        await t.says("good evening")
        t.hears("Hello Mitu! How can we help you?", *MENU)
        await t.taps("Where is my order?")
        t.hears("What is your order number?")
        await t.says("4411")
        t.hears(ON_ITS_WAY)
        t.ends()


async def test_welcome_in_bangla_by_the_number_typed() -> None:
    async with talk(welcome, name="মিতু", language="bn") as t:
        await t.says("সালাম")
        t.hears(bangla("হ্যালো মিতু! কীভাবে সাহায্য করতে পারি?"), *map(bangla, MENU_BN))
        await t.says("১")
        t.hears(bangla("আপনার অর্ডার নম্বর কত?"))
        await t.says("৪৪১১")
        t.hears(bangla(ON_ITS_WAY_BN))


async def test_welcome_without_a_name() -> None:
    async with talk(welcome) as t:
        await t.says("hi")
        t.hears("Hello! How can we help you?", *MENU)


@pytest.mark.parametrize("said", ["can I talk to a person please", "2", "Talk to a person!"])
async def test_welcome_understands_words_too(said: str) -> None:
    async with talk(welcome) as t:
        await t.says("hi")
        t.hears("Hello! How can we help you?", *MENU)
        await t.says(said)
        t.hears("Of course. A colleague will answer you right here.")
        t.hands_over("Asked to talk to a person.")


async def test_welcome_takes_the_number_written_with_the_question() -> None:
    async with talk(welcome) as t:
        await t.says("hi")
        t.hears("Hello! How can we help you?", *MENU)
        await t.says("where is my order 4411")
        t.hears(ON_ITS_WAY)


async def test_welcome_takes_another_question() -> None:
    async with talk(welcome) as t:
        await t.says("hi")
        t.hears("Hello! How can we help you?", *MENU)
        await t.taps("Another question")
        t.hears("What would you like to know? Write it in your own words.")
        await t.says("Do you deliver to Sylhet?")
        t.hears("Thank you. A colleague will answer you right here.")
        t.hands_over("Has a question that the menu does not answer.")


@pytest.mark.parametrize("language", ["en", "bn"])
async def test_welcome_asks_once_more_and_then_hands_over(language: str) -> None:
    async with talk(welcome, language=language) as t:
        menu = MENU if language == "en" else tuple(map(bangla, MENU_BN))
        await t.says("?")
        greeting = {"en": "Hello! How can we help you?", "bn": "হ্যালো! কীভাবে সাহায্য করতে পারি?"}
        t.hears(bangla(greeting[language]), *menu)
        await t.says("purple")
        again = {
            "en": "Sorry, I did not understand that. Please choose one:",
            "bn": "দুঃখিত, কথাটা বুঝতে পারিনি। একটি বেছে নিন:",
        }
        t.hears(bangla(again[language]), *menu)
        await t.says("green")
        end = {
            "en": "Let me get a colleague. They will answer you right here.",
            "bn": "আমাদের একজন সহকর্মীকে জানাচ্ছি। তিনি এখানেই উত্তর দেবেন।",
        }
        t.hears(bangla(end[language]))
        t.hands_over("The menu did not help.")


async def test_talk_to_human_in_bangla() -> None:
    async with talk(talk_to_human, language="bn") as t:
        await t.says("একজন মানুষের সাথে কথা বলতে চাই")
        t.hears(bangla("অবশ্যই। আমাদের একজন সহকর্মী এখানেই আপনাকে উত্তর দেবেন।"))
        t.hands_over()


def test_menu_titles_fit_a_button_of_every_channel() -> None:
    assert max(len(bangla(title)) for title in MENU + MENU_BN) <= 20


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Where is my order?", "order_status"),
        ("hi, where's my order", "order_status"),
        ("ভাই আমার অর্ডার কোথায়", "order_status"),
        ("amar order kothay?", "order_status"),
        ("can i speak to a human", "talk_to_human"),
        ("প্রতিনিধির সাথে কথা বলব", "talk_to_human"),
        ("Hello", "welcome"),
        ("হ্যালো", "welcome"),
        ("I would like a refund", None),
    ],
)
def test_what_starts_which(text: str, name: str | None) -> None:
    dialogs = collect(["dialogs"])
    found = find_dialog(dialogs, Message.of(text), i18n.detect(text) or "en")
    assert (found.name if found else None) == name
