"""What must hold after a storm, beyond what holds after any fault: judged from the same evidence
and from the record of what was killed or frozen when."""

import itertools
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tests.faults.checker import Call, Evidence, Findings, Row, check
from tests.faults.driver import Post, Said

WOKEN = 1.5
"""Seconds after its waking in which a frozen process may still do what it had begun."""
ON_ITS_WAY = 0.5
"""Seconds after a kill in which a call may still reach the stand-in."""
UNANSWERED = ("accept_silent", "accept_reset", "slow")


@dataclass(frozen=True)
class Stop:
    """A kill, or with `until` a freeze: of whom, when, and the rows in `sending` then."""

    name: str
    at: float
    sending: frozenset[str]
    until: float | None = None


@dataclass
class Record:
    """What the storm did. `repeated` is what the processes' metric came to, `unseen` the times in
    which a process may have counted without being asked again; `skew` is the clock that was off,
    in seconds."""

    stops: list[Stop] = field(default_factory=list)
    repeated: int = 0
    unseen: Sequence[tuple[float, float]] = ()
    skew: int = 0

    @property
    def kills(self) -> list[Stop]:
        return [one for one in self.stops if one.until is None]


def check_storm(evidence: Evidence, record: Record) -> Findings:
    """Everything the promises demand of a storm once all is settled."""
    early = Findings()
    check_order_of_hooks(evidence, record, early)
    late, calls = split_woken(evidence.calls, record)
    rows = [straighten(row, calls, record.skew) for row in evidence.rows]
    plain = replace(evidence, said=in_thread_order(evidence), rows=rows, calls=calls)
    findings = check(plain)
    findings.problems += early.problems
    findings.figures += early.figures
    findings.figures["sent by a woken process"] = len(late)
    check_causes(plain, record, findings)
    findings.figures["kills"] = len(record.kills)
    findings.figures["kills that hit a send"] = sum(
        any(is_cut_by(call, kill) for call in calls) for kill in record.kills
    )
    return findings


def in_thread_order(evidence: Evidence) -> list[Said]:
    """What was said, each customer's places counted as her thread has them: which of two hooks on
    their way at once comes first is free."""
    said = {one.token: one for one in evidence.said}
    counts: dict[str, int] = defaultdict(int)
    found: dict[str, Said] = {}
    for row in sorted(evidence.rows, key=lambda row: (row.thread, row.seq)):
        if row.direction == "in" and row.text in said and row.text not in found:
            found[row.text] = replace(said[row.text], place=counts[row.thread])
            counts[row.thread] += 1
    return [found.get(token, one) for token, one in said.items()]


def check_order_of_hooks(evidence: Evidence, record: Record, findings: Findings) -> None:
    """A message stands before those whose hooks were first posted after its own was answered.
    One may overtake another that waits in the spool of another process."""
    posts: dict[str, list[Post]] = defaultdict(list)
    for post in evidence.posts:
        posts[post.token].append(post)
    threads: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(evidence.rows, key=lambda row: row.seq):
        if row.direction == "in" and row.text in posts:
            threads[row.thread].append(row)
    for rows in threads.values():
        for place, row in enumerate(rows):
            taken = [post for post in posts[row.text] if post.status == 200]
            if not taken:
                continue
            answered = min(taken, key=lambda post: post.ended)
            for before in rows[max(place - 50, 0) : place]:
                first = min(posts[before.text], key=lambda post: post.begun)
                if first.begun <= answered.ended:
                    continue
                by = {post.by for post in posts[before.text] if post.status == 200}
                if stored_at(row, record.skew, answered.begun) > answered.ended and by != {
                    answered.by
                }:
                    findings.figures["overtook a spooled one"] += 1
                else:
                    findings.say(f"{before.text!r} stands before {row.text!r}, written earlier")


def stored_at(row: Row, skew: int, begun: float) -> float:
    """When the row was made, by the time in its id; by a clock that was right, if it can be."""
    at = (uuid.UUID(row.id).int >> 80) / 1000
    return at - skew if abs(at - skew - begun) < abs(at - begun) else at


def split_woken(calls: Sequence[Call], record: Record) -> tuple[list[Call], list[Call]]:
    """Calls that a process had begun before it was frozen and made when it woke, after another
    had sent the row; and all other calls."""
    late: set[tuple[str, int]] = set()
    for stop in record.stops:
        if stop.until is not None:
            late |= {
                (call.provider, call.n)
                for call in calls
                if call.row in stop.sending and 0 <= call.at - stop.until < WOKEN
            }
    first = {
        call.row
        for call in calls
        if call.external_id is not None and (call.provider, call.n) not in late
    }
    woken = [call for call in calls if call.row in first and (call.provider, call.n) in late]
    gone = {(call.provider, call.n) for call in woken}
    return woken, [call for call in calls if (call.provider, call.n) not in gone]


def straighten(row: Row, calls: Sequence[Call], skew: int) -> Row:
    """The row with `sending_at` by the right clock: no send begins after its call, nor a minute
    before it."""
    if row.sending_at is None or not skew:
        return row
    last = max((call.at for call in calls if call.row == row.id), default=None)
    if last is None or abs(row.sending_at - skew - last) > abs(row.sending_at - last):
        return row
    return replace(row, sending_at=row.sending_at - skew)


def check_causes(evidence: Evidence, record: Record, findings: Findings) -> None:
    """Each repeat follows an attempt that was not answered, or whose process was killed or frozen
    while it was in hand; and the metric has counted it, unless its process died before it was
    asked again."""
    calls: dict[str, list[Call]] = defaultdict(list)
    for call in evidence.calls:
        if call.external_id is not None:
            calls[call.row].append(call)
    uncounted = 0
    for found in calls.values():
        found.sort(key=lambda call: call.n)
        for before, repeat in itertools.pairwise(found):
            why = cause_of(before, record)
            findings.figures[f"repeats: {why or 'no cause'}"] += 1
            if not why:
                findings.say(f"{repeat.text!r} was repeated though its first try was answered")
            uncounted += any(begun - 1 <= repeat.at <= end for begun, end in record.unseen)
    repeats = findings.figures["repeats"]
    findings.figures["repeats counted by the metric"] = record.repeated
    if record.repeated + uncounted < repeats:
        findings.say(f"{repeats} repeats, and the metric has counted {record.repeated}")


def cause_of(call: Call, record: Record) -> str:
    """Why nobody knew that this call had been accepted; empty when somebody must have known."""
    if call.fault and call.fault.partition("+")[0] in UNANSWERED:
        return "never answered in time"
    for stop in record.stops:
        if call.row in stop.sending and call.at <= stop.at + ON_ITS_WAY:
            return "killed in flight" if stop.until is None else "frozen in flight"
    return "" if call.status is not None else "cut off in flight"


def is_cut_by(call: Call, kill: Stop) -> bool:
    """Was this call's row in `sending` at the kill, and the call cut off by it?"""
    fault = (call.fault or "").partition("+")[0]
    return (
        call.row in kill.sending
        and call.status is None
        and fault not in ("hang", "reset", "accept_silent", "accept_reset")
        and -ON_ITS_WAY <= kill.at - call.at < 1.0
    )


def summary(figures: Mapping[str, int]) -> str:
    return "\n".join(f"  {name}: {count}" for name, count in figures.items())
