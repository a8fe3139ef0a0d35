"""Time and the ids that carry it.

Due times, windows and retries read a `Clock` that app.py passes in, so that tests can move it.
Leases and time-outs use real time.
"""

import time
import uuid
from datetime import UTC, datetime

import uuid_utils

Micros = int
"""Microseconds since the epoch, UTC: every time inside the hub."""

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Clock:
    """What time it is. Tests move it; nothing else does."""

    def __init__(self) -> None:
        self.offset: Micros = 0

    def now(self) -> Micros:
        return time.time_ns() // 1000 + self.offset

    def move(self, seconds: float) -> None:
        """Move the clock forward by `seconds`."""
        self.offset += round(seconds * SECOND)


def new_id() -> bytes:
    """A UUIDv7 as its 16 bytes: unique, and later ids sort later."""
    return uuid_utils.uuid7().bytes


def answer_id(to: bytes, index: int) -> bytes:
    """The id of the message that is number `index` of what answers the message or timer `to`: a
    UUIDv7 too, later than `to`, with its last eight bytes. So everything that one message led to
    can be told by its ids alone. Beyond 4096 an id of its own."""
    if index > 0xFFF:
        return new_id()
    at = max(int.from_bytes(new_id()[:6]), int.from_bytes(to[:6]) + 1)
    return (at << 16 | 0x7000 | index).to_bytes(8) + to[8:]


def id_text(value: bytes) -> str:
    """An id as the outside sees it: hyphenated lower-case hex."""
    return str(uuid.UUID(bytes=value))


def parse_id(text: str) -> bytes:
    """Read an id given from outside. Raises ValueError."""
    return uuid.UUID(text).bytes


def iso(at: Micros) -> str:
    """ISO 8601 in UTC with milliseconds: `2026-11-20T12:00:00.120Z`."""
    moment = datetime.fromtimestamp(at // 1000 / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at // 1000 % 1000:03d}Z"


def parse_iso(text: str) -> Micros:
    """Read an ISO 8601 time; one without a zone is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * SECOND)


def from_epoch(value: int | float | str | None, fallback: Micros) -> Micros:
    """Read a provider's epoch time given in seconds or milliseconds, as number or text.

    Values from 1e11 up are milliseconds (1e11 s is the year 5138). What cannot be read, or is
    not positive, gives `fallback`: a message is never dropped for its time.
    """
    try:
        number = float(value)  # type: ignore[arg-type]  # None raises TypeError, caught below
    except (TypeError, ValueError):
        return fallback
    if not 0 < number < 1e14:
        return fallback
    return round(number * 1000) if number >= 1e11 else round(number * SECOND)
