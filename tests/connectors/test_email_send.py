"""What leaves by SMTP, taken by a real server and read by Python's mail library, and what the
server's behaviour means for a message: again, unknown, or never."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from connectors.email import Email
from hub.connector import Http
from hub.errors import (
    Busy,
    MediaFailed,
    Misconfigured,
    NoSuchRecipient,
    NotReached,
    OutcomeUnknown,
    Refused,
    SendFailed,
    Unreachable,
)
from hub.message import Address, Earlier, Message, Outbound
from tests.connectors.letters import CORRELATION, DESK, OURS, RIMA, mailbox
from tests.mailing import parsed
from tests.ports import free_port

BANGLA = "আপনার অর্ডার আসছে 👨‍👩‍👧‍👦। " * 20


class Handler:
    """Answers each step as told: words, seconds to wait before them, or None to hang up."""

    def __init__(self) -> None:
        self.steps: dict[str, str | float | None] = {}
        self.taken: list[tuple[str | None, list[str], EmailMessage]] = []

    async def answer(self, step: str, server: SMTP) -> str:
        told = self.steps.get(step, "250 OK")
        if told is None:
            hang_up(server)
            return "421 gone"
        if isinstance(told, float):
            await asyncio.sleep(told)
            return "250 OK"
        return told

    async def handle_MAIL(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options += options
        return await self.answer("mail", server)

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        envelope.rcpt_tos.append(address)
        return await self.answer("rcpt", server)

    async def handle_DATA(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, parsed(envelope.content)))
        return await self.answer("data", server)

    async def handle_QUIT(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        return await self.answer("quit", server)


def hang_up(server: SMTP) -> None:
    if isinstance(server.transport, asyncio.Transport):
        server.transport.abort()


@contextlib.asynccontextmanager
async def serving(handler: Handler, **more: Any) -> AsyncIterator[int]:
    port = free_port()
    made: list[SMTP] = []

    def connect() -> SMTP:
        made.append(SMTP(handler, hostname="mx.test", **more))
        return made[-1]

    server = await asyncio.get_running_loop().create_server(connect, "127.0.0.1", port)
    try:
        yield port
    finally:
        server.close()
        for one in made:
            hang_up(one)
        await asyncio.sleep(0)


def sender(port: int, timeout: float = 5.0, **changes: Any) -> Email:
    smtp = {"host": "127.0.0.1", "port": port, "security": "none", **changes}
    return mailbox(Http(None, timeout=timeout), smtp=smtp)  # type: ignore[arg-type]  # SMTP alone


def outbound(text: str = "hi", to: str = RIMA, **more: Any) -> Outbound:
    message = Message.of(text, subject=more.pop("subject", ""))
    return Outbound(bytes(16), Address(DESK, to), message, CORRELATION, **more)


async def taken(out: Outbound, **more: Any) -> EmailMessage:
    """The mail as its receiver has it."""
    handler = Handler()
    async with serving(handler, enable_SMTPUTF8=True) as port:
        await sender(port, **more).send(out)
    [(mail_from, receivers, mail)] = handler.taken
    assert (mail_from, receivers) == (DESK, [out.to.external_id])
    assert not mail.defects
    return mail


async def test_a_bangla_mail_arrives_as_it_was_written() -> None:
    earlier = Earlier("a1@mail.example.test", "অর্ডার ১৭ কোথায়, এখনো আসেনি কেন? " * 5)
    mail = await taken(outbound(BANGLA, earlier=earlier))
    body = mail.get_body(("plain",))
    assert body
    assert body.get_content().strip() == BANGLA.strip()
    assert mail["Subject"] == f"Re: {earlier.subject.strip()}"
    assert mail["Message-ID"] == f"<{OURS}>"
    assert mail["In-Reply-To"] == mail["References"] == "<a1@mail.example.test>"
    assert max(map(len, bytes(mail).splitlines())) <= 998
    assert bytes(mail).isascii()


@pytest.mark.parametrize("subject", ["x\r\nBcc: spy@evil.test", "x\nBcc: spy@evil.test", "x\0\ry"])
async def test_a_customers_words_add_no_header(subject: str) -> None:
    evil = Earlier("a1@x>\r\nBcc: <spy@evil.test", subject)
    mail = await taken(outbound(earlier=evil, reply_to="b@x\r\nBcc: spy@evil.test"))
    assert {"bcc", "in-reply-to"}.isdisjoint(name.lower() for name in mail.keys())  # noqa: SIM118  # a mail iterates otherwise
    assert str(mail["Subject"]).startswith("Re: x")
    own = await taken(outbound(subject=subject))
    assert own["Bcc"] is None


async def test_an_id_of_any_length_does_not_break_the_mail() -> None:
    mail = await taken(outbound(earlier=Earlier("a" * 3000 + "@x", "s" * 5000)))
    assert mail["Message-ID"] == f"<{OURS}>"
    assert max(map(len, bytes(mail).splitlines())) <= 998


@pytest.mark.parametrize("to", ["a@x.test>\r\nRCPT TO:<spy@evil.test", "a b@x.test", "nobody", ""])
async def test_an_address_that_is_none_is_sent_nothing(to: str) -> None:
    handler = Handler()
    async with serving(handler) as port:
        with pytest.raises(NoSuchRecipient):
            await sender(port).send(outbound(to=to))
    assert handler.taken == []


async def test_an_address_beyond_ascii_goes_where_the_server_can() -> None:
    await taken(outbound(to="রিমা@mail.example.test"))
    async with serving(Handler(), enable_SMTPUTF8=False) as port:
        with pytest.raises(NoSuchRecipient):
            await sender(port).send(outbound(to="রিমা@mail.example.test"))


async def test_a_dot_alone_does_not_end_the_mail() -> None:
    text = "one\n.\nQUIT\n..two\nFrom me"
    body = (await taken(outbound(text))).get_body(("plain",))
    assert body
    assert body.get_content().replace("\r\n", "\n").strip() == text


FAILS: list[tuple[str, str | float | None, type[SendFailed]]] = [
    ("mail", "421 4.3.2 later", Unreachable),
    ("mail", None, Unreachable),
    ("rcpt", "450 4.7.1 greylisted", Busy),
    ("rcpt", "550 5.1.1 nobody", NoSuchRecipient),
    ("rcpt", "530 5.7.0 log in first", Misconfigured),
    ("rcpt", None, Unreachable),
    ("rcpt", 3.0, Unreachable),
    ("data", "451 4.3.0 later", Unreachable),
    ("data", "552 5.3.4 too large", MediaFailed),
    ("data", "554 5.6.0 no", Refused),
    ("data", None, OutcomeUnknown),
    ("data", 3.0, OutcomeUnknown),
]


@pytest.mark.parametrize(("step", "told", "error"), FAILS, ids=lambda one: str(one)[:12])
async def test_what_a_server_does_decides_about_another_try(
    step: str, told: str | float | None, error: type[SendFailed]
) -> None:
    handler = Handler()
    handler.steps[step] = told
    async with serving(handler) as port:
        with pytest.raises(SendFailed) as caught:
            await sender(port, 0.1 if told == 3.0 else 5.0).send(outbound())
    assert type(caught.value) is error
    assert RIMA not in str(caught.value)


async def test_all_steps_together_have_the_one_time() -> None:
    handler = Handler()
    handler.steps |= {"mail": 0.15, "rcpt": 0.15}
    async with serving(handler) as port:
        begun = time.monotonic()
        with pytest.raises(Unreachable):
            await sender(port, 0.2).send(outbound())
    assert time.monotonic() - begun < 3
    assert handler.taken == []


async def test_a_good_bye_that_fails_leaves_the_mail_accepted() -> None:
    handler = Handler()
    handler.steps["quit"] = None
    async with serving(handler) as port:
        sent = await sender(port).send(outbound())
    assert sent.external_id == OURS


async def test_no_server_is_not_reached_and_none_without_encryption_is_used() -> None:
    with pytest.raises(NotReached):
        await sender(free_port()).send(outbound())
    handler = Handler()
    async with serving(handler) as port:
        with pytest.raises(SendFailed) as caught:
            await sender(port, security="starttls").send(outbound())
    assert caught.value.retried
    assert handler.taken == []
