"""One hook as a record of the spool's files, and the records read back from a file.

A record is framed with its length and a checksum, so that what a kill or a power cut left half
written is told from what was acknowledged.
"""

import json
import os
import struct
import zlib
from collections.abc import Iterator

from hub.connector import Hook

MARK = b"\xf5ots"  # its first byte is in no UTF-8 text, so that hardly a body holds it
HEAD = struct.Struct(">4sII")  # mark, length, checksum of length and record
META = struct.Struct(">I")
MOST = 64 * 1024 * 1024  # a length above this is damage


def pack(hook: Hook) -> bytes:
    """A hook as a framed record."""
    headers: dict[str, str] = {}
    for name, value in hook.headers.items():
        headers.setdefault(name.lower(), value)
    # ASCII with escapes: a header may hold bytes that are no UTF-8, as lone surrogates.
    meta = json.dumps([hook.method, hook.url, hook.query, headers, hook.received_at]).encode()
    record = META.pack(len(meta)) + meta + hook.body
    return HEAD.pack(MARK, len(record), _checksum(record)) + record


def unpack(record: bytes) -> Hook:
    """Raises ValueError when it is no hook."""
    try:
        (length,) = META.unpack_from(record)
        body = META.size + length
        method, url, query, headers, received_at = json.loads(record[META.size : body])
    except (struct.error, TypeError) as error:
        raise ValueError("not a record of a hook") from error
    return Hook(method, url, query, headers, record[body:], received_at)


def _checksum(record: bytes) -> int:
    return zlib.crc32(record, zlib.crc32(META.pack(len(record))))


def scan(number: int, start: int, end: int) -> Iterator[tuple[bytes, int, bool]]:
    """The whole records of an open file between two offsets: each with the offset behind it, and
    whether damage was skipped before it. What is no whole record at the end is left out."""
    at, skipped = start, False
    while at < end:
        record = _record_at(number, at, end)
        if record is None:
            found = _next_mark(number, at + 1, end)
            if found is None:
                return
            at, skipped = found, True
            continue
        at += HEAD.size + len(record)
        yield record, at, skipped
        skipped = False


def is_damaged(number: int, start: int, end: int) -> bool:
    """Is what lies there, and holds no whole record, more than what a kill or a power cut leaves
    of a write that had not ended: less of it, or zeros where the rest should be?"""
    head = os.pread(number, HEAD.size, start)
    if end - start < HEAD.size or os.pread(number, 1, end - 1) == b"\0":
        return False
    mark, length, _ = HEAD.unpack(head)
    return bool(mark != MARK or length <= end - start - HEAD.size)


def _record_at(number: int, at: int, end: int) -> bytes | None:
    head = os.pread(number, HEAD.size, at)
    if len(head) < HEAD.size:
        return None
    mark, length, checksum = HEAD.unpack(head)
    if mark != MARK or length > min(MOST, end - at - HEAD.size):
        return None
    record = os.pread(number, length, at + HEAD.size)
    return record if len(record) == length and _checksum(record) == checksum else None


def _next_mark(number: int, at: int, end: int) -> int | None:
    while at < end:
        chunk = os.pread(number, min(1 << 20, end - at), at)
        found = chunk.find(MARK)
        if found >= 0:
            return at + found
        if len(chunk) < len(MARK):
            return None
        at += len(chunk) - len(MARK) + 1
    return None
