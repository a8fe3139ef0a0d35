"""Visitors' live connections: each is given its own thread, in the order of seq, once.

An answer in flight holds back what comes after it, so that the seq a client has got to says all
that it has. An answer that waits for long (held) holds back nothing and comes late.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Literal

import orjson

from hub.store.changes import Change
from hub.store.visitors import IN_FLIGHT, Resumed, Said, Session, load_said, resume
from hub.web.feed import Feed
from hub.web.outlet import PING, Frame, Outlet, ping_all
from hub.web.state import State
from hub.web.views import MediaLinks
from hub.web.visitor_view import is_shown, said_json

REPLAY = 200
FRESH_PAGE = 50

Standing = Literal["shown", "in_flight", "held", "dropped"]


def standing(row: Said) -> Standing:
    if is_shown(row):
        return "shown"
    if row.state in IN_FLIGHT:
        return "in_flight"
    return "held" if row.state == "held" else "dropped"


def frame_of(**fields: Any) -> Frame:
    return Frame(orjson.dumps(fields).decode(), str(fields.get("seq", "")))


class News:
    """One changed message, written out once for all who see it."""

    __slots__ = ("edited", "frame", "row", "update")

    def __init__(self, row: Said, edited: bool, frame: Frame, update: Frame | None) -> None:
        self.row = row
        self.edited = edited
        self.frame = frame
        self.update = update


class VisitorOutlet(Outlet):
    """One connection. `top`: the highest seq that was decided; `line`: what waits behind an
    answer in flight (None for that one); `late`: seqs that are still to come."""

    __slots__ = ("_buffer", "late", "line", "session", "top")

    def __init__(
        self,
        send: Callable[[Frame], Awaitable[None]],
        close: Callable[[int], Awaitable[None]],
    ) -> None:
        super().__init__(send, close)
        self.session: Session | None = None
        self.top = 0
        self.line: dict[int, Frame | None] | None = None
        self.late: set[int] | None = None
        self._buffer: list[News] | None = None

    def hold(self) -> None:
        """Keep news back until `release`: the past is being read."""
        self._buffer = []

    def release(self) -> None:
        kept, self._buffer = self._buffer or (), None
        for news in kept:
            self.offer(news)

    def offer(self, news: News) -> None:
        if self._buffer is None:
            self.take(news)
        else:
            self._buffer.append(news)

    def take(self, news: News) -> None:
        """Send it, or keep it for its turn."""
        row, now = news.row, standing(news.row)
        if row.seq > self.top:
            self.top = row.seq
            self._line_up(row.seq, now, news.frame)
        elif self.line is not None and row.seq in self.line:
            self._settle(row.seq, now, news.frame)
        elif self.late and row.seq in self.late:
            if now == "shown":
                self.late.discard(row.seq)
                self.put(news.frame)
        elif news.edited and now == "shown" and news.update:
            self.put(news.update)

    def expect(self, seqs: Iterable[int]) -> None:
        """These are to come although their seq is passed."""
        if found := set(seqs):
            self.late = found | (self.late or set())

    def _line_up(self, seq: int, now: Standing, frame: Frame) -> None:
        if now == "held":
            self.expect((seq,))
        elif now == "in_flight":
            self.line = {**(self.line or {}), seq: None}
        elif now == "shown" and self.line:
            self.line[seq] = frame
        elif now == "shown":
            self.put(frame)

    def _settle(self, seq: int, now: Standing, frame: Frame) -> None:
        line = self.line or {}
        if now == "shown":
            line[seq] = frame
        elif now != "in_flight":
            del line[seq]
            if now == "held":
                self.expect((seq,))
        while line and (first := next(iter(line.items())))[1] is not None:
            self.put(first[1])
            del line[first[0]]
        self.line = line or None


class Collector(VisitorOutlet):
    """An outlet for one long poll: it keeps the frames and says when there are any."""

    __slots__ = ("frames", "some")

    def __init__(self) -> None:
        super().__init__(_never, _never)
        self.frames: list[Frame] = []
        self.some = asyncio.Event()

    def put(self, frame: Frame) -> None:
        self.frames.append(frame)
        self.some.set()

    def close(self, code: int) -> None:
        self.closed = True
        self.some.set()


async def _never(_: object) -> None:
    raise AssertionError("a collector sends nothing")


Key = tuple[bytes, str]


class VisitorSockets:
    """All visitors connected to this process, by their addresses."""

    def __init__(self, state: State, links: MediaLinks, feed: Feed) -> None:
        self._state = state
        self._links = links
        self._feed = feed
        self._outlets: dict[Key, list[VisitorOutlet]] = {}
        self._channel_ids = [c.id for c in state.channels.all if c.kind == "webchat"]

    def outlets(self) -> list[VisitorOutlet]:
        found = {id(o): o for outlets in self._outlets.values() for o in outlets}
        return list(found.values())

    def of(self, session: Session) -> list[VisitorOutlet]:
        return list(self._outlets.get((session.channel_id, session.external_id), ()))

    def add(self, outlet: VisitorOutlet, session: Session) -> None:
        outlet.session = session
        for external_id in session.ids:
            self._outlets.setdefault((session.channel_id, external_id), []).append(outlet)

    def remove(self, outlet: VisitorOutlet) -> None:
        session, outlet.session = outlet.session, None
        for key in [(session.channel_id, id) for id in session.ids] if session else ():
            if outlet in (found := self._outlets.get(key, [])):
                found.remove(outlet)
            if not found:
                self._outlets.pop(key, None)

    async def join(
        self, outlet: VisitorOutlet, session: Session, last_seq: int, *, late: bool
    ) -> Resumed:
        """Put the outlet in the stream and give it what it missed: first a `welcome`, then the
        messages after `last_seq` (after a `reset` when they are too many, or when `last_seq` is
        not of this thread). Inside `Feed.following`."""
        outlet.hold()
        self.add(outlet, session)
        past = await self._state.store.read(resume, session, last_seq, REPLAY, late=late)
        top = past.thread.top if past.thread else 0
        reset = past.more or last_seq > top
        if reset:
            last_seq = max(0, top - FRESH_PAGE)
            past = await self._state.store.read(resume, session, last_seq, REPLAY, late=False)
            top = max(top, past.thread.top if past.thread else 0)
        outlet.top, outlet.line, outlet.late = last_seq, None, None
        outlet.expect(past.waiting)
        seqs = [row.seq for row in past.said if is_shown(row)]
        outlet.put(frame_of(type="welcome", seq=max(seqs, default=last_seq), unread=past.unread))
        if reset:
            outlet.put(frame_of(type="reset"))
        for row in past.said:
            news = self.news(row, past.media)
            if row.seq > last_seq:
                outlet.take(news)
            else:
                outlet.put(news.frame)
        outlet.top = max(outlet.top, top)
        outlet.release()
        return past

    def news(self, row: Said, media: dict[bytes, Any], *, edited: bool = False) -> News:
        mine = media.get(row.id, {})
        update = None
        if edited:
            update = frame_of(**said_json(row, mine, self._links, "update"))
        return News(row, edited, frame_of(**said_json(row, mine, self._links)), update)

    async def load(self, changes: list[Change]) -> Callable[[], None]:
        """What the feed calls: one look at the changed messages for all visitors."""
        edits: dict[bytes, bool] = {}
        for change in changes:
            if change.message_id:
                edited = change.kind == "edit" or edits.get(change.message_id, False)
                edits[change.message_id] = edited
        if not self._outlets or not edits:
            return lambda: None
        rows, media = await self._state.store.read(load_said, edits, self._channel_ids)
        news: list[tuple[Key, News]] = []
        for message_id, edited in edits.items():
            row = rows.get(message_id)
            if row and (key := (row.channel_id, row.address)) in self._outlets:
                news.append((key, self.news(row, media, edited=edited)))

        def hand() -> None:
            for key, one in news:
                for outlet in tuple(self._outlets.get(key, ())):
                    outlet.offer(one)

        return hand

    async def watch(self) -> None:
        every = self._state.ping_every
        while True:
            await asyncio.sleep(every)
            connected = (o for o in self.outlets() if not isinstance(o, Collector))
            ping_all(connected, PING, every)
