"""What a file is and may be called, judged by its own bytes first: names and types come from
strangers, and are shown to agents and sent on to customers."""

import codecs
import mimetypes
import re
import unicodedata
from pathlib import PurePosixPath

import filetype  # type: ignore[import-untyped]  # ships neither stubs nor a py.typed

HEAD = 8192
"""How many of a file's first bytes `sniff` wants."""

UNKNOWN = "application/octet-stream"
MIME = re.compile(r"[a-z0-9][\w.+-]*/[a-z0-9][\w.+-]*")
CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
PAGE = re.compile(rb"\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b", re.I | re.S)

FINER = {
    "application/zip": re.compile(r"application/.+"),
    "video/mp4": re.compile(r"(audio|video)/(mp4|m4a|x-m4a|m4v|x-m4v|3gpp|3gpp2|quicktime)"),
    "audio/mp4": re.compile(r"audio/(m4a|x-m4a|aac)"),
    "video/3gpp": re.compile(r"audio/3gpp2?"),
    "video/webm": re.compile(r"audio/webm"),
    "video/x-matroska": re.compile(r"(audio|video)/(webm|x-matroska)"),
    "audio/ogg": re.compile(r"(audio|video|application)/(ogg|opus)"),
}
"""Containers whose content the provider's word may tell more exactly than the first bytes."""

NAME_LENGTH = 150
NAME_BYTES = 200
JOINERS = "\u200c\u200d"
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.I)


def sniff(head: bytes, hint: str = "") -> str:
    """The MIME type of a file that begins with `head`.

    `hint`, the provider's word, decides only what the bytes leave open: it never makes a text
    into a picture, nor bytes of an unknown kind into a known one.
    """
    hint = hint.partition(";")[0].strip().lower()
    if not MIME.fullmatch(hint):
        hint = ""
    if not head:
        return hint or UNKNOWN
    found: str | None = filetype.guess_mime(head)
    if found:
        finer = FINER.get(found)
        return hint if finer and finer.fullmatch(hint) else found
    if is_text(head):
        return hint if names_text(hint) else "text/plain"
    known = names_text(hint) or filetype.get_type(mime=hint) is not None
    return UNKNOWN if known or not hint else hint


def is_text(head: bytes) -> bool:
    """UTF-8 text, or any text with a UTF-16 mark; the end may be cut inside a character."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return not CONTROLS.search(head)


def names_text(mime: str) -> bool:
    kind, _, rest = mime.partition("/")
    return kind == "text" or rest.endswith(("json", "xml", "javascript", "yaml"))


def is_page(head: bytes) -> bool:
    """Is it a web page, as comes in place of a file when a link has expired?"""
    return PAGE.match(head[:1024]) is not None


def safe_name(name: str, mime: str = "") -> str:
    """A stranger's file name fit to be shown and saved anywhere.

    Without folders, control and direction-changing characters (Bangla's joiners stay) and what
    file systems refuse; at most 150 characters and 200 UTF-8 bytes, the ending kept. A missing
    ending follows from `mime`, a missing name is "file".
    """
    name = unicodedata.normalize("NFC", name.encode(errors="ignore").decode())
    name = re.split(r"[/\\]", name)[-1]
    name = "".join(
        character
        for character in name
        if character in JOINERS or unicodedata.category(character) not in ("Cc", "Cf", "Zl", "Zp")
    )
    name = re.sub(r'[<>:"|?*]', "_", " ".join(name.split())).strip(". ").strip(JOINERS)
    ending = PurePosixPath(name).suffix
    if not re.fullmatch(r"\.\w{1,10}", ending):
        ending = ""
    stem = name.removesuffix(ending) or "file"
    ending = ending or mimetypes.guess_extension(mime.partition(";")[0].strip()) or ""
    if RESERVED.fullmatch(stem):
        stem = f"_{stem}"
    return shorten(stem, NAME_LENGTH - len(ending), NAME_BYTES - len(ending.encode())) + ending


def shorten(stem: str, characters: int, size: int) -> str:
    """The beginning of `stem`, not ending inside a character."""
    return stem[:characters].encode()[:size].decode(errors="ignore").rstrip(". ")
