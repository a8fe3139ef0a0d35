"""What must hold after any fault, judged from outside. Pure: evidence in, complaints out.

The driver's log of answers, the threads in the database and the stand-ins' logs are held against
each other; the outbox never vouches for itself.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.driver import Post, Said

FINAL = frozenset({"sent", "delivered", "read", "failed", "cancelled"})
REACHED = frozenset({"sent", "delivered", "read"})
RANKS = {"sent": 2, "failed": 2.5, "undelivered": 2.5, "delivered": 3, "read": 4}
LATE = 2.0
"""Seconds after which a receipt must have stopped a resend, whatever the row says of its time."""


@dataclass(frozen=True)
class Row:
    """A message in the database."""

    id: str
    thread: str
    seq: int
    direction: str
    text: str
    channel: str
    recipient: str
    state: str | None
    lane: int | None
    unknowns: int
    sending_at: float | None
    handled: bool
    error: str | None

    @classmethod
    def read(cls, found: Sequence[Any]) -> "Row":
        id, thread, seq, direction, text, channel, recipient, state, lane = found[:9]
        unknowns, sending_at, handled_at, error = found[9:]
        return cls(
            bytes(id).hex(), bytes(thread).hex(), seq, direction, text, channel, recipient, state,
            lane, unknowns, sending_at / 1e6 if sending_at else None, handled_at is not None, error,
        )  # fmt: skip


@dataclass(frozen=True)
class Call:
    """A send at a stand-in. `external_id` is set when it was accepted, `status` when answered."""

    provider: str
    n: int
    at: float
    to: str
    text: str
    row: str
    status: int | None
    external_id: str | None
    fault: str | None = None

    @classmethod
    def read(cls, provider: str, call: Mapping[str, Any]) -> "Call":
        body, correlation = call["body"], call["correlation"] or ""
        if provider == "sms":
            text, correlation = body.get("Body", ""), correlation.removeprefix("m=")
        else:
            text = (body.get("text") or {}).get("body", "")
        return cls(
            provider,
            call["n"],
            call["at"],
            call["to"].removeprefix("+"),
            text,
            correlation,
            call["status"],
            call["external_id"],
            call["fault"],
        )


@dataclass(frozen=True)
class HookPost:
    """One try of a stand-in to deliver a receipt."""

    provider: str
    n: int
    at: float
    phone: str
    external_ids: tuple[str, ...]
    receipt: str | None
    status: int | None

    @classmethod
    def read(cls, provider: str, one: Mapping[str, Any]) -> "HookPost":
        return cls(
            provider,
            one["n"],
            one["at"],
            one["phone"],
            tuple(one["external_ids"]),
            one["receipt"],
            one["status"],
        )


@dataclass
class Evidence:
    said: Sequence[Said]
    posts: Sequence[Post]
    rows: Sequence[Row]
    calls: Sequence[Call]
    hook_posts: Sequence[HookPost]


@dataclass
class Findings:
    """`problems` are broken promises; `figures` count what happened."""

    problems: list[str] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)

    def say(self, problem: str) -> None:
        self.problems.append(problem)

    def __str__(self) -> str:
        shown = self.problems[:20]
        more = len(self.problems) - len(shown)
        return "\n".join(shown + [f"... and {more} more"] * (more > 0))


def check(evidence: Evidence) -> Findings:
    """Everything the promises demand once all is settled."""
    findings = Findings()
    check_threads(evidence, findings)
    check_ends(evidence, findings)
    replies = check_replies(evidence, findings)
    check_repeats(evidence, findings)
    check_order(evidence, replies, findings)
    check_receipts(evidence, findings)
    return findings


def expected_replies(said: Said) -> tuple[str, ...]:
    """What the echo dialog answers: it asks after every other message."""
    if said.place % 2:
        return (f"re {said.token}",)
    return (f"re {said.token}", f"next {said.token}")


def check_threads(evidence: Evidence, findings: Findings) -> None:
    """Every hook answered 200 is in its thread exactly once and in order."""
    answered = {post.token for post in evidence.posts if post.status == 200}
    findings.figures["hooks answered"] = sum(post.status == 200 for post in evidence.posts)
    findings.figures["hooks unanswered"] = sum(post.status is None for post in evidence.posts)
    said = {one.token: one for one in evidence.said}
    stored: dict[str, list[Row]] = defaultdict(list)
    for row in evidence.rows:
        if row.direction == "in":
            stored[row.text].append(row)
            if row.text not in said:
                findings.say(f"nobody wrote {row.text!r}")
    findings.figures["messages"] = len(stored)
    for token, one in said.items():
        found = stored.get(token, [])
        if len(found) > 1:
            findings.say(f"{token} is in its thread {len(found)} times")
        if not found and token in answered:
            findings.say(f"{token} was answered 200 and is in no thread")
        for row in found:
            if (row.channel, row.recipient.removeprefix("+")) != (
                one.line.channel,
                one.line.digits,
            ):
                findings.say(f"{token} came by {one.line} and is kept under {row.channel}")
    check_persons(said, evidence.rows, findings)


def check_persons(said: Mapping[str, Said], rows: Iterable[Row], findings: Findings) -> None:
    """One thread for one customer, her messages in the order she wrote them."""
    places: dict[str, list[int]] = defaultdict(list)
    threads: dict[str, set[str]] = defaultdict(set)
    owners: dict[str, set[str]] = defaultdict(set)
    for row in sorted(rows, key=lambda row: (row.thread, row.seq)):
        if row.direction == "in" and row.text in said:
            one = said[row.text]
            places[row.thread].append(one.place)
            threads[one.customer.name].add(row.thread)
            owners[row.thread].add(one.customer.name)
    for thread, found in places.items():
        if found != sorted(found):
            findings.say(f"thread {thread} is out of order: {found}")
    for name, ids in threads.items():
        if len(ids) > 1:
            findings.say(f"customer {name} has {len(ids)} threads")
    for thread, names in owners.items():
        if len(names) > 1:
            findings.say(f"thread {thread} holds the customers {sorted(names)}")


def check_ends(evidence: Evidence, findings: Findings) -> None:
    """Nothing is left in between. Only two unknown outcomes in a row may end as failed."""
    for row in evidence.rows:
        if row.direction == "in":
            if not row.handled:
                findings.say(f"{row.text!r} was never handled")
        elif row.direction == "out":
            if row.state not in FINAL or row.lane is not None:
                findings.say(f"{row.text!r} is left {row.state}, lane {row.lane}")
            elif row.state == "failed" and row.error == "outcome_unknown" and row.unknowns >= 2:
                findings.figures["given up as unknown"] += 1
            elif row.state not in REACHED:
                findings.say(f"{row.text!r} ended {row.state}: {row.error}")


def check_replies(evidence: Evidence, findings: Findings) -> dict[str, list[Call]]:
    """Every turn's replies arrived, once each apart from repeats. The accepted calls by row."""
    accepted: dict[str, list[Call]] = defaultdict(list)
    by_text: dict[str, set[str]] = defaultdict(set)
    rows = {row.id: row for row in evidence.rows if row.direction == "out"}
    for call in sorted(evidence.calls, key=lambda call: (call.provider, call.n)):
        if call.row not in rows:
            findings.say(f"a send of no row: {call.text!r}")
        if call.external_id is not None:
            accepted[call.row].append(call)
            by_text[call.text].add(call.row)
    expected: set[str] = set()
    stored = {row.text for row in evidence.rows if row.direction == "in"}
    given_up = {row.text for row in rows.values() if row.state == "failed"}
    for one in evidence.said:
        if one.token not in stored:
            continue
        for text in expected_replies(one):
            expected.add(text)
            found = by_text.get(text, set())
            if len(found) > 1:
                findings.say(f"{text!r} was answered by {len(found)} messages")
            if not found and text in given_up:
                findings.figures["given up and never arrived"] += 1
            elif not found:
                findings.say(f"{text!r} never arrived")
            where = (one.line.channel, one.line.digits)
            for row in found:
                if any((call.provider, call.to) != where for call in accepted[row]):
                    findings.say(f"{text!r} went to another address than {where}")
    for text in by_text.keys() - expected:
        findings.say(f"{text!r} was sent and nothing asked for it")
    for row_id, sent in rows.items():
        if sent.state in REACHED and row_id not in accepted:
            findings.say(f"{sent.text!r} is {sent.state} and never arrived")
    texts = Counter(row.text for row in rows.values())
    for text, count in texts.items():
        if count > 1:
            findings.say(f"{text!r} was written {count} times")
    findings.figures["replies arrived"] = len(accepted)
    return accepted


def check_repeats(evidence: Evidence, findings: Findings) -> None:
    """A message arrives twice only after an outcome that stayed unknown, and says so; never
    where a receipt had told of it before the resend began."""
    rows = {row.id: row for row in evidence.rows}
    receipts = known_receipts(evidence.hook_posts)
    calls: dict[str, list[Call]] = defaultdict(list)
    for call in evidence.calls:
        calls[call.row].append(call)
    findings.figures["sends of unknown outcome"] = sum(row.unknowns > 0 for row in rows.values())
    for row_id, found in calls.items():
        found.sort(key=lambda call: call.n)
        accepted = [call for call in found if call.external_id is not None]
        row = rows.get(row_id)
        if len(accepted) < 2 or row is None:
            continue
        repeat = accepted[-1]
        findings.figures["repeats"] += len(accepted) - 1
        if len(accepted) > 2:
            findings.say(f"{repeat.text!r} arrived {len(accepted)} times")
        if not row.unknowns:
            findings.say(f"{repeat.text!r} was repeated and its outcome never unknown")
        told = [receipts[id] for call in accepted[:-1] if (id := call.external_id) in receipts]
        if told and (
            min(told) + LATE < repeat.at
            or (row.sending_at is not None and min(told) < min(row.sending_at, repeat.at))
        ):
            findings.say(f"{repeat.text!r} was repeated though a receipt had come before")


def known_receipts(hook_posts: Iterable[HookPost]) -> dict[str | None, float]:
    """When the first receipt of each external id had been answered 200 for certain: when the
    next hook of that phone began, since a stand-in posts them one after the other."""
    told: dict[str | None, float] = {}
    last: dict[tuple[str, str], HookPost] = {}
    for post in sorted(hook_posts, key=lambda post: (post.provider, post.n)):
        before = last.get((post.provider, post.phone))
        if before is not None and before.receipt is not None and before.status == 200:
            for id in before.external_ids:
                told.setdefault(id, post.at)
        last[post.provider, post.phone] = post
    return told


def check_order(
    evidence: Evidence, accepted: Mapping[str, Sequence[Call]], findings: Findings
) -> None:
    """To each address the replies arrived in the order of the thread, repeats included."""
    seqs = {row.id: row.seq for row in evidence.rows}
    heard: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for row_id, calls in accepted.items():
        for call in calls:
            heard[call.provider, call.to].append((call.n, seqs.get(row_id, 0)))
    for where, found in heard.items():
        order = [seq for _, seq in sorted(found)]
        if order != sorted(order):
            findings.say(f"the replies to {where} arrived out of order: {order}")
    for previous, row in pairs_of_replies(evidence.rows):
        if row.seq < previous.seq:
            findings.say(f"{row.text!r} stands before {previous.text!r}")


def pairs_of_replies(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """(message, reply to it) and (reply, question after it) in the threads."""
    by_text = {row.text: row for row in rows}
    found = []
    for row in rows:
        if row.direction == "in" and (reply := by_text.get(f"re {row.text}")):
            found.append((row, reply))
            if question := by_text.get(f"next {row.text}"):
                found.append((reply, question))
    return found


def check_receipts(evidence: Evidence, findings: Findings) -> None:
    """What a receipt answered 200 said is what the thread shows, or less than that."""
    rows = {row.id: row for row in evidence.rows}
    of_row = {call.external_id: call.row for call in evidence.calls if call.external_id}
    highest: dict[str, str] = {}
    for post in evidence.hook_posts:
        if post.receipt is None or post.status != 200:
            continue
        findings.figures["receipts answered"] += 1
        for id in post.external_ids:
            row_id = of_row.get(id, "")
            if RANKS.get(post.receipt, 0) > RANKS.get(highest.get(row_id, ""), 0):
                highest[row_id] = post.receipt
    for row_id, status in highest.items():
        row = rows.get(row_id)
        if row is not None and RANKS.get(row.state or "", 0) < RANKS.get(status, 0):
            findings.say(f"{row.text!r} is {row.state} after the receipt {status}")


def check_steps(
    steps: Sequence[Mapping[str, Any]], recorded: Iterable[tuple[float, set[str]]] = ()
) -> list[str]:
    """Problems in the dialogs' record: a step whose result was in the journal at a kill ran again
    after it, a first step ran again after the second of its turn had begun, or two turns of one
    customer ran at once. `recorded` holds, for each kill, its time and the keys in the journal.
    """
    problems = []
    begun = {step["key"]: step["at"] for step in reversed(steps) if step["what"] == "begin"}
    for step in steps:
        if step["what"] == "prepare" and begun.get(following(step["key"]), step["at"]) < step["at"]:
            problems.append(f"the first step of {step['text']!r} ran again after the second")
    starts = [step for step in steps if step["what"] in ("prepare", "begin")]
    for at, keys in recorded:
        for step in starts:
            if step["at"] > at and step["key"] in keys:
                problems.append(f"the step of {step['text']!r} ran again after it was recorded")
    running: dict[tuple[str, int], str] = {}
    for step in sorted(steps, key=lambda step: step["at"]):
        who = (step["customer"], step["pid"])
        if step["what"] in ("end", "cut"):
            running.pop(who, None)
        elif running.get(who, step["text"]) != step["text"]:
            problems.append(f"{step['text']!r} began while {running[who]!r} ran")
        else:
            running[who] = step["text"]
    return problems


def following(key: str) -> str:
    """The key of the step after this one."""
    run, _, step = key.rpartition(":")
    return f"{run}:{int(step) + 1}"
