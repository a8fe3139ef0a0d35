import unicodedata

import pytest

from hub import i18n


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Where is my parcel?", "en"),
        ("আমার অর্ডার কোথায়?", "bn"),
        ("আমার order কোথায়", "bn"),
        ("Hello ভাই, I have not received the parcel yet", "en"),
        ("amar order kothay", "bn"),
        ("vai, kobe pabo?", "bn"),
        ("ami ekhono parcel paini", "bn"),
        ("kothay?", "bn"),
        ("ok", ""),
        ("Hi", ""),
        ("order status please", ""),
        ("4411", ""),
        ("৪৪১১", "bn"),
        ("👍🏽", ""),
        ("", ""),
        ("अपना ऑर्डर", ""),
        ("Ça va?", "en"),
    ],
)
def test_detect(text: str, language: str) -> None:
    assert i18n.detect(text) == language


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  Where's   MY order?! ", "where s my order"),
        ("আমার, অর্ডার কোথায়?", "আমার অর্ডার কোথায়"),
        ("অর্ডার নং ৪৪১১।", "অর্ডার নং 4411"),
        ("ক্\u200dষ", "ক্ষ"),
        ("STRASSE straße", "strasse strasse"),
        ("🙂!?", ""),
    ],
)
def test_plain(text: str, words: str) -> None:
    assert i18n.plain(text) == unicodedata.normalize("NFC", words)


def test_plain_makes_one_of_the_two_ways_to_type_a_letter() -> None:
    assert i18n.plain("কোথা\u09df") == i18n.plain("কোথা\u09af\u09bc")
    assert i18n.plain("ক\u09cb") == i18n.plain("ক\u09c7\u09be")


def test_plain_keeps_vowel_signs() -> None:
    assert i18n.plain("কি") != i18n.plain("কী")


@pytest.mark.parametrize(
    "text", ["cancel", "STOP!", "Never mind.", "বাতিল", "বাতিল করুন।", "থাক", "batil", "Bad din"]
)
def test_cancel_words(text: str) -> None:
    assert i18n.is_cancel_word(text)


@pytest.mark.parametrize("text", ["", "cancel my order 4411", "don't stop", "বাতিল হয়েছে কেন?", "4"])
def test_a_cancel_word_is_the_whole_message(text: str) -> None:
    assert not i18n.is_cancel_word(text)


def test_digits() -> None:
    assert i18n.ascii_digits("০১৭১১-২৩৪৫৬৭, ৮৯") == "01711-234567, 89"
    assert i18n.local_digits("Order 4411", "bn-BD") == "Order ৪৪১১"
    assert i18n.local_digits("Order 4411", "en") == "Order 4411"


def test_base() -> None:
    assert [i18n.base(tag) for tag in ("bn-BD", "bn_IN", "EN", "")] == ["bn", "bn", "en", "en"]


def test_text_is_in_the_language_or_else_in_english() -> None:
    assert i18n.text("cancelled", "bn-BD") != i18n.text("cancelled", "en")
    assert i18n.text("cancelled", "fi") == i18n.text("cancelled", "en")
    with pytest.raises(KeyError):
        i18n.text("no such text", "en")


@pytest.mark.parametrize("key", ["apology", "cancelled", "please_choose", "handing_over"])
def test_bangla_texts_are_bangla(key: str) -> None:
    assert i18n.detect(i18n.text(key, "bn")) == "bn"
    assert i18n.detect(i18n.text(key, "en")) == "en"
