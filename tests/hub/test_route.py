"""Which address a message goes out on: the table of cases."""

from dataclasses import replace

import pytest

from hub.clock import DAY, HOUR, MINUTE
from hub.errors import Blocked, NoSuchRecipient, OptedOut, SendFailed, WindowClosed
from hub.route import Candidate, Choice, Reason, choose

NOW = 1_800_000_000_000_000
DAY_LONG = 86_400.0


def address(
    name: str, ago: int | None, window: float | None = None, *, kind: str = "", number: int = 1
) -> Candidate:
    return Candidate(
        address_id=f"{name}{number}".encode(),
        channel_id=name.encode(),
        channel_name=name,
        kind=kind or name,
        last_inbound_at=None if ago is None else NOW - ago,
        window=window,
    )


WA = address("wa", 2 * HOUR, DAY_LONG)
SMS = address("sms", 3 * DAY)
PAGE = address("page", 5 * HOUR, DAY_LONG)
STALE_WA = address("wa", DAY, DAY_LONG)
NEW_SMS = address("sms", None)
NEW_WA = address("wa", None, DAY_LONG)


def off(one: Candidate, **facts: bool) -> Candidate:
    return replace(one, **facts)  # type: ignore[arg-type]  # every fact passed is a bool field


@pytest.mark.parametrize(
    ("candidates", "chosen", "reason"),
    [
        ([WA, SMS, PAGE], WA, "last_wrote"),
        ([SMS, PAGE, WA], WA, "last_wrote"),
        ([SMS], SMS, "last_wrote"),
        ([STALE_WA, SMS], SMS, "other"),
        ([STALE_WA, SMS, address("page", 20 * HOUR, DAY_LONG)], address("page", 0), "last_wrote"),
        ([off(WA, blocked=True), SMS, PAGE], PAGE, "other"),
        ([off(WA, opted_out=True), SMS], SMS, "other"),
        ([off(WA, paused=True), SMS], SMS, "other"),
        ([off(WA, paused=True), off(SMS, paused=True)], WA, "last_wrote"),
        ([off(WA, paused=True), off(SMS, blocked=True)], WA, "last_wrote"),
        ([NEW_SMS], NEW_SMS, "other"),
        ([NEW_SMS, WA], WA, "last_wrote"),
        ([NEW_WA, NEW_SMS], NEW_SMS, "other"),
        ([address("wa", DAY - 1, DAY_LONG), SMS], WA, "last_wrote"),
        ([address("wa", -MINUTE, DAY_LONG), SMS], WA, "last_wrote"),
    ],
)
def test_where_she_last_wrote_else_the_best_other(
    candidates: list[Candidate], chosen: Candidate, reason: Reason
) -> None:
    assert choose(candidates, NOW) == Choice(chosen.address_id, reason)
    assert choose(candidates[::-1], NOW) == Choice(chosen.address_id, reason)


@pytest.mark.parametrize(
    ("candidates", "preferred", "choice"),
    [
        ([WA, SMS], SMS, Choice(SMS.address_id, "preferred")),
        ([WA, SMS], WA, Choice(WA.address_id, "preferred")),
        ([STALE_WA, SMS], STALE_WA, Choice(SMS.address_id, "other")),
        ([WA, off(SMS, opted_out=True)], SMS, Choice(WA.address_id, "last_wrote")),
        ([WA, off(SMS, paused=True)], SMS, Choice(WA.address_id, "last_wrote")),
        ([off(WA, paused=True), off(SMS, paused=True)], SMS, Choice(SMS.address_id, "preferred")),
        ([WA, SMS], PAGE, Choice(WA.address_id, "last_wrote")),
    ],
)
def test_the_preferred_address_wins_while_it_can_be_written_to(
    candidates: list[Candidate], preferred: Candidate, choice: Choice
) -> None:
    assert choose(candidates, NOW, preferred=preferred.address_id) == choice


def test_equal_times_are_settled_the_same_way_each_time() -> None:
    twins = [address("wa", HOUR, DAY_LONG, number=1), address("wa", HOUR, DAY_LONG, number=2)]

    assert choose(twins, NOW) == choose(twins[::-1], NOW)


def test_a_channel_asked_for_is_taken_even_when_paused() -> None:
    assert choose([WA, SMS], NOW, channel="sms") == Choice(b"sms1", "last_wrote")
    assert choose([WA, off(SMS, paused=True)], NOW, channel="sms") == Choice(b"sms1", "last_wrote")


def test_the_best_of_several_addresses_on_the_channel_asked_for() -> None:
    old = address("wa", 30 * HOUR, DAY_LONG, number=1)
    new = address("wa", HOUR, DAY_LONG, number=2)

    assert choose([SMS, old, new], NOW, channel="wa") == Choice(b"wa2", "last_wrote")


@pytest.mark.parametrize(
    ("candidates", "channel", "error", "reason"),
    [
        ([], None, NoSuchRecipient, "the customer has no address"),
        ([WA], "sms", NoSuchRecipient, "the customer has no address on sms"),
        (
            [STALE_WA, SMS],
            "wa",
            WindowClosed,
            "the customer last wrote on wa more than 24 hours ago",
        ),
        ([NEW_WA], "wa", WindowClosed, "the customer has not written on wa yet"),
        ([off(SMS, opted_out=True), WA], "sms", OptedOut, "the customer has opted out on sms"),
        ([off(SMS, blocked=True), WA], "sms", Blocked, "the customer has blocked sms"),
        ([STALE_WA, off(SMS, opted_out=True)], None, WindowClosed, "last wrote on wa"),
        ([off(PAGE, blocked=True), off(SMS, opted_out=True)], None, OptedOut, "opted out on sms"),
        ([off(STALE_WA, opted_out=True)], None, OptedOut, "opted out on wa"),
        ([off(WA, blocked=True, opted_out=True)], None, Blocked, "blocked wa"),
    ],
)
def test_what_cannot_go_says_why(
    candidates: list[Candidate], channel: str | None, error: type[SendFailed], reason: str
) -> None:
    with pytest.raises(error) as failed:
        choose(candidates, NOW, channel=channel)

    assert reason in failed.value.reason


def test_a_template_passes_a_closed_window_where_the_channel_has_them() -> None:
    able = replace(STALE_WA, templates=True)

    assert choose([able, SMS], NOW, template=True) == Choice(b"wa1", "last_wrote")
    assert choose([replace(NEW_WA, templates=True)], NOW, template=True).address_id == b"wa1"
    with pytest.raises(WindowClosed):
        choose([able], NOW)
    with pytest.raises(WindowClosed):
        choose([STALE_WA], NOW, template=True)
    with pytest.raises(OptedOut):
        choose([off(able, opted_out=True)], NOW, template=True)
