"""How many parts a text message is billed and carried in.

The alphabets are those of 3GPP TS 23.038: a text wholly within the GSM 7-bit default alphabet and
its extension table is counted in septets, any other in UTF-16 code units.
"""

from dataclasses import dataclass
from typing import Literal

Encoding = Literal["GSM-7", "UCS-2"]

# In the order of their codes; 0x1B, the escape, is no character of its own and is left out.
GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION = frozenset("\f^{}\\[~]|€")

_GSM = GSM_BASIC | GSM_EXTENSION
_SINGLE: dict[Encoding, int] = {"GSM-7": 160, "UCS-2": 70}
_PART: dict[Encoding, int] = {"GSM-7": 153, "UCS-2": 67}


@dataclass(frozen=True, slots=True)
class Segments:
    """`count` parts for `units` septets or UTF-16 units; a part holds up to `per_part` of them."""

    encoding: Encoding
    count: int
    units: int
    per_part: int


def segments(text: str) -> Segments:
    """Count the parts of a text message; the empty text has none.

    More than one part leaves each less room (a header joins them), and a character of two units,
    an extension character or one outside the BMP, is never cut: a part may end one unit early.
    """
    if _GSM.issuperset(text):
        encoding: Encoding = "GSM-7"
        wide = [char in GSM_EXTENSION for char in text]
    else:
        encoding = "UCS-2"
        wide = [char > "\uffff" for char in text]
    units = len(text) + sum(wide)
    if units <= _SINGLE[encoding]:
        return Segments(encoding, 1 if text else 0, units, _SINGLE[encoding])
    per_part = _PART[encoding]
    if units == len(text):
        return Segments(encoding, -(-units // per_part), units, per_part)
    return Segments(encoding, _parts(wide, per_part), units, per_part)


def _parts(wide: list[bool], per_part: int) -> int:
    """Fill parts one after the other with characters of one or (where `wide`) two units."""
    count, room = 1, per_part
    for is_wide in wide:
        size = 2 if is_wide else 1
        if size > room:
            count, room = count + 1, per_part
        room -= size
    return count
