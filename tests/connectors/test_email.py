"""Mail as it comes: what is said, quoted, attached, answered, and by whom."""

import hashlib
from email.message import EmailMessage
from html import escape
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import HookUnreadable
from hub.message import Alias, Inbound, ReplyTo
from hub.signal import Echo, OptOut, Unreadable
from tests.connectors.kit import RECEIVED_AT
from tests.connectors.letters import DESK, OURS, RIMA, heard, hook, mail, mailbox, read
from tests.connectors.oddities import assert_well_formed

BANGLA = "আমার অর্ডার কোথায়?"


def test_a_mail_is_a_message_with_a_subject() -> None:
    inbound = heard(mail(BANGLA, In_Reply_To=f"<{OURS}>"))
    assert inbound.account == DESK
    assert inbound.sender == RIMA
    assert (inbound.external_id, inbound.dedupe_key) == ("a1@mail.example.test",) * 2
    assert (inbound.message.text, inbound.message.subject) == (BANGLA, "অর্ডার")
    assert inbound.message.kind == "text"
    assert inbound.profile.name == "Rima Akter"
    assert inbound.reply_to == ReplyTo(external_id=OURS)
    assert inbound.aliases == (Alias("email", RIMA, verified=False),)
    assert inbound.sent_at == 1795176000_000000


@pytest.mark.parametrize(
    ("date", "believed"),
    [
        ("Fri, 20 Nov 2026 11:59:59 +0000", True),
        ("Mon, 1 Jan 2001 00:00:00 +0000", False),
        ("Fri, 20 Nov 2036 12:00:00 +0000", False),
        ("yesterday", False),
        ("", False),
    ],
)
def test_a_date_that_cannot_be_is_when_the_mail_came(date: str, believed: bool) -> None:
    assert (heard(mail("hi", Date=date)).sent_at != RECEIVED_AT) is believed


def test_the_same_mail_without_an_id_is_the_same_message() -> None:
    first, again = (heard(mail("hi", Message_ID="")) for _ in "ab")
    other = heard(mail("ho", Message_ID=""))
    assert first.dedupe_key == again.dedupe_key != other.dedupe_key


# Who wrote

PASS = "mx.desk.example.test; dmarc=pass (p=none) header.from=mail.example.test; spf=fail"


@pytest.mark.parametrize(
    ("results", "proven"),
    [
        ([PASS], True),
        (["mx.evil.test; dmarc=pass header.from=mail.example.test"], False),
        (["mx.evil.test; none", PASS], False),
        (["mx.desk.example.test; dmarc=pass header.from=example.test"], False),
        (["mx.desk.example.test; spf=pass; dkim=pass header.d=evil.test"], False),
        ([], False),
    ],
)
def test_only_our_own_servers_word_proves_a_sender(results: list[str], proven: bool) -> None:
    letter = mail("hi")
    for value in results:
        letter["Authentication-Results"] = value
    assert heard(letter).aliases == (Alias("email", RIMA, verified=proven),)
    assert heard(letter, trusted="").aliases[0].verified is False


@pytest.mark.parametrize(
    ("sender", "known_as"),
    [
        ("RIMA@Mail.Example.TEST", RIMA),
        ("rima.a+shop@mail.example.test", "rima.a+shop@mail.example.test"),
        ("রিমা <রিমা@mail.example.test>", "রিমা@mail.example.test"),
        ("rima@বাংলা.test", "rima@xn--54b7fta0cc.test"),
        ('"ceo@bank.test" <rima@mail.example.test>', RIMA),
        ("a@x.test, b@x.test", "a@x.test"),
    ],
)
def test_senders_are_known_by_one_form(sender: str, known_as: str) -> None:
    raw = f"From: {sender}\r\nMessage-ID: <1@x>\r\n\r\nhi".encode()
    assert heard(raw).sender == known_as


@pytest.mark.parametrize("sender", ["", "nobody", "undisclosed-recipients:;", "<>"])
def test_a_mail_from_nobody_is_kept_as_unreadable(sender: str) -> None:
    [found] = read(f"From: {sender}\r\n\r\nhi".encode())
    assert isinstance(found, Unreadable)


def test_our_own_mail_come_back_is_nothing_and_one_by_hand_is_an_echo() -> None:
    assert read(mail("hi", From=DESK, To=RIMA, Message_ID=f"<{OURS}>")) == []
    [echo] = read(mail("by hand", From=f"Desk <{DESK.upper()}>", To=RIMA))
    assert isinstance(echo, Echo)
    assert (echo.sender, echo.message.text) == (RIMA, "by hand")


@pytest.mark.parametrize("word", ["STOP", " unsubscribe ", "বন্ধ"])
def test_a_word_alone_stops_marketing(word: str) -> None:
    message, signal = read(mail(word))
    assert isinstance(message, Inbound)
    assert signal == OptOut(DESK, RIMA, message.sent_at, True, "marketing")


# Quotes

KEPT = [
    "answer one\n> question one\nanswer two\n> question two\nanswer three",
    "> only a quote",
    "On Friday we wrote: nothing much to see\nand more",
    "see below\n\n---------- Forwarded message ---------\nFrom: A <a@x>\nSubject: b\n\nthe story",
    "a -- b\nc",
    "On Fri, 20 Nov 2026, Desk wrote:\n> what size?\nMedium, please",
]
CUT = [
    "On Fri, 20 Nov 2026 at 18:00, Desk <d@x> wrote:\n> old\n>\n> older",
    "On Fri, 20 Nov 2026 at 18:00, A Very Long Name Of A Desk\n<d@x> wrote:\n\n> old",
    "২০ নভেম্বর, ২০২৬ তারিখে ৬:০০ PM এ, Desk <d@x> লিখেছেন:\n\n> পুরনো",
    "________________________________\nFrom: Desk <d@x>\nSent: Friday\nTo: Rima\nSubject: x\n\nold",
    "From: Desk <d@x>\nSent: Friday, 20 November 2026\nTo: Rima\nSubject: x\n\nold",
    "-----Original Message-----\nFrom: Desk\n\nold",
    "> old\n> older",
    "-- \nRima Akter\n01711000001",
    "On Monday Desk wrote:\n> old",
    "২০/১১/২৬ তারিখে Desk <d@x>\nলিখেছেন:\n> পুরনো",
    "Am 20.11.2026 um 18:00 schrieb Desk <d@x>:\n> alt",
    "Le ven. 20 nov. 2026 à 18:00, Desk <d@x> a écrit :\n> vieux",
]


@pytest.mark.parametrize("text", KEPT)
def test_nothing_is_cut_where_in_doubt(text: str) -> None:
    assert heard(mail(text)).message.text == text


@pytest.mark.parametrize("quoted", CUT)
def test_what_is_quoted_is_cut_and_kept_in_the_html(quoted: str) -> None:
    message = heard(mail(f"{BANGLA}\n\n{quoted}")).message
    assert message.text == BANGLA
    assert quoted.splitlines()[-1].lstrip("> ") in message.html


def test_her_own_words_before_a_quote_are_no_part_of_it() -> None:
    said = "On Monday I need it\nOn 3 December at the latest, order 4411"
    for quoted in CUT:
        assert heard(mail(f"{said}\n\n{quoted}")).message.text == said


@given(st.lists(st.sampled_from([*CUT, *KEPT, "> x", "", "hello", BANGLA]), max_size=5))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_no_line_of_hers_is_ever_lost(pieces: list[str]) -> None:
    text = "\n".join(pieces).strip()
    if not text:
        return
    message = heard(mail(text)).message
    assert message.text.strip()
    whole = message.text if message.text == text else message.html
    for line in map(str.strip, text.splitlines()):
        assert line in whole or escape(line, quote=False) in whole


HTML = (
    '<html><head><style>p{}</style></head><body><p onclick="x()">Hello&nbsp;<b>there</b></p>'
    '<script>alert(1)</script><p>See <a href="https://x.test/a">this</a></p>'
    '<form action="/x"><input name="a"></form><img src="https://t.test/p.gif" onerror="y()">'
    '<a href="javascript:alert(1)">bad</a>'
    '<div class="gmail_quote">On Friday Desk wrote:<blockquote>old words</blockquote></div></body>'
)


def test_html_is_read_without_its_quotes_and_made_harmless() -> None:
    message = heard(mail(html=HTML)).message
    assert message.text == "Hello there\n\nSee this (https://x.test/a)\nbad"
    assert "old words" in message.html
    for bad in ("script", "alert", "onclick", "onerror", "form", "input", "javascript", "style"):
        assert bad not in message.html.lower()
    assert '<img src="https://t.test/p.gif">' in message.html


@given(st.text(alphabet="<>/=\"' aimgscriptonerrorhref:jv&;#\n", max_size=80))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_no_html_gets_through_that_runs(html: str) -> None:
    message = heard(mail(html=html + "<p>x</p>")).message
    assert "<script" not in message.html.lower()
    assert " on" not in message.html.lower().replace(" one", "") or "<" not in message.html


# Parts


def test_files_are_media_by_their_digest_and_their_bytes_are_there() -> None:
    letter = mail("two files")
    letter.add_attachment(b"%PDF-1", maintype="application", subtype="pdf", filename="রসিদ.pdf")
    letter.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="../../x/a.png")
    message = heard(letter).message
    assert (message.kind, message.text) == ("text", "two files")
    assert [(m.kind, m.name, m.mime, m.size) for m in message.media] == [
        ("file", "রসিদ.pdf", "application/pdf", 6),
        ("image", "a.png", "image/png", 4),
    ]
    carried = dict(mailbox().carried(hook(letter)))
    assert [carried[m.sha256] for m in message.media] == [b"%PDF-1", b"\x89PNG"]
    assert hashlib.sha256(b"%PDF-1").hexdigest() == message.media[0].sha256


def test_a_picture_alone_is_a_picture_and_its_subject_stays() -> None:
    letter = mail()
    letter.set_content(b"\x89PNG", maintype="image", subtype="png", filename="a.png")
    message = heard(letter).message
    assert (message.kind, message.text, message.subject) == ("image", "", "অর্ডার")


def test_a_mail_inside_a_mail_is_a_file() -> None:
    letter = mail("look at this")
    letter.add_attachment(mail("inner words", Subject="inner"))
    message = heard(letter).message
    assert message.text == "look at this"
    assert [(m.kind, m.name, m.mime) for m in message.media] == [
        ("file", "inner.eml", "message/rfc822")
    ]


def test_an_inline_picture_is_known_by_its_content_id() -> None:
    letter = mail("pic", html='<p>pic <img src="cid:p1"></p>')
    part = list(letter.iter_parts())[1]
    assert isinstance(part, EmailMessage)
    part.add_related(b"\x89PNG", maintype="image", subtype="png", cid="<p1>")
    [media] = heard(letter).message.media
    assert (media.inline, media.content_id) == (True, "p1")


RAW = f"From: {RIMA}\r\nMessage-ID: <1@x>\r\n".encode()
UUENCODED = b"begin 644 a\r\n%:&5L;&\\\r\n \r\nend\r\n"
TWO = b"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--"


def plain(charset: str, content: bytes) -> bytes:
    return f"Content-Type: text/plain; charset={charset}\r\n\r\n".encode() + content


BROKEN: list[tuple[str, bytes, str]] = [
    ("no headers of mime", b"\r\nplain", "plain"),
    ("an unknown charset", plain("x-unknown", BANGLA.encode()), BANGLA),
    ("the wrong charset", plain("ascii", BANGLA.encode()), BANGLA),
    ("windows without a word", b"\r\ncaf\xe9", "café"),
    ("korean by its old name", plain("ks_c_5601-1987", b"\xb0\xa1"), "가"),
    ("no boundary", b"Content-Type: multipart/mixed\r\n\r\nlost words", "lost words"),
    ("padding", b"Content-Transfer-Encoding: base64\r\n\r\naGVsbG8", "hello"),
    ("uuencode", b"Content-Transfer-Encoding: x-uuencode\r\n\r\n" + UUENCODED, "hello"),
    ("a NUL", b"\r\na\0b", "ab"),
    ("a header in a header", b"Subject: =?utf-8?Q?Hi=0D=0ABcc:_x?=\r\n\r\nx", "x"),
    ("flowed", plain("utf-8; format=flowed", b"one \r\nline\r\nnext"), "one line\nnext"),
    ("two texts", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + TWO, "one\ntwo"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "text"), [case[1:] for case in BROKEN], ids=[c[0] for c in BROKEN])
def test_broken_mail_is_read_as_far_as_it_goes(raw: bytes, text: str) -> None:
    inbound = heard(RAW + raw)
    assert inbound.message.text == text
    assert not set(inbound.message.subject) & set("\r\n\0")


def test_a_mail_of_nothing_is_kept_all_the_same() -> None:
    assert heard(RAW + b"\r\n").message.kind == "unsupported"
    assert heard(RAW + b"Subject: call me\r\n\r\n").message.subject == "call me"


def test_depth_and_number_of_parts_have_an_end() -> None:
    nested = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(60)
    )
    assert_well_formed(heard(RAW + nested + b"\r\ndeep"))
    many = b"--b\r\nContent-Disposition: attachment\r\n\r\nx\r\n" * 500
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    assert len(heard(RAW + head + many + b"--b--").message.media) == 200


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data())
def test_damaged_mail_raises_nothing(data: st.DataObject) -> None:
    letter = mail(BANGLA, html=HTML)
    letter.add_attachment(b"x" * 50, maintype="application", subtype="pdf", filename="রসিদ.pdf")
    body = bytearray(bytes(letter))
    for _ in range(data.draw(st.integers(1, 30))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut: Any = bytes(body[: data.draw(st.integers(0, len(body)))])
    try:
        items = read(cut)
    except HookUnreadable:
        return
    for item in items:
        assert_well_formed(item)
