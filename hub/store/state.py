"""Which state of an outbound message is the later one: states move forward only."""

from hub.message import State

RANK: dict[str | None, float] = {
    None: 0,
    "held": 0,
    "queued": 0,
    "sending": 1,
    "unknown": 1,
    "cancelled": 1.5,
    "sent": 2,
    "failed": 2.5,
    "delivered": 3,
    "read": 4,
}
"""`failed` outranks `sent` and never undoes `delivered` or `read`."""


def advance(old: str | None, new: State) -> State | None:
    """The state after hearing `new`, or None when that changes nothing."""
    return new if RANK[new] > RANK[old] else None
