"""Segments against the alphabets and limits of 3GPP TS 23.038 and 23.040."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.segments import GSM_BASIC, GSM_EXTENSION, Segments, segments

# 3GPP TS 23.038, 6.2.1, read down the columns of the table, as code points: an independent copy.
TABLE = [
    *(0x40, 0xA3, 0x24, 0xA5, 0xE8, 0xE9, 0xF9, 0xEC, 0xF2, 0xC7, 0x0A, 0xD8, 0xF8, 0x0D),
    *(0xC5, 0xE5, 0x394, 0x5F, 0x3A6, 0x393, 0x39B, 0x3A9, 0x3A0, 0x3A8, 0x3A3, 0x398, 0x39E),
    *(0xC6, 0xE6, 0xDF, 0xC9, 0x20, 0x21, 0x22, 0x23, 0xA4),
    *range(0x25, 0x40),
    0xA1,
    *range(0x41, 0x5B),
    *(0xC4, 0xD6, 0xD1, 0xDC, 0xA7, 0xBF),
    *range(0x61, 0x7B),
    *(0xE4, 0xF6, 0xF1, 0xFC, 0xE0),
]
EXTENSION = [0x0C, 0x5E, 0x7B, 0x7D, 0x5C, 0x5B, 0x7E, 0x5D, 0x7C, 0x20AC]
BANGLA = "আমি আগামীকাল সকালে আসব। "
SMILE = "\N{GRINNING FACE}"


def test_the_whole_alphabet() -> None:
    assert frozenset(map(chr, TABLE)) == GSM_BASIC
    assert len(TABLE) == 127
    assert frozenset(map(chr, EXTENSION)) == GSM_EXTENSION
    for code in range(0x2100):
        expected = "GSM-7" if code in TABLE or code in EXTENSION else "UCS-2"
        assert segments(chr(code)).encoding == expected, hex(code)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Segments("GSM-7", 0, 0, 160)),
        ("a", Segments("GSM-7", 1, 1, 160)),
        ("a" * 160, Segments("GSM-7", 1, 160, 160)),
        ("a" * 161, Segments("GSM-7", 2, 161, 153)),
        ("a" * 306, Segments("GSM-7", 2, 306, 153)),
        ("a" * 307, Segments("GSM-7", 3, 307, 153)),
        ("a" * 1600, Segments("GSM-7", 11, 1600, 153)),
        ("ক" * 70, Segments("UCS-2", 1, 70, 70)),
        ("ক" * 71, Segments("UCS-2", 2, 71, 67)),
        ("ক" * 134, Segments("UCS-2", 2, 134, 67)),
        ("ক" * 135, Segments("UCS-2", 3, 135, 67)),
        ("ক" * 3000, Segments("UCS-2", 45, 3000, 67)),
        ("€" * 80, Segments("GSM-7", 1, 160, 160)),
        ("€" * 81, Segments("GSM-7", 2, 162, 153)),
        (SMILE * 35, Segments("UCS-2", 1, 70, 70)),
        (SMILE * 36, Segments("UCS-2", 2, 72, 67)),
        (BANGLA * 3, Segments("UCS-2", 2, 72, 67)),
    ],
)
def test_limits(text: str, expected: Segments) -> None:
    assert segments(text) == expected


def test_an_extension_character_never_straddles() -> None:
    # 153 + 153 would fit in two parts, were the pair at 153 and 154 cut in two.
    assert segments("a" * 152 + "{" + "a" * 152) == Segments("GSM-7", 3, 306, 153)
    assert segments("a" * 151 + "{" + "a" * 153) == Segments("GSM-7", 2, 306, 153)
    assert segments("€" * 153) == Segments("GSM-7", 3, 306, 153)
    assert segments("€" * 152) == Segments("GSM-7", 2, 304, 153)


def test_an_emoji_never_straddles() -> None:
    assert segments("ক" * 66 + SMILE + "ক" * 66) == Segments("UCS-2", 3, 134, 67)
    assert segments("ক" * 65 + SMILE + "ক" * 67) == Segments("UCS-2", 2, 134, 67)
    assert segments(SMILE * 66) == Segments("UCS-2", 2, 132, 67)
    assert segments(SMILE * 67) == Segments("UCS-2", 3, 134, 67)


@pytest.mark.parametrize("char", "“”‘’–—…`ç\t\u00a0\x1b÷আ")
def test_one_character_outside_changes_the_whole(char: str) -> None:
    assert segments("a" * 100).count == 1
    assert segments("a" * 99 + char) == Segments("UCS-2", 2, 100, 67)


@given(st.text(alphabet=st.sampled_from(f"ab{{€কি{SMILE}—"), max_size=500))
def test_the_count_is_what_a_sender_would_cut(text: str) -> None:
    """A straightforward cutter, character by character, agrees."""
    found = segments(text)
    sizes = [
        len(char.encode("utf-16-le")) // 2
        if found.encoding == "UCS-2"
        else 1 + (ord(char) in EXTENSION)
        for char in text
    ]
    parts: list[int] = []
    for size in sizes:
        if parts and parts[-1] + size <= found.per_part:
            parts[-1] += size
        else:
            parts.append(size)
    assert (found.count, found.units) == (len(parts), sum(sizes))
    assert all(part <= found.per_part for part in parts)
