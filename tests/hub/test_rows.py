"""What of a message a row keeps, and that it comes back the same."""

import pytest

from hub.message import Button, Format, Media, Message
from hub.store.rows import content_of, message_of


@pytest.mark.parametrize(
    "message",
    [
        Message.of("হ্যালো"),
        Message.of("hi", buttons=(Button(id="y", title="Yes"),)),
        Message.of("hi", forwarded=True),
        Message.of("hi", standby=True),
        Message.of("hi", subject="অর্ডার ১৭"),
        Message.of("bold", formats=(Format(type="bold", start=0, length=4),)),
        Message.of("hi", html="<p>hi</p>"),
        Message.of("one of three", media=(Media(kind="image"),), album="13"),
        Message.of("one of three", album="13"),
    ],
)
def test_a_row_keeps_the_whole_message(message: Message) -> None:
    row = {"text": message.text, "kind": message.kind, "content": content_of(message)}
    assert message_of(row) == message


def test_plain_text_has_no_content() -> None:
    assert content_of(Message.of("hi")) is None
