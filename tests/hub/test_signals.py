"""What is neither message nor receipt: edits, unsends, reactions, opt-outs, reads, new numbers,
echoes. Each changes exactly what it is about."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.clock import SECOND
from hub.errors import Blocked, OptedOut, OutcomeUnknown
from hub.message import Alias, Message, Sent
from hub.outreach.gate import make_gate
from hub.signal import (
    Block,
    DeliveredToCustomer,
    Echo,
    Edit,
    NumberChange,
    OptOut,
    Reaction,
    ReadByCustomer,
    Signal,
    Typing,
    Unsend,
)
from hub.store.claims import Claim, Work, claim
from hub.store.rows import outbound_rows
from hub.store.schema import addresses, aliases, changes, conversations, messages
from hub.store.turns import Ending, commit
from tests.faults.scene import playing
from tests.hub.line import AT, Line, open_line
from tests.posting import WA_ID, post_wa, text_item, wa_body

HER = "8801711000001"
LATER = AT + 5 * SECOND


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with open_line(tmp_path) as opened:
        yield opened


async def her_message(line: Line) -> dict[str, Any]:
    [stored] = await line.accept(line.arrival(HER, "helo"))
    return (await line.rows(messages.c.id == stored.id))[0]


async def told(line: Line) -> list[str]:
    return [row["kind"] for row in await line.rows(table=changes)]


async def test_an_edit(line: Line) -> None:
    row = await her_message(line)
    key = row["external_id"]
    await line.signal(Edit("1", HER, LATER, key, Message(text="hello")))
    [edited] = await line.rows()
    assert (edited["text"], edited["edited_at"], edited["seq"]) == ("hello", LATER, row["seq"])
    assert (await told(line))[-1] == "edit"


async def test_an_unsend_keeps_the_row(line: Line) -> None:
    row = await her_message(line)
    await line.signal(Unsend("1", HER, LATER, row["external_id"]))
    [unsent] = await line.rows()
    assert unsent["deleted_at"] == LATER
    assert (unsent["text"], unsent["content"], unsent["raw"]) == ("", None, None)
    assert unsent["handled_at"], "nobody is to be asked about what was taken back"
    assert (await told(line))[-1] == "edit"


async def test_a_reaction_is_replaced_and_taken_back(line: Line) -> None:
    row = await her_message(line)
    for number, emoji in enumerate(("👍", "🎉", "", "")):
        at = LATER + number
        await line.signal(Reaction("1", HER, at, row["external_id"], emoji))
        [found] = await line.rows()
        assert found["reactions"] == [{"emoji": emoji, "by": "customer", "at": at}]


async def test_opting_out_and_in(line: Line) -> None:
    attempt = await line.begin_send()
    sender = attempt.row["recipient"]
    await line.answer(attempt, Sent("wamid.1"))
    gate = make_gate({})

    async def verdict() -> Any:
        [row] = await line.rows(addresses.c.external_id == sender, table=addresses)
        return gate({**row, "kind": "text"}, AT)

    assert await verdict() is None
    await line.signal(OptOut("1", sender, LATER, on=True, scope="marketing"))
    assert await verdict() is None, "one who wants no marketing is still answered"
    await line.signal(OptOut("1", sender, LATER))
    assert isinstance(await verdict(), OptedOut)
    await line.signal(OptOut("1", sender, LATER, on=False))
    assert await verdict() is None


async def test_an_ordinary_word_opts_in_only_who_is_out(line: Line) -> None:
    await her_message(line)

    async def state() -> tuple[Any, Any]:
        [row] = await line.rows(addresses.c.external_id == HER, table=addresses)
        return row["opted_out_at"], row["opt_out_scope"]

    yes = OptOut("1", HER, LATER, on=False, maybe=True)
    before = await told(line)
    await line.signal(yes)
    await line.signal(OptOut("1", "nobody", LATER, on=False, maybe=True))
    assert await told(line) == before
    await line.signal(OptOut("1", HER, LATER, scope="marketing"))
    await line.signal(yes)
    assert await state() == (LATER, "marketing")
    await line.signal(OptOut("1", HER, LATER))
    await line.signal(yes)
    assert await state() == (None, None)


async def test_who_blocks_the_channel_is_not_written_to_until_they_take_it_back(line: Line) -> None:
    await her_message(line)
    gate = make_gate({})

    async def verdict() -> Any:
        [row] = await line.rows(addresses.c.external_id == HER, table=addresses)
        return gate({**row, "kind": "text"}, AT)

    await line.signal(Block("1", HER, LATER))
    assert isinstance(await verdict(), Blocked)
    assert (await told(line))[-1] == "customer"
    await line.signal(Block("1", HER, LATER, on=False))
    assert await verdict() is None
    await line.signal(Block("1", HER, LATER))
    await line.accept(line.arrival(HER, "here again"))
    assert await verdict() is None


async def test_reading_up_to_a_time_or_a_message(line: Line) -> None:
    attempt = await line.begin_send()
    sender, key = attempt.row["recipient"], "wamid.1"
    await line.answer(attempt, Sent(key))
    await line.signal(ReadByCustomer("1", sender, AT - 1))
    assert (await line.row(attempt))["state"] == "sent"
    await line.signal(ReadByCustomer("1", sender, AT + 1, "wamid.unknown"))
    assert (await line.row(attempt))["state"] == "sent"
    await line.signal(ReadByCustomer("1", "somebody else", AT + 1))
    assert (await line.row(attempt))["state"] == "sent"
    await line.signal(ReadByCustomer("1", sender, AT, key))
    assert (await line.row(attempt))["state"] == "read"


async def test_all_up_to_a_time_was_delivered(line: Line) -> None:
    attempt = await line.begin_send()
    sender = attempt.row["recipient"]
    await line.answer(attempt, Sent("m_1"))
    for at, state in ((AT - 1, "sent"), (AT + 1, "delivered")):
        await line.signal(DeliveredToCustomer("1", sender, at))
        assert (await line.row(attempt))["state"] == state
    assert (await told(line))[-1] == "receipt"
    await line.signal(ReadByCustomer("1", sender, LATER))
    await line.signal(DeliveredToCustomer("1", sender, LATER))
    assert (await line.row(attempt))["state"] == "read"


async def test_what_was_sent_long_after_that_time_is_not_meant(line: Line) -> None:
    attempt = await line.begin_send()
    await line.answer(attempt, Sent("m_1"), at=AT + 60 * SECOND)
    await line.signal(ReadByCustomer("1", attempt.row["recipient"], AT + 1))
    assert (await line.row(attempt))["state"] == "sent"


async def test_reading_does_not_touch_what_was_never_sent(line: Line) -> None:
    attempt = await line.begin_send(parts=2)
    await line.signal(ReadByCustomer("1", attempt.row["recipient"], LATER))
    states = [row["state"] for row in await line.rows(messages.c.direction == "out")]
    assert states == ["sending", "queued"]


async def test_a_new_number_is_the_same_customer(line: Line) -> None:
    row = await her_message(line)
    new = "8801711000009"
    phone = Alias("phone", f"+{new}")
    await line.signal(NumberChange("1", HER, LATER, new, (phone,)))
    [old_address] = await line.rows(addresses.c.external_id == HER, table=addresses)
    [new_address] = await line.rows(addresses.c.external_id == new, table=addresses)
    assert new_address["customer_id"] == old_address["customer_id"]
    assert new_address["blocked_at"] is None
    assert old_address["blocked_at"] == LATER
    refusal = make_gate({})({**old_address, "kind": "text"}, LATER)
    assert isinstance(refusal, Blocked)
    [stored] = await line.accept(line.arrival(new, "me again"))
    assert stored.conversation_id == row["conversation_id"]
    [proof] = await line.rows(table=aliases)
    assert (proof["value"], proof["verified_at"]) == (f"+{new}", AT)
    await line.signal(NumberChange("1", HER, LATER, new, (phone,)))
    assert len(await line.rows(table=addresses)) == 2


async def test_an_echo_is_shown_and_takes_over(line: Line) -> None:
    row = await her_message(line)
    attempt = await _answer_of_the_bot(line, row)
    await line.signal(Echo("1", HER, LATER, "wamid.echo", Message(text="from the shop's phone")))
    await line.signal(Echo("1", HER, LATER, "wamid.echo", Message(text="from the shop's phone")))
    rows = await line.rows(messages.c.external_id == "wamid.echo")
    assert [(r["author_kind"], r["state"], r["seq"]) for r in rows] == [("agent", "sent", 3)]
    [conversation] = await line.rows(table=conversations)
    assert conversation["owner_kind"] == "agent"
    assert conversation["last_message_id"] == rows[0]["id"]
    bot = (await line.rows(messages.c.id == attempt))[0]
    assert bot["state"] == "cancelled"


@pytest.mark.parametrize("is_lost", [False, True], ids=["before the answer", "instead of it"])
@pytest.mark.parametrize("is_told", [False, True], ids=["by its words", "by its correlation id"])
async def test_an_echo_of_our_own_send(line: Line, is_lost: bool, is_told: bool) -> None:
    attempt = await line.begin_send()
    sender, text = attempt.row["recipient"], attempt.row["text"]
    if is_lost:
        await line.answer(attempt, OutcomeUnknown())
    told = attempt.row["id"].hex() if is_told else ""
    await line.signal(Echo("1", sender, LATER, "m_1", Message(text=text), told))
    sent = await line.row(attempt)
    assert (sent["state"], sent["external_id"], sent["lane"]) == ("sent", "m_1", None)
    if not is_lost:
        await line.answer(attempt, Sent("m_1"))
    assert len(await line.rows(messages.c.direction == "out")) == 1


async def test_an_echo_of_others_is_not_taken_for_ours(line: Line) -> None:
    attempt = await line.begin_send()
    sender, text = attempt.row["recipient"], attempt.row["text"]
    strange = "f" * 32
    await line.signal(Echo("1", sender, LATER, "m_1", Message(text="other words")))
    await line.signal(Echo("1", sender, LATER, "m_2", Message(text=text), strange))
    out = await line.rows(messages.c.direction == "out")
    assert [row["external_id"] for row in out] == [None, "m_1", "m_2"]


async def _answer_of_the_bot(line: Line, row: dict[str, Any]) -> bytes:
    """A bot's reply that waits, written as a turn writes it."""
    work = await line.store.each(claim, Claim(row["conversation_id"], 60 * SECOND, AT))
    assert isinstance(work, Work)
    rows = outbound_rows(
        [Message(text="the bot's")],
        channel_id=line.channel_id,
        address_id=row["address_id"],
        at=AT,
        expires_at=AT * 2,
        author_kind="bot",
    )
    await line.store.each(
        commit,
        Ending(row["conversation_id"], work.token, 0, AT, row["id"], None, rows=rows),
    )
    return bytes(rows[0]["id"])


NOBODY: list[Signal] = [
    Edit("1", HER, AT, "wamid.x", Message(text="x")),
    Unsend("1", HER, AT, "wamid.x"),
    Unsend("1", HER, AT, ""),
    Reaction("1", HER, AT, "wamid.x", "👍"),
    OptOut("1", "nobody", AT),
    Block("1", "nobody", AT),
    ReadByCustomer("1", "nobody", AT),
    DeliveredToCustomer("1", "nobody", AT),
    NumberChange("1", "nobody", AT, "8801711000009"),
    Echo("1", "nobody", AT, "wamid.x", Message(text="x")),
    Typing("1", HER, AT),
]


@pytest.mark.parametrize("signal", NOBODY, ids=lambda signal: type(signal).__name__)
async def test_about_what_nobody_knows_nothing_changes(line: Line, signal: Signal) -> None:
    await her_message(line)
    tables = (messages, addresses, conversations, aliases, changes)
    before = [await line.rows(table=table) for table in tables]
    await line.signal(signal, at=LATER)
    assert [await line.rows(table=table) for table in tables] == before


async def test_who_stops_marketing_is_still_answered(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa") as scene:
        wish = {"wa_id": WA_ID, "category": "marketing_messages", "value": "stop"}
        body = wa_body(user_preferences=[{**wish, "timestamp": 1795176000}])
        assert await post_wa(scene.house, body) == 200
        await scene.house.writes("wa", "a question")
        await scene.quiet()
        assert await scene.state("echo a question") == ("read", None)
        status, _ = await scene.reply("an answer")
        assert status == 201
        await scene.quiet()
        assert scene.shown("an answer") == 1


async def test_an_echo_over_http_silences_the_bot(tmp_path: Path) -> None:
    """The shop answers from its phone while the bot's retry waits."""
    async with playing(tmp_path, "wa") as scene:
        scene.fault("status", status=429, retry_after=50)
        await scene.house.writes("wa", "hello")
        await scene.reaches("echo hello", "queued", "busy")
        echo = {**text_item("wamid.echo", "It's us.", "15550123"), "to": WA_ID}
        assert await post_wa(scene.house, wa_body(message_echoes=[echo])) == 200
        await scene.pass_time(60)
        assert (await scene.row("echo hello"))["state"] == "cancelled"
        assert len(scene.calls("echo hello")) == 1
        assert not scene.calls("It's us.")
        await scene.house.writes("wa", "thanks")
        await scene.quiet()
        rows = await scene.house.rows(messages.c.direction == "out")
        assert rows[-1]["text"] == "It's us."
