"""Media a stand-in holds: small valid files made for the customer's phone, and uploads."""

import base64
import binascii
import hashlib
import secrets
import struct
import zlib
from dataclasses import dataclass

_JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDACgcHiMeGSgjISMtKygwPGRBPDc3PHtYXUlkkYCZlo+AjIqgtObDoKra"
    "rYqMyP/L2u71////m8H////6/+b9//j/2wBDASstLTw1PHZBQXb4pYyl+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4"
    "+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj/wAARCAAgADADASIAAhEBAxEB/8QAGAABAQEBAQAAAAAAAAAAAAAA"
    "AgABAwT/xAAVEAEBAAAAAAAAAAAAAAAAAAABAP/EABgBAQEAAwAAAAAAAAAAAAAAAAMBAAIE/8QAFxEBAQEBAAAA"
    "AAAAAAAAAAAAAAERAv/aAAwDAQACEQMRAD8A4hILQkFropWBMKCQV0sqCQWhIK6aV5gmFBII9cEqCQWhILNLKgkF"
    "BMK6bmv/2Q=="
)
_JPEG_HEAD = 20  # the start marker and the JFIF segment, after which comments may stand
_WEBP = base64.b64decode("UklGRh4AAABXRUJQVlA4TBEAAAAvB8ABAAdQqCKXp/+BiOh/AAA=")
_PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>endobj\n"
    b"trailer<</Root 1 0 R>>\n%%EOF\n"
)

USUAL_MIME = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "audio": "audio/mpeg",
    "voice": "audio/ogg; codecs=opus",
    "document": "application/pdf",
    "sticker": "image/webp",
    "vcard": "text/vcard",
}


@dataclass(slots=True)
class Media:
    """One stored file. `expires_at` is in seconds UTC; `account` is who may fetch it."""

    id: str
    account: str
    kind: str
    mime: str
    content: bytes
    expires_at: float
    name: str | None = None

    @property
    def sha256(self) -> str:
        """The digest in base64, as WhatsApp's webhooks carry it."""
        return base64.b64encode(hashlib.sha256(self.content).digest()).decode()


def make_content(mime: str, size: int | None = None) -> bytes:
    """A small file of the type; every call makes another one. `size` pads it to so many bytes."""
    seed = secrets.token_bytes(3)
    base_mime = mime.partition(";")[0].strip()
    if base_mime == "image/png":
        return _png(seed, size)
    if base_mime == "image/jpeg":
        return _jpeg(seed, size)
    if base_mime == "application/pdf":
        content = _PDF + b"%" + seed.hex().encode() + b"\n"
    elif base_mime in ("video/mp4", "audio/mp4"):
        brand = b"M4A " if base_mime == "audio/mp4" else b"isom"
        content = b"\0\0\0\x18ftyp" + brand + b"\0\0\2\0isommp41" + b"\0\0\0\x0bfree" + seed
    elif base_mime == "image/webp":
        content = _WEBP
    elif base_mime == "audio/ogg":
        content = _ogg(seed)
    elif base_mime in ("text/vcard", "text/x-vcard"):
        content = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Rima\r\nEND:VCARD\r\n"
    else:
        content = seed
    return content.ljust(size or 0, b"\0")


def vcard(name: str, phones: list[str]) -> bytes:
    """A contact card as MMS and WhatsApp carry it."""
    lines = ["BEGIN:VCARD", "VERSION:3.0", f"FN:{name}", f"N:;{name};;;"]
    lines += [f"TEL;TYPE=CELL:{phone}" for phone in phones]
    return "\r\n".join([*lines, "END:VCARD", ""]).encode()


def _png(seed: bytes, size: int | None) -> bytes:
    width, height = 64, 48
    rows = b"".join(
        b"\0" + b"".join(bytes(min(255, part + x + y) for part in seed) for x in range(width))
        for y in range(height)
    )
    head = b"\x89PNG\r\n\x1a\n" + _chunk(
        b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    )
    tail = _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    missing = (size or 0) - len(head) - len(tail) - 12
    padding = _chunk(b"paDd", bytes(missing)) if missing >= 0 and size else b""
    return head + padding + tail


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = binascii.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def _jpeg(seed: bytes, size: int | None) -> bytes:
    """One small JPEG, told apart and padded by comment segments."""
    comments = b"\xff\xfe" + struct.pack(">H", 5) + seed
    missing = (size or 0) - len(_JPEG) - len(comments)
    while missing >= 4:
        length = min(missing, 65_537)
        if 0 < missing - length < 4:
            length -= 4
        comments += b"\xff\xfe" + struct.pack(">H", length - 2) + bytes(length - 4)
        missing -= length
    return _JPEG[:_JPEG_HEAD] + comments + _JPEG[_JPEG_HEAD:]


def _ogg(seed: bytes) -> bytes:
    """One Ogg page with an OpusHead, enough for a sniffer to call it a voice note."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 16_000, 0, 0)
    page = b"OggS\0\2" + bytes(8) + seed + b"\0" + bytes(4) + bytes(4) + b"\1" + bytes([len(head)])
    return page + head
