"""Traces for OpenTelemetry: one customer's message from its hook to the send of the answer.

Off unless `hub.traces` names a collector; only then OpenTelemetry is imported (the extra `traces`).
No text, number or name is in any span: ids of the hub's own, channels, dialogs, states.

The parts of a trace are made where they happen, in any process, and nothing is stored or handed on
for it. Answers share the last eight bytes of their id with the message they answer
(clock.answer_id); from these the trace's id and those of its spans follow:

    hook (server) > store > turn > send (client), one for each attempt
    receipt (server), a trace of its own, linked to the send
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from hub.clock import Clock, Micros
from hub.errors import SettingsError

CLOSE_SECONDS = 2.0
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")

Attributes = dict[str, str | int | bool]


def trace_id(id: bytes) -> int:
    """The trace of a message: the last eight bytes of its id, then the same in reverse, so that
    both halves are as random as collectors expect of them."""
    return int.from_bytes(id[8:] + id[:7:-1])


def hook_span(id: bytes) -> int:
    return int.from_bytes(id[8:])


def store_span(id: bytes) -> int:
    return hook_span(id) ^ 1


def turn_span(id: bytes) -> int:
    """The turn that was committed for a message; of any message of the trace."""
    return hook_span(id) ^ 2


def send_span(id: bytes) -> int:
    """The first attempt at an outbound message that may have arrived."""
    return int.from_bytes(id[:8])


class Traces:
    """Spans of one process. Times are those of the hub's clock. Nothing here waits or raises."""

    def __init__(self, url: str, share: float, clock: Clock) -> None:
        """Raises SettingsError when OpenTelemetry is not installed."""
        try:
            from hub.spans import Spans
        except ImportError as error:
            if not (error.name or "").startswith("opentelemetry"):
                raise
            raise SettingsError(
                "hub.traces: needs OpenTelemetry; install it with: pip install 'onethread[traces]'"
            ) from None
        self._spans = Spans(url)
        self._limit = round(share * (1 << 64))
        self._clock = clock

    def _is_kept(self, trace: int) -> bool:
        return (trace & ((1 << 64) - 1)) < self._limit

    def stored(
        self,
        found: Iterable[tuple[str, bytes, bytes, bool]],
        at: Micros,
        received_at: Micros | None,
        headers: Mapping[str, str] | None,
    ) -> None:
        """Messages of one hook, stored now: each the channel, its id, its conversation's and
        whether it was new. `at` is when storing began; of one that no hook brought `received_at`
        is None. A `traceparent` is a stranger's word: linked, never taken over as parent."""
        now = self._clock.now()
        for channel, id, conversation, is_new in found:
            trace = trace_id(id)
            if not self._is_kept(trace):
                continue
            about = _about(channel, id, conversation) | {"onethread.duplicate": not is_new}
            if is_new:
                hook, parent = hook_span(id), 0
            else:
                hook, parent = 0, hook_span(id)
            given = _given(headers)
            name = "list" if received_at is None else "hook"
            kind = "client" if received_at is None else "server"
            begun = at if received_at is None else min(received_at, at)
            hook = self._spans.add(name, kind, trace, hook, parent, begun, now, about, links=given)
            store = store_span(id) if is_new else 0
            self._spans.add("store", "internal", trace, store, hook, at, now, about)

    def heard(self, receipts: Iterable[tuple[str, str, bytes | None]], at: Micros) -> None:
        """Receipts stored now: each the channel, the status and our message's id if it says it."""
        now = self._clock.now()
        for channel, status, id in receipts:
            if id is not None and not self._is_kept(trace_id(id)):
                continue
            about: Attributes = {"onethread.channel": channel, "onethread.status": status}
            links = []
            if id is not None:
                about["onethread.message"] = id.hex()
                links = [(trace_id(id), send_span(id))]
            self._spans.add("receipt", "server", 0, 0, 0, at, now, about, links=links)

    def turned(
        self,
        event: bytes,
        conversation: bytes,
        seconds: float,
        *,
        of_timer: bool,
        runs: Sequence[Any] = (),
        error: str = "",
    ) -> None:
        """A turn that ended now, after `seconds`: committed, or with the name of an error."""
        trace = trace_id(event)
        if not self._is_kept(trace):
            return
        about: Attributes = {"onethread.conversation": conversation.hex()}
        about["onethread.event"] = "timer" if of_timer else "message"
        if runs:
            about["onethread.dialog"] = runs[-1].dialog
            about["onethread.run.state"] = runs[-1].state
        span = 0 if error else turn_span(event)
        parent = 0 if of_timer else store_span(event)
        begun, now = self._since(seconds)
        self._spans.add("turn", "internal", trace, span, parent, begun, now, about, error=error)

    def sent(self, row: Mapping[str, Any], channel: str, outcome: str, seconds: float) -> None:
        """An attempt at the outbound `row` that ended now. `outcome` is `sent` or why not."""
        id = row["id"]
        trace = trace_id(id)
        if not self._is_kept(trace):
            return
        about = _about(channel, id, row["conversation_id"])
        about |= {"onethread.attempt": row["attempt"], "onethread.outcome": outcome}
        may_have_arrived = outcome in ("sent", "outcome_unknown") and not row["unknowns"]
        span = send_span(id) if may_have_arrived else 0
        parent = turn_span(id) if row["author_kind"] == "bot" else 0
        begun, now = self._since(seconds)
        error = "" if outcome == "sent" else outcome
        self._spans.add("send", "client", trace, span, parent, begun, now, about, error=error)

    def _since(self, seconds: float) -> tuple[Micros, Micros]:
        now = self._clock.now()
        return now - round(seconds * 1e6), now

    async def close(self) -> None:
        """Hand over what waits, for `CLOSE_SECONDS` at most."""
        await asyncio.to_thread(self._spans.close, CLOSE_SECONDS)


def _about(channel: str, id: bytes, conversation: bytes) -> Attributes:
    return {
        "onethread.channel": channel,
        "onethread.message": id.hex(),
        "onethread.conversation": conversation.hex(),
    }


def _given(headers: Mapping[str, str] | None) -> list[tuple[int, int]]:
    found = TRACEPARENT.fullmatch(headers.get("traceparent", "")) if headers else None
    if found is None or not int(found[1], 16) or not int(found[2], 16):
        return []
    return [(int(found[1], 16), int(found[2], 16))]


@contextlib.asynccontextmanager
async def tracing(url: str, share: float, clock: Clock) -> AsyncIterator[Traces | None]:
    """Traces for the collector at `url`, or None without one. Raises SettingsError."""
    traces = Traces(url, share, clock) if url else None
    try:
        yield traces
    finally:
        if traces is not None:
            await traces.close()
