"""What files are taken for, and what they may be called."""

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.mime import NAME_BYTES, NAME_LENGTH, is_page, safe_name, sniff

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0" * 20
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0" + b"\0" * 20
MP4 = b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + b"\0" * 20
OGG = b"OggS\0\2" + b"\0" * 30


def zipped() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("notes.bin", b"x")
    return target.getvalue()


DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.mark.parametrize(
    ("head", "hint", "mime"),
    [
        (PNG, "", "image/png"),
        (JPEG, "image/png", "image/jpeg"),
        (JPEG, "text/html", "image/jpeg"),
        (b"%PDF-1.7\n", "application/octet-stream", "application/pdf"),
        (MP4, "audio/mp4", "audio/mp4"),
        (MP4, "", "video/mp4"),
        (MP4, "text/plain", "video/mp4"),
        (OGG, "audio/ogg; codecs=opus", "audio/ogg"),
        (zipped(), DOCX, DOCX),
        (zipped(), "image/png", "application/zip"),
        (b"name,phone\n", "text/csv; charset=utf-8", "text/csv"),
        (b"name,phone\n", "", "text/plain"),
        ("আমার অর্ডার".encode()[:-1], "", "text/plain"),
        (b"\xff\xfeh\0i\0", "", "text/plain"),
        (b"<html><script>", "image/png", "text/plain"),
        (b"<svg xmlns='x'>", "image/svg+xml", "image/svg+xml"),
        (b"BEGIN:VCARD\r\n", "text/vcard", "text/vcard"),
        (b"\x00\x01\x02\x03", "image/png", "application/octet-stream"),
        (b"\x00\x01\x02\x03", "text/html", "application/octet-stream"),
        (b"\x00\x01\x02\x03", "application/x-own", "application/x-own"),
        (b"\x00\x01\x02\x03", "no mime\r\nX: y", "application/octet-stream"),
        (b"", "audio/amr", "audio/amr"),
        (b"", "", "application/octet-stream"),
    ],
)
def test_bytes_decide_and_the_hint_refines(head: bytes, hint: str, mime: str) -> None:
    assert sniff(head, hint) == mime


@pytest.mark.parametrize(
    ("head", "page"),
    [
        (b"<!DOCTYPE html><title>Log in</title>", True),
        (b"  \n<html lang=en>", True),
        (b"<!-- x --><HTML>", True),
        (b"<htmlx>", False),
        (JPEG, False),
        (b"", False),
    ],
)
def test_a_page_is_known_by_its_beginning(head: bytes, page: bool) -> None:
    assert is_page(head) is page


@pytest.mark.parametrize(
    ("name", "mime", "safe"),
    [
        ("invoice.pdf", "", "invoice.pdf"),
        ("../../etc/passwd", "", "passwd"),
        ("C:\\Users\\me\\photo.jpg", "", "photo.jpg"),
        ("ছবি ক্ষিপ্র\u200d.jpg", "", "ছবি ক্ষিপ্র\u200d.jpg"),
        ("invoice\u202efdp.exe", "", "invoicefdp.exe"),
        ("a\r\nSet-Cookie: x.txt", "", "aSet-Cookie_ x.txt"),
        ("\ufeffa\0b.txt", "", "ab.txt"),
        ("", "image/png", "file.png"),
        ("...", "", "file"),
        (".htaccess", "", "htaccess"),
        ("photo", "image/png", "photo.png"),
        ("photo", "no/such", "photo"),
        ("con.txt", "", "_con.txt"),
        ("LPT1", "", "_LPT1"),
        ('a<b>:"c|d?*.txt', "", "a_b___c_d__.txt"),
        ("end. . .", "", "end"),
        ("x" * 300 + ".pdf", "", "x" * 146 + ".pdf"),
        ("archive.tar.gz", "", "archive.tar.gz"),
        ("e\u0301.txt", "", "é.txt"),
    ],
)
def test_names_are_made_safe(name: str, mime: str, safe: str) -> None:
    assert safe_name(name, mime) == safe


@given(st.text(max_size=400), st.sampled_from(["", "image/jpeg", "text/plain; charset=x"]))
def test_any_name_becomes_a_safe_one(name: str, mime: str) -> None:
    safe = safe_name(name, mime)

    assert safe.strip(". ") == safe != ""
    assert len(safe) <= NAME_LENGTH
    assert len(safe.encode()) <= NAME_BYTES
    assert not set(safe) & set('/\\<>:"|?*\0\r\n\t\u202e\u2066\u2028')
    assert safe_name(safe, mime) == safe
