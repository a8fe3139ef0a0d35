"""Reading a mailbox when the server or a mail is bad. The servers are real sockets; Dovecot is
the server of tests/journeys/test_mail.py."""

import asyncio
import contextlib
import re
import threading
import time
from collections.abc import AsyncIterator
from email.message import EmailMessage

import pytest

from connectors._email_imap import Account, Reader, Troubles, read_mailbox
from hub.connector import Hook
from hub.errors import SendFailed, StoreUnavailable
from tests.mailing import PASSWORD, mail_servers
from tests.ports import free_port

pytestmark = pytest.mark.slow
GOOD, BAD = b"Subject: good\r\n\r\nhi", b"Subject: bad\r\n\r\nhi"


class Mailbox:
    """An IMAP server with a few mails. `broken` gives neither body nor, when in `headless`,
    headers; `unmarkable` takes no flag."""

    def __init__(self) -> None:
        self.mails = {1: GOOD}
        self.flagged: set[int] = set()
        self.broken: set[int] = set()
        self.headless: set[int] = set()
        self.unmarkable: set[int] = set()
        self.validity = 1
        self.logins = 0
        self.idles = asyncio.Event()
        self.writers: set[asyncio.StreamWriter] = set()
        self.empty = asyncio.Event()
        self.port = free_port()
        self.accepting: asyncio.Server | None = None

    async def start(self) -> None:
        self.accepting = await asyncio.start_server(self.talk, "127.0.0.1", self.port)

    async def stop(self) -> None:
        assert self.accepting
        self.accepting.close()
        for writer in list(self.writers):
            writer.close()
        await self.accepting.wait_closed()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        writer.write(b"* OK hello\r\n")
        tag = b""
        with contextlib.suppress(ConnectionError):
            while line := (await reader.readline()).strip():
                if line != b"DONE":
                    tag, _, line = line.partition(b" ")
                writer.write(self.answer(tag, line))
        self.writers.discard(writer)
        writer.close()
        if not self.writers:
            self.empty.set()

    def answer(self, tag: bytes, line: bytes) -> bytes:
        done = tag + b" OK done\r\n"
        word = line.partition(b" ")[0].upper()
        if word == b"CAPABILITY":
            return b"* CAPABILITY IMAP4rev1 IDLE\r\n" + done
        if word == b"LOGIN":
            self.logins += 1
        if word == b"SELECT":
            told = f"* OK [UIDVALIDITY {self.validity}] x\r\n* OK [PERMANENTFLAGS (\\*)] x\r\n"
            return f"* {len(self.mails)} EXISTS\r\n{told}".encode() + done
        if word == b"IDLE":
            self.idles.set()
            return f"* {len(self.mails)} EXISTS\r\n+ idling\r\n".encode()
        if word == b"UID":
            return self.of_mails(line.decode(), tag.decode()).encode()
        return done

    def of_mails(self, line: str, tag: str) -> str:
        if "SEARCH" in line:
            new = [str(uid) for uid in sorted(self.mails) if uid not in self.flagged]
            return f"* SEARCH {' '.join(new)}\r\n{tag} OK done\r\n"
        uid = int(line.split()[2])
        if "STORE" in line:
            if uid in self.unmarkable:
                return f"{tag} NO read-only\r\n"
            self.flagged.add(uid)
            return f"{tag} OK done\r\n"
        if uid in (self.headless if "HEADER" in line else self.broken):
            return f"{tag} NO damaged\r\n"
        content = self.mails[uid].decode()
        content = content.partition("\r\n\r\n")[0] + "\r\n\r\n" if "HEADER" in line else content
        facts = f'UID {uid} INTERNALDATE "20-Nov-2026 12:00:00 +0000" BODY[]<0>'
        return f"* 1 FETCH ({facts} {{{len(content)}}}\r\n{content})\r\n{tag} OK done\r\n"

    @property
    def account(self) -> Account:
        return Account("127.0.0.1", self.port, "none", "desk", PASSWORD, "INBOX", 3, 0.2)


@pytest.fixture
async def box() -> AsyncIterator[Mailbox]:
    made = Mailbox()
    await made.start()
    yield made
    await made.stop()


class Kept:
    """Reads as hub/polling.py does, without its pauses."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.came = asyncio.Event()
        self.errors: list[str] = []
        self.troubles = Troubles()

    async def keep(self, hook: Hook) -> None:
        self.bodies.append(hook.body)
        self.came.set()

    async def follow(self, account: Account) -> None:
        while True:
            try:
                await read_mailbox(account, "", self.keep, self.troubles)
            except SendFailed as error:
                self.errors.append(str(error))
                await asyncio.sleep(0.01)

    async def have(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.bodies) < count:
                self.came.clear()
                await self.came.wait()


@contextlib.asynccontextmanager
async def following(account: Account) -> AsyncIterator[Kept]:
    kept = Kept()
    task = asyncio.create_task(kept.follow(account))
    try:
        yield kept
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_mail_that_cannot_be_had_is_told_and_the_next_ones_come(box: Mailbox) -> None:
    box.mails |= {2: BAD, 3: BAD, 4: GOOD}
    box.broken, box.headless = {2, 3}, {3}
    async with following(box.account) as kept:
        await kept.have(4)
    assert kept.bodies == [GOOD, b"Subject: bad\r\n\r\n", b"", GOOD]
    assert box.flagged >= {1, 2, 3}
    assert len(kept.errors) == 3 + 6


async def test_a_mail_that_cannot_be_marked_comes_once(box: Mailbox) -> None:
    box.mails |= {2: BAD, 3: GOOD}
    box.unmarkable = {1, 2}
    async with following(box.account) as kept:
        await kept.have(3)
        await asyncio.wait_for(box.idles.wait(), 10)
    assert kept.bodies == [GOOD, BAD, GOOD]


async def test_a_new_uidvalidity_is_a_new_mailbox(box: Mailbox) -> None:
    box.unmarkable = {1}
    async with following(box.account) as kept:
        await kept.have(1)
        await box.stop()
        box.validity, box.mails, box.unmarkable = 2, {1: BAD}, set()
        await box.start()
        await kept.have(2)
    assert kept.bodies == [GOOD, BAD]


async def test_a_server_that_starts_anew_is_read_on(box: Mailbox) -> None:
    async with following(box.account) as kept:
        await kept.have(1)
        await asyncio.wait_for(box.idles.wait(), 10)
        await box.stop()
        box.mails[2] = BAD
        await box.start()
        await kept.have(2)
    assert kept.bodies == [GOOD, BAD]


async def test_a_quiet_mailbox_is_looked_at_by_one_connection(box: Mailbox) -> None:
    """IDLE says nothing here: each look is a `poll` later, on the same connection."""
    async with following(box.account) as kept:
        await kept.have(1)
        await asyncio.wait_for(box.idles.wait(), 10)
        box.mails[2] = BAD
        await kept.have(2)
        box.idles.clear()
        await asyncio.wait_for(box.idles.wait(), 10)
    assert (kept.errors, box.logins) == ([], 1)


async def test_what_the_store_does_not_take_is_not_marked(box: Mailbox) -> None:
    async def fail(hook: Hook) -> None:
        raise StoreUnavailable

    for _ in range(4):
        with pytest.raises(StoreUnavailable):
            await read_mailbox(box.account, "", fail, troubles := Troubles())
    assert (box.flagged, troubles.failed.total(), troubles.taken) == (set(), 0, set())


@pytest.mark.parametrize("poll", [0.2, 30.0])
async def test_a_stop_ends_the_thread_and_the_connection_at_once(box: Mailbox, poll: float) -> None:
    account = Account("127.0.0.1", box.port, "none", "desk", PASSWORD, "INBOX", 3, poll)
    async with following(account) as kept:
        await kept.have(1)
        await asyncio.wait_for(box.idles.wait(), 10)
        begun = time.monotonic()
    async with asyncio.timeout(5):
        await asyncio.get_running_loop().shutdown_default_executor()
        await box.empty.wait()
    assert time.monotonic() - begun < 5
    assert not [t for t in threading.enumerate() if t.name.startswith("asyncio_")]


async def test_a_stop_before_there_is_a_connection_leaves_none(box: Mailbox) -> None:
    reader = Reader(box.account)
    reader.close()
    with pytest.raises(SendFailed):
        await asyncio.to_thread(reader.open)
    async with asyncio.timeout(5):
        await box.empty.wait()
    assert box.logins == 0


async def test_two_readers_of_dovecots_mailbox_lose_nothing_and_mark_all() -> None:
    with mail_servers() as servers:
        account = Account(
            "127.0.0.1", servers.imap_port, "none", "desk@shop.test", PASSWORD, "INBOX", 3, 0.2
        )
        with servers.login("desk@shop.test") as imap:
            imap.select("INBOX")
        async with following(account) as one, following(account) as two:
            for number in range(5):
                made = EmailMessage()
                made["From"], made["Subject"] = "rima@mail.test", f"mail {number}"
                await asyncio.to_thread(servers.post, made, "desk@shop.test")
            async with asyncio.timeout(20):
                while True:
                    found = {
                        match[1]
                        for body in one.bodies + two.bodies
                        if (match := re.search(rb"mail (\d)", body))
                    }
                    flags = await asyncio.to_thread(servers.flags, "desk@shop.test")
                    if len(found) == 5 and all(b"$Onethread" in flag for flag in flags):
                        break
                    await asyncio.sleep(0.1)
