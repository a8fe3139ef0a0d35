"""A process beside the hub that runs the groups of a SQLite file.

Python runs one thread at a time. With the SQL in a process of its own a second processor works
for the hub: the web and the dialogs here, the database there. It is forked before there are
threads or an event loop, and it ends with the hub.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn, cast

import sqlalchemy as sa
import structlog
import uuid_utils

from hub.errors import HubError, StoreUnavailable
from hub.store.frames import HEAD, Frames, frame, unframe
from hub.store.group import Explain, Outcome, Queue, Waiting, commit_group
from hub.store.sql import Batch
from hub.store.writer import Future, resolve

log = structlog.get_logger(__name__)

CHUNK = 1 << 18  # bytes read at once
AT_ONCE = 8  # items of a frame: while the process commits them, the next ones are put
CHECKPOINT_EVERY = 0.25  # seconds
LONG_LOG = 12_000  # pages
ENDED = "the process that writes the database has ended"

OpenEngine = Callable[[], sa.Engine]
Told = tuple[int, Any, bool]


class Child:
    """The process, as its parent holds it."""

    def __init__(self, pid: int, ours: socket.socket) -> None:
        self.pid = pid
        self.socket = ours

    def join(self) -> None:
        """Wait for its end, which follows from closing the socket."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


class ProcessWriter(asyncio.Protocol):
    """The hub's side (see writer.Writer). What one pass of the event loop puts goes over in one
    frame, what a group came to comes back in one.

    Batches and items must be picklable; what a batch writes into its items stays over there.
    """

    def __init__(self, child: Child) -> None:
        self._child = child
        self._loop = asyncio.get_running_loop()
        self._futures: dict[int, Future] = {}
        self._pending: list[tuple[int, Any, Any, bool]] = []
        self._frames = Frames()
        self._serial = 0
        self._transport: asyncio.WriteTransport | None = None
        self._nothing_waits = asyncio.Event()
        self._closing = False
        self._lost = asyncio.Event()
        self._opening = self._loop.create_task(self._open())

    def put(self, batch: Batch[Any, Any], item: Any, *, urgent: bool) -> Future:
        if self._lost.is_set():
            raise StoreUnavailable(ENDED)
        future = self._loop.create_future()
        self._serial += 1
        self._futures[self._serial] = future
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending.append((self._serial, batch, item, urgent))
        if len(self._pending) >= AT_ONCE:
            self._flush()
        return future

    async def lost(self) -> None:
        await self._lost.wait()

    async def close(self) -> None:
        while self._futures:
            self._nothing_waits.clear()
            await self._nothing_waits.wait()
        self._closing = True
        await self._opening
        if self._transport is not None:
            self._transport.close()
        await asyncio.to_thread(self._child.join)

    async def _open(self) -> None:
        await self._loop.create_unix_connection(lambda: self, sock=self._child.socket)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is no subclass
        self._flush()

    def data_received(self, data: bytes) -> None:
        for whole in self._frames.feed(data):
            for ticket, result, failed in unframe(whole):
                resolve(self._futures.pop(ticket), result, failed)
        if not self._futures:
            self._nothing_waits.set()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._closing:
            log.critical(ENDED)
            self._lost.set()
        for future in self._futures.values():
            resolve(future, StoreUnavailable(ENDED), True)
        self._futures.clear()
        self._nothing_waits.set()

    def _flush(self) -> None:
        if self._transport is None or not self._pending:
            return
        pending, self._pending = self._pending, []
        try:
            self._transport.write(frame(pending))
        except Exception:
            for one in pending:
                self._flush_alone(one)

    def _flush_alone(self, one: tuple[int, Any, Any, bool]) -> None:
        """One item that cannot go over harms no other."""
        assert self._transport is not None
        try:
            self._transport.write(frame([one]))
        except Exception as error:
            resolve(self._futures.pop(one[0]), error, True)


def fork_writer(open_engine: OpenEngine, explain: Explain) -> Child:
    """Start the process. It opens the database with its first item, so that this process may
    migrate it before."""
    ours, theirs = socket.socketpair()
    # What is imported by now stays shared: neither side's collector writes into it.
    gc.freeze()
    pid = os.fork()
    if not pid:
        ours.close()
        _live(theirs, open_engine, explain)
    theirs.close()
    ours.setblocking(False)
    return Child(pid, ours)


def _live(sock: socket.socket, open_engine: OpenEngine, explain: Explain) -> NoReturn:
    code = 1
    try:
        # Ctrl-C in a terminal reaches both: the hub ends first, and this with it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        uuid_utils.reseed_rng()
        gc.set_threshold(20_000, 20, 50)
        _serve(sock, open_engine, explain)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _serve(sock: socket.socket, open_engine: OpenEngine, explain: Explain) -> None:
    inbox = Inbox(sock)
    inbox.receive()
    if inbox.is_closed:
        return
    with open_engine().connect() as conn:
        checkpoints = Checkpoints(conn, open_engine)
        while not inbox.is_closed:
            outcomes = commit_group(conn, inbox, explain)
            try:
                sock.sendall(_frame_outcomes(outcomes))
            except BrokenPipeError:
                return
            checkpoints.note_commit()
            inbox.receive()


class Inbox(Queue[int]):
    """What waits, here and in the socket: who came while a group could not begin is told so
    together with those who came before."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._sock = sock
        self._frames = Frames()
        self.is_closed = False
        """The hub has ended."""

    def take(self, most: int) -> list[list[Waiting[int]]]:
        if not self.is_closed:
            self.receive(wait=False)
        return super().take(most)

    def receive(self, *, wait: bool = True) -> None:
        """Queue what has come; with `wait`, wait while nothing is queued."""
        while True:
            try:
                data = self._sock.recv(CHUNK, 0 if wait and not self else socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except ConnectionResetError:
                data = b""
            if not data:
                self.is_closed = True
                return
            for whole in self._frames.feed(data):
                for ticket, batch, item, urgent in unframe(whole):
                    self.put(Waiting(ticket, batch, item), urgent=urgent)


def _frame_outcomes(outcomes: list[Outcome[int]]) -> bytes:
    told = [(one.ticket, _noted(one), one.failed) for one in outcomes]
    try:
        return frame(told)
    except Exception:
        return frame([_portable(one) for one in told])


def _noted(outcome: Outcome[int]) -> Any:
    """Tracebacks do not go over; of an error nobody expects, its places do."""
    error = outcome.result
    if outcome.failed and not isinstance(error, HubError):
        error.add_note("".join(traceback.format_tb(error.__traceback__)))
    return error


def _portable(told: Told) -> Told:
    try:
        unframe(frame(told)[HEAD.size :])
    except Exception as error:
        kind = type(told[1]).__name__
        return told[0], RuntimeError(f"{kind} cannot go over: {type(error).__name__}"), True
    return told


class Checkpoints:
    """Copies the log into the database from a thread of its own, so that no commit waits for it.
    Under writes without a pause the log would grow for ever: when it is long, one commit ends
    the copying itself, and the next one begins the log anew."""

    def __init__(self, conn: sa.Connection, open_engine: OpenEngine) -> None:
        self._raw = cast(Any, conn.connection.dbapi_connection)
        self._raw.execute("PRAGMA wal_autocheckpoint=0")
        self._open_engine = open_engine
        self._committed = threading.Event()
        self._is_long = False
        threading.Thread(target=self._run, name="sqlite-checkpoint", daemon=True).start()

    def note_commit(self) -> None:
        if self._is_long:
            self._is_long = False
            _checkpoint(self._raw)
        if not self._committed.is_set():
            self._committed.set()

    def _run(self) -> None:
        with self._open_engine().connect() as conn:
            raw = cast(Any, conn.connection.dbapi_connection)
            while True:
                self._committed.wait()
                time.sleep(CHECKPOINT_EVERY)
                self._committed.clear()
                self._is_long = _checkpoint(raw) > LONG_LOG


def _checkpoint(raw: sqlite3.Connection) -> int:
    """Copy what can be copied; how many pages the log has. On a full disk nothing is copied, and
    the log keeps it."""
    try:
        [(_, pages, _)] = raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    except sqlite3.Error:
        return 0
    return int(pages)
