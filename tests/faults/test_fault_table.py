"""What each fault at a provider comes to: state, error class, calls, and who else feels it.

Each row of the table is a test. Calls and what her phone shows are the stand-in's own log.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.faults.scene import RECONCILE, playing

STUCK = ("queued", "sending", "unknown")


@dataclass(frozen=True)
class Row:
    """A send under fault. `faults` strike it in their order. It stands in `after` when the first
    attempt is over; after each of `moves` (seconds) the calls seen are `calls`; it ends in
    `state` with `error`. `shown` is how often her phone shows it, `repeats` what the hub counts
    as sends whose first try may have arrived."""

    name: str
    channel: str
    faults: tuple[dict[str, Any], ...]
    after: str
    error_after: str | None
    moves: tuple[float, ...]
    calls: tuple[int, ...]
    state: str
    error: str | None = None
    shown: int = 1
    repeats: int = 0
    look_ups: int = 0
    phone: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)


def fault(do: str, **how: Any) -> dict[str, Any]:
    return {"do": do, **how}


SILENT = (fault("accept_silent"), fault("no_receipts"))
LATER = RECONCILE + 1
DAY = 86_400.0

ROWS = [
    # Retried: the provider certainly did not take it.
    Row("429 honours Retry-After", "wa", (fault("status", status=429, retry_after=30),),
        "queued", "busy", (20, 11), (1, 2), "read"),
    Row("429 without a time backs off", "wa", (fault("status", status=429),),
        "queued", "busy", (1.1,), (2,), "read"),
    Row("429 of Twilio", "sms", (fault("status", status=429, retry_after=30),),
        "queued", "busy", (20, 11), (1, 2), "delivered"),
    Row("500", "wa", (fault("status", status=500),),
        "queued", "unreachable", (1.1,), (2,), "read"),
    Row("500 three times", "wa", (fault("status", status=500, times=3),),
        "queued", "unreachable", (1.1, 2.1, 4.1), (2, 3, 4), "read"),
    Row("500 of Twilio", "sms", (fault("status", status=500),),
        "queued", "unreachable", (1.1,), (2,), "delivered"),
    Row("500 past the horizon", "sms", (fault("status", status=500, times=-1),),
        "queued", "unreachable", (DAY + 1,), (1,), "failed", "expired", shown=0),
    Row("500 past the window", "wa", (fault("status", status=500, times=-1),),
        "queued", "unreachable", (DAY + 1,), (1,), "failed", "window_closed", shown=0,
        limits={"retry_horizon": 2 * DAY}),
    # Unknown: a receipt settles it, or the provider is asked, or it is sent once more.
    Row("hang", "wa", (fault("hang"),),
        "unknown", "outcome_unknown", (RECONCILE - 10, 12), (1, 2), "read", repeats=1),
    Row("reset after the body", "wa", (fault("reset"),),
        "unknown", "outcome_unknown", (RECONCILE - 10, 12), (1, 2), "read", repeats=1),
    Row("hang at Twilio", "sms", (fault("hang"),),
        "unknown", "outcome_unknown", (LATER,), (2,), "delivered", repeats=1, look_ups=1),
    Row("accepted without an answer, receipts come", "wa", (fault("accept_silent"),),
        "read", None, (LATER,), (1,), "read"),
    Row("accepted, then reset, receipts come", "wa", (fault("accept_reset"),),
        "read", None, (LATER,), (1,), "read"),
    Row("accepted without an answer, receipts come, Twilio", "sms", (fault("accept_silent"),),
        "delivered", None, (LATER,), (1,), "delivered"),
    Row("accepted, then reset, receipts come, Twilio", "sms", (fault("accept_reset"),),
        "delivered", None, (LATER,), (1,), "delivered"),
    Row("accepted without an answer or receipts", "wa", SILENT,
        "unknown", "outcome_unknown", (RECONCILE - 10, 12, 300), (1, 2, 2), "read",
        shown=2, repeats=1),
    Row("accepted without an answer or receipts, Twilio", "sms", SILENT,
        "unknown", "outcome_unknown", (LATER, 300), (1, 1), "sent", look_ups=1),
    Row("accepted, reset, no receipts, Twilio", "sms", (fault("accept_reset"), SILENT[1]),
        "unknown", "outcome_unknown", (LATER, 300), (1, 1), "sent", look_ups=1),
    Row("unknown twice", "wa", (fault("hang", times=2),),
        "unknown", "outcome_unknown", (LATER, LATER, 300), (2, 2, 2),
        "failed", "outcome_unknown", shown=0, repeats=1),
    Row("unknown twice at Twilio", "sms", (fault("hang", times=2),),
        "unknown", "outcome_unknown", (LATER, LATER, 300), (2, 2, 2),
        "failed", "outcome_unknown", shown=0, repeats=1, look_ups=1),
    Row("unknown, then refused", "wa", (fault("hang"), fault("status", status=400)),
        "unknown", "outcome_unknown", (LATER, 300), (2, 2), "failed", "refused",
        shown=0, repeats=1),
    Row("unknown, then busy, then taken", "wa", (fault("hang"), fault("status", status=429)),
        "unknown", "outcome_unknown", (LATER, 2), (2, 3), "read", repeats=2),
    # Final: trying again cannot help.
    Row("refused", "wa", (fault("status", status=400, code=100),),
        "failed", "refused", (300,), (1,), "failed", "refused", shown=0),
    Row("refused by Twilio", "sms", (fault("status", status=400, code=21617),),
        "failed", "refused", (300,), (1,), "failed", "refused", shown=0),
    Row("not on WhatsApp", "wa", (), "failed", "no_such_recipient", (300,), (1,),
        "failed", "no_such_recipient", shown=0, phone={"fails_with": 131026, "at_once": True}),
    Row("not on WhatsApp, told later", "wa", (), "failed", "no_such_recipient", (300,), (1,),
        "failed", "no_such_recipient", phone={"fails_with": 131026}),
    Row("no mobile number, Twilio", "sms", (fault("status", status=400, code=21614),),
        "failed", "no_such_recipient", (300,), (1,), "failed", "no_such_recipient", shown=0),
    Row("undelivered, told later by Twilio", "sms", (), "failed", "no_such_recipient",
        (300,), (1,), "failed", "no_such_recipient", phone={"fails_with": 30005}),
    Row("window closed by the provider", "wa", (fault("status", status=400, code=131047),),
        "failed", "window_closed", (300,), (1,), "failed", "window_closed", shown=0),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_send_under_fault(tmp_path: Path, row: Row) -> None:
    async with playing(tmp_path, row.channel, limits=row.limits) as scene:
        house = scene.house
        first, second = "echo first", "echo second"
        for how in row.faults:
            scene.fault(**{**how, "match": {"text_contains": "first"}})
        if row.phone:
            scene.standin.set_phone("+8801711000001", **row.phone)
        await house.writes(row.channel, "first")
        await scene.reaches(first, row.after, row.error_after)
        assert len(scene.calls(first)) == 1

        await scene.assert_others_unharmed("meanwhile")
        if row.phone:
            scene.standin.set_phone("+8801711000001", fails_with=None, at_once=False)
        await house.writes(row.channel, "second")
        if row.after in STUCK:
            await scene.reaches(second, "queued")
            assert not scene.calls(second), "what follows waits for the head of its line"

        for seconds, calls in zip(row.moves, row.calls, strict=True):
            await scene.pass_time(seconds)
            assert len(scene.calls(first)) == calls, f"{seconds} s later"
        assert await scene.state(first) == (row.state, row.error)
        assert scene.shown(first) == row.shown
        assert scene.look_ups() == row.look_ups
        assert house.counted("sends_repeated") == row.repeats

        if row.error not in ("expired", "window_closed") or row.moves != (DAY + 1,):
            assert (await scene.state(second))[0] in ("delivered", "read")
            order = [c.n for c in scene.calls(first)] + [c.n for c in scene.calls(second)]
            assert order == sorted(order)
            assert len(scene.calls(second)) == 1
        else:
            assert (await scene.state(second))[0] == "failed"
            assert not scene.calls(second)
        await scene.assert_others_unharmed("afterwards")
