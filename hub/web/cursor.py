"""Opaque cursors: where the next page of a list begins."""

import base64

from hub.clock import Micros
from hub.web.problem import wrong


def write_cursor(id: bytes, at: Micros = 0) -> str:
    """A cursor for what comes after the row with this id (and time, where lists are by time)."""
    return base64.urlsafe_b64encode(at.to_bytes(8, "big", signed=True) + id).decode()


def read_cursor(text: str) -> tuple[Micros, bytes]:
    """Raises Problem 422."""
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    if len(raw) != 24:
        raise wrong("cursor", "should be the `next` of an earlier answer")
    return int.from_bytes(raw[:8], "big", signed=True), raw[8:]
