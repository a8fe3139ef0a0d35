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
    MediaKind,
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
    photos: dict[MediaKind, frozenset[str]] = {"image": frozenset({"image/jpeg"})}
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
