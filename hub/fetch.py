"""Fetch: attachments, after their message is stored, each in its own time.

A failed fetch never costs the message: it is tried again, and in the end shown as failed.
"""

import asyncio
import random

import structlog

from hub.bus import Bus, Signal
from hub.channels import Channels
from hub.clock import SECOND, Clock, Micros
from hub.compose import fit_file
from hub.connector import FetchesMedia
from hub.errors import MediaFailed, MediaRefused, SendFailed, StoreUnavailable, Unreachable
from hub.media import MediaFetcher
from hub.message import Media
from hub.metrics import Metrics
from hub.pool import look_for_ever
from hub.rate import retry_delay
from hub.store import Store
from hub.store.attachments import due, forget, is_shared, settle
from hub.store.edits import apply_due, is_due
from hub.store.rows import Row

log = structlog.get_logger(__name__)

AT_ONCE = 4
GIVEN_UP_AFTER = 300  # seconds after which a fetch that was begun and not settled is due again


class Fetching:
    def __init__(
        self,
        store: Store,
        bus: Bus,
        clock: Clock,
        channels: Channels,
        fetcher: MediaFetcher,
        horizon: float,
        metrics: Metrics,
    ) -> None:
        """`horizon`: seconds after which a fetch that keeps failing is given up."""
        self._store = store
        self._bus = bus
        self._clock = clock
        self._channels = channels
        self._fetcher = fetcher
        self._horizon = round(horizon * SECOND)
        self._metrics = metrics
        self.may_be_awaited = False
        """Whether a message may be waiting to be sent for what is fetched now."""

    async def run(self) -> None:
        """Fetch what is due, for ever."""
        poked = Signal(self._bus, "media")
        try:
            await look_for_ever("attachments", self.fetch_due, lambda: poked.wait(2.0))
        finally:
            poked.close()

    async def fetch_due(self) -> int:
        """Fetch a few that are due; returns how many there were."""
        self.may_be_awaited = True  # as long as nobody knows what was due
        try:
            return await self._fetch_due(self._clock.now())
        finally:
            self.may_be_awaited = False

    async def _fetch_due(self, at: Micros) -> int:
        rows = await self._store.write(due, at, at + GIVEN_UP_AFTER * SECOND, AT_ONCE)
        self.may_be_awaited = any(row["direction"] == "out" for row in rows)
        erased = [row for row in rows if row["state"] == "erased"]
        await asyncio.gather(*(self._fetch(row) for row in rows if row["state"] != "erased"))
        # After the fetches, so that none of them brings the same file meanwhile.
        for row in erased:
            await self._erase(row)
        if await self._store.read(is_due, at):
            await self._store.write(apply_due, at)
        return len(rows)

    async def _erase(self, row: Row) -> None:
        """Erase the file of a message that was taken back, unless another message has it too."""
        path = row["media"].get("path", "")
        try:
            if path and not await self._store.read(is_shared, row["id"], path):
                await asyncio.to_thread(self._fetcher.folder.remove, path)
        except OSError as error:
            log.error("file not erased", media=row["id"].hex(), error=type(error).__name__)
            return
        await self._store.write(forget, row["id"])

    async def _fetch(self, row: Row) -> None:
        try:
            await self._fetch_and_settle(row)
        except StoreUnavailable:
            raise
        except Exception as error:
            # One that cannot even be tried must not stop the others; it is due again by itself.
            log.error("attachment not fetched", media=row["id"].hex(), error=type(error).__name__)

    async def _fetch_and_settle(self, row: Row) -> None:
        attachment = Media.model_validate(row["media"])
        attempt = row["attempt"] + 1
        try:
            stored = await self._download(row, attachment)
        except (MediaRefused, MediaFailed) as error:
            refused = attachment.model_copy(update={"state": "refused", "error": str(error)})
            await self._settle(row, refused, reason=str(error))
        except (SendFailed, OSError) as error:
            delay = retry_delay(attempt, getattr(error, "retry_in", None), random.random)
            again = self._clock.now() + round(delay * SECOND)
            is_final = isinstance(error, SendFailed) and error.final
            if again < row["created_at"] + self._horizon and not is_final:
                await self._settle(row, attachment, due_at=again)
                return
            reason = f"not fetched after {attempt} attempts: {type(error).__name__}"
            failed = attachment.model_copy(update={"state": "failed", "error": reason})
            await self._settle(row, failed, reason=reason)
        else:
            await self._settle(row, stored)
        if row["direction"] == "out":
            self._bus.poke("address", row["address_id"])

    async def _download(self, row: Row, attachment: Media) -> Media:
        channel = self._channels.by_id.get(row["channel_id"])
        if channel is None:
            raise MediaRefused("the settings have no such channel now")
        url, headers = attachment.source_url, dict[str, str]()
        if row["direction"] == "in" and isinstance(channel.connector, FetchesMedia):
            url, headers = await channel.connector.media_request(attachment)
        if not url:
            raise MediaRefused("the provider gave no address of the attachment")
        fetched = await self._fetcher.fetch(url, headers, hint=attachment.mime)
        if attachment.sha256 and attachment.sha256 != fetched.sha256:
            raise Unreachable("the file is not the one the provider announced")
        stored = attachment.model_copy(
            update={
                "state": "stored",
                "path": fetched.path,
                "size": fetched.size,
                "sha256": fetched.sha256,
                "mime": fetched.mime or attachment.mime,
            }
        )
        return fit_file(stored, channel.limits) if row["direction"] == "out" else stored

    async def _settle(
        self, row: Row, attachment: Media, *, due_at: int | None = None, reason: str = ""
    ) -> None:
        await self._store.write(
            settle,
            row,
            attachment.model_dump(mode="json", exclude_defaults=True),
            self._clock.now(),
            due_at=due_at,
            reason=reason,
        )
        state = "retried" if due_at is not None else attachment.state
        self._metrics.media(self._channels.name_of(row["channel_id"]), state).inc()
        if due_at is None:
            self._bus.poke("change")
