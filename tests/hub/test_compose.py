"""What one neutral message becomes on channels of every ability."""

from dataclasses import replace

import pytest

from hub.compose import compose
from hub.connector import Limits
from hub.errors import MediaFailed, Refused
from hub.message import (
    Button,
    ContactCard,
    Media,
    Message,
    Place,
    Share,
    TemplateUse,
)

SMS = Limits(text=1600, text_unit="utf16")
WHATSAPP = Limits(
    text=4096,
    caption=1024,
    buttons=3,
    list_rows=10,
    list_body=4096,
    url_buttons=1,
    media={"image": 5_000_000, "video": 16_000_000, "audio": 16_000_000, "file": 100_000_000},
    captions=frozenset({"image", "video", "file"}),
    places=True,
    contacts=True,
    templates=True,
)
INSTAGRAM = Limits(text=1000, text_unit="bytes", buttons=13, media={"image": 8_000_000})
TELEGRAM = Limits(
    text=4096,
    text_unit="utf16",
    buttons=100,
    button_title=64,
    button_body=4096,
    url_buttons=100,
    mixed_buttons=True,
)
MAIL = Limits(
    text=100_000,
    caption=100_000,
    media={"image": 10_000_000, "file": 10_000_000},
    captions=frozenset({"image", "file"}),
    media_count=10,
    subjects=True,
)

YES, NO, LATER = (Button(id=word.lower(), title=word) for word in ("Yes", "No", "Later"))
SHOP = Button(id="shop", title="Our shop", url="https://shop.example/?a=1")
PHOTO = Media(kind="image", mime="image/jpeg", name="a.jpg", size=1000, path="ab/cd")
PDF = Media(kind="file", name="bill.pdf", source_url="https://files.example/bill.pdf")


def buttons_of(count: int) -> tuple[Button, ...]:
    return tuple(Button(id=f"b{at}", title=f"Choice {at}") for at in range(1, count + 1))


def test_a_text_that_fits_is_left_as_it_is() -> None:
    assert compose(Message.of(" হ্যালো 👨‍👩‍👧 "), WHATSAPP) == [Message.of(" হ্যালো 👨‍👩‍👧 ")]


@pytest.mark.parametrize("text", ["", "  \n"])
def test_nothing_to_say_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        compose(Message.of(text), SMS)


# Buttons


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


# Attachments


def test_a_caption_joins_the_attachment_when_it_fits() -> None:
    said = Message.of("Look", media=(PHOTO,))

    assert compose(said, WHATSAPP) == [said]


@pytest.mark.parametrize(
    ("text", "media", "buttons"),
    [
        ("x" * 1025, PHOTO, ()),
        ("Listen", Media(kind="audio", size=10), ()),
        ("Sure?", PHOTO, (YES, NO)),
    ],
    ids=["caption too long", "no captions", "buttons"],
)
def test_else_the_attachment_goes_first(
    text: str, media: Media, buttons: tuple[Button, ...]
) -> None:
    assert compose(Message.of(text, media=(media,), buttons=buttons), WHATSAPP) == [
        Message.of(media=(media,)),
        Message.of(text, buttons=buttons),
    ]


def test_several_attachments_are_several_calls() -> None:
    other = PHOTO.model_copy(update={"path": "ef/01"})

    assert compose(Message.of("Both", media=(PHOTO, other)), WHATSAPP) == [
        Message.of(media=(PHOTO,)),
        Message.of("Both", media=(other,)),
    ]
    assert compose(Message.of("All", media=(PHOTO,) * 11), MAIL) == [
        Message.of(media=(PHOTO,) * 10),
        Message.of("All", media=(PHOTO,)),
    ]


def test_an_album_carries_a_caption_only_if_all_of_it_can() -> None:
    album = (PHOTO, Media(kind="audio", size=10))
    limits = replace(MAIL, media={"image": 1000, "audio": 1000})

    assert compose(Message.of("Both", media=album), limits) == [
        Message.of(media=album),
        Message.of("Both"),
    ]


def test_a_numbered_menu_may_be_a_caption() -> None:
    assert compose(Message.of("Sure?", media=(PHOTO,), buttons=(YES, NO)), MAIL) == [
        Message.of("Sure?\n1. Yes\n2. No", media=(PHOTO,))
    ]


def test_a_kind_the_channel_lacks_becomes_a_link() -> None:
    bare = PDF.model_copy(update={"name": ""})

    assert compose(Message.of("Your bill", media=(PDF, bare)), SMS) == [
        Message.of(
            "Your bill\nbill.pdf: https://files.example/bill.pdf\nhttps://files.example/bill.pdf"
        )
    ]


def test_a_type_the_channel_does_not_take_goes_as_a_file_or_a_link() -> None:
    photos = {"image": frozenset({"image/jpeg"})}
    limits = replace(WHATSAPP, media_types=photos)
    sticker = PHOTO.model_copy(update={"mime": "image/webp", "name": "a.webp"})
    kept = replace(limits, media={"image": 5_000_000})

    assert compose(Message.of(media=(sticker,)), limits) == [
        Message.of(media=(sticker.model_copy(update={"kind": "file"}),))
    ]
    assert compose(
        Message.of(media=(sticker,)), kept, link=lambda one: f"https://h/{one.path}"
    ) == [Message.of("a.webp: https://h/ab/cd")]
    with pytest.raises(MediaFailed, match="cannot carry an image of type image/webp"):
        compose(Message.of(media=(sticker,)), kept)


def test_a_voice_message_goes_as_audio_where_voice_is_unknown() -> None:
    voice = Media(kind="voice", voice=True, size=10)

    (part,) = compose(Message.of(media=(voice,)), WHATSAPP)

    assert part == Message.of(media=(voice.model_copy(update={"kind": "audio"}),))


@pytest.mark.parametrize(
    ("media", "reason"),
    [
        (
            PHOTO.model_copy(update={"size": 6_300_000}),
            "this channel takes an image of at most 5.0 MB, and this one has 6.3 MB",
        ),
        (Media(kind="sticker", name="secret.webp"), "this channel cannot carry a sticker"),
        (Media(kind="sticker", source_url="file:///x"), "this channel cannot carry a sticker"),
    ],
)
def test_an_attachment_that_cannot_go_fails_with_a_reason(media: Media, reason: str) -> None:
    with pytest.raises(MediaFailed) as failed:
        compose(Message.of("Look", media=(media,)), WHATSAPP)

    assert failed.value.reason == reason


# Places, contacts, subjects, shares, templates

OFFICE = Place(latitude=23.8103, longitude=90.4125, name="Office", address="Gulshan 1, Dhaka")
RIMA = ContactCard(name="Rima", phones=("+8801700000001", "+8801700000002"))
KARIM = ContactCard(name="Karim", emails=("k@example.com",))


def test_a_place_is_native_or_its_address_and_a_map() -> None:
    said = Message.of("We are here", place=OFFICE)

    assert compose(said, WHATSAPP) == [Message.of(place=OFFICE), Message.of("We are here")]
    assert compose(said, SMS) == [
        Message.of(
            "We are here\nOffice\nGulshan 1, Dhaka\nhttps://maps.google.com/?q=23.8103,90.4125"
        )
    ]


@pytest.mark.parametrize(
    ("latitude", "longitude", "query"),
    [
        (0.00001, -0.5, "0.00001,-0.5"),
        (10.0, 100.0, "10,100"),
        (-33.8567844, 151, "-33.856784,151"),
    ],
)
def test_a_map_link_has_plain_numbers(latitude: float, longitude: float, query: str) -> None:
    (part,) = compose(Message.of(place=Place(latitude=latitude, longitude=longitude)), SMS)

    assert part.text == f"https://maps.google.com/?q={query}"


def test_contacts_are_one_call_each_or_lines() -> None:
    said = Message.of(contacts=(RIMA, KARIM))

    assert compose(said, WHATSAPP) == [Message.of(contacts=(RIMA,)), Message.of(contacts=(KARIM,))]
    assert compose(said, SMS) == [
        Message.of("Rima: +8801700000001, +8801700000002\nKarim: k@example.com")
    ]


def test_a_subject_is_kept_or_becomes_the_first_line() -> None:
    said = Message.of("It is on its way", subject="Your order")

    assert compose(said, MAIL) == [said]
    assert compose(said, SMS) == [Message.of("Your order\nIt is on its way")]
    assert compose(Message.of(subject="Only this"), MAIL) == [
        Message.of("Only this", subject="Only this")
    ]


def test_a_share_is_its_title_and_link() -> None:
    share = Share(title="Eid offers", url="https://shop.example/eid")

    assert compose(Message.of(share=share), SMS) == [
        Message.of("Eid offers\nhttps://shop.example/eid")
    ]


def test_a_template_stays_whole_or_becomes_its_text() -> None:
    use = TemplateUse(name="shipped", language="bn", variables={"1": "42"})
    said = Message.of("Order 42 is shipped", template=use)

    assert compose(said, WHATSAPP) == [said]
    assert compose(said, SMS) == [Message.of("Order 42 is shipped")]
    with pytest.raises(Refused, match="no templates"):
        compose(Message.of(template=use), SMS)
