"""Attachments that we keep, on their way out: as links that providers fetch, or as files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hub.connector import Limits
from hub.errors import MediaFailed
from hub.media import MediaFolder
from hub.message import Media, Outbound
from hub.store.attachments import attachment_id

Link = Callable[[bytes], str]
"""A signed public link to the attachment of an id, good for longer than a send takes."""


class Attachments:
    """What the media folder holds, given to connectors as each of them takes it."""

    def __init__(self, folder: MediaFolder, link: Link) -> None:
        self._folder = folder
        self._link = link

    def equip(self, out: Outbound, limits: Limits) -> Outbound:
        """`out` with its files, where the channel uploads, else with fresh links to what we keep.
        Raises MediaFailed when a file is not there."""
        if not out.message.media:
            return out
        if limits.uploads:
            return replace(out, files=tuple(map(self._file, out.message.media)))
        media = [
            self._linked(item, attachment_id(out.id, place)) if item.path else item
            for place, item in enumerate(out.message.media)
        ]
        return replace(out, message=out.message.model_copy(update={"media": tuple(media)}))

    def _linked(self, item: Media, id: bytes) -> Media:
        self._file(item)
        return item.model_copy(update={"source_url": self._link(id)})

    def _file(self, item: Media) -> Path:
        if not item.path:
            raise MediaFailed("the attachment was not fetched")
        try:
            path = self._folder.locate(item.path)
        except ValueError:
            raise MediaFailed("the attachment's path is not one of ours") from None
        if not path.is_file():
            raise MediaFailed("the attachment is no longer kept")
        return path
