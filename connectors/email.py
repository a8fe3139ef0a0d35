"""E-mail: one mailbox is one channel.

Mail comes by IMAP, or by the webhooks of Mailgun, Postmark or SendGrid, or raw; it leaves by
SMTP. What is said of each is in the modules beside this one.
"""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from connectors._email_hooks import check_mailgun, read_mailgun, read_postmark, read_sendgrid
from connectors._email_letters import Mailbox, read_letter
from connectors._email_parts import Letter, normal, read_mail
from connectors._email_write import Sender, Server, hand_in, message_id, open_smtp, write_mail
from hub.connector import ChannelSettings, Connector, Hook, HookAnswer, Keep, Limits
from hub.errors import HookRejected, Misconfigured
from hub.message import Outbound, Sent
from hub.signal import Parsed

if TYPE_CHECKING:
    from connectors._email_imap import Troubles

MIB = 1024 * 1024
Security = Literal["tls", "starttls", "none"]


class Login(BaseModel):
    """Where and as whom to log in. `security` "none" is for a server on this machine alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(min_length=1)
    port: int = Field(default=0, ge=0, le=65_535)
    security: Security = "tls"
    login: str = ""
    password: str = Field(default="", repr=False)


class Imap(Login):
    """`back` is how many days a mail may be old when it is first seen; `poll` the seconds
    between looks where nothing announces a mail."""

    folder: str = "INBOX"
    back: int = Field(default=3, ge=1, le=365)
    poll: float = Field(default=60.0, gt=0, le=1500)


class Email(Connector):
    class Settings(ChannelSettings):
        """`address` is the mailbox that customers write to, `name` who answers them. Mail comes
        by `imap`, or by webhook (`inbound`): `secret` is Mailgun's signing key, else the
        `user:password` of HTTP Basic or a token in the query (`?token=`). `trusted` is the
        authserv-id of your own mail server, whose Authentication-Results count."""

        address: str
        name: str = ""
        subject: str = "Your message"
        imap: Imap | None = None
        smtp: Login
        inbound: Literal["", "mailgun", "postmark", "sendgrid", "raw"] = ""
        secret: str = Field(default="", repr=False)
        trusted: str = ""

        @field_validator("address")
        @classmethod
        def _is_an_address(cls, value: str) -> str:
            if not (found := normal(value)):
                raise ValueError("is no e-mail address")
            return found

        @model_validator(mode="after")
        def _has_one_way_in(self) -> Self:
            if self.imap and self.inbound:
                raise ValueError("has both imap and inbound: mail would come twice")
            if self.inbound and not self.secret:
                raise ValueError("inbound needs a secret, or anyone could write as a customer")
            return self

    limits: ClassVar[Limits] = Limits(
        text=100_000,
        caption=100_000,
        subjects=True,
        uploads=True,
        media={
            "image": 17 * MIB,  # 25 MB, which is what most take, once it is written in base64
            "video": 17 * MIB,
            "audio": 17 * MIB,
            "voice": 17 * MIB,
            "file": 17 * MIB,
            "sticker": 17 * MIB,
        },
        captions=frozenset({"image", "video", "audio", "voice", "file", "sticker"}),
        quotes=True,
        rate=1.0,
        answers=(20, 3600.0),  # two programs that answer each other must end (RFC 3834, 2)
    )
    hook_bytes: ClassVar[int] = 40 * MIB
    troubles: "Troubles | None" = None

    @classmethod
    def account(cls, settings: Settings) -> str:
        return settings.address

    def secrets(self) -> tuple[str, ...]:
        settings: Email.Settings = self.settings
        found = [settings.secret, settings.secret.partition(":")[2], settings.smtp.password]
        found += [settings.imap.password] if settings.imap else []
        return tuple(dict.fromkeys(filter(None, found)))

    def check(self, hook: Hook) -> None:
        settings: Email.Settings = self.settings
        if not settings.inbound:
            raise HookRejected("the settings of this channel name no inbound webhook")
        if settings.inbound == "mailgun":
            check_mailgun(hook, settings.secret)
            return
        given = (password_of(hook), token_of(hook))
        if not any(hmac.compare_digest(one, settings.secret.encode()) for one in given):
            raise HookRejected("the password or the token is wrong or missing")

    def parse(self, hook: Hook) -> list[Parsed]:
        if hook.method == "GET":
            return []
        return read_letter(self.letter(hook), self.mailbox, hook.received_at)

    def letter(self, hook: Hook) -> Letter:
        """The mail of a hook. Raises HookUnreadable."""
        if hook.method == "IMAP" or self.settings.inbound in ("raw", ""):
            return read_mail(hook.body)
        if self.settings.inbound == "mailgun":
            return read_mailgun(hook)
        if self.settings.inbound == "postmark":
            return read_postmark(hook)
        return read_sendgrid(hook)

    def carried(self, hook: Hook) -> Iterator[tuple[str, bytes]]:
        for one in self.letter(hook).attachments:
            yield hashlib.sha256(one.content).hexdigest(), one.content

    def answer(self, hook: Hook) -> HookAnswer:
        return HookAnswer()

    async def send(self, out: Outbound) -> Sent:
        mail = write_mail(out, self.sender, time.time_ns() // 1000)
        address = self.settings.address
        timeout = float(self.http.timeout.total or 10.0)
        await hand_in(self.server, mail, address, out.to.external_id, timeout)
        return Sent(message_id(out.correlation_id, self.sender))

    @property
    def polls(self) -> bool:
        return self.settings.imap is not None

    async def poll(self, keep: Keep) -> None:
        from connectors._email_imap import Troubles, read_mailbox

        if self.troubles is None:
            self.troubles = Troubles()
        await read_mailbox(self.reading, self.channel.hook_url, keep, self.troubles)

    async def who_am_i(self) -> str:
        """Log in to both servers."""
        client = await open_smtp(self.server, float(self.http.timeout.total or 10.0))
        client.close()
        if self.settings.imap is None:
            return f"{self.settings.address}; SMTP works, mail comes by {self.settings.inbound}"
        import asyncio

        from connectors._email_imap import Reader

        reader = Reader(self.reading)
        try:
            await asyncio.to_thread(reader.open)
        finally:
            reader.close()
        return f"{self.settings.address}; SMTP and IMAP work"

    @property
    def mailbox(self) -> Mailbox:
        settings: Email.Settings = self.settings
        domain = re.escape(self.sender.domain)
        own = re.compile(rf"([0-9a-f]{{32}})\.onethread@{domain}", re.IGNORECASE)
        return Mailbox(settings.address, own, settings.trusted)

    @property
    def sender(self) -> Sender:
        settings: Email.Settings = self.settings
        return Sender(settings.address, settings.name, settings.subject)

    @property
    def server(self) -> Server:
        smtp: Login = self.settings.smtp
        usual = {"tls": 465, "starttls": 587, "none": 25}
        port = smtp.port or usual[smtp.security]
        return Server(smtp.host, port, smtp.security, smtp.login, smtp.password)

    @property
    def reading(self) -> Any:
        from connectors._email_imap import Account

        imap: Imap | None = self.settings.imap
        if imap is None:
            raise Misconfigured("the settings name no imap server")
        port = imap.port or (993 if imap.security == "tls" else 143)
        return Account(
            imap.host,
            port,
            imap.security,
            imap.login or self.settings.address,
            imap.password,
            imap.folder,
            imap.back,
            imap.poll,
        )


def password_of(hook: Hook) -> bytes:
    scheme, _, pair = hook.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(pair, validate=True)
    except ValueError:
        return b""


def token_of(hook: Hook) -> bytes:
    from urllib.parse import parse_qs

    return parse_qs(hook.query).get("token", [""])[0].encode("utf-8", "surrogateescape")
