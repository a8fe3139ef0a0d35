"""The files of the spool: hooks in append-only segments, one row of segments for each channel.

    SPOOL/1/whatsapp.1065.../00001795176000123456789.log     records, oldest first
                             00001795176000123456789.at      how far it is replayed
    SPOOL/1/lock                                             held by the process that writes here

One process writes a folder `1`, `2`, ..., and one thread of it calls all of this. Whoever finds
a folder unlocked takes over what is in it.
"""

import contextlib
import fcntl
import os
import struct
import time
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hub.clock import Micros
from hub.connector import Hook
from hub.spool_records import is_damaged, pack, scan, unpack

POSITION = struct.Struct(">QI")
OWNER_ONLY = 0o600


@dataclass(eq=False, slots=True)
class Segment:
    """One file. Up to `size` it is whole and on the disk, up to `at` it is replayed; `waiting`
    records lie between. `damaged`: a part of it could not be read, so it is kept."""

    path: Path
    size: int = 0
    at: int = 0
    waiting: int = 0
    damaged: bool = False
    sealed: bool = True

    @classmethod
    def load(cls, path: Path) -> "Segment":
        """A file that is there already; nothing more is written into it."""
        found = cls(path)
        with contextlib.suppress(OSError, struct.error):
            at, checksum = POSITION.unpack(path.with_suffix(".at").read_bytes())
            found.at = at if zlib.crc32(b"%d" % at) == checksum else 0
        found.size = found.at
        with path.open("rb") as file:
            end = os.fstat(file.fileno()).st_size
            for _, behind, skipped in scan(file.fileno(), found.at, end):
                found.size = behind
                found.waiting += 1
                found.damaged |= skipped
            found.damaged |= is_damaged(file.fileno(), found.size, end)
        return found

    def append(self, records: Sequence[bytes]) -> None:
        """Write and sync. Raises OSError; then none of it counts, and the segment is sealed: what
        a failed sync leaves in a file is not known."""
        number = os.open(self.path, os.O_WRONLY)
        try:
            data = memoryview(b"".join(records))
            at = self.size
            while data:
                written = os.pwrite(number, data, at)
                at, data = at + written, data[written:]
            os.fsync(number)
        except OSError:
            self.sealed = True
            with contextlib.suppress(OSError):
                os.ftruncate(number, self.size)
            raise
        finally:
            os.close(number)
        self.size = at
        self.waiting += len(records)

    def advance(self, to: int, taken: int) -> None:
        """Note how far it is replayed. A position that cannot be written costs a repeat."""
        self.at = to
        self.waiting -= taken
        with contextlib.suppress(OSError):
            number = os.open(self.path.with_suffix(".at"), os.O_WRONLY | os.O_CREAT, OWNER_ONLY)
            try:
                os.pwrite(number, POSITION.pack(to, zlib.crc32(b"%d" % to)), 0)
                os.fsync(number)
            finally:
                os.close(number)

    def remove(self) -> None:
        """Take the file away, or aside when it is damaged."""
        with contextlib.suppress(OSError):
            if self.damaged:
                self.path.replace(self.path.with_suffix(".damaged"))
            else:
                self.path.unlink()
        with contextlib.suppress(OSError):
            self.path.with_suffix(".at").unlink()


@dataclass(slots=True)
class Entry:
    """A record as it was read: `hook` is None when it cannot be used. Advancing past it ends
    `taken` records; `at` is when it came, in the order of its channel."""

    hook: Hook | None
    at: Micros
    end: int
    taken: int = 1


@dataclass(slots=True)
class Part:
    """The oldest records of one channel, all of one segment."""

    key: str
    segment: Segment
    entries: list[Entry] = field(default_factory=list)

    @property
    def taken(self) -> int:
        return sum(one.taken for one in self.entries)


@dataclass(slots=True)
class Batch:
    """The oldest records of some channels: `hooks`, each with its channel, in the order in which
    they came."""

    parts: list[Part]
    hooks: list[tuple[str, Hook]]

    @property
    def taken(self) -> int:
        return sum(part.taken for part in self.parts)


class Files:
    """What one process keeps and replays. All of it is called by one thread."""

    def __init__(self, root: Path, segment_bytes: int) -> None:
        self._root = root
        self._segment_bytes = segment_bytes
        self._own: Path | None = None
        self._locks: dict[Path, int] = {}
        self._segments: dict[str, list[Segment]] = {}

    def size(self) -> int:
        """Bytes on the disk."""
        return sum(one.size for row in self._segments.values() for one in row)

    def adopt(self) -> tuple[dict[str, int], int, OSError | None]:
        """Take over what processes that have ended left behind: how many records of which
        channel, in how many damaged segments none was left, and what went wrong."""
        found: dict[str, int] = {}
        damaged = 0
        problem: OSError | None = None
        try:
            folders = numbered(self._root)
        except OSError as error:
            return found, damaged, error
        for folder in folders:
            try:
                if folder in self._locks or not self._lock(folder):
                    continue
                loaded = []
                for key, segment in _load(folder):
                    if segment.waiting:
                        loaded.append((key, segment))
                    else:
                        segment.remove()
                        damaged += segment.damaged
            except OSError as error:
                problem = error
                self._unlock(folder)
                continue
            if not loaded and self._own is not None:
                self._unlock(folder)
                continue
            self._own = self._own or folder
            for key, segment in loaded:
                found[key] = found.get(key, 0) + segment.waiting
                row = self._segments.setdefault(key, [])
                row.append(segment)
                row.sort(key=lambda one: one.path.name)
        return found, damaged, problem

    def append(self, groups: Mapping[str, Sequence[bytes]]) -> dict[str, OSError]:
        """Write the records of each channel and sync; the channels whose records are not kept."""
        failed: dict[str, OSError] = {}
        for key, records in groups.items():
            try:
                self._open(key).append(records)
            except OSError as error:
                failed[key] = error
                self._drop_empty(key)
        return failed

    def read(self, keys: Collection[str], most: int, most_bytes: int) -> Batch:
        """The oldest records of these channels: up to `most`, of each about `most_bytes`. Raises
        OSError."""
        rows = [(key, row) for key in keys if (row := self._segments.get(key))]
        parts = [_read(key, row[0], most, most_bytes) for key, row in rows]
        # What comes later than a channel's last record read may come after its next one.
        horizon = min(
            (
                part.entries[-1].at
                for part, (_, row) in zip(parts, rows, strict=True)
                if part.entries and part.taken < sum(one.waiting for one in row)
            ),
            default=None,
        )
        merged = sorted(
            (entry.at, place, number)
            for place, part in enumerate(parts)
            for number, entry in enumerate(part.entries)
            if horizon is None or entry.at <= horizon
        )[:most]
        hooks: list[tuple[str, Hook]] = []
        kept = [0] * len(parts)
        for _, place, number in merged:
            kept[place] = number + 1
            hook = parts[place].entries[number].hook
            if hook is not None:
                hooks.append((parts[place].key, hook))
        for part, count in zip(parts, kept, strict=True):
            del part.entries[count:]
        return Batch([part for part in parts if part.entries], hooks)

    def advance(self, batch: Batch) -> int:
        """The batch is stored; it need not be replayed again. How many segments ended with it
        that were damaged."""
        damaged = 0
        for part in batch.parts:
            segment = part.segment
            segment.advance(part.entries[-1].end, part.taken)
            if segment.at >= segment.size:
                segment.remove()
                self._segments[part.key].remove(segment)
                damaged += segment.damaged
        return damaged

    def set_aside(self, batch: Batch) -> None:
        """Keep the batch's hooks in files that are not replayed. Raises OSError."""
        for part in batch.parts:
            path = part.segment.path.parent / "aside"
            number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, OWNER_ONLY)
            with os.fdopen(number, "wb") as file:
                file.write(b"".join(pack(one.hook) for one in part.entries if one.hook))
                file.flush()
                os.fsync(file.fileno())
            sync_folder(path.parent)

    def close(self) -> None:
        for number in self._locks.values():
            os.close(number)
        self._locks.clear()

    def _open(self, key: str) -> Segment:
        """The segment that is written now. Raises OSError."""
        row = self._segments.setdefault(key, [])
        if row and not row[-1].sealed:
            if row[-1].size < self._segment_bytes:
                return row[-1]
            row[-1].sealed = True
        folder = self._own_folder() / key
        folder.mkdir(mode=0o700, exist_ok=True)
        last = int(row[-1].path.stem) if row else 0
        path = folder / f"{max(time.time_ns(), last + 1):020d}.log"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY))
        segment = Segment(path, sealed=False)
        row.append(segment)
        for one in (folder, folder.parent):
            sync_folder(one)
        return segment

    def _drop_empty(self, key: str) -> None:
        row = self._segments.get(key)
        if row and not row[-1].size:
            row.pop().remove()

    def _own_folder(self) -> Path:
        number = 0
        while self._own is None:
            number += 1
            folder = self._root / str(number)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder in self._locks or not self._lock(folder):
                continue
            if any(folder.glob("*/*.log")):
                self._unlock(folder)  # left behind: `adopt` is to find it
                continue
            self._own = folder
            sync_folder(self._root)
            sync_folder(self._root.parent)
        return self._own

    def _lock(self, folder: Path) -> bool:
        """Raises OSError when no file can be made there."""
        number = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, OWNER_ONLY)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(number)
            return False
        self._locks[folder] = number
        return True

    def _unlock(self, folder: Path) -> None:
        if (number := self._locks.pop(folder, None)) is not None:
            os.close(number)


def _read(key: str, segment: Segment, most: int, most_bytes: int) -> Part:
    part = Part(key, segment)
    at, end = 0, segment.at
    with segment.path.open("rb") as file:
        for record, end, skipped in scan(file.fileno(), segment.at, segment.size):
            segment.damaged |= skipped
            hook = None
            try:
                hook = unpack(record)
                at = max(at, hook.received_at)
            except ValueError:
                segment.damaged = True
            part.entries.append(Entry(hook, at, end))
            most_bytes -= len(record)
            if len(part.entries) >= most or most_bytes <= 0:
                return part
    if end < segment.size or part.taken < segment.waiting:
        # Damage since the segment was loaded: no whole record is left of what waited.
        segment.damaged = True
        part.entries.append(Entry(None, at, segment.size, segment.waiting - part.taken))
    return part


@dataclass(slots=True)
class Waiting:
    """What lies on the disk for one channel: records and bytes to be replayed, bytes that no
    replay could use."""

    records: int = 0
    bytes: int = 0
    unusable: int = 0


def survey(root: Path) -> dict[str, Waiting]:
    """What a spool holds, whoever is using it."""
    found: dict[str, Waiting] = {}
    for folder in numbered(root):
        with contextlib.suppress(FileNotFoundError):
            for key, segment in _load(folder):
                if not segment.waiting:
                    continue
                one = found.setdefault(key, Waiting())
                one.records += segment.waiting
                one.bytes += segment.size - segment.at
            for path in [*folder.glob("*/*.damaged"), *folder.glob("*/aside")]:
                found.setdefault(path.parent.name, Waiting()).unusable += path.stat().st_size
    return found


def numbered(root: Path) -> list[Path]:
    try:
        found = [one for one in root.iterdir() if one.name.isdecimal() and one.is_dir()]
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda one: int(one.name))


def _load(folder: Path) -> Iterator[tuple[str, Segment]]:
    for path in sorted(folder.glob("*/*.log")):
        yield path.parent.name, Segment.load(path)


def sync_folder(folder: Path) -> None:
    """Make a folder's entries survive a power cut."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
