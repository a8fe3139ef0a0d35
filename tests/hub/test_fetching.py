"""Attachments in the running hub: tried for a day, and one that cannot be read stops no other."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web

from hub.clock import new_id
from hub.message import Inbound, Media, Message
from hub.store.accept import Acceptance, Arrival, accept
from hub.store.rows import Row, inbound_row
from hub.store.schema import dead_letters, media, messages
from tests.faults.scene import FLOWS
from tests.hub.hosts import Server, picture, serve
from tests.running import House, running_hub

HOUR = 3600.0


@dataclass
class Gallery:
    """A hub, and the server that its attachments lie on, which is away at first."""

    house: House
    server: Server
    is_away: bool = True
    refused: int = 0
    under_way: dict[bytes, int] = field(default_factory=dict)

    async def receive(self) -> bytes:
        """A message with a picture comes; the id of its row."""
        channel = self.house.hub.channels.by_name["site"]
        at, key = self.house.hub.clock.now(), new_id().hex()
        shown = Media(kind="image", source_url=self.server.url(f"/{key}.png"))
        message = Message.of("look", media=(shown,))
        inbound = Inbound(channel.account, "visitor", key, key, message, at)
        row = inbound_row(message, channel_id=channel.id, at=at, sent_at=at)
        row |= {"external_id": key, "dedupe_key": key}
        arrival = Arrival.of(channel.id, inbound, row)
        await self.house.hub.store.each(accept, Acceptance(at, arrivals=[arrival]))
        self.look()
        return bytes(row["id"])

    def look(self) -> None:
        """Have the hub look for what is due now."""
        self.house.hub.bus.poke("media")

    async def rows(self, table: sa.Table, *where: Any) -> list[Row]:
        def read(conn: sa.Connection) -> list[Row]:
            return [dict(row) for row in conn.execute(sa.select(table).where(*where)).mappings()]

        return await self.house.hub.store.read(read)

    async def attachment(self, message_id: bytes) -> Row:
        [row] = await self.rows(media, media.c.message_id == message_id)
        return row

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if not self.is_away:
            return await picture(request)
        # While a fetch is under way its row is due when it would count as lost.
        self.under_way = {row["id"]: row["due_at"] for row in await self.rows(media)}
        self.refused += 1
        return web.Response(status=503)

    async def fails(self, message_id: bytes, attempt: int) -> None:
        """Until that attempt has failed and the next one has its time."""

        async def is_over() -> bool:
            if self.refused < attempt:
                return False
            row = await self.attachment(message_id)
            return bool(row["due_at"] != self.under_way[row["id"]])

        await self.house.until(is_over)

    async def reaches(self, message_id: bytes, state: str) -> None:
        async def is_there() -> bool:
            return bool((await self.attachment(message_id))["state"] == state)

        await self.house.until(is_there)


@contextlib.asynccontextmanager
async def open_gallery(tmp_path: Path) -> AsyncIterator[Gallery]:
    async with contextlib.AsyncExitStack() as stack:
        house = await stack.enter_async_context(running_hub(tmp_path, dialogs=FLOWS))
        gallery = Gallery(house, Server())
        gallery.server = await stack.enter_async_context(serve(gallery.answer))
        yield gallery


async def spoil(gallery: Gallery, message_id: bytes, shape: Any) -> None:
    """Make the attachment's row what no release of the hub can read."""

    def write(conn: sa.Connection) -> None:
        conn.execute(media.update().where(media.c.message_id == message_id).values(media=shape))

    await gallery.house.hub.store.write(write)


UNREADABLE: list[Any] = [[], "text", 7, {}, {"kind": "hologram"}, {"kind": "image", "size": "x"}]


@pytest.mark.parametrize("shape", UNREADABLE, ids=str)
async def test_one_that_cannot_be_read_stops_no_other(tmp_path: Path, shape: Any) -> None:
    async with open_gallery(tmp_path) as gallery:
        bad = await gallery.receive()
        await gallery.fails(bad, 1)
        await spoil(gallery, bad, shape)
        gallery.is_away = False
        gallery.house.hub.clock.move(HOUR)
        gallery.look()

        async def tried_again() -> bool:
            return bool((await gallery.attachment(bad))["attempt"] >= 2)

        await gallery.house.until(tried_again)
        good = await gallery.receive()
        await gallery.reaches(good, "stored")
        left = await gallery.attachment(bad)
        assert left["due_at"] is not None, "it is due again by itself"


async def test_a_provider_that_was_away_for_hours(tmp_path: Path) -> None:
    async with open_gallery(tmp_path) as gallery:
        id = await gallery.receive()
        for attempt in range(1, 13):
            await gallery.fails(id, attempt)
            gallery.house.hub.clock.move(HOUR)
            gallery.look()
        await gallery.fails(id, 13)
        gallery.is_away = False
        gallery.house.hub.clock.move(HOUR)
        gallery.look()
        await gallery.reaches(id, "stored")
        [message] = await gallery.rows(messages, messages.c.id == id)
        assert message["content"]["media"][0]["state"] == "stored"
        assert await gallery.rows(dead_letters) == []


async def test_after_a_day_it_is_given_up_with_a_dead_letter(tmp_path: Path) -> None:
    async with open_gallery(tmp_path) as gallery:
        id = await gallery.receive()
        await gallery.fails(id, 1)
        gallery.house.hub.clock.move(24 * HOUR)
        gallery.look()
        await gallery.reaches(id, "failed")
        row = await gallery.attachment(id)
        assert (row["attempt"], row["due_at"]) == (2, None)
        [letter] = await gallery.rows(dead_letters)
        assert (letter["kind"], letter["reference"]) == ("media", row["id"])
        assert letter["reason"] == "not fetched after 2 attempts: Unreachable"
        [message] = await gallery.rows(messages, messages.c.id == id)
        assert message["text"] == "look"
        assert message["content"]["media"][0]["state"] == "failed"
        gallery.house.hub.clock.move(24 * HOUR)
        gallery.look()
        other = await gallery.receive()
        await gallery.house.until(lambda: len(gallery.server.seen) == 3)
        assert (await gallery.attachment(other))["attempt"] == 1
        assert (await gallery.attachment(id))["attempt"] == 2
