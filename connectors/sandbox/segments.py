"""How many SMS segments a text takes, counted as Twilio bills them (3GPP TS 23.038, 23.040)."""

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà\x1b"
)
_EXTENSION = frozenset("^{}\\[~]|€\f")


def count_segments(text: str) -> int:
    """The segments of a text; an empty one takes one."""
    if all(char in _BASIC or char in _EXTENSION for char in text):
        return _pack([2 if char in _EXTENSION else 1 for char in text], 160, 153)
    return _pack([2 if ord(char) > 0xFFFF else 1 for char in text], 70, 67)


def _pack(widths: list[int], single: int, part: int) -> int:
    """How many parts hold the characters in order; none is torn between two parts."""
    if sum(widths) <= single:
        return 1
    parts, used = 1, 0
    for width in widths:
        if used + width > part:
            parts, used = parts + 1, 0
        used += width
    return parts
