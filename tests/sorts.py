"""A dialog that says one message of each hard sort, for the tests of a whole hub."""

from hub.chat import Chat, dialog
from hub.message import Button, Media, Message, Place, TemplateUse

CAPTION = ("আপনার অর্ডারের ছবি, আপা। দেখে জানাবেন। " * 60)[:2000].strip()
LONG = ("আমার সোনার বাংলা, আমি তোমায় ভালোবাসি। 👨‍👩‍👧‍👦 চিরদিন তোমার আকাশ, ক্ষুব্ধ স্রোত। " * 200)[:9000].strip()
PLACE = Place(latitude=23.780573, longitude=90.279239, name="দোকান", address="মিরপুর ১০, ঢাকা")
READY = TemplateUse(name="order_ready", language="bn", variables={"1": "১৭"})
MEBIBYTE = 1024 * 1024


class Files:
    """Where the files lie that the dialog sends; set by the test."""

    url = ""


def options(count: int) -> tuple[Button, ...]:
    return tuple(Button(id=f"opt-{n}", title=f"বিকল্প {n}") for n in range(1, count + 1))


def message_of(sort: str) -> Message:
    """The message of a sort."""
    if sort in ("five", "twelve"):
        return Message.of("কোনটা চান?", buttons=options({"five": 5, "twelve": 12}[sort]))
    if sort == "place":
        return Message.of(place=PLACE)
    if sort == "long":
        return Message.of(LONG)
    if sort == "template":
        return Message.of("আপনার ১৭ নম্বর অর্ডার তৈরি।", template=READY)
    media = {
        "picture": Media(kind="image", mime="image/png", source_url=f"{Files.url}/a.png"),
        "voice": Media(kind="voice", mime="audio/ogg", source_url=f"{Files.url}/v.ogg", voice=True),
        "file": Media(
            kind="file",
            mime="application/pdf",
            name="চালান.pdf",
            size=30 * MEBIBYTE,
            source_url=f"{Files.url}/big.pdf",
        ),
    }[sort]
    return Message.of(CAPTION if sort == "picture" else "", media=(media,))


@dialog("sorts")
async def sorts(chat: Chat) -> None:
    sort = chat.opening.text.removeprefix("send ")
    if sort in ("five", "twelve"):
        answer = await chat.ask(message_of(sort))
        await chat.say(f"got {answer.choice.id if answer.choice else answer.text}")
    elif sort != "hello":
        await chat.say(message_of(sort))
