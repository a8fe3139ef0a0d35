"""The one gate, asked for every row at send time: may this go to this address now?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.clock import SECOND, Micros
from hub.connector import Limits
from hub.errors import Blocked, OptedOut, SendFailed, WindowClosed

Row = Mapping[str, Any]


@dataclass(slots=True)
class Gate:
    """`windows`: seconds after a customer's message in which free messages may be sent, by the
    channel's id; a channel without such a window is not in it."""

    windows: Mapping[bytes, float]

    def __call__(self, row: Row, at: Micros) -> SendFailed | None:
        if row["opted_out_at"] is not None and (row["opt_out_scope"] or "all") == "all":
            return OptedOut("the customer has opted out here")
        if row["blocked_at"] is not None:
            return Blocked("the customer cannot be reached here")
        window = self.windows.get(row["channel_id"])
        if row["kind"] != "template" and is_closed(window, row["last_seen_at"], at):
            return WindowClosed("the channel's time for free messages is over")
        return None


def is_closed(window: float | None, seen: Micros | None, at: Micros) -> bool:
    """Is the channel's window over for a customer who last wrote at `seen`?"""
    return window is not None and (seen is None or seen + window * SECOND <= at)


def make_gate(limits: Mapping[bytes, Limits]) -> Gate:
    """A gate that knows each channel's window by the channel's id."""
    return Gate({id: known.window for id, known in limits.items() if known.window is not None})
