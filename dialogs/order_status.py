"""Where is my order: asks for the number, looks it up, says the state and the expected day."""

import json
import re
from pathlib import Path

from hub.chat import Again, Chat, Message, ascii_digits, dialog

SAMPLE_ORDERS = Path(__file__).with_name("sample_orders.json")
TRIES = 3
# Longer ones are phone numbers.
NUMBER = re.compile(r"(?<!\d)\d{3,10}(?!\d)")

STATES = {
    "packing": ("is being packed", "প্যাক করা হচ্ছে"),
    "on_the_way": ("is on its way", "পথে আছে"),
    "delivered": ("has been delivered", "পৌঁছে দেওয়া হয়েছে"),
    "cancelled": ("was cancelled", "বাতিল করা হয়েছে"),
}
DAYS = {
    "saturday": ("Saturday", "শনিবার"),
    "sunday": ("Sunday", "রবিবার"),
    "monday": ("Monday", "সোমবার"),
    "tuesday": ("Tuesday", "মঙ্গলবার"),
    "wednesday": ("Wednesday", "বুধবার"),
    "thursday": ("Thursday", "বৃহস্পতিবার"),
    "friday": ("Friday", "শুক্রবার"),
}


@dialog(
    "order_status",
    on=[
        "where is my order",
        "where's my order",
        "order status",
        "track my order",
        "track order",
        "আমার অর্ডার কোথায়",
        "অর্ডার কোথায়",
        "অর্ডারের অবস্থা",
        "অর্ডারের খবর",
        "amar order kothay",
        "order kothay",
        "order er obostha",
    ],
)
async def order_status(chat: Chat) -> None:
    await track_order(chat, chat.opening)


async def track_order(chat: Chat, heard: Message) -> None:
    """Tell of the order whose number stands in `heard`, or else is asked for."""
    number = find_number(heard)
    question = chat.text("What is your order number?", bn="আপনার অর্ডার নম্বর কত?")
    for _ in range(TRIES):
        number = number or await ask_number(chat, question)
        order = await chat.call(look_up_order, number)
        if order:
            await tell(chat, number, order)
            return
        question = chat.text(
            f"I cannot find order {number}. Please check the number and send it again.",
            bn=f"{chat.digits(number)} নম্বরের কোনো অর্ডার পাচ্ছি না। নম্বরটি দেখে আবার পাঠান।",
        )
        number = ""
    await chat.say(
        chat.text(
            "I cannot find that one either. A colleague will look for it and answer you here.",
            bn="এটিও পাচ্ছি না। আমাদের একজন সহকর্মী খুঁজে দেখে এখানেই আপনাকে জানাবেন।",
        )
    )
    await chat.hand_over("No order under the numbers the customer gave.")


async def ask_number(chat: Chat, question: str) -> str:
    def read(message: Message) -> str:
        number = find_number(message)
        if not number:
            raise Again(
                chat.text(
                    "That does not look like an order number.",
                    bn="এটি অর্ডার নম্বর বলে মনে হচ্ছে না।",
                )
            )
        return number

    return await chat.ask(question, check=read)


async def tell(chat: Chat, number: str, order: dict[str, str]) -> None:
    state_en, state_bn = STATES[order["state"]]
    english = f"Order {number} {state_en}."
    bangla = f"আপনার {chat.digits(number)} নম্বর অর্ডারটি {state_bn}।"
    if "expected" in order:
        day_en, day_bn = DAYS[order["expected"]]
        english += f" It should arrive on {day_en}."
        bangla += f" {day_bn} পৌঁছানোর কথা।"
    await chat.say(chat.text(english, bn=bangla))


async def look_up_order(number: str) -> dict[str, str]:
    """The order under `number` in the sample book, empty when there is none."""
    orders: dict[str, dict[str, str]] = json.loads(SAMPLE_ORDERS.read_text(encoding="utf-8"))
    return orders.get(number, {})


def find_number(message: Message) -> str:
    """An order number in what was written, in either script's digits; "" for none."""
    found = NUMBER.search(ascii_digits(message.text))
    return found[0] if found else ""
