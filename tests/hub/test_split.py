"""Splitting loses nothing, fits every limit and never cuts what a reader sees as one sign."""

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.split import MEASURES, split

FAMILY = "👨‍👩‍👧‍👦"
SIGNS = st.sampled_from(
    [
        FAMILY,
        "🇧🇩",
        "👍🏽",
        "ক্ষি",
        "স্ত্রী",
        "য়",
        "আমি",
        "é",
        "e\u0301",
        "a",
        "Z",
        "।",
        ".",
        "!",
        "?",
        "…",
        '"',
    ]
)
SPACES = st.sampled_from([" ", "  ", "\n", "\n\n", " \n \n", "\t", "\r\n", "\u00a0", " \u09bc"])
TEXTS = st.one_of(
    st.text(max_size=300),
    st.lists(st.one_of(SIGNS, SIGNS, SIGNS, SPACES), max_size=200).map("".join),
    st.lists(st.text(alphabet="abc.কখ।", min_size=1, max_size=40), max_size=20).map(" ".join),
)


def squeezed(text: str) -> str:
    return "".join(text.split())


def cuts_of(text: str, parts: list[str]) -> list[tuple[int, int]]:
    """Where each part lies in the text, leaving out nothing but whitespace."""
    at = 0
    places = []
    for part in parts:
        start = text.index(part, at)
        assert not text[at:start].strip(), "text was lost before a part"
        at = start + len(part)
        places.append((start, at))
    assert not text[at:].strip(), "text was lost at the end"
    return places


@settings(max_examples=400, deadline=None)
@given(TEXTS, st.integers(4, 120), st.none() | st.integers(4, 150), st.sampled_from(list(MEASURES)))
def test_parts_fit_and_give_the_text_back(
    text: str, limit: int, last: int | None, unit: str
) -> None:
    measure = MEASURES[unit]

    parts = split(text, limit, measure, last=last)

    final = limit if last is None else last
    assert all(measure(part) <= limit for part in parts[:-1])
    assert all(measure(part) <= final for part in parts[-1:])
    assert squeezed("".join(parts)) == squeezed(text)
    places = cuts_of(text, parts)
    edges = {0} | {match.end() for match in regex.finditer(r"\X", text)}
    longest = max((measure(cluster) for cluster in regex.findall(r"\X", text)), default=0)
    if longest <= min(limit, final):
        assert all(edge in edges for place in places for edge in place)
    if len(parts) > 1:
        assert all(part.strip() for part in parts)


@pytest.mark.parametrize(
    ("text", "limit", "parts"),
    [
        ("short", 10, ["short"]),
        ("  kept as it is ", 20, ["  kept as it is "]),
        ("first line here\n\nsecond one", 22, ["first line here", "second one"]),
        ("first line here\nsecond one", 22, ["first line here", "second one"]),
        ("It is here. Take it now", 16, ["It is here.", "Take it now"]),
        ("এটা এখানে।এখন নিন", 12, ["এটা এখানে।", "এখন নিন"]),
        ("one two three four", 10, ["one two", "three four"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("It costs 12. 50 more", 14, ["It costs 12.", "50 more"]),
        (
            "Go to https://example.com/a?b=c.d now",
            28,
            ["Go to", "https://example.com/a?b=c.d", "now"],
        ),
        ("a\n\nlong first word never helps", 20, ["a\n\nlong first word", "never helps"]),
        (FAMILY * 3, 15, [FAMILY * 2, FAMILY]),
        ("ক্ষিক্ষিক্ষি", 5, ["ক্ষি", "ক্ষি", "ক্ষি"]),
        ("🇧🇩🇧🇩", 3, ["🇧🇩", "🇧🇩"]),
    ],
)
def test_cuts_where_a_reader_pauses(text: str, limit: int, parts: list[str]) -> None:
    assert split(text, limit, len) == parts


def test_the_last_part_is_the_last_paragraph_that_fits() -> None:
    text = "Long story. " * 10 + "\n\nWhich size?"

    parts = split(text, 400, len, last=40)

    assert parts == [("Long story. " * 10).strip(), "Which size?"]


def test_units_count_what_they_say() -> None:
    assert split("কখগঘ", 6, MEASURES["bytes"]) == ["কখ", "গঘ"]
    assert split("😀😀😀", 4, MEASURES["utf16"]) == ["😀😀", "😀"]


def test_a_cluster_longer_than_a_part_is_cut_rather_than_lost() -> None:
    pile = "a" + "\u0301" * 20

    parts = split(pile, 8, len)

    assert "".join(parts) == pile
    assert max(map(len, parts)) <= 8


def test_a_limit_below_one_character_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter than one character"):
        split("কখ", 2, MEASURES["bytes"])


@pytest.mark.timeout(30)
@pytest.mark.parametrize("sign", [".", " ", "\n", "!'", "। ", "a", "a\u0301", "? "])
def test_long_runs_of_one_sign_do_not_hang(sign: str) -> None:
    text = "x" + sign * 50_000 + "x" + sign * 50_000 + "x"

    parts = split(text, 4096, len)

    assert squeezed("".join(parts)) == squeezed(text)
