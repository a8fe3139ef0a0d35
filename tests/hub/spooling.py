"""A spool on real files, and what lies in it."""

import contextlib
from collections.abc import AsyncIterator, Collection
from pathlib import Path

from hub.connector import Hook
from hub.spool import Spool, spool_key

WA = spool_key("whatsapp", "1065")
SMS = spool_key("twilio", "whatsapp:+1555/..")
ROOMY = 1 << 24


def hook(text: str = "hello", at: int = 1) -> Hook:
    return Hook("POST", "https://hub.example/hooks/wa?a=1", "a=1", {}, text.encode(), at)


@contextlib.asynccontextmanager
async def opened(
    folder: Path, most: int = ROOMY, keys: Collection[str] = ()
) -> AsyncIterator[Spool]:
    spool = Spool(folder, most)
    await spool.open({WA, SMS, *keys})
    try:
        yield spool
    finally:
        await spool.close()


async def drained(spool: Spool, most: int = 3) -> list[str]:
    """The bodies that wait, read in batches until none is left."""
    found: list[str] = []
    while spool.waiting():
        batch = await spool.read(most)
        found += [one.body.decode() for _, one in batch.hooks]
        await spool.advance(batch)
    return found


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*/*.log"))


async def filled(folder: Path, count: int, key: str = WA) -> Path:
    """A spool that has ended with hooks in one file."""
    async with opened(folder) as spool:
        for n in range(count):
            await spool.append(key, hook(f"hook {n}", n))
    [path] = segments(folder)
    return path
