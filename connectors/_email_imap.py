"""Waits for a mailbox's new mails (IMAP4rev1, RFC 3501; IDLE, RFC 2177).

A mail that was taken carries a keyword in the mailbox itself, so that no state of ours can be
lost, and a new UIDVALIDITY changes nothing. Where a server keeps no keywords, \\Seen serves.
"""

import asyncio
import contextlib
import imaplib
import re
import select
import socket
import ssl
import threading
import time
from collections import Counter
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
LARGEST = 40 * 1024 * 1024
TRIES = 3
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
        self.validity = b""
        self.closed = threading.Event()

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
        if self.closed.is_set():
            # Nobody waits for it any more; `close` came before there was a connection.
            self.close()
            raise NotReached("closed")
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
        self.validity = self.imap.response("UIDVALIDITY")[1][0] or b""
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

    def fetch(self, uid: bytes, part: str = "") -> tuple[bytes, Micros] | None:
        """A mail and when it came; None for one that has gone. `part` is "HEADER" for its
        headers alone. What is longer than LARGEST loses its end."""
        assert self.imap is not None
        wanted = f"(INTERNALDATE BODY.PEEK[{part}]<0.{LARGEST}>)"
        with told():
            status, found = self.imap.uid("FETCH", uid.decode(), wanted)
        if status != "OK":
            raise Unreachable("the IMAP server does not give the mail")
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
            self.closed.wait(min(self.account.poll, POLL))
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
        # News may stand before the server's consent.
        while (line := imap.readline()).startswith(b"* ") and not line.startswith(b"* BYE"):
            continue
        if line.startswith(tag):
            self.idles = False
            return
        if not line.startswith(b"+"):
            raise imaplib.IMAP4.abort("the server has gone")
        until = time.monotonic() + min(self.account.poll, IDLE)
        # Without news a look all the same: not every server tells of each mail.
        while self._has_line(until - time.monotonic()):
            line = imap.readline()
            if not line or line.startswith(b"* BYE"):
                raise imaplib.IMAP4.abort("the server has gone")
            if re.match(rb"\* \d+ (?:EXISTS|RECENT)", line):
                break
        imap.send(b"DONE\r\n")
        while (line := imap.readline()) and not line.startswith(tag):
            continue
        if not line:
            raise imaplib.IMAP4.abort("the server has gone")

    def _has_line(self, seconds: float) -> bool:
        """Does the server say something within that time? The socket's own time-out would do for
        one look alone: after it, nothing can be read from the connection any more."""
        imap = self.imap
        assert imap is not None
        until = time.monotonic() + seconds
        while not self.closed.is_set():
            imap.sock.settimeout(0)
            with contextlib.suppress(ssl.SSLWantReadError):
                if imap.file.peek(1):  # type: ignore[union-attr]  # a BufferedReader
                    return True
            imap.sock.settimeout(PATIENCE)
            left = until - time.monotonic()
            if left <= 0 or not select.select([imap.sock], [], [], left)[0]:
                return False
            if not isinstance(imap.sock, ssl.SSLSocket):
                return True
        return False

    def close(self) -> None:
        """End the connection, and what waits for it."""
        self.closed.set()
        imap = self.imap
        if imap is None:
            return
        # The socket first: a reader in another thread holds what `shutdown` closes before it.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(imap.sock, socket.SHUT_RDWR)
        with contextlib.suppress(OSError, ValueError, imaplib.IMAP4.error):
            imap.shutdown()


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
    except (OSError, ValueError) as error:
        # ValueError: the connection was closed meanwhile.
        raise Unreachable(type(error).__name__) from None


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def arrived(head: bytes) -> Micros:
    moment = imaplib.Internaldate2tuple(head)
    at = round(time.mktime(moment) * SECOND) if moment else 0
    now = time.time_ns() // 1000
    return at if 0 < at <= now + DAY else now


class Troubles:
    """What is known of a mailbox's mails for as long as the hub runs, by UIDVALIDITY and UID:
    how often each could not be had, and which are taken but could not be marked. So one mail
    does not keep the others from coming."""

    def __init__(self) -> None:
        self.failed: Counter[bytes] = Counter()
        self.taken: set[bytes] = set()


async def read_mailbox(account: Account, url: str, keep: Keep, troubles: Troubles) -> None:
    """Hand each new mail to `keep`, then mark it; for ever. Raises as `Reader.open`, and what
    `keep` raises. Of a mail that cannot be had three times the headers are handed over; three
    times later nothing but that there is one."""
    reader = Reader(account)
    try:
        await asyncio.to_thread(reader.open)
        while True:
            for uid in await asyncio.to_thread(reader.new):
                await take(reader, uid, url, keep, troubles)
            await asyncio.to_thread(reader.wait)
    finally:
        # A thread that waits for the server is woken by the end of its connection.
        reader.close()


async def take(reader: Reader, uid: bytes, url: str, keep: Keep, troubles: Troubles) -> None:
    known = reader.validity + b":" + uid
    if known in troubles.taken:
        # It could not be marked. If that is so still, the others come all the same.
        with contextlib.suppress(Unreachable):
            await asyncio.to_thread(reader.mark, uid)
            troubles.taken.discard(known)
        return
    try:
        found = await asyncio.to_thread(had, reader, uid, troubles.failed[known])
    except Unreachable:
        troubles.failed[known] += 1
        raise
    if found is not None:
        await keep(Hook("IMAP", url, "", {"content-type": CONTENT_TYPE}, *found))
    del troubles.failed[known]
    troubles.taken.add(known)
    await asyncio.to_thread(reader.mark, uid)
    troubles.taken.discard(known)


def had(reader: Reader, uid: bytes, failed: int) -> tuple[bytes, Micros] | None:
    if failed < TRIES:
        return reader.fetch(uid)
    if failed < 2 * TRIES:
        return reader.fetch(uid, "HEADER")
    return b"", time.time_ns() // 1000
