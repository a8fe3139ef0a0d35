"""What the spool has put aside, and how it is brought back to be stored after all.

It may be called beside running hubs: they take over a folder of the spool that nobody holds, and
what is brought back is such a folder.
"""

import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from hub.spool_files import Segment, numbered, sync_folder


@dataclass(frozen=True, slots=True)
class Aside:
    """One file of hooks that could not be stored."""

    path: Path
    key: str
    hooks: int
    bytes: int


def asides(root: Path) -> Iterator[Aside]:
    """Raises OSError for a folder that cannot be read."""
    for folder in numbered(root):
        for path in sorted(folder.glob("*/aside")):
            size = path.stat().st_size
            yield Aside(path, path.parent.name, Segment.load(path).waiting, size)


def bring_back(root: Path, found: Collection[Aside]) -> None:
    """Have these read again: by the running hub, else by the next one that starts. Cut off, it
    loses nothing; some may then be read twice. Raises OSError."""
    if not found:
        return
    draft = root / f"again-{os.getpid()}"
    for number, one in enumerate(found):
        folder = draft / one.key
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.link(one.path, folder / f"{time.time_ns() + number:020d}.log")
        sync_folder(folder)
    sync_folder(draft)
    _take_in(draft, root)
    for one in found:
        one.path.unlink(missing_ok=True)
        sync_folder(one.path.parent)


def _take_in(draft: Path, root: Path) -> None:
    """Make it the spool's next folder."""
    while True:
        number = max((int(one.name) for one in numbered(root)), default=0) + 1
        try:
            draft.rename(root / str(number))
        except OSError:
            if not (root / str(number)).exists():
                raise
            continue  # a hub has just made it
        sync_folder(root)
        return
