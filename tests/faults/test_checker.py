"""The checker finds what it is for: good evidence passes, each broken promise is named."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.checker import Call, Evidence, HookPost, Row, check, check_steps
from tests.faults.driver import Customer, Post, Said
from tests.faults.hooks import Line

WA = Line("wa", "+8801711000001")
SMS = Line("sms", "+8801711000001")
HER = Customer("c1", (WA, SMS))


def said(place: int) -> Said:
    return Said(f"tk-{place}", HER, place, HER.lines[place % 2])


def row(seq: int, direction: str, text: str, line: Line, **more: Any) -> Row:
    known = Row(
        id=f"row{seq}",
        thread="thread",
        seq=seq,
        direction=direction,
        text=text,
        channel=line.channel,
        recipient=line.digits if line.channel == "wa" else line.number,
        state="delivered" if direction == "out" else None,
        lane=None,
        unknowns=0,
        sending_at=float(seq) if direction == "out" else None,
        handled=True,
        error=None,
    )
    return replace(known, **more)


def call(n: int, seq: int, text: str, line: Line, **more: Any) -> Call:
    known = Call(line.channel, n, float(seq), line.digits, text, f"row{seq}", 200, f"ext{seq}.{n}")
    return replace(known, **more)


def receipt(n: int, at: float, external_id: str, line: Line, status: str, answer: int) -> HookPost:
    return HookPost(line.channel, n, at, line.digits, (external_id,), status, answer)


def evidence() -> Evidence:
    """Two messages, one by each line: a reply and a question, then a reply."""
    return Evidence(
        said=[said(0), said(1)],
        posts=[
            Post("tk-0", 1.0, 1.1, 200),
            Post("tk-1", 5.0, 5.1, None),
            Post("tk-1", 5.2, 5, 200),
        ],
        rows=[
            row(1, "in", "tk-0", WA),
            row(2, "out", "re tk-0", WA),
            row(3, "out", "next tk-0", WA),
            row(4, "in", "tk-1", SMS),
            row(5, "out", "re tk-1", SMS),
        ],
        calls=[
            call(1, 2, "re tk-0", WA),
            call(2, 3, "next tk-0", WA),
            call(1, 5, "re tk-1", SMS),
        ],
        hook_posts=[
            receipt(1, 2.1, "ext2.1", WA, "sent", 200),
            receipt(2, 2.2, "ext2.1", WA, "delivered", 200),
            receipt(3, 3.1, "ext3.2", WA, "delivered", 200),
        ],
    )


def repeated(*, unknowns: int = 1, **more: Any) -> Evidence:
    """The reply to tk-0 is sent again at 10, while its receipts were answered at 2.2."""
    found = evidence()
    found.rows = [
        replace(r, unknowns=unknowns, sending_at=more.get("sending_at", 2.05))
        if r.text == "re tk-0"
        else r
        for r in found.rows
    ]
    found.calls = [
        call(1, 2, "re tk-0", WA),
        call(2, 2, "re tk-0", WA, at=more.get("at", 2.15)),
        call(3, 3, "next tk-0", WA),
        call(1, 5, "re tk-1", SMS),
    ]
    return found


def test_good_evidence_has_no_problems_and_is_counted() -> None:
    found = check(evidence())
    assert not found.problems
    assert found.figures["hooks answered"] == 2
    assert found.figures["hooks unanswered"] == 1
    assert found.figures["messages"] == 2
    assert found.figures["replies arrived"] == 3
    assert found.figures["repeats"] == 0


def test_a_repeat_of_unknown_outcome_is_counted_and_allowed() -> None:
    found = check(repeated())
    assert not found.problems
    assert found.figures["repeats"] == 1


def change(text: str, **more: Any) -> Callable[[Evidence], None]:
    def spoil(found: Evidence) -> None:
        found.rows = [replace(r, **more) if r.text == text else r for r in found.rows]

    return spoil


def lose(text: str) -> Callable[[Evidence], None]:
    def spoil(found: Evidence) -> None:
        found.rows = [r for r in found.rows if r.text != text]

    return spoil


def add_row(**more: Any) -> Callable[[Evidence], None]:
    def spoil(found: Evidence) -> None:
        found.rows = [*found.rows, row(**more)]

    return spoil


def drop_call(text: str) -> Callable[[Evidence], None]:
    def spoil(found: Evidence) -> None:
        found.calls = [c for c in found.calls if c.text != text]

    return spoil


def add_call(**more: Any) -> Callable[[Evidence], None]:
    def spoil(found: Evidence) -> None:
        found.calls = [*found.calls, call(**more)]

    return spoil


def swap_calls(found: Evidence) -> None:
    first, second, *rest = found.calls
    found.calls = [replace(first, n=2), replace(second, n=1), *rest]


BROKEN: dict[str, tuple[Callable[[Evidence], None], str]] = {
    "lost": (lose("tk-1"), "answered 200 and is in no thread"),
    "doubled": (add_row(seq=6, direction="in", text="tk-1", line=SMS), "2 times"),
    "disordered": (change("tk-1", seq=0), "out of order"),
    "two threads": (change("tk-1", thread="other"), "has 2 threads"),
    "invented": (add_row(seq=6, direction="in", text="tk-9", line=SMS), "nobody wrote"),
    "wrong channel": (change("tk-1", channel="wa"), "is kept under wa"),
    "unhandled": (change("tk-1", handled=False), "never handled"),
    "left queued": (change("re tk-1", state="queued", lane=0), "is left queued"),
    "left in its lane": (change("re tk-1", lane=0), "is left delivered, lane 0"),
    "cancelled": (change("re tk-1", state="cancelled"), "ended cancelled"),
    "failed at once": (
        change("re tk-1", state="failed", error="outcome_unknown", unknowns=1),
        "ended failed",
    ),
    "no reply": (drop_call("re tk-1"), "never arrived"),
    "reply twice": (
        add_call(n=2, seq=6, text="re tk-1", line=SMS),
        "was answered by 2 messages",
    ),
    "turn twice": (add_row(seq=6, direction="out", text="re tk-1", line=SMS), "written 2 times"),
    "reply elsewhere": (
        change("re tk-1", id="row2"),
        "a send of no row",
    ),
    "to another line": (
        add_call(n=9, seq=5, text="re tk-1", line=WA, row="row5"),
        "went to another address",
    ),
    "unasked": (add_call(n=3, seq=5, text="re tk-8", line=SMS), "nothing asked for it"),
    "replies disordered": (swap_calls, "arrived out of order"),
    "reply before question": (change("next tk-0", seq=2), "stands before"),
    "receipt forgotten": (change("re tk-0", state="sent"), "after the receipt delivered"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_broken_promise_is_named(name: str) -> None:
    spoil, expected = BROKEN[name]
    found = evidence()
    if name == "reply before question":
        change("re tk-0", seq=3)(found)
    spoil(found)
    assert any(expected in problem for problem in check(found).problems), check(found).problems


def problems_of(found: Evidence) -> str:
    return "\n".join(check(found).problems)


def test_a_repeat_whose_outcome_was_never_unknown_is_named() -> None:
    assert "outcome never unknown" in problems_of(repeated(unknowns=0))


def test_a_repeat_that_began_after_a_receipt_is_named() -> None:
    assert "a receipt had come before" in problems_of(repeated(sending_at=2.3, at=2.31))


def test_a_late_repeat_after_a_receipt_is_named_whatever_the_row_says() -> None:
    assert "a receipt had come before" in problems_of(repeated(sending_at=2.05, at=5.0))


def test_a_third_arrival_is_named() -> None:
    found = repeated()
    found.calls = [*found.calls, call(7, 2, "re tk-0", WA)]
    assert "arrived 3 times" in problems_of(found)


def step(what: str, key: str, at: float, pid: int = 1) -> dict[str, Any]:
    text = key.partition(":")[0]
    return {"what": what, "key": key, "customer": "c", "text": text, "at": at, "pid": pid}


def test_a_step_that_ran_again_after_it_was_recorded_is_named() -> None:
    steps = [step("begin", "a:1", 1), step("end", "a:1", 2), step("begin", "a:1", 5, pid=2)]
    assert check_steps(steps, [(4.0, {"a:1"})])
    assert not check_steps(steps, [(4.0, {"b:1"})])
    assert not check_steps(steps[:2], [(4.0, {"a:1"})])


def test_a_first_step_that_ran_again_after_the_second_is_named() -> None:
    cut_in_the_first = [step("prepare", "a:1", 1), step("prepare", "a:1", 2, pid=2)]
    second = [step("begin", "a:2", 3, pid=2), step("end", "a:2", 4, pid=2)]
    assert not check_steps(cut_in_the_first + second)
    cut_in_the_second = [step("prepare", "a:1", 1), step("begin", "a:2", 1.5)]
    assert not check_steps(cut_in_the_second + second)
    assert check_steps([*cut_in_the_second, step("prepare", "a:1", 2, pid=2), *second])


def test_overlapping_steps_of_one_customer_are_named() -> None:
    apart = [
        step("begin", "a:1", 1), step("end", "a:1", 2),
        step("begin", "b:1", 3), step("end", "b:1", 4),
    ]  # fmt: skip
    assert not check_steps(apart)
    together = [step("begin", "a:1", 1), step("prepare", "b:1", 2), step("end", "a:1", 3)]
    assert check_steps(together)
