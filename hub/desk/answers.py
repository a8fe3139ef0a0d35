"""What agents do to a conversation: reply, note, take over, give back, resolve."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from hub.bus import Bus
from hub.channels import Channels
from hub.clock import SECOND, Clock, Micros
from hub.compose import compose
from hub.desk.draft import Draft, draft_of
from hub.desk.ways import Way, Ways, WhenClosed
from hub.message import Media, Message
from hub.settings import LimitSettings
from hub.store import Store, replies
from hub.store import ownership as owners
from hub.store.attachments import find_kept
from hub.store.held import cancel, hold
from hub.store.replies import Reach
from hub.store.rows import Row, note_row, outbound_rows, wait_for_files
from hub.templates import Templates


@dataclass(frozen=True, slots=True)
class Author:
    """Who acts: an agent, or an API token by its name."""

    id: bytes | None
    name: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done where the customer last wrote too long ago. `held_until` is when a held
    message gives up, None for as long as the settings let it."""

    when_closed: WhenClosed = "refuse"
    held_until: Micros | None = None


NO_WISH = Wish()
Measure = Callable[[str], Awaitable[tuple[int | None, str]]]
"""Asks how large the file under a URL is, and its type: (None, "") when nobody says."""


class NotKept(LookupError):
    """An attachment that cannot be sent on: `place` among those asked for, and why."""

    def __init__(self, place: int, reason: str) -> None:
        super().__init__(reason)
        self.place = place
        self.reason = reason


class Desk:
    """Every act is one transaction. All raise KeyError for a conversation that is not there."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        clock: Clock,
        channels: Channels,
        limits: LimitSettings,
        templates: Templates | None = None,
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._channels = channels
        self._limits = limits
        self._templates = templates or Templates()
        self.measure: Measure | None = None
        self.link: Callable[[bytes], str] = lambda _id: ""
        """A public link to a kept attachment that a customer may follow later."""

    async def reply(
        self,
        conversation_id: bytes,
        author: Author,
        message: Message,
        *,
        channel: str | None = None,
        reply_to: bytes | None = None,
        client_id: str | None = None,
        note: bool = False,
        wish: Wish = NO_WISH,
        kept: Mapping[int, bytes] | None = None,
    ) -> list[bytes]:
        """Say something to the customer, which takes the conversation over, or note something.

        Returns the ids of the stored parts; a repeated `client_id` gives those of the first
        call. `channel` is a channel's name; without it the answer goes where the customer last
        wrote. `kept` names attachments of this conversation to put in the places of the message's
        media. Raises a SendFailed that says why the message cannot go out, TemplateMisuse or
        NotKept, and then nothing is stored.
        """
        at = self._clock.now()
        address_ids: set[bytes] = set()
        seen: Micros | None = None
        if note:
            rows = [
                note_row(
                    message.text,
                    at=at,
                    author_kind="agent",
                    author_id=author.id,
                    author_name=author.name,
                )
            ]
        else:
            reach = await self._store.read(replies.reach, conversation_id)
            message, links = await self._enclose(conversation_id, message, kept or {})
            composed = (message, channel, reply_to, at, wish, links)
            rows = await self._compose(reach, author, *composed)
            address_ids = {row["address_id"] for row in rows}
            seen = reach.last_seen(rows[0]["address_id"])
        ids = await self._store.write(
            replies.add,
            conversation_id,
            rows,
            client_id=client_id,
            takes_over=None if note else (author.id, author.name),
            at=at,
            seen=seen,
        )
        for address_id in address_ids:
            self._bus.poke("address", address_id)
        if any(row["due_at"] is not None for row in rows):
            self._bus.poke("media")
        self._bus.poke("change")
        return ids

    async def preview(
        self,
        conversation_id: bytes,
        message: Message,
        *,
        channel: str | None = None,
        wish: Wish = NO_WISH,
        kept: Mapping[int, bytes] | None = None,
    ) -> Draft:
        """What `reply` would store now, without storing it. Nobody is asked how large a file
        is. Raises as `reply`."""
        at = self._clock.now()
        reach = await self._store.read(replies.reach, conversation_id)
        message, links = await self._enclose(conversation_id, message, kept or {}, weigh=False)
        ways = Ways(reach, self._channels, self._templates, channel, at)
        way = ways.find(message, wish.when_closed)
        return draft_of(way, self._parts(reach, way, links), at)

    async def _enclose(
        self,
        conversation_id: bytes,
        message: Message,
        kept: Mapping[int, bytes],
        *,
        weigh: bool = True,
    ) -> tuple[Message, dict[str, bytes]]:
        """The message with what is known of its attachments, and the ids of those we keep by
        their paths. Raises NotKept."""
        if not message.media:
            return message, {}
        items, links = list(message.media), {}
        if kept:
            found = await self._store.read(find_kept, conversation_id, list(kept.values()))
            for place, id in kept.items():
                items[place] = _send_on(items[place], found.get(id), place)
                links[items[place].path] = id
        if weigh:
            items = list(await asyncio.gather(*map(self._weigh, items)))
        return message.model_copy(update={"media": tuple(items)}), links

    async def _weigh(self, item: Media) -> Media:
        if self.measure is None or item.path or item.size is not None or not item.source_url:
            return item
        size, mime = await self.measure(item.source_url)
        return item.model_copy(update={"size": size, "mime": item.mime or mime})

    async def _compose(
        self,
        reach: Reach,
        author: Author,
        message: Message,
        channel: str | None,
        reply_to: bytes | None,
        at: Micros,
        wish: Wish,
        links: Mapping[str, bytes],
    ) -> list[Row]:
        ways = Ways(reach, self._channels, self._templates, channel, at)
        way = ways.find(message, wish.when_closed)
        address, target = way.address, way.channel
        quoted = None
        if reply_to is not None:
            found = await self._store.read(
                replies.external_id_of, reach.conversation["id"], reply_to
            )
            if found is None:
                raise LookupError("reply_to names no message of this conversation")
            quoted = {"message_id": reply_to.hex()}
            if found["external_id"] and found["address_id"] == address["id"]:
                quoted["external_id"] = found["external_id"]
        rows = outbound_rows(
            self._parts(reach, way, links),
            reply_to=quoted,
            channel_id=target.id,
            address_id=address["id"],
            at=at,
            expires_at=at + round(self._limits.retry_horizon * SECOND),
            author_kind="agent",
            author_id=author.id,
            author_name=author.name,
        )
        if way.held:
            until = wish.held_until or at + round(self._limits.hold * SECOND)
            rows = [hold(row, until) for row in rows]
        elif target.limits.uploads:
            rows = [wait_for_files(row) for row in rows]
        return rows

    def _parts(self, reach: Reach, way: Way, links: Mapping[str, bytes]) -> list[Message]:
        def link(item: Media) -> str:
            return self.link(links[item.path]) if item.path in links else ""

        language = reach.language or "en"
        return compose(way.message, way.channel.limits, language=language, link=link)

    async def cancel(self, conversation_id: bytes, author: Author, message_id: bytes) -> bool:
        """Call back what waits until the customer writes; False when it does not wait any more.
        A message of another conversation raises KeyError."""
        at = self._clock.now()
        done = await self._store.write(cancel, conversation_id, message_id, author.name, at)
        if done:
            self._bus.poke("change")
        return done

    async def assign(
        self, conversation_id: bytes, author: Author, *, agent: Author | None, team: str | None
    ) -> None:
        """Give it to an agent, or with none to the queue of a team; either takes it from the
        bot."""
        await self._store.write(
            owners.park,
            conversation_id,
            owner_kind="agent" if agent else "queue",
            owner_id=agent.id if agent else None,
            owner_name=agent.name if agent else None,
            team=team,
            at=self._clock.now(),
        )
        self._bus.poke("change")

    async def release(
        self, conversation_id: bytes, author: Author, *, resume: bool, note: str | None
    ) -> None:
        """Give it back to the bot; with `resume` a parked dialog asks its question again."""
        if note:
            await self.reply(conversation_id, author, Message(text=note), note=True)
        await self._store.write(
            owners.give_back, conversation_id, resume=resume, at=self._clock.now()
        )
        self._bus.poke("conversation", conversation_id)
        self._bus.poke("change")

    async def read(self, conversation_id: bytes) -> None:
        await self._store.write(replies.read, conversation_id, self._clock.now())
        self._bus.poke("change")

    async def update(
        self,
        conversation_id: bytes,
        author: Author,
        *,
        status: str | None = None,
        snoozed_until: Micros | None = None,
        team: str | None = None,
        tags: list[str] | None = None,
    ) -> None:
        """Change what is given. Resolving gives the conversation back to the bot."""
        values: Row = {
            "status": status,
            "snoozed_until": snoozed_until,
            "team": team,
            "tags": tags,
        }
        given = {name: value for name, value in values.items() if value is not None}
        await self._store.write(replies.update, conversation_id, given, self._clock.now())
        self._bus.poke("change")


def _send_on(wanted: Media, found: Media | None, place: int) -> Media:
    """A kept attachment as one to send. Raises NotKept."""
    if found is None:
        raise NotKept(place, "is no attachment of this conversation")
    if found.state != "stored" or not found.path:
        raise NotKept(place, f"is not kept here: {found.state}")
    return Media(
        kind=found.kind,
        mime=found.mime,
        name=wanted.name or found.name,
        size=found.size,
        sha256=found.sha256,
        voice=found.voice,
        state="stored",
        path=found.path,
    )
