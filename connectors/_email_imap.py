"""Waits for a mailbox's new mails (IMAP4rev1, RFC 3501; IDLE, RFC 2177).

A mail that was taken carries a keyword in the mailbox itself, so that no state of ours can be
lost, and a new UIDVALIDITY changes nothing. Where a server keeps no keywords, \\Seen serves.
"""

import asyncio
import contextlib
import imaplib
import re
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from hub.clock import DAY, SECOND, Micros
from hub.connector import Hook, Keep
from hub.errors import Misconfigured, NotReached, Unreachable

KEYWORD = "$Onethread"
IDLE = 25 * 60.0
POLL = 60.0
PATIENCE = 60.0
CONTENT_TYPE = "message/rfc822"


@dataclass(frozen=True, slots=True)
class Account:
    """A mailbox to read. `back` is how many days a mail may be old when it is first seen."""

    host: str
    port: int
    security: str
    login: str
    password: str
    folder: str
    back: int
    poll: float = POLL


class Reader:
    """One connection. Its calls block and are made in a thread; `close` may be called from any."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.imap: imaplib.IMAP4 | None = None
        self.keyword = KEYWORD
        self.idles = False

    def open(self) -> None:
        """Connect, log in and select the folder. Raises NotReached, Unreachable, Misconfigured."""
        account = self.account
        context = ssl.create_default_context()
        try:
            if account.security == "tls":
                self.imap = imaplib.IMAP4_SSL(
                    account.host, account.port, ssl_context=context, timeout=PATIENCE
                )
            else:
                self.imap = imaplib.IMAP4(account.host, account.port, timeout=PATIENCE)
        except (OSError, imaplib.IMAP4.error) as error:
            raise NotReached(type(error).__name__) from None
        with told():
            if account.security == "starttls":
                self.imap.starttls(context)
        try:
            self.imap.login(quoted(account.login), account.password)
        except imaplib.IMAP4.abort as error:
            raise Unreachable(type(error).__name__) from None
        except imaplib.IMAP4.error:
            raise Misconfigured("the IMAP server refuses the login") from None
        except OSError as error:
            raise Unreachable(type(error).__name__) from None
        with told():
            self._select()

    def _select(self) -> None:
        assert self.imap is not None
        status, _ = self.imap.select(quoted(self.account.folder))
        if status != "OK":
            raise Misconfigured("the IMAP server has no such folder")
        lasting = b" ".join(filter(None, self.imap.response("PERMANENTFLAGS")[1])).decode()
        if "\\*" not in lasting and KEYWORD.lower() not in lasting.lower():
            self.keyword = "\\Seen"
        self.idles = "IDLE" in self.imap.capabilities

    def new(self) -> list[bytes]:
        """The UIDs of the mails that were not taken yet, oldest first."""
        assert self.imap is not None
        since = datetime.fromtimestamp(time.time() - self.account.back * 86_400, UTC)
        wanted = "UNSEEN" if self.keyword == "\\Seen" else f"UNKEYWORD {self.keyword}"
        with told():
            date = f"{since.day}-{MONTHS[since.month - 1]}-{since.year}"
            _, found = self.imap.uid("SEARCH", f"SINCE {date} {wanted}")
        return (found[0] or b"").split() if found else []

    def fetch(self, uid: bytes) -> tuple[bytes, Micros] | None:
        """A mail and when it came; None for one that has gone."""
        assert self.imap is not None
        with told():
            _, found = self.imap.uid("FETCH", uid.decode(), "(INTERNALDATE BODY.PEEK[])")
        for one in found or ():
            if isinstance(one, tuple):
                return one[1], arrived(one[0])
        return None

    def mark(self, uid: bytes) -> None:
        """Say in the mailbox that the mail was taken."""
        assert self.imap is not None
        with told():
            status, _ = self.imap.uid("STORE", uid.decode(), "+FLAGS.SILENT", f"({self.keyword})")
        if status != "OK":
            raise Unreachable("the IMAP server keeps no flags")

    def wait(self) -> None:
        """Until something new may be there."""
        assert self.imap is not None
        if not self.idles:
            time.sleep(min(self.account.poll, POLL))
            with told():
                self.imap.noop()
            return
        with told():
            self._idle()

    def _idle(self) -> None:
        imap = self.imap
        assert imap is not None
        tag = b"IDLE1"
        imap.send(tag + b" IDLE\r\n")
        if not imap.readline().startswith(b"+"):
            self.idles = False
            return
        until = time.monotonic() + IDLE
        imap.sock.settimeout(self.account.poll)
        try:
            while (line := imap.readline()) and time.monotonic() < until:
                if re.match(rb"\* \d+ (?:EXISTS|RECENT)", line):
                    break
                if line.startswith(b"* BYE"):
                    raise imaplib.IMAP4.abort("the server says good-bye")
        except TimeoutError:
            pass  # a look all the same: not every server tells of each mail
        finally:
            imap.sock.settimeout(PATIENCE)
        imap.send(b"DONE\r\n")
        while (line := imap.readline()) and not line.startswith(tag):
            continue
        if not line:
            raise imaplib.IMAP4.abort("the server has gone")

    def close(self) -> None:
        if self.imap is not None:
            with contextlib.suppress(OSError, imaplib.IMAP4.error):
                self.imap.shutdown()


MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@contextlib.contextmanager
def told() -> Iterator[None]:
    """The library's errors as ours."""
    try:
        yield
    except imaplib.IMAP4.abort as error:
        raise Unreachable(type(error).__name__) from None
    except imaplib.IMAP4.error as error:
        raise Unreachable(f"the IMAP server: {type(error).__name__}") from None
    except OSError as error:
        raise Unreachable(type(error).__name__) from None


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def arrived(head: bytes) -> Micros:
    moment = imaplib.Internaldate2tuple(head)
    at = round(time.mktime(moment) * SECOND) if moment else 0
    now = time.time_ns() // 1000
    return at if 0 < at <= now + DAY else now


async def read_mailbox(account: Account, url: str, keep: Keep) -> None:
    """Hand each new mail to `keep`, then mark it; for ever. Raises as `Reader.open`, and what
    `keep` raises."""
    reader = Reader(account)
    try:
        await asyncio.to_thread(reader.open)
        while True:
            for uid in await asyncio.to_thread(reader.new):
                found = await asyncio.to_thread(reader.fetch, uid)
                if found is not None:
                    headers = {"content-type": CONTENT_TYPE}
                    await keep(Hook("IMAP", url, "", headers, *found))
                await asyncio.to_thread(reader.mark, uid)
            await asyncio.to_thread(reader.wait)
    finally:
        # A thread that waits for the server is woken by the end of its connection.
        reader.close()
