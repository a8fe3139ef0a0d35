"""Writes one message as a mail (RFC 5322), and hands it to the SMTP server (RFC 5321)."""

import asyncio
import mimetypes
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape
from typing import TYPE_CHECKING

from connectors._email_parts import normal, one_line
from hub.clock import Micros
from hub.errors import (
    Blocked,
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
from hub.message import Outbound

if TYPE_CHECKING:
    import aiosmtplib

LINK = re.compile(r"https?://[^\s<>\"]+")
GOODBYE = 1.0
ENHANCED = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose mail it is. `subject` opens a mail that answers none."""

    address: str
    name: str
    subject: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


def message_id(correlation_id: str, sender: Sender) -> str:
    """The id of our mail, without brackets: the same at each attempt, so that the receiver
    knows a repetition, and known again in answers and bounces."""
    return f"{correlation_id}.onethread@{sender.domain}"


def write_mail(out: Outbound, sender: Sender, at: Micros) -> EmailMessage:
    """The whole mail. Raises Refused or MediaFailed."""
    message, earlier = out.message, out.earlier
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"] = address_of(sender.address, sender.name)
    mail["To"] = address_of(out.to.external_id)
    mail["Subject"] = subject_of(out, sender)
    mail["Date"] = format_datetime(datetime.fromtimestamp(at / 1e6, UTC))
    mail["Message-ID"] = f"<{message_id(out.correlation_id, sender)}>"
    before = out.reply_to or (earlier.external_id if earlier else "")
    if before and re.fullmatch(r"[^\s<>]+", before):
        mail["In-Reply-To"] = mail["References"] = f"<{before}>"
    if out.automatic:
        mail["Auto-Submitted"] = "auto-replied"
        mail["X-Auto-Response-Suppress"] = "All"
    if message.template or message.place or message.contacts or message.buttons:
        raise Refused("a mail has text and files alone")
    mail.set_content(message.text or " ", cte="base64" if not message.text.isascii() else None)
    if message.text.strip():
        mail.add_alternative(as_page(message.text), subtype="html")
    attach(mail, out)
    return mail


def address_of(address: str, name: str = "") -> Address:
    checked = normal(address)
    if not checked:
        raise NoSuchRecipient("this is no e-mail address")
    local, _, domain = checked.rpartition("@")
    return Address(display_name=one_line(name), username=local, domain=domain)


def subject_of(out: Outbound, sender: Sender) -> str:
    given = one_line(out.message.subject)
    if given:
        return given
    last = one_line(out.earlier.subject) if out.earlier else ""
    if not last:
        return sender.subject
    return last if re.match(r"(?:re|উত্তর)\s*[:ঃ]", last, re.I) else f"Re: {last}"


def as_page(text: str) -> str:
    """The text as HTML: its lines kept, its links live."""
    parts, end = [], 0
    for found in LINK.finditer(text):
        url = found[0].rstrip(".,;:!?)।")
        parts.append(escape(text[end : found.start()]))
        parts.append(f'<a href="{escape(url)}">{escape(url)}</a>')
        end = found.start() + len(url)
    parts.append(escape(text[end:]))
    body = "".join(parts).replace("\n", "<br>\n")
    return f'<html><body><div dir="auto">{body}</div></body></html>\n'


def attach(mail: EmailMessage, out: Outbound) -> None:
    if len(out.files) < len(out.message.media):
        raise MediaFailed("the attachment's file is not there")
    for item, path in zip(out.message.media, out.files, strict=False):
        try:
            content = path.read_bytes()
        except OSError:
            raise MediaFailed("the attachment's file cannot be read") from None
        mime = item.mime.partition(";")[0].strip() or "application/octet-stream"
        main, _, sub = mime.partition("/")
        if not re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+", mime) or main in ("multipart", "message"):
            main, sub = "application", "octet-stream"
        name = one_line(item.name) or f"{item.kind}{mimetypes.guess_extension(mime) or ''}"
        mail.add_attachment(content, maintype=main, subtype=sub, filename=name)


# SMTP


@dataclass(frozen=True, slots=True)
class Server:
    """Where mail is handed in. `security`: "tls" from the first byte, "starttls", or "none"."""

    host: str
    port: int
    security: str
    login: str
    password: str


async def open_smtp(server: Server, timeout: float) -> "aiosmtplib.SMTP":
    """A connection that may send. Raises NotReached, Unreachable or Misconfigured."""
    import aiosmtplib

    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        use_tls=server.security == "tls",
        start_tls=server.security == "starttls",
        timeout=timeout,
    )
    try:
        await client.connect()
        if server.login:
            await client.login(server.login, server.password)
    except aiosmtplib.SMTPAuthenticationError as error:
        client.close()
        if 400 <= error.code < 500:
            raise Unreachable("the mail server cannot log in now", code=str(error.code)) from None
        raise Misconfigured("the mail server refuses the login", code=str(error.code)) from None
    except (aiosmtplib.SMTPConnectError, aiosmtplib.SMTPConnectTimeoutError, OSError) as error:
        client.close()
        raise NotReached(type(error).__name__) from None
    except aiosmtplib.SMTPException as error:
        client.close()
        # Also a server that offers no STARTTLS or no login: mail never goes without.
        raise Unreachable(f"the mail server: {type(error).__name__}") from None
    except asyncio.CancelledError:
        client.close()
        raise
    return client


async def hand_in(
    server: Server, mail: EmailMessage, sender: str, recipient: str, timeout: float
) -> None:
    """Give one mail to the server, in `timeout` seconds for all of it. Raises a SendFailed;
    after the mail's text was begun to be written, whatever is no clear answer is
    OutcomeUnknown."""
    import aiosmtplib

    until = asyncio.get_running_loop().time() + timeout
    try:
        async with asyncio.timeout_at(until):
            client = await open_smtp(server, timeout)
            await address(client, sender, recipient)
    except TimeoutError:
        raise Unreachable("the mail server is too slow") from None
    content = mail.as_bytes(policy=policy.SMTP if recipient.isascii() else policy.SMTPUTF8)
    try:
        async with asyncio.timeout_at(until):
            await client.data(content)
    except aiosmtplib.SMTPResponseException as error:
        client.close()
        raise refusal(error.code, error.message) from None
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        client.close()
        raise OutcomeUnknown(type(error).__name__) from None
    except asyncio.CancelledError:
        client.close()
        raise
    # It is accepted: nothing that follows may make this unknown again.
    try:
        async with asyncio.timeout(GOODBYE):
            await client.quit()
    except (aiosmtplib.SMTPException, OSError, TimeoutError):
        client.close()


async def address(client: "aiosmtplib.SMTP", sender: str, recipient: str) -> None:
    """Say who writes to whom. Raises a SendFailed; the connection is closed then."""
    import aiosmtplib

    options = [] if recipient.isascii() else ["SMTPUTF8"]
    try:
        if options:
            # Where nobody logged in, the server was not asked yet what it can do.
            await client.ehlo()
            if not client.supports_extension("smtputf8"):
                client.close()
                raise NoSuchRecipient("the mail server does not send to addresses beyond ASCII")
        await client.mail(sender, options=options, encoding="utf-8" if options else "ascii")
        await client.rcpt(recipient, encoding="utf-8" if options else "ascii")
    except aiosmtplib.SMTPResponseException as error:
        client.close()
        raise refusal(error.code, error.message) from None
    except (aiosmtplib.SMTPException, OSError) as error:
        client.close()
        raise Unreachable(f"the mail server: {type(error).__name__}") from None
    except asyncio.CancelledError:
        client.close()
        raise


def refusal(status: int, text: str) -> SendFailed:
    """What an answer means: by its enhanced code (RFC 3463), else by the code alone. The
    server's own words may repeat the mail, so ours alone are kept."""
    match = ENHANCED.search(text)
    code = match[1] if match else str(status)
    subject = code.partition(".")[2] if match else ""
    if status in (530, 534, 535, 538):
        return Misconfigured("the mail server refuses the login", code=code)
    if subject in ("2.2", "2.1") and status in (452, 552, 550, 450):
        return Unreachable("the mailbox takes no mail now", code=code, retry_in=3600.0)
    if status in (421, 451, 450, 452) or 400 <= status < 500:
        if subject.startswith("7."):
            return Busy("the mail server asks to come back later", code=code, retry_in=300.0)
        return Unreachable("the mail server takes no mail now", code=code)
    if subject in ("3.4", "2.3"):
        return MediaFailed("the mail is too large for its receiver", code=code)
    if subject in ("1.1", "1.2", "1.3", "1.6", "1.10") or status in (551, 553):
        return NoSuchRecipient("there is no such mailbox", code=code)
    if subject.startswith("7."):
        return Blocked("the receiver takes no mail from here", code=code)
    if status == 550:
        return NoSuchRecipient("the mailbox takes no mail", code=code)
    if status == 552:
        return Unreachable("the mailbox is full", code=code, retry_in=3600.0)
    return Refused(f"the mail server refuses the mail ({code})", code=code)
