"""Attachments that came inside a hook, kept as files before their message is stored."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import structlog

from hub.connector import CarriesMedia, Hook
from hub.errors import MediaRefused
from hub.media import MediaFolder
from hub.message import Inbound, Media
from hub.signal import Parsed

log = structlog.get_logger(__name__)


class Carried:
    """Keeps files of at most `max_bytes` in the media folder."""

    def __init__(self, folder: MediaFolder, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    async def keep(self, connector: CarriesMedia, hook: Hook, parsed: list[Parsed]) -> list[Parsed]:
        """`parsed` with its attachments stored, or with why one is not: that never costs the
        message. The same bytes are kept once, so that a redelivery adds nothing."""
        if not any(isinstance(one, Inbound) and one.message.media for one in parsed):
            return parsed
        files = await asyncio.to_thread(lambda: dict(connector.carried(hook)))
        found: list[Parsed] = []
        for one in parsed:
            if isinstance(one, Inbound) and one.message.media:
                media = [await self._keep(item, files) for item in one.message.media]
                message = one.message.model_copy(update={"media": tuple(media)})
                one = replace(one, message=message)
            found.append(one)
        return found

    async def _keep(self, item: Media, files: dict[str, bytes]) -> Media:
        content = files.get(item.sha256)
        if content is None:
            return item
        try:
            kept = await self._folder.save(
                pieces(content), max_bytes=self._max_bytes, hint=item.mime
            )
        except MediaRefused as error:
            return item.model_copy(update={"state": "refused", "error": str(error)})
        except OSError as error:
            log.error("attachment not kept", error=type(error).__name__)
            failed = f"the disk did not take the attachment: {error.strerror}"
            return item.model_copy(update={"state": "failed", "error": failed})
        return item.model_copy(
            update={"state": "stored", "path": kept.path, "mime": kept.mime or item.mime}
        )


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content
