"""Languages: which one a text is in, its digits and words in a comparable form, and our own texts.

English and Bangla are both first-class, and so is Banglish, which is Bangla typed in Latin
letters. The hub's own texts lie in `hub.<language>.json`, the word lists in `words.json`.
"""

import json
import unicodedata
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import regex

DEFAULT = "en"

_FOLDER = Path(__file__).parent
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+")
_BANGLA = regex.compile(r"[\p{Script=Bengali}--\p{N}]", regex.VERSION1)
_LATIN = regex.compile(r"\p{Script=Latin}")
_JOINERS = {ord("\u200c"): None, ord("\u200d"): None}
_BANGLA_DIGITS = "০১২৩৪৫৬৭৮৯"
_TO_ASCII = {ord(digit): str(value) for value, digit in enumerate(_BANGLA_DIGITS)}
_TO_BANGLA = {ord(str(value)): digit for value, digit in enumerate(_BANGLA_DIGITS)}
# A few Bangla words among English ones do not make a Bangla text, nor one brand name the reverse.
_BANGLA_SHARE = 0.3


def detect(text: str) -> str:
    """The language of `text`: "bn" for Bangla script or Banglish, "en" for other Latin text.

    "" when the text does not tell: no letters, another script, or only words which both
    languages use ("ok", "hi", "order"), so that a customer's language does not flip with them.
    """
    bangla, latin = len(_find(_BANGLA, text)), len(_find(_LATIN, text))
    if bangla and bangla >= _BANGLA_SHARE * (bangla + latin):
        return "bn"
    if not latin:
        typed_in_bangla = any(ord(character) in _TO_ASCII for character in text)
        return "bn" if typed_in_bangla else ""
    return _detect_latin(plain(text).split())


def _detect_latin(words: list[str]) -> str:
    shared, banglish = _words("shared"), _words("banglish")
    telling = [word for word in words if word not in shared and not word.isdigit()]
    if not telling:
        return ""
    hits = sum(word in banglish for word in telling)
    return "bn" if hits >= 2 or 2 * hits >= len(telling) else "en"


def _find(pattern: "regex.Pattern[str]", text: str) -> list[str]:
    """All matches. By default regex gives other threads the interpreter for every call, which
    costs more than a short text takes."""
    found: list[str] = pattern.findall(text, concurrent=False)
    return found


def base(language: str) -> str:
    """The language without its region, "en" for none: `bn-BD` gives `bn`."""
    return language.replace("_", "-").split("-")[0].lower() or DEFAULT


def plain(text: str) -> str:
    """The words of `text` in comparable form, with one space between them.

    Case, punctuation, emoji, joiners and the script of digits do not count; Bangla vowel signs
    do.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).translate(_JOINERS).translate(_TO_ASCII)
        text = unicodedata.normalize("NFC", text.casefold())
    else:
        text = text.lower()
    return " ".join(_find(_WORD, text))


def ascii_digits(text: str) -> str:
    """`text` with Bangla digits as 0 to 9, so that `int` and patterns read it."""
    return text if text.isascii() else text.translate(_TO_ASCII)


def local_digits(text: str, language: str) -> str:
    """`text` with its digits as readers of `language` write them."""
    return text.translate(_TO_BANGLA) if base(language) == "bn" else text


def is_cancel_word(text: str) -> bool:
    """Whether the whole text says "stop this" in English, Bangla or Banglish."""
    return plain(text) in _words("cancel")


def text(key: str, language: str, **values: str) -> str:
    """The hub's own text `key` in `language`, English where there is no other.

    `values` fill its `{names}`. Raises KeyError for a key or name which does not exist.
    """
    catalogue = _catalogue(base(language)).get(key) or _catalogue(DEFAULT)[key]
    return catalogue.format_map(values) if values else catalogue


@cache
def _catalogue(language: str) -> Mapping[str, str]:
    try:
        catalogue: dict[str, str] = _read(f"hub.{language}.json")
    except FileNotFoundError:
        return {}
    return catalogue


@cache
def _words(name: str) -> frozenset[str]:
    lists: dict[str, list[str]] = _read("words.json")
    return frozenset(plain(word) for word in lists[name])


def _read(name: str) -> Any:
    return json.loads((_FOLDER / name).read_text(encoding="utf-8"))
