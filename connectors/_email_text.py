"""What of a mail is said, and what is quoted: text from HTML, quotes cut, HTML made harmless."""

import re
from collections import Counter
from html import escape, unescape
from html.parser import HTMLParser

BLOCKS = frozenset(
    {
        "p", "div", "br", "tr", "li", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "table",
        "blockquote", "hr", "section", "article", "header", "footer", "pre",
    }
)  # fmt: skip
HIDDEN = frozenset({"script", "style", "head", "title", "template", "noscript"})
VOID = frozenset({"br", "hr", "img", "meta", "link", "input", "col", "area", "base", "wbr"})
QUOTES = re.compile(
    r"gmail_quote|gmail_extra|moz-cite-prefix|yahoo_quoted|protonmail_quote|divRplyFwdMsg"
    r"|appendonsend|OLK_SRC_BODY_SECTION"
)
LONGEST = 100_000
LONGEST_HTML, LONGEST_TAG, MOST_TAGS = 500_000, 10_000, 20_000
TYPE = re.compile(
    r"(b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)[\s/]", re.IGNORECASE | re.ASCII
)

CUTS = (
    # "On Friday, 20 November 2026 at 18:00, Desk <d@x> wrote:", over up to three lines.
    re.compile(r"^On\b[^\n]{5,200}(?:\n(?!On\b)[^\n]{1,200}){0,2}\bwrote:[ \t]*$", re.M),
    re.compile(r"^[^\n]{0,200}?[0-9০-৯][^\n]{3,200}(?:>\n)?[ \t]*লিখেছেন[:ঃ][ \t]*$", re.M),
    re.compile(r"^Le\b[^\n]{5,200}(?:\n(?!Le\b)[^\n]{1,200})?\ba écrit\s*:[ \t]*$", re.M),
    re.compile(
        r"^Am\b[^\n]{5,200}(?:\n(?!Am\b)[^\n]{1,200})?\bschrieb\b[^\n]{0,100}:[ \t]*$", re.M
    ),
    re.compile(r"^-{2,} ?(?:Original Message|Original-Nachricht|আসল বার্তা) ?-{2,}[ \t]*$", re.M),
    re.compile(r"^_{20,}[ \t]*\n(?=(?:From|প্রেরক|Von|De) ?:)", re.M),
    re.compile(r"^\*?(?:From|প্রেরক) ?:\*? [^\n]+\n\*?(?:Sent|Date|পাঠানো হয়েছে|তারিখ) ?:", re.M),
)
SIGNATURE = re.compile(r"^-- ?$", re.M)
FORWARDED = re.compile(
    r"^(?:-{5,} ?Forwarded message ?-{5,}|Begin forwarded message:"
    r"|-{5,} ?ফরোয়ার্ড করা (?:মেসেজ|বার্তা) ?-{5,})",
    re.M,
)


def said(text: str) -> str:
    """What the customer wrote, without what she answers to.

    Nothing is cut where in doubt: an answer between quoted lines keeps them, a forwarded mail
    stays whole, and a mail that would be empty does too.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    if len(text) > LONGEST:
        return text.strip()  # to look for quotes would hold up all others
    if FORWARDED.search(text):
        return text.strip()
    starts = [found.start() for cut in CUTS if (found := cut.search(text))]
    start = min(starts, default=len(text))
    if answers_below(text[start:]):
        return text.strip()
    kept = without_signature(without_last_quote(text[:start]))
    return kept.strip() or text.strip()


def answers_below(quoted: str) -> bool:
    """Does her own text go on below quoted lines?"""
    lines = quoted.split("\n")
    marked = [at for at, line in enumerate(lines) if line.startswith(">")]
    if not marked:
        return False
    rest = without_signature("\n".join(lines[marked[0] :]))
    return any(line.strip() and not line.startswith(">") for line in rest.split("\n"))


def without_last_quote(text: str) -> str:
    """The text without the quoted lines that end it, if it has no others."""
    lines = text.rstrip().split("\n")
    end = len(lines)
    while end and (not lines[end - 1].strip() or lines[end - 1].startswith(">")):
        end -= 1
    if any(line.startswith(">") for line in lines[:end]):
        return text
    return "\n".join(lines[:end])


def without_signature(text: str) -> str:
    found = SIGNATURE.search(text)
    return text[: found.start()] if found else text


class Reader(HTMLParser):
    """Gathers the words of HTML; `quotes` False leaves quoted parts out."""

    def __init__(self, *, quotes: bool) -> None:
        super().__init__(convert_charrefs=True)
        self.quotes = quotes
        self.words: list[str] = []
        self.open: list[tuple[str, bool]] = []
        # Counted, as thousands of elements may be open.
        self.names: Counter[str] = Counter()
        self.silent = 0
        self.link = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        silent = tag in HIDDEN or (not self.quotes and is_quote(tag, given))
        if tag not in VOID:
            self.open.append((tag, silent))
            self.names[tag] += 1
            self.silent += silent
        if self.silent:
            return
        if tag in BLOCKS:
            self.words.append("\n")
        if tag == "li":
            self.words.append("- ")
        if tag == "a":
            self.link = given.get("href", "")
        if tag == "img" and given.get("alt", "").strip():
            self.words.append(given["alt"].strip())

    def handle_endtag(self, tag: str) -> None:
        if not self.names[tag]:
            return
        was_silent = self.silent
        name = ""
        while name != tag:
            name, silent = self.open.pop()
            self.names[name] -= 1
            self.silent -= silent
        if was_silent:
            return
        if tag == "a" and re.match(r"https?://", self.link):
            shown = "".join(self.words[-3:])
            if self.link.rstrip("/") not in shown:
                self.words.append(f" ({self.link})")
            self.link = ""
        if tag in BLOCKS:
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.silent:
            preformatted = self.names["pre"]
            self.words.append(data if preformatted else re.sub(r"[ \t\r\n\f]+", " ", data))


def is_quote(tag: str, given: dict[str, str]) -> bool:
    named = f"{given.get('class', '')} {given.get('id', '')}"
    cited = tag == "blockquote" and given.get("type", "").lower() == "cite"
    return cited or bool(QUOTES.search(named))


def tamed(html: str) -> str | None:
    """HTML that costs no more to read than it is long; None for what has too much of it.

    A picture written into its tag is left out. Elements of type such as `<font>` lose their
    attributes: those that are left open are repeated in each block that follows, and only what
    is alike is counted once (HTML, 13.2.4.3).
    """
    first, *tags = html.split("<")
    if len(tags) > MOST_TAGS:
        return None
    kept = [first]
    for tag in tags:
        head, end, words = tag.partition(">")
        if len(head) > LONGEST_TAG and head[:1].isalpha():
            kept.append(words)
        elif found := TYPE.match(head):
            kept.append(f"<{found[1]}>{words}")
        else:
            kept.append(f"<{head}{end}{words}")
    whole = "".join(kept)
    return whole if len(whole) <= LONGEST_HTML else None


def words_alone(html: str) -> str:
    """The words of HTML whose elements are too many to be looked at."""
    return unescape(re.sub(r"<[^<>]*>", " ", html)).replace("\0", "").strip()


def text_of_html(html: str, *, quotes: bool = True) -> str:
    """The words of HTML, a line for each block, links with their addresses."""
    import nh3

    given = tamed(html)
    if given is None:
        return words_alone(html)
    # The parser of Python takes hours for 100 kB of `<a <a <a`. What nh3 writes is well formed.
    clean = nh3.clean(
        given,
        tags=TAGS | BLOCKS,
        attributes={"*": {"class", "id"}, "blockquote": {"type"}, "a": {"href"}, "img": {"alt"}},
        clean_content_tags=set(HIDDEN),
        link_rel=None,
    )
    reader = Reader(quotes=quotes)
    reader.feed(clean)
    reader.close()
    text = "".join(reader.words).replace("\xa0", " ")
    text = "\n".join(line.strip(" ") for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def said_in_html(html: str) -> str:
    """What the customer wrote, from HTML alone."""
    text = text_of_html(html)
    if FORWARDED.search(text):
        return text
    return said(text_of_html(html, quotes=False)) or said(text)


TAGS = {
    "a", "abbr", "b", "blockquote", "br", "caption", "center", "cite", "code", "col", "colgroup",
    "dd", "del", "div", "dl", "dt", "em", "figcaption", "figure", "font", "h1", "h2", "h3", "h4",
    "h5", "h6", "hr", "i", "img", "ins", "li", "ol", "p", "pre", "q", "s", "small", "span",
    "strike", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u",
    "ul",
}  # fmt: skip
ATTRIBUTES = {
    "*": {"dir", "lang", "align", "title"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
    "col": {"span"},
}


def harmless(html: str) -> str:
    """HTML that runs nothing, submits nothing and looks like nothing else: no scripts, forms,
    styles or frames. Pictures keep their addresses; whoever shows them decides about loading."""
    import nh3

    given = tamed(html)
    if given is None:
        return as_html(words_alone(html))
    cleaned = nh3.clean(
        given,
        tags=TAGS,
        attributes=ATTRIBUTES,
        clean_content_tags={"script", "style", "title", "head", "template", "noscript"},
        url_schemes={"http", "https", "mailto", "tel", "cid"},
        link_rel="noopener noreferrer nofollow",
        strip_comments=True,
    )
    return cleaned.strip()


def as_html(text: str) -> str:
    """Plain text as HTML that shows it as it is."""
    return f"<pre>{escape(text, quote=False)}</pre>"
