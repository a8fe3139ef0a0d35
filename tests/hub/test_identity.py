"""Who wrote: one customer over channels where it is proven, and only there."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.message import Alias
from hub.store.accounts import enrol
from hub.store.schema import addresses, aliases, conversations, customers, messages
from tests.faults.scene import FLOWS
from tests.hub.line import AT, Line, open_line
from tests.posting import WA_ID, post_sms, post_wa, sms_form, text_item, wa_body
from tests.running import CUSTOMER, House, running_hub
from tests.statements import heard_by

PHONE = Alias("phone", CUSTOMER)


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with open_line(tmp_path) as opened:
        yield opened


async def table(house: House, name: sa.Table) -> list[dict[str, Any]]:
    def read(conn: sa.Connection) -> list[dict[str, Any]]:
        return [dict(row) for row in conn.execute(sa.select(name)).mappings()]

    return await house.hub.store.read(read)


async def other_channel(line: Line) -> bytes:
    [row] = await line.store.write(enrol, [("twilio", "2", "sms")], AT)
    return bytes(row["id"])


async def test_one_number_on_two_channels_is_one_customer(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        await house.writes("sms", "by text message")
        await house.writes("wa", "by WhatsApp", name="Rima")
        await house.settled()
        _, found = await house.api("GET", "/customers?alias=" + CUSTOMER.replace("+", "%2B"))
        [customer] = found["items"]
        assert sorted(one["channel"] for one in customer["addresses"]) == ["sms", "wa"]
        assert [a["value"] for a in customer["aliases"] if a["verified"]] == [CUSTOMER]
        assert len(await table(house, conversations)) == 1


async def test_another_number_is_another_customer(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        await house.writes("sms", "me")
        await house.writes("wa", "not me", number="+8801711000002")
        assert len(await table(house, customers)) == 2


async def test_a_channel_that_does_not_vouch_never_joins(tmp_path: Path) -> None:
    """Caller ids can be forged there: whoever claims the number gets a thread of their own."""
    channels = {"sms": {"vouches": False}}
    async with running_hub(tmp_path, dialogs=FLOWS, channels=channels) as house:
        await house.writes("wa", "really me")
        await house.writes("sms", "someone says so")
        assert len(await table(house, customers)) == 2
        assert [row["verified_at"] is not None for row in await table(house, aliases)] in (
            [True, False],
            [False, True],
        )


async def test_nor_does_it_when_it_came_first(tmp_path: Path) -> None:
    channels = {"sms": {"vouches": False}}
    async with running_hub(tmp_path, dialogs=FLOWS, channels=channels) as house:
        await house.writes("sms", "someone says so")
        await house.writes("wa", "really me")
        assert len(await table(house, customers)) == 2
        await house.settled()
        assert await house.heard("wa") == ["echo really me"]
        assert await house.heard("sms") == ["echo someone says so"]


@pytest.mark.parametrize("attempt", range(5))
async def test_two_first_messages_at_the_same_instant(tmp_path: Path, attempt: int) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        people = [f"+88017110{number:05}" for number in range(20)]
        posts = []
        for index, number in enumerate(people):
            item = text_item(f"wamid.{index}", "whatsapp", number[1:])
            posts.append(post_wa(house, wa_body(messages=[item])))
            posts.append(post_sms(house, sms_form(f"SM{index}", "text", number)))
        if attempt % 2:
            posts.reverse()
        assert set(await asyncio.gather(*posts)) == {200}
        assert len(await table(house, customers)) == len(people)
        assert len(await table(house, conversations)) == len(people)
        assert len(await table(house, addresses)) == 2 * len(people)
        rows = await house.rows(messages.c.direction == "in")
        threads: dict[bytes, list[str]] = {}
        for row in rows:
            threads.setdefault(row["conversation_id"], []).append(row["text"])
        assert {tuple(sorted(texts)) for texts in threads.values()} == {("text", "whatsapp")}


async def test_both_in_one_group_commit(line: Line) -> None:
    sms = await other_channel(line)
    stored = await line.accept(
        line.arrival(WA_ID, aliases=(PHONE,)),
        line.arrival(CUSTOMER, channel_id=sms, aliases=(PHONE,)),
        line.arrival(WA_ID, aliases=(PHONE,)),
    )
    assert len({one.conversation_id for one in stored}) == 1
    assert [one.seq for one in stored] == [1, 2, 3]
    assert len(await line.rows(table=customers)) == 1
    [proof] = await line.rows(table=aliases)
    assert proof["verified_at"] == AT


async def test_an_unverified_alias_joins_nothing(line: Line) -> None:
    sms = await other_channel(line)
    claim = Alias("phone", CUSTOMER, verified=False)
    first, second, third = await line.accept(
        line.arrival("visitor", aliases=(claim,)),
        line.arrival(WA_ID, aliases=(PHONE,)),
        line.arrival(CUSTOMER, channel_id=sms, aliases=(PHONE,)),
    )
    assert first.conversation_id != second.conversation_id
    assert third.conversation_id == second.conversation_id


@pytest.mark.parametrize("forged_first", [True, False])
async def test_what_a_channel_does_not_vouch_for_joins_nothing(
    line: Line, forged_first: bool
) -> None:
    """Whatever the connector says of the number, the channel's own setting decides."""
    sms = await other_channel(line)
    forged = line.arrival(CUSTOMER, channel_id=sms, may_join=False, aliases=(PHONE,))
    real = line.arrival(WA_ID, aliases=(PHONE,))
    both = (forged, real) if forged_first else (real, forged)
    first, second = await line.accept(*both)
    assert first.conversation_id != second.conversation_id
    [proof] = await line.rows(aliases.c.verified_at.isnot(None), table=aliases)
    [honest] = await line.rows(addresses.c.external_id == WA_ID, table=addresses)
    assert proof["customer_id"] == honest["customer_id"]


async def test_a_known_address_stays_where_it_is(line: Line) -> None:
    """Joining is for a new address only: a thread is never pulled away under an agent."""
    sms = await other_channel(line)
    [alone] = await line.accept(line.arrival("BD.77aa"))
    [numbered] = await line.accept(line.arrival(CUSTOMER, channel_id=sms, aliases=(PHONE,)))
    [again] = await line.accept(line.arrival("BD.77aa", aliases=(PHONE,)))
    assert again.conversation_id == alone.conversation_id != numbered.conversation_id


@pytest.mark.parametrize("claimed_before", [False, True])
async def test_a_number_shared_later_joins_what_comes_from_it(
    line: Line, claimed_before: bool
) -> None:
    """Someone known by a chat's id shares her own contact; then she writes an SMS."""
    claim = Alias("phone", CUSTOMER, verified=False)
    [chat] = await line.accept(
        line.arrival("7001", aliases=(claim,) if claimed_before else ()),
    )
    [shared] = await line.accept(line.arrival("7001", aliases=(PHONE,)))
    sms = await other_channel(line)
    [texted] = await line.accept(line.arrival(CUSTOMER, channel_id=sms, aliases=(PHONE,)))
    [again] = await line.accept(line.arrival("7001", aliases=(PHONE,)))
    told = {one.conversation_id for one in (shared, texted, again)}
    assert told == {chat.conversation_id}
    [proof] = await line.rows(table=aliases)
    assert proof["verified_at"] == AT


async def test_a_number_shared_later_joins_within_one_group_commit(line: Line) -> None:
    await line.accept(line.arrival("7001"))
    sms, other = await other_channel(line), Alias("phone", "+8801711000009")
    stored = await line.accept(
        line.arrival(CUSTOMER, channel_id=sms, aliases=(PHONE,)),
        line.arrival("7001", aliases=(PHONE,)),
        line.arrival("7002"),
        line.arrival("7002", aliases=(other,)),
    )
    assert stored[0].conversation_id == stored[1].conversation_id != stored[2].conversation_id
    [texted] = await line.accept(line.arrival(other.value, channel_id=sms, aliases=(other,)))
    assert texted.conversation_id == stored[3].conversation_id == stored[2].conversation_id


async def test_a_number_that_is_anothers_stays_hers(line: Line) -> None:
    """Both threads stay as they are, and the agents see that two say it is theirs."""
    sms = await other_channel(line)
    [texted] = await line.accept(line.arrival(CUSTOMER, channel_id=sms, aliases=(PHONE,)))
    [chat] = await line.accept(line.arrival("7001"))
    for _ in range(2):
        [shared] = await line.accept(line.arrival("7001", aliases=(PHONE,)))
        assert chat.conversation_id == shared.conversation_id != texted.conversation_id
    owners = {row["external_id"]: row["customer_id"] for row in await line.rows(table=addresses)}
    said = {row["customer_id"]: row["verified_at"] for row in await line.rows(table=aliases)}
    assert said == {owners[CUSTOMER]: AT, owners["7001"]: None}
    [later] = await line.accept(line.arrival(WA_ID, aliases=(PHONE,)))
    assert later.conversation_id == texted.conversation_id
    unvouched = line.arrival("7001", may_join=False, aliases=(Alias("phone", "+8801711000009"),))
    await line.accept(unvouched)
    assert len(await line.rows(aliases.c.verified_at.isnot(None), table=aliases)) == 1


async def test_an_alias_that_spells_the_address_costs_no_statement(line: Line) -> None:
    """Nearly every message has one; all it could bring came with the first."""
    for sender, own in (
        (WA_ID, PHONE),
        ("7001", Alias("external", "telegram:7001")),
        ("user:shop:ayesha", Alias("external", "shop:ayesha")),
    ):
        await line.accept(line.arrival(sender, aliases=(own,)))
        further = Alias("phone", f"+88017119{len(sender):05}")
        counts = []
        for brings in ((), (own,), (own, further)):
            heard: list[str] = []
            with heard_by(lambda _conn, _cursor, sql, *_rest, into=heard: into.append(sql)):
                await line.accept(line.arrival(sender, aliases=brings))
            counts.append(len(heard))
        assert counts[0] == counts[1] < counts[2]


async def test_a_user_id_first_and_the_number_later(line: Line) -> None:
    """WhatsApp hides the number behind a user id until it is shared; both name one person."""
    [hidden] = await line.accept(line.arrival("BD.77aa"))
    [shown] = await line.accept(line.arrival(WA_ID, also=("BD.77aa",), aliases=(PHONE,)))
    [hidden_again] = await line.accept(line.arrival("BD.77aa"))
    assert {shown.conversation_id, hidden_again.conversation_id} == {hidden.conversation_id}
    sms = await other_channel(line)
    [texted] = await line.accept(line.arrival(CUSTOMER, channel_id=sms, aliases=(PHONE,)))
    assert texted.conversation_id == hidden.conversation_id
    assert len(await line.rows(table=customers)) == 1


async def test_the_number_first_and_the_user_id_later(line: Line) -> None:
    [shown] = await line.accept(line.arrival(WA_ID, also=("BD.77aa",), aliases=(PHONE,)))
    [hidden] = await line.accept(line.arrival("BD.77aa"))
    assert hidden.conversation_id == shown.conversation_id
    ids = sorted(row["external_id"] for row in await line.rows(table=addresses))
    assert ids == [WA_ID, "BD.77aa"]


async def test_user_id_then_number_over_http(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        hidden = {**text_item("wamid.1", "hidden"), "from": None, "from_user_id": "BD.77aa"}
        contact = {"profile": {"name": "Rima", "username": "@rima"}, "user_id": "BD.77aa"}
        assert await post_wa(house, wa_body(messages=[hidden], contacts=[contact])) == 200
        shown = {**text_item("wamid.2", "shown"), "from_user_id": "BD.77aa"}
        contact = {"profile": {"name": "Rima"}, "wa_id": WA_ID, "user_id": "BD.77aa"}
        assert await post_wa(house, wa_body(messages=[shown], contacts=[contact])) == 200
        assert await post_sms(house, sms_form("SM1", "by text")) == 200
        [customer] = await table(house, customers)
        assert customer["name"] == "Rima"
        assert len(await table(house, addresses)) == 3


async def test_a_group_is_a_customer_of_its_own(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        await house.writes("wa", "just me")
        await house.settled()
        for index, sender in enumerate((WA_ID, "8801711000002")):
            item = {**text_item(f"wamid.g{index}", "to all", sender), "group_id": "GROUP.1"}
            assert await post_wa(house, wa_body(messages=[item])) == 200
        await house.settled()
        found = {row["kind"]: row for row in await table(house, customers)}
        assert set(found) == {"person", "group"}
        rows = await house.rows(messages.c.text == "to all")
        assert len({row["conversation_id"] for row in rows}) == 1
        assert [row["customer_id"] for row in await table(house, aliases)] == [
            found["person"]["id"]
        ]
        sent = await house.rows(messages.c.direction == "out")
        assert [row["text"] for row in sent] == ["echo just me"], "no dialog speaks to a group"
        threads = {row["customer_id"]: row for row in await table(house, conversations)}
        assert threads[found["group"]["id"]]["owner_kind"] == "queue"
