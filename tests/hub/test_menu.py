"""How a message's buttons are shown on channels of every ability."""

from dataclasses import replace

import pytest

from hub.compose import compose
from hub.connector import Limits
from hub.message import Button, Message
from tests.hub.test_compose import LATER, NO, SHOP, SMS, TELEGRAM, WHATSAPP, YES, buttons_of


def test_few_buttons_stay_native() -> None:
    said = Message.of("Sure?", buttons=(YES, NO, LATER))

    assert compose(said, WHATSAPP) == [said]


@pytest.mark.parametrize(
    "buttons",
    [
        buttons_of(4),
        (Button(id="a", title="Twenty-one characters"), NO),
        (YES.model_copy(update={"description": "Deliver it today"}), NO),
    ],
    ids=["too many", "title too long", "described"],
)
def test_what_buttons_cannot_show_becomes_a_list(buttons: tuple[Button, ...]) -> None:
    said = Message.of("Which?", buttons=buttons)

    assert compose(said, WHATSAPP) == [said]


def test_a_title_too_long_for_a_row_stands_whole_in_its_description() -> None:
    long = Button(id="a", title="Change the address of my delivery")
    told = Button(id="b", title="Send everything back to the shop", description="within 7 days")

    (part,) = compose(Message.of("What?", buttons=(long, told)), WHATSAPP)

    assert part.buttons == (
        Button(
            id="a",
            title="Change the address of…",
            description="Change the address of my delivery",
        ),
        Button(
            id="b",
            title="Send everything back to…",
            description="Send everything back to the shop: within 7 days",
        ),
    )
    assert all(len(row.title) <= 24 for row in part.buttons)


@pytest.mark.parametrize(
    ("buttons", "text"),
    [
        (buttons_of(11), "Which?\n" + "\n".join(f"{n}. Choice {n}" for n in range(1, 12))),
        (
            (
                Button(id="a", title="Change the address of my delivery"),
                Button(id="b", title="Change the address of my invoice"),
            ),
            "Which?\n1. Change the address of my delivery\n2. Change the address of my invoice",
        ),
        ((YES, Button(id="y2", title="yes")), "Which?\n1. Yes\n2. yes"),
        ((YES, Button(id="yes", title="No")), "Which?\n1. Yes\n2. No"),
        ((Button(id="আ" * 86, title="Long id"),), "Which?\n1. Long id"),
        ((Button(id="a", title="word " * 20),), "Which?\n1. " + " ".join(["word"] * 20)),
        ((Button(id="a", title="Two\nlines", description="d"), NO, SHOP), None),
    ],
    ids=["many", "cut alike", "same title", "same id", "long id", "long title", "tidied"],
)
def test_what_cannot_be_tapped_is_numbered(buttons: tuple[Button, ...], text: str | None) -> None:
    if text is None:
        (part,) = compose(Message.of("Which?", buttons=buttons), SMS)
        text = "Which?\nOur shop: https://shop.example/?a=1\n1. Two lines: d\n2. No"
    else:
        (part,) = compose(Message.of("Which?", buttons=buttons), WHATSAPP)

    assert part == Message.of(text)


def test_bangla_numbers_are_bangla() -> None:
    (part,) = compose(Message.of("কোনটি?", buttons=buttons_of(12)), SMS, language="bn-BD")

    assert part.text.splitlines()[1:3] == ["১. Choice 1", "২. Choice 2"]
    assert part.text.endswith("\n১২. Choice 12")


def test_url_buttons_are_native_where_there_is_room() -> None:
    said = Message.of("See", buttons=(SHOP,))
    two = Message.of("See", buttons=(SHOP, Button(id="m", title="Map", url="https://map.example")))

    assert compose(said, WHATSAPP) == [said]
    assert compose(two, WHATSAPP) == [
        Message.of("See\nOur shop: https://shop.example/?a=1\nMap: https://map.example")
    ]


def test_mixed_buttons_stay_together_only_where_the_channel_can() -> None:
    said = Message.of("Well?", buttons=(YES, SHOP, NO))

    assert compose(said, TELEGRAM) == [said]
    assert compose(said, WHATSAPP) == [
        Message.of("Well?\nOur shop: https://shop.example/?a=1", buttons=(YES, NO))
    ]


def test_buttons_without_a_text_are_numbered() -> None:
    assert compose(Message.of(buttons=(YES, NO)), WHATSAPP) == [Message.of("1. Yes\n2. No")]
    assert compose(Message.of(buttons=(SHOP,)), WHATSAPP) == [
        Message.of("Our shop: https://shop.example/?a=1")
    ]


def test_a_long_text_leaves_a_short_part_with_the_buttons() -> None:
    story = ("A sentence of the story. " * 100).strip()

    parts = compose(Message.of(f"{story}\n\nGo on?", buttons=(YES, NO)), WHATSAPP)

    assert parts == [Message.of(story), Message.of("Go on?", buttons=(YES, NO))]


def test_a_text_that_fits_a_list_need_not_fit_buttons() -> None:
    said = Message.of("x" * 4096, buttons=buttons_of(5))

    assert compose(said, WHATSAPP) == [said]


def test_the_numbered_menu_stays_in_one_piece() -> None:
    text = "word " * 318 + "Which?"

    parts = compose(Message.of(text, buttons=buttons_of(5)), SMS)

    assert parts == [
        Message.of(text),
        Message.of("\n".join(f"{n}. Choice {n}" for n in range(1, 6))),
    ]


def test_a_menu_longer_than_a_part_is_cut_between_its_lines() -> None:
    parts = compose(Message.of("Which?", buttons=buttons_of(30)), Limits(text=100))

    lines = [line for part in parts for line in part.text.splitlines()]
    assert lines == ["Which?", *(f"{n}. Choice {n}" for n in range(1, 31))]


CHIPS = Limits(text=2000, buttons=3, button_body=640, quick_replies=13)


@pytest.mark.parametrize(
    ("text", "buttons"),
    [("Which?", buttons_of(13)), ("x" * 641, (YES, NO))],
    ids=["more than buttons", "below a long text"],
)
def test_what_buttons_cannot_show_becomes_quick_replies(
    text: str, buttons: tuple[Button, ...]
) -> None:
    said = Message.of(text, buttons=buttons)

    assert compose(said, CHIPS) == [said]


def test_more_than_the_chips_are_numbered() -> None:
    (part,) = compose(Message.of("Which?", buttons=buttons_of(14)), CHIPS)

    assert part.buttons == ()
    assert part.text.endswith("\n14. Choice 14")


def test_a_chip_cut_short_stands_whole_in_the_text() -> None:
    long = Button(id="a", title="Change the address of my delivery")

    (part,) = compose(Message.of("What?", buttons=(long, NO)), CHIPS)

    assert part.text == "What?\n1. Change the address of my delivery\n2. No"
    assert [button.title for button in part.buttons] == ["Change the address…", "No"]


def test_chips_that_would_be_cut_alike_are_numbered() -> None:
    alike = [Button(id=end, title=f"Change the address of my {end}") for end in ("bill", "order")]

    (part,) = compose(Message.of("What?", buttons=tuple(alike)), CHIPS)

    assert part.buttons == ()


def test_buttons_that_some_never_see_are_numbered_too() -> None:
    limits = replace(CHIPS, text=1000, text_unit="bytes", buttons_hide=True)

    assert compose(Message.of("ঠিক?", buttons=(YES, NO)), limits, language="bn") == [
        Message.of("ঠিক?\n১. Yes\n২. No", buttons=(YES, NO))
    ]


def test_the_numbers_of_a_long_text_stay_with_the_chips() -> None:
    text = ("word " * 399).strip()

    parts = compose(Message.of(text, buttons=buttons_of(13)), replace(CHIPS, buttons_hide=True))

    assert parts[0] == Message.of(text)
    assert parts[1].text.startswith("1. Choice 1\n")
    assert parts[1].buttons == buttons_of(13)
