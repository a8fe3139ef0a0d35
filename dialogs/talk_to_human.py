"""A person, please: says that one will answer, and hands the conversation to the agents."""

from hub.chat import Chat, dialog


@dialog(
    "talk_to_human",
    on=[
        "talk to a person",
        "talk to a human",
        "talk to someone",
        "talk to an agent",
        "speak to a person",
        "speak to a human",
        "speak to someone",
        "human",
        "agent",
        "মানুষের সাথে কথা",
        "মানুষের সঙ্গে কথা",
        "প্রতিনিধির সাথে কথা",
        "প্রতিনিধির সঙ্গে কথা",
        "কথা বলতে চাই",
        "manusher sathe kotha",
        "manusher shathe kotha",
        "kotha bolte chai",
    ],
)
async def talk_to_human(chat: Chat) -> None:
    await chat.say(
        chat.text(
            "Of course. A colleague will answer you right here.",
            bn="অবশ্যই। আমাদের একজন সহকর্মী এখানেই আপনাকে উত্তর দেবেন।",
        )
    )
    await chat.hand_over("Asked to talk to a person.")
