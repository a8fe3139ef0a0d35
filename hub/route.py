"""Decides which of a customer's addresses a message goes out on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hub.clock import SECOND, Micros
from hub.errors import Blocked, NoSuchRecipient, OptedOut, SendFailed, WindowClosed


@dataclass(frozen=True, slots=True)
class Candidate:
    """An address of the customer, with what decides whether it can be written to now.

    `window` is `Limits.window`: seconds after the customer's last message on this address in
    which free text may be sent, None for always. `opted_out` counts for the kind of message at
    hand. `paused`: the channel keeps its queue until someone mends it. `templates`: the channel
    has templates, which no window holds back.
    """

    address_id: bytes
    channel_id: bytes
    channel_name: str
    kind: str
    last_inbound_at: Micros | None
    window: float | None
    blocked: bool = False
    opted_out: bool = False
    paused: bool = False
    templates: bool = False


Reason = Literal["preferred", "last_wrote", "other"]


@dataclass(frozen=True, slots=True)
class Choice:
    """`reason`: the address asked for, the one the customer last wrote on, or the best other."""

    address_id: bytes
    reason: Reason


def choose(
    candidates: Sequence[Candidate],
    now: Micros,
    *,
    preferred: bytes | None = None,
    channel: str | None = None,
    template: bool = False,
) -> Choice:
    """The address to write on: `preferred` (an address id) if it can be written to, else where
    the customer last wrote, else where she wrote before that, else where she never did.

    `channel`, by name, allows the addresses on that channel alone. A paused channel is taken
    only when nothing else is left; the message then waits in its queue. `template`: an approved
    template is to be sent. Raises NoSuchRecipient, or of the reasons why none of the addresses
    will do the one that is easiest to mend: WindowClosed, OptedOut, Blocked.
    """
    if channel is not None:
        candidates = [one for one in candidates if one.channel_name == channel]
    if not candidates:
        where = f" on {channel}" if channel is not None else ""
        raise NoSuchRecipient(f"the customer has no address{where}")
    latest = max(candidates, key=recency)
    hurdles = {one.address_id: hurdle(one, now, template=template) for one in candidates}
    open_ones = [one for one in candidates if hurdles[one.address_id] is None]
    if not open_ones:
        raise most_telling([error for error in hurdles.values() if error])
    best = max(
        open_ones, key=lambda one: (not one.paused, one.address_id == preferred, recency(one))
    )
    if best.address_id == preferred:
        return Choice(best.address_id, "preferred")
    wrote_here = best is latest and best.last_inbound_at is not None
    return Choice(best.address_id, "last_wrote" if wrote_here else "other")


def recency(one: Candidate) -> tuple[Micros, bytes]:
    """Orders by when the customer last wrote; ids decide a tie, the same way each time."""
    written = -1 if one.last_inbound_at is None else one.last_inbound_at
    return written, one.address_id


def hurdle(one: Candidate, now: Micros, *, template: bool = False) -> SendFailed | None:
    """Why this address cannot be written to now, or None."""
    if one.blocked:
        return Blocked(f"the customer has blocked {one.channel_name}")
    if one.opted_out:
        return OptedOut(f"the customer has opted out on {one.channel_name}")
    if one.window is None or (template and one.templates):
        return None
    if one.last_inbound_at is None:
        return WindowClosed(f"the customer has not written on {one.channel_name} yet")
    if now - one.last_inbound_at >= one.window * SECOND:
        hours = one.window / 3600
        return WindowClosed(
            f"the customer last wrote on {one.channel_name} more than {hours:g} hours ago"
        )
    return None


def most_telling(errors: list[SendFailed]) -> SendFailed:
    """A closed window reopens with a template or the customer's next message, an opt-out only by
    her word, a block only by her hand."""
    order = (WindowClosed, OptedOut, Blocked)
    return min(errors, key=lambda error: order.index(type(error)))
