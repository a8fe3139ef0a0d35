"""Receipts in every order, with and before the send's own answer: one right state.

Every permutation runs through the store's own units on a real database; some come over HTTP.
"""

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hub.clock import new_id
from hub.errors import Busy, OutcomeUnknown, Refused, SendFailed
from hub.message import Receipt, Sent
from hub.store.accept import Acceptance, accept
from hub.store.accounts import enrol
from hub.store.schema import messages, receipts
from tests.faults.scene import playing
from tests.hub.line import AT, ERROR, Line, open_line
from tests.posting import post_wa, status_item, wa_body

RANK = {"sent": 1, "failed": 2, "delivered": 3, "read": 4}


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with open_line(tmp_path) as opened:
        yield opened


def orders() -> Iterator[tuple[str, ...]]:
    """The answer among receipts, in every order: sets of up to three, and one heard twice."""
    statuses = ("sent", "delivered", "read", "failed")
    for size in (1, 2, 3):
        for chosen in itertools.combinations(statuses, size):
            yield from itertools.permutations(("answer", *chosen))
    yield from set(itertools.permutations(("answer", "delivered", "delivered", "failed")))
    yield from set(itertools.permutations(("answer", "failed", "failed", "sent")))


ORDERS = sorted(orders())


@pytest.mark.parametrize("correlated", [True, False], ids=["correlated", "by id alone"])
async def test_every_order_comes_to_one_state(line: Line, correlated: bool) -> None:
    assert len(ORDERS) > 150
    for order in ORDERS:
        attempt = await line.begin_send()
        key = f"wamid.{attempt.row['id'].hex()}"
        correlation = attempt.row["id"].hex() if correlated else ""
        for step in order:
            if step == "answer":
                await line.answer(attempt, Sent(key))
            else:
                await line.receipt(step, key, correlation)  # type: ignore[arg-type]  # a status
        row = await line.row(attempt)
        heard = {"sent", *order} - {"answer"}
        assert row["state"] == max(heard, key=lambda status: RANK[status]), order
        assert (row["lane"], row["due_at"], row["external_id"]) == (None, None, key), order
        why = (ERROR.error_class, ERROR.code, ERROR.reason) if row["state"] == "failed" else None
        found = (row["error_class"], row["error_code"], row["error_reason"])
        assert found == (why or (None, None, None)), order
        kept = await line.rows(receipts.c.external_id == key, table=receipts)
        assert {one["status"] for one in kept} == set(order) - {"answer"}, order
        assert {one["message_id"] for one in kept} <= {row["id"]}, order


@pytest.mark.parametrize("outcome", [OutcomeUnknown("x"), Busy("x")], ids=["unknown", "busy"])
async def test_a_correlated_receipt_settles_what_the_answer_did_not(
    line: Line, outcome: SendFailed
) -> None:
    """The provider says busy, or nothing, and yet its receipts come: they know better."""
    for size in (1, 2, 3):
        for order in itertools.permutations(("answer", "sent", "delivered", "failed"), size + 1):
            if "answer" not in order:
                continue
            attempt = await line.begin_send()
            key, correlation = f"wamid.{attempt.row['id'].hex()}", attempt.row["id"].hex()
            for step in order:
                if step == "answer":
                    await line.answer(attempt, outcome)
                else:
                    await line.receipt(step, key, correlation)  # type: ignore[arg-type]  # a status
            row = await line.row(attempt)
            heard = set(order) - {"answer"}
            assert row["state"] == max(heard, key=lambda status: RANK[status]), order
            assert (row["lane"], row["external_id"]) == (None, key), order
            expected = ERROR.error_class if row["state"] == "failed" else None
            assert row["error_class"] == expected, order
            assert await line.begin(attempt.row["address_id"], AT * 2) is None, "nothing is resent"


async def test_an_unknown_send_found_by_asking_takes_the_receipts_that_waited(line: Line) -> None:
    attempt = await line.begin_send()
    await line.answer(attempt, OutcomeUnknown("x"))
    await line.receipt("delivered", "SM1")
    assert (await line.row(attempt))["state"] == "unknown"
    asked = await line.begin(attempt.row["address_id"], AT + 120_000_000)
    assert asked.look_up
    await line.answer(asked, Sent("SM1"))
    row = await line.row(attempt)
    assert (row["state"], row["external_id"], row["lane"]) == ("delivered", "SM1", None)


async def test_a_refused_send_that_was_delivered_all_the_same(line: Line) -> None:
    attempt = await line.begin_send()
    await line.answer(attempt, Refused("no", code="100"))
    await line.receipt("delivered", "wamid.1", attempt.row["id"].hex())
    row = await line.row(attempt)
    assert (row["state"], row["error_class"], row["external_id"]) == ("delivered", None, "wamid.1")


async def test_a_receipt_for_a_message_nobody_knows_is_kept(line: Line) -> None:
    for status in ("read", "failed", "read"):
        await line.receipt(status, "wamid.nobody", new_id().hex())
    kept = await line.rows(table=receipts)
    assert sorted(one["status"] for one in kept) == ["failed", "read"]
    assert [one["message_id"] for one in kept] == [None, None]


async def test_a_receipt_of_another_channel_moves_nothing(line: Line) -> None:
    attempt = await line.begin_send()
    await line.answer(attempt, Sent("wamid.1"))
    [other] = await line.store.write(enrol, [("whatsapp", "2", "other")], AT)
    heard = Receipt("2", "wamid.1", "failed", AT, attempt.row["id"].hex(), ERROR)
    await line.store.each(accept, Acceptance(AT, receipts=[(other["id"], heard)]))
    assert (await line.row(attempt))["state"] == "sent"


@pytest.mark.parametrize("early", [True, False], ids=["before the answer", "after the answer"])
async def test_a_failed_part_cancels_the_later_ones_in_either_order(
    line: Line, early: bool
) -> None:
    for correlation in (True, False):
        attempt = await line.begin_send(parts=3)
        key = f"wamid.{attempt.row['id'].hex()}"
        own = attempt.row["id"].hex() if correlation else ""
        if early:
            await line.receipt("failed", key, own)
            await line.answer(attempt, Sent(key))
        else:
            await line.answer(attempt, Sent(key))
            await line.receipt("failed", key, own)
        group = attempt.row["part_group"]
        parts = await line.rows(messages.c.part_group == group)
        assert [(p["state"], p["error_class"]) for p in parts] == [
            ("failed", "no_such_recipient"),
            ("cancelled", "earlier_part_failed"),
            ("cancelled", "earlier_part_failed"),
        ]
        assert await line.begin(attempt.row["address_id"]) is None


@pytest.mark.parametrize("fault", ["receipt_first", "reorder_receipts", "duplicate_receipts"])
@pytest.mark.parametrize("channel", ["wa", "sms"])
async def test_over_http(tmp_path: Path, channel: str, fault: str) -> None:
    async with playing(tmp_path, channel) as scene:
        scene.fault(fault)
        await scene.house.writes(channel, "hello")
        await scene.quiet()
        last = "read" if channel == "wa" else "delivered"
        assert await scene.state("echo hello") == (last, None)
        assert len(scene.calls("echo hello")) == 1
        _, page = await scene.house.api(
            "GET", f"/conversations/{await scene.conversation()}/messages"
        )
        shown = next(one for one in page["items"] if one["text"] == "echo hello")
        told = {receipt["status"] for receipt in shown["receipts"]}
        assert told == ({"sent", "delivered", "read"} if channel == "wa" else {"sent", "delivered"})


async def test_over_http_late_and_unknown_receipts(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa", accounts={"receipts": ()}) as scene:
        await scene.house.writes("wa", "hello")
        await scene.quiet()
        row = await scene.row("echo hello")
        assert row["state"] == "sent"
        errors = [{"code": 131026, "title": "not on WhatsApp"}]
        failed = status_item(row["external_id"], "failed", errors=errors)
        for status, state in (
            (failed, "failed"),
            (status_item(row["external_id"], "sent"), "failed"),
            (status_item(row["external_id"], "delivered"), "delivered"),
            (failed, "delivered"),
            (status_item(row["external_id"], "read"), "read"),
            (status_item(row["external_id"], "delivered"), "read"),
            (failed, "read"),
            (status_item("wamid.nobody", "read"), "read"),
            (status_item(row["external_id"], "teleported"), "read"),
        ):
            assert await post_wa(scene.house, wa_body(statuses=[status])) == 200
            assert (await scene.row("echo hello"))["state"] == state


async def test_a_part_being_sent_while_an_earlier_one_fails_is_not_tried_again(line: Line) -> None:
    """The receipt cannot cancel what is just being sent; its retry must not follow."""
    attempt = await line.begin_send(parts=3)
    await line.answer(attempt, Sent("wamid.1"))
    second = await line.begin(attempt.row["address_id"])
    await line.receipt("failed", "wamid.1")
    await line.answer(second, Busy("busy"))
    parts = await line.rows(messages.c.part_group == attempt.row["part_group"])
    assert [(part["state"], part["error_class"]) for part in parts] == [
        ("failed", "no_such_recipient"),
        ("cancelled", "earlier_part_failed"),
        ("cancelled", "earlier_part_failed"),
    ]
    assert await line.begin(attempt.row["address_id"], AT * 2) is None
