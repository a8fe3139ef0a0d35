"""Ids of a known sender that come later: a user name's beside her number, one twice, alone."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.store.schema import addresses, conversations, customers, dead_letters, messages
from tests.faults.scene import FLOWS
from tests.hub.line import Line, open_line
from tests.posting import WA_ID, post_wa, text_item, wa_body
from tests.running import House, running_hub

USER = "BD.13491208655302741918"
OTHER_USER = "BD.99991208655302741918"


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with open_line(tmp_path) as opened:
        yield opened


async def ids(line: Line) -> list[str]:
    return sorted(row["external_id"] for row in await line.rows(table=addresses))


def by_number(key: str) -> dict[str, Any]:
    return text_item(key, "by number")


def by_both(key: str) -> dict[str, Any]:
    return {**text_item(key, "by both"), "from_user_id": USER}


def by_user(key: str) -> dict[str, Any]:
    item = {**text_item(key, "by user name"), "from_user_id": USER}
    del item["from"]
    return item


async def threads(house: House) -> list[set[str]]:
    """The texts of each conversation's customer."""
    found: dict[bytes, set[str]] = {}
    for row in await house.rows(messages.c.direction == "in"):
        found.setdefault(row["conversation_id"], set()).add(row["text"])
    return list(found.values())


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "in one hook"])
async def test_a_number_then_a_user_name_then_the_name_alone(
    tmp_path: Path, together: bool
) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        items = [by_number("wamid.1"), by_both("wamid.2"), by_user("wamid.3")]
        bodies = [items] if together else [[item] for item in items]
        for body in bodies:
            assert await post_wa(house, wa_body(messages=body)) == 200
        assert await threads(house) == [{"by number", "by both", "by user name"}]
        line = Line(house.hub.store, house.hub.channels.by_name["wa"].id)
        assert await ids(line) == sorted([WA_ID, USER])
        assert len(await line.rows(table=customers)) == 1
        assert len(await line.rows(table=conversations)) == 1
        assert await line.rows(table=dead_letters) == []


async def test_a_user_id_that_is_the_number_itself(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        item = {**text_item("wamid.1", "hello"), "from_user_id": WA_ID}
        assert await post_wa(house, wa_body(messages=[item])) == 200
        again = {**text_item("wamid.2", "once more"), "from_user_id": WA_ID}
        assert await post_wa(house, wa_body(messages=[again])) == 200
        assert await threads(house) == [{"hello", "once more"}]
        line = Line(house.hub.store, house.hub.channels.by_name["wa"].id)
        assert await line.rows(table=dead_letters) == []


@pytest.mark.parametrize(
    "also", [(WA_ID,), (USER, USER), (USER, WA_ID, USER), ("", USER, "")], ids=str
)
@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
async def test_ids_named_twice(line: Line, also: tuple[str, ...], known: bool) -> None:
    if known:
        await line.accept(line.arrival(WA_ID))
    first, second = await line.accept(
        line.arrival(WA_ID, also=also), line.arrival(WA_ID, also=also)
    )
    assert first.conversation_id == second.conversation_id
    assert await ids(line) == sorted({WA_ID, *also} - {""})
    assert len(await line.rows(table=customers)) == 1


async def test_one_group_knows_her_by_either(line: Line) -> None:
    """All in one commit, and the name alone comes last: it was new when the group began."""
    await line.accept(line.arrival(WA_ID))
    stored = await line.accept(
        line.arrival(WA_ID, also=(USER,)), line.arrival(USER), line.arrival(USER, also=(WA_ID,))
    )
    assert len({one.conversation_id for one in stored}) == 1
    assert await ids(line) == sorted([WA_ID, USER])


async def test_another_users_id_stays_hers(line: Line) -> None:
    """Two customers that exist already are not made one by a message that names both."""
    [first] = await line.accept(line.arrival(WA_ID))
    [second] = await line.accept(line.arrival(OTHER_USER))
    [third] = await line.accept(line.arrival(WA_ID, also=(OTHER_USER,)))
    assert third.conversation_id == first.conversation_id != second.conversation_id
    assert await ids(line) == sorted([WA_ID, OTHER_USER])


async def test_ids_in_a_group_make_no_address(line: Line) -> None:
    """Whoever speaks in a group is not the group."""
    first, second = await line.accept(
        line.arrival(WA_ID, also=(USER,), group="group.1"),
        line.arrival("8801711000009", also=(OTHER_USER,), group="group.1"),
    )
    assert first.conversation_id == second.conversation_id
    assert await ids(line) == ["group.1"]
