"""Cuts a text into parts that a channel takes, where a reader would pause.

Nothing is lost or doubled: the parts joined give the text back, whitespace at the cuts aside.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable

import regex

Measure = Callable[[str], int]

MEASURES: dict[str, Measure] = {
    "chars": len,
    "bytes": lambda text: len(text.encode()),
    "utf16": lambda text: len(text.encode("utf-16-le")) // 2,
}
"""How long a text is, by `Limits.text_unit`."""

GRAPHEME = regex.compile(r"\X")
SPACE = regex.compile(r"\s+")
SENTENCE = regex.compile(
    r"(?<![.!?…])(?:(?<!\d)\.|[!?…])[.!?…]*+[\"'”’)\]]*+(?=\s)|[।॥]++[\"'”’)\]]*+"
)
"""The end of a sentence. A Bangla one may lack the space; a full stop after a digit may number
a line. Possessive and anchored, so that a text of dots alone costs no more than any other."""


def pauses_of(text: str) -> list[list[int]]:
    """The offsets to cut at, best first: blank lines, new lines, ends of sentences, spaces."""
    spaces = [(match.start(), match.group().count("\n")) for match in SPACE.finditer(text)]
    return [
        [at for at, lines in spaces if lines > 1],
        [at for at, lines in spaces if lines > 0],
        [match.end() for match in SENTENCE.finditer(text)],
        [at for at, _ in spaces],
    ]


def split(text: str, limit: int, measure: Measure, last: int | None = None) -> list[str]:
    """Cut `text` into parts that measure at most `limit`, the last at most `last` (if given).

    A text that fits whole is given back as it is. A cut never falls inside a grapheme cluster,
    unless one cluster alone is longer than the limit. Raises ValueError when not even a single
    character fits.
    """
    final = limit if last is None else last
    if measure(text) <= final:
        return [text]
    return Strip(text, min(limit, final), measure).cut(limit, final)


class Strip:
    """A text with its possible cuts measured.

    `marks` are the offsets at which it may be cut, `sizes` the length of the text before each,
    `pauses` the indexes of marks worth cutting at, as lists, the best first.
    """

    def __init__(self, text: str, finest: int, measure: Measure) -> None:
        self.text = text
        self.marks = [0]
        self.sizes = [0]
        for cluster in GRAPHEME.findall(text):
            # A pile of combining marks longer than a whole part has to be cut somewhere.
            for piece in (cluster,) if measure(cluster) <= finest else cluster:
                length = measure(piece)
                if length > finest:
                    raise ValueError("the limit is shorter than one character")
                self.marks.append(self.marks[-1] + len(piece))
                self.sizes.append(self.sizes[-1] + length)
        index = {offset: at for at, offset in enumerate(self.marks)}
        self.pauses = [
            [index[offset] for offset in pauses if offset in index] for pauses in pauses_of(text)
        ]

    def cut(self, limit: int, final: int) -> list[str]:
        parts = []
        end = self.before_space(len(self.marks) - 1)
        start = self.after_space(0)
        while self.sizes[end] - self.sizes[start] > limit:
            to = self.best_cut(start, limit)
            parts.append(self.piece(start, to))
            start = self.after_space(to)
        if self.sizes[end] - self.sizes[start] > final:
            to = self.last_cut(start, end, final)
            parts.append(self.piece(start, to))
            start = self.after_space(to)
        if start < end:
            parts.append(self.piece(start, end))
        return parts

    def best_cut(self, start: int, limit: int) -> int:
        """The best pause in the second half of what fits, else the last space, else what fits."""
        reach = bisect_right(self.sizes, self.sizes[start] + limit) - 1
        half = max(start, bisect_left(self.sizes, self.sizes[start] + limit // 2) - 1)
        for floor, pauses in [
            *((half, pauses) for pauses in self.pauses),
            (start, self.pauses[-1]),
        ]:
            at = bisect_right(pauses, reach) - 1
            if at >= 0 and pauses[at] > floor:
                return pauses[at]
        return reach

    def last_cut(self, start: int, end: int, final: int) -> int:
        """The best pause after which at most `final` is left, and of these the first."""
        for pauses in self.pauses:
            for to in pauses[bisect_right(pauses, start) :]:
                rest = self.after_space(to)
                if rest < end and self.sizes[end] - self.sizes[rest] <= final:
                    return to
        return bisect_left(self.sizes, self.sizes[end] - final)

    def piece(self, start: int, to: int) -> str:
        return self.text[self.marks[start] : self.marks[self.before_space(to)]]

    def is_space(self, at: int) -> bool:
        return self.text[self.marks[at] : self.marks[at + 1]].isspace()

    def after_space(self, at: int) -> int:
        while at < len(self.marks) - 1 and self.is_space(at):
            at += 1
        return at

    def before_space(self, at: int) -> int:
        while at > 0 and self.is_space(at - 1):
            at -= 1
        return at


def locate(text: str, parts: list[str]) -> list[int]:
    """Where in `text` each of its parts begins, as `split` gave them."""
    starts, at = [], 0
    for part in parts:
        # Only whitespace lies between two parts, and none but the first begins with any.
        starts.append(text.find(part, at))
        at = starts[-1] + len(part)
    return starts
