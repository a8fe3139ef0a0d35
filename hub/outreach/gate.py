"""The one gate, asked for every row at send time: may this go to this address now?"""

from collections.abc import Callable, Mapping
from typing import Any

from hub.clock import SECOND, Micros
from hub.connector import Limits
from hub.errors import Blocked, OptedOut, SendFailed, WindowClosed

Row = Mapping[str, Any]


def make_gate(limits: Mapping[bytes, Limits]) -> Callable[[Row, Micros], SendFailed | None]:
    """A gate that knows each channel's window by the channel's id."""

    def check(row: Row, at: Micros) -> SendFailed | None:
        if row["opted_out_at"] is not None and (row["opt_out_scope"] or "all") == "all":
            return OptedOut("the customer has opted out here")
        if row["blocked_at"] is not None:
            return Blocked("the customer cannot be reached here")
        known = limits.get(row["channel_id"])
        if known is None or known.window is None or row["kind"] == "template":
            return None
        seen = row["last_seen_at"]
        if seen is None or seen + known.window * SECOND <= at:
            return WindowClosed("the channel's time for free messages is over")
        return None

    return check
