"""Each rule for storms must bite: one fault of the hub at a time, in made-up evidence."""

from dataclasses import replace

from tests.faults.checker import Call, Evidence, Findings, Row
from tests.faults.driver import Customer, Post, Said
from tests.faults.hooks import Line
from tests.faults.storm_check import (
    Record,
    Stop,
    check_causes,
    check_order_of_hooks,
    in_thread_order,
    split_woken,
)

LINE = Line("wa", "+8801711000001")
HER = Customer("her", (LINE,))
CALL = Call("wa", 1, 100.0, LINE.digits, "re a", "r1", 200, "wamid.1")
AGAIN = replace(CALL, n=2, at=110.0, external_id="wamid.2")


def row(text: str, seq: int, at: float) -> Row:
    id = f"{round(at * 1000):012x}" + "7000" + "80" + "0" * 14
    return Row(
        id, "t1", seq, "in", text, "wa", LINE.digits, None, None, 0, None, True, None
    )  # fmt: skip


def evidence(rows: list[Row], posts: list[Post], calls: list[Call]) -> Evidence:
    said = [Said(post.token, HER, place, LINE) for place, post in enumerate(posts)]
    return Evidence(said, posts, rows, calls, [])


def test_a_message_may_overtake_only_one_in_another_spool() -> None:
    posts = [Post("a", 1.0, 2.0, 200, by="web0/1"), Post("b", 3.0, 4.0, 200, by="web1/1")]
    spooled = [row("b", 1, 3.5), row("a", 2, 60.0)]
    for rows, by, problems in (
        (spooled, "web1/1", 0),
        (spooled, "web0/1", 1),
        ([row("b", 1, 3.5), row("a", 2, 1.5)], "web1/1", 1),
        ([row("a", 1, 1.5), row("b", 2, 3.5)], "web0/1", 0),
    ):
        found = Findings()
        told = [posts[0], replace(posts[1], by=by)]
        check_order_of_hooks(evidence(rows, told, []), Record(), found)
        assert len(found.problems) == problems, (rows, by)


def test_two_hooks_on_their_way_at_once_have_no_order() -> None:
    posts = [Post("a", 1.0, 3.0, 200), Post("b", 2.0, 4.0, 200)]
    found = Findings()
    it = evidence([row("b", 1, 2.5), row("a", 2, 2.6)], posts, [])
    check_order_of_hooks(it, Record(), found)
    assert not found.problems
    assert {one.token: one.place for one in in_thread_order(it)} == {"b": 0, "a": 1}


def test_a_repeat_needs_a_cause_and_is_counted() -> None:
    kill = Stop("worker0", 100.5, frozenset({"r1"}))
    silent = replace(CALL, status=None, fault="accept_silent")
    for calls, record, problems in (
        ([CALL, AGAIN], Record(repeated=1), 1),
        ([CALL, AGAIN], Record([kill], repeated=1), 0),
        ([CALL, AGAIN], Record([replace(kill, at=99.0)], repeated=1), 1),
        ([silent, AGAIN], Record(repeated=1), 0),
        ([silent, AGAIN], Record(repeated=0), 1),
        ([silent, AGAIN], Record(repeated=0, unseen=[(109.5, 111.0)]), 0),
        ([silent, AGAIN], Record(repeated=0, unseen=[(112.0, 113.0)]), 1),
    ):
        found = Findings()
        found.figures["repeats"] = len(calls) - 1
        check_causes(evidence([], [], calls), record, found)
        assert len(found.problems) == problems, (calls, record)


def test_what_a_woken_process_sends_late_is_no_repeat_if_another_sent_it() -> None:
    freeze = Stop("worker0", 99.0, frozenset({"r1"}), until=109.8)
    assert split_woken([CALL, AGAIN], Record([freeze])) == ([AGAIN], [CALL])
    assert split_woken([AGAIN], Record([freeze])) == ([], [AGAIN])
    assert split_woken([CALL, AGAIN], Record([replace(freeze, until=104.0)]))[0] == []
