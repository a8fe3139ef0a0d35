"""Reads the parts of one mail: headers, bodies, attachments (RFC 5322, 2045-2049, 2047, 2231).

Mail is written by everybody's program: whatever is broken costs its own part at most.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import getaddresses
from itertools import islice
from typing import Any

from hub.message import MediaKind

DEEPEST, MOST_PARTS = 20, 200
MOST_BOUNDARIES, MOST_LINES, MOST_HEADERS = 20_000, 20_000_000, 1000
LONGEST_HEADER, LONGEST_TEXT, LONGEST_CHAIN = 1000, 4000, 4000
TEXTS = frozenset({"subject", "to", "cc", "authentication-results"})
CHAINS = frozenset({"references", "in-reply-to"})
NO_CHARSETS = frozenset(
    {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "utf_7", "utf7"}
)  # Python's own, and one that writes anything; the first two take the square of their length
CONTROLS = re.compile(r"[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
SIMILAR = {"gb2312": "gb18030", "gbk": "gb18030", "ks_c_5601-1987": "cp949", "utf8mb4": "utf-8"}
EXTENSIONS = {
    "message/rfc822": ".eml",
    "text/calendar": ".ics",
    "application/pgp-encrypted": ".asc",
    "application/pkcs7-mime": ".p7m",
    "application/ms-tnef": ".dat",
}


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a mail. `content_id` is how the HTML names it."""

    name: str
    mime: str
    content: bytes
    content_id: str = ""
    inline: bool = False

    @property
    def kind(self) -> MediaKind:
        first = self.mime.partition("/")[0]
        return first if first in ("image", "audio", "video") else "file"  # type: ignore[return-value]  # of the closed set


@dataclass(slots=True)
class Letter:
    """One mail. `headers` are by lower-case names, each value in the order it stood; `reply` is
    the text without quotes, where a provider has cut them already; `reports` are its
    machine-readable parts: bounces and receipts."""

    headers: dict[str, list[str]]
    text: str = ""
    html: str = ""
    reply: str = ""
    attachments: list[Attachment] = field(default_factory=list)
    content_type: str = ""
    report_type: str = ""
    reports: list[EmailMessage] = field(default_factory=list)
    is_whole: bool = True

    def header(self, name: str) -> str:
        """The first header of that name, on one line; "" without one."""
        found = self.headers.get(name)
        return found[0] if found else ""


class Patience(policy.EmailPolicy):
    """The email package's own reading of headers, which takes a minute for 100 kB of quotation
    marks and falls over others; so what is too long loses its end, what cannot be taken apart
    stays as it was written."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        if name.lower() in CHAINS:
            return name, value[-LONGEST_CHAIN:]  # the last id is the mail that is answered
        return name, value[: LONGEST_TEXT if name.lower() in TEXTS else LONGEST_HEADER]

    def header_fetch_parse(self, name: str, value: str) -> Any:
        try:
            return super().header_fetch_parse(name, value)
        except Exception:
            return one_line(value)


PATIENCE = Patience(utf8=False)


def read_mail(raw: bytes) -> Letter:
    """A mail from its bytes. One of more parts than can be read has its headers alone."""
    alone = is_too_much(raw)
    try:
        mail = BytesParser(policy=PATIENCE).parsebytes(raw, headersonly=alone)
    except (RecursionError, AttributeError, ValueError, LookupError, TypeError):
        alone, mail = True, BytesParser(policy=PATIENCE).parsebytes(raw, headersonly=True)
    assert isinstance(mail, EmailMessage)
    if alone:
        return Letter(read_headers(mail), is_whole=False)
    letter = Letter(read_headers(mail))
    letter.content_type = content_type(mail)
    if letter.content_type == "multipart/report":
        letter.report_type = str(mail.get_param("report-type", "") or "").lower()
    for count, part in enumerate(leaves(mail)):
        if count == MOST_PARTS:
            letter.is_whole = False
            break
        try:
            read_part(letter, part)
        except Exception:
            # The email package trips over some headers it has itself let through.
            letter.is_whole = False
    return letter


def is_too_much(raw: bytes) -> bool:
    """Would its parts take too much time or memory? Each line is held against the boundary of
    each part that is open."""
    if raw.count(b"\n--") > MOST_BOUNDARIES:
        return True
    lowered = raw.lower()
    depth = len(re.findall(rb"boundary[\s*]*=|boundary\*0|message/", lowered))
    return (depth > DEEPEST and depth * raw.count(b"\n") > MOST_LINES) or depth > 5 * MOST_PARTS


def read_headers(mail: EmailMessage) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in islice(mail.raw_items(), MOST_HEADERS):
        try:
            read = str(PATIENCE.header_fetch_parse(name, value))
        except Exception:
            read = str(value)
        found.setdefault(name.lower(), []).append(one_line(read))
    return found


def one_line(value: str) -> str:
    """A header without line breaks and NUL: an encoded word may hold them."""
    return re.sub(r"[\r\n\0\ud800-\udfff]+\s*", " ", value).strip()


def content_type(part: EmailMessage) -> str:
    try:
        return part.get_content_type().lower()
    except Exception:
        return "application/octet-stream"


def leaves(mail: EmailMessage, depth: int = 0) -> Iterator[EmailMessage]:
    """The parts that hold something; a mail inside the mail is one of them."""
    kind = content_type(mail)
    inner = mail.get_payload() if mail.is_multipart() else None
    if not isinstance(inner, list) or (kind.startswith("message/") and depth):
        yield mail
    elif depth < DEEPEST:
        for part in inner:
            if isinstance(part, EmailMessage):
                yield from leaves(part, depth + 1)


def read_part(letter: Letter, part: EmailMessage) -> None:
    kind = content_type(part)
    if kind in ("message/delivery-status", "message/disposition-notification"):
        letter.reports.append(part)
        return
    if letter.report_type and kind in ("message/rfc822", "text/rfc822-headers"):
        letter.reports.append(part)
        return
    if kind == "message/feedback-report":
        letter.reports.append(part)
        return
    name = file_name(part)
    # A multipart without its boundary has no parts, and perhaps words.
    is_text = (kind in ("text/plain", "text/html") or kind.startswith("multipart/")) and not name
    if is_text and part.get_content_disposition() != "attachment":
        text = decoded(content_of(part), charset_of(part))
        if kind == "text/html":
            letter.html += text
        else:
            flowed = str(part.get_param("format", "") or "").lower() == "flowed"
            text = unflowed(text, str(part.get_param("delsp", "") or "")) if flowed else text
            letter.text = f"{letter.text}\n{text}" if letter.text.strip() else text
        return
    letter.attachments.append(read_attachment(part, kind, name))


def read_attachment(part: EmailMessage, kind: str, name: str) -> Attachment:
    if kind == "message/rfc822":
        inner = part.get_payload()
        whole = inner[0] if isinstance(inner, list) and inner else part
        assert isinstance(whole, EmailMessage)
        content = whole.as_bytes()
        name = name or safe_name(one_line(str(whole.get("subject", ""))) or "message") + ".eml"
    else:
        content = content_of(part)
    content_id = one_line(str(part.get("content-id", ""))).strip("<> ")
    inline = part.get_content_disposition() == "inline" or bool(content_id)
    name = name or f"attachment{EXTENSIONS.get(kind, '')}"
    return Attachment(name, kind, content, content_id, inline)


def content_of(part: EmailMessage) -> bytes:
    """The part's bytes, its transfer encoding undone as far as it can be."""
    payload = part.get_payload(decode=True)
    if isinstance(payload, bytes):
        return payload
    return str(part.get_payload()).encode("utf-8", "surrogateescape")


def charset_of(part: EmailMessage) -> str:
    try:
        return str(part.get_content_charset("") or "")
    except Exception:
        return ""


def decoded(content: bytes, charset: str) -> str:
    """Text in the charset it says, else in UTF-8, else as Windows writes it."""
    known = charset.lower().replace("-", "_")
    declared = "" if known in NO_CHARSETS else SIMILAR.get(charset, charset)
    for tried in (declared or "utf-8", "utf-8"):
        try:
            return content.decode(tried).replace("\0", "")
        except (LookupError, ValueError):
            continue
    return content.decode("windows-1252", "replace").replace("\0", "")


def unflowed(text: str, delsp: str) -> str:
    """Paragraphs of format=flowed on one line each (RFC 3676)."""
    lines: list[list[str]] = []
    joins = False
    for line in text.splitlines():
        quoted = line.startswith(">")
        line = line if quoted else line.removeprefix(" ")
        soft = line.endswith(" ") and line != "-- " and not quoted
        shown = line[:-1] if soft and delsp.lower() == "yes" else line
        if joins and not quoted:
            lines[-1].append(shown)
        else:
            lines.append([shown])
        joins = soft
    return "\n".join("".join(line) for line in lines)


def file_name(part: EmailMessage) -> str:
    try:
        name = part.get_filename("")
    except Exception:
        return ""
    return safe_name(str(name or ""))


def safe_name(name: str) -> str:
    """A file's name without folders, controls and what turns the reading order around."""
    name = unicodedata.normalize("NFC", CONTROLS.sub("", name.replace("\\", "/")))
    name = name.rpartition("/")[2].strip(". ")
    if len(name) <= 150:
        return name
    stem, dot, end = name.rpartition(".")
    return f"{stem[: 149 - len(end)]}{dot}{end}" if dot and len(end) <= 10 else name[:150]


def mailboxes(value: str) -> list[tuple[str, str]]:
    """The names and addresses of a header; an address is put in its normal form."""
    try:
        pairs = getaddresses([value[:LONGEST_TEXT]])
    except Exception:
        return []
    found = [(one_line(name), normal(address)) for name, address in pairs]
    return [(name, address) for name, address in found if address]


def normal(address: str) -> str:
    """An address as it is compared: in small letters, its domain in ASCII; "" for none."""
    address = address.strip().strip("<>").removeprefix("mailto:").strip()
    local, at, domain = address.rpartition("@")
    if not (at and local and domain) or re.search(r"[\s,;<>]", address) or len(address) > 320:
        return ""
    try:
        domain = domain.encode("idna").decode()
    except UnicodeError:
        return ""
    return unicodedata.normalize("NFC", f"{local}@{domain}".lower())


def ids_in(value: str) -> list[str]:
    """The message ids of a header, without brackets, in their order."""
    found = re.findall(r"<([^<>\s]+)>", value)
    return found or [word for word in value.split() if "@" in word]
