"""The greeting and its menu; also what answers a message that starts no other dialog."""

from dialogs.order_status import order_status, track_order
from dialogs.talk_to_human import talk_to_human
from hub.chat import Button, Chat, Message, dialog


@dialog(
    "welcome",
    on=["hello", "hi", "hey", "start", "menu", "help", "হ্যালো", "হাই", "সালাম", "মেনু", "সাহায্য", "salam"],
)
async def welcome(chat: Chat) -> None:
    name = f" {chat.customer.name}" if chat.customer.name else ""
    greeting = chat.text(
        f"Hello{name}! How can we help you?", bn=f"হ্যালো{name}! কীভাবে সাহায্য করতে পারি?"
    )
    answer = await chat.ask(greeting, buttons=menu(chat))
    if not understand(answer):
        again = chat.text(
            "Sorry, I did not understand that. Please choose one:",
            bn="দুঃখিত, কথাটা বুঝতে পারিনি। একটি বেছে নিন:",
        )
        answer = await chat.ask(again, buttons=menu(chat))
    match understand(answer):
        case "order":
            await track_order(chat, answer)
        case "person":
            await talk_to_human(chat)
        case "other":
            await take_question(chat)
        case _:
            await chat.say(
                chat.text(
                    "Let me get a colleague. They will answer you right here.",
                    bn="আমাদের একজন সহকর্মীকে জানাচ্ছি। তিনি এখানেই উত্তর দেবেন।",
                )
            )
            await chat.hand_over("The menu did not help.")


def menu(chat: Chat) -> list[Button]:
    """Titles of at most 20 characters, so that three of them are buttons on every channel."""
    return [
        Button(id="order", title=chat.text("Where is my order?", bn="আমার অর্ডার কোথায়?")),
        Button(id="person", title=chat.text("Talk to a person", bn="কথা বলতে চাই")),
        Button(id="other", title=chat.text("Another question", bn="অন্য প্রশ্ন")),
    ]


def understand(answer: Message) -> str:
    """The id of the menu's line that was tapped, or whose dialog was asked for in words."""
    if answer.choice and answer.choice.id in ("order", "person", "other"):
        return answer.choice.id
    if order_status.matches(answer):
        return "order"
    return "person" if talk_to_human.matches(answer) else ""


async def take_question(chat: Chat) -> None:
    await chat.ask(
        chat.text(
            "What would you like to know? Write it in your own words.",
            bn="কী জানতে চান? নিজের মতো করে লিখুন।",
        )
    )
    await chat.say(
        chat.text(
            "Thank you. A colleague will answer you right here.",
            bn="ধন্যবাদ। আমাদের একজন সহকর্মী এখানেই আপনাকে উত্তর দেবেন।",
        )
    )
    await chat.hand_over("Has a question that the menu does not answer.")
