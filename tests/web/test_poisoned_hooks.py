"""One bad item in a genuine webhook: kept as a dead letter, and its siblings lose nothing."""

from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from hub.store.schema import dead_letters, hooks, messages
from tests.databases import refuse
from tests.faults.scene import FLOWS
from tests.posting import WA_ID, post_wa, text_item, wa_body
from tests.running import House, running_hub

POISON: list[Any] = [
    None,
    7,
    "text",
    [],
    {},
    {"id": None, "from": WA_ID, "type": "text", "text": {"body": "no id"}},
    {"id": "wamid.p", "type": "text", "text": {"body": "no sender"}},
    {"id": {"a": 1}, "from": ["x"], "type": 3},
]


async def table(house: House, name: sa.Table) -> list[dict[str, Any]]:
    def read(conn: sa.Connection) -> list[dict[str, Any]]:
        return [dict(row) for row in conn.execute(sa.select(name)).mappings()]

    return await house.hub.store.read(read)


async def heard(house: House) -> list[str]:
    return [row["text"] for row in await house.rows(messages.c.direction == "in")]


@pytest.mark.parametrize("poison", POISON, ids=lambda item: orjson.dumps(item).decode()[:40])
async def test_an_item_that_cannot_be_read(tmp_path: Path, poison: Any) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        body = wa_body(
            messages=[text_item("wamid.1", "before"), poison, text_item("wamid.3", "after")]
        )
        assert await post_wa(house, body) == 200
        assert await heard(house) == ["before", "after"]
        [kept] = await table(house, hooks)
        assert kept["body"] == body
        [letter] = await table(house, dead_letters)
        assert letter["reference"] == kept["id"]
        await house.settled()
        sent = await house.rows(messages.c.direction == "out")
        assert [row["text"] for row in sent] == ["echo before", "echo after"]


def nested(depth: int) -> Any:
    found: Any = "deep"
    for _ in range(depth):
        found = [found]
    return found


async def test_an_item_that_cannot_be_stored(tmp_path: Path) -> None:
    """It can be read, and is nested deeper than what can be written as JSON again."""
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        deep = {**text_item("wamid.2", ""), "type": "hologram", "hologram": nested(600)}
        good = [text_item("wamid.1", "before"), text_item("wamid.3", "after")]
        body = _raw_body(good[0], deep, good[1])
        for _ in range(2):
            assert await post_wa(house, body) == 200
        assert await heard(house) == ["before", "after"]
        assert {row["body"] for row in await table(house, hooks)} == {body}
        letters = await table(house, dead_letters)
        assert len(letters) == 2
        assert all("cannot be stored" in letter["reason"] for letter in letters)


async def test_an_item_the_database_refuses(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        await house.hub.store.write(refuse, "poison")
        texts = ("before", "poison", "after")
        items = [
            text_item(f"wamid.{text}", text, f"88017110000{n}") for n, text in enumerate(texts)
        ]
        assert await post_wa(house, wa_body(messages=items)) == 200
        assert await heard(house) == ["before", "after"]
        [letter] = await table(house, dead_letters)
        assert letter["reason"] == "cannot be stored: IntegrityError"
        [kept] = await table(house, hooks)
        assert letter["reference"] == kept["id"]


def _raw_body(*items: Any) -> bytes:
    """As `wa_body`, for what cannot be written by a serializer with a limit of depth."""
    whole = wa_body(messages=["HERE"])
    texts = [_dumped(item).encode() for item in items]
    return whole.replace(b'"HERE"', b",".join(texts))


def _dumped(value: Any) -> str:
    if isinstance(value, dict):
        inner = ",".join(f"{orjson.dumps(key).decode()}:{_dumped(v)}" for key, v in value.items())
        return f"{{{inner}}}"
    depth = 0
    while isinstance(value, list) and len(value) == 1:
        depth, value = depth + 1, value[0]
    return "[" * depth + orjson.dumps(value).decode() + "]" * depth
