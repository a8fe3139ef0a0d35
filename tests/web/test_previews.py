"""What a reply would become is told before it is sent, and is what is then sent."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from hub.store.schema import messages
from tests.running import House, running_hub

BANGLA = "আপনার অর্ডার পৌঁছে গেছে। "
MENU = [{"id": f"b{n}", "title": f"Choice {n}"} for n in range(1, 12)]


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with running_hub(tmp_path, dialogs={"modules": [], "default": ""}) as opened:
        yield opened


async def preview(house: House, **body: Any) -> tuple[int, Any]:
    _, found = await house.api("GET", "/conversations")
    return await house.api("POST", f"/conversations/{found['items'][0]['id']}/preview", body)


@pytest.mark.parametrize(
    ("text", "encoding", "count", "units"),
    [
        ("Your order is here.", "GSM-7", 1, 19),
        ("x" * 161, "GSM-7", 2, 161),
        (BANGLA.strip(), "UCS-2", 1, 24),
        ((BANGLA * 3).strip(), "UCS-2", 2, 74),
        ("€" * 81, "GSM-7", 2, 162),
    ],
)
async def test_sms_are_counted_before_they_are_sent(
    house: House, text: str, encoding: str, count: int, units: int
) -> None:
    await house.writes("sms", "hello")
    status, shown = await preview(house, text=text)
    [part] = shown["parts"]
    assert (status, shown["channel"], shown["segments"]) == (200, "sms", count)
    found = part["segments"]
    assert (found["encoding"], found["count"], found["units"]) == (encoding, count, units)
    assert shown["window"] == {"open": True, "closes_at": None}
    assert [row["direction"] for row in await house.rows()] == ["in"], "nothing is stored"


async def test_the_parts_are_those_that_are_sent(house: House) -> None:
    await house.writes("sms", "hello")
    _, shown = await preview(house, text=BANGLA * 100, buttons=MENU)
    assert shown["changes"] == ["text_split", "buttons_numbered"]
    _, found = await house.api("GET", "/conversations")
    path = f"/conversations/{found['items'][0]['id']}/messages"
    _, sent = await house.api("POST", path, {"text": BANGLA * 100, "buttons": MENU})
    assert [part["text"] for part in shown["parts"]] == [one["text"] for one in sent["items"]]
    assert shown["segments"] == sum(part["segments"]["count"] for part in shown["parts"])


async def test_what_is_changed_for_the_channel_is_told(house: House) -> None:
    await house.writes("wa", "hello")
    photo = {"kind": "image", "url": "https://files.example/a.png"}
    four, link = MENU[:4], {"id": "u", "title": "Shop", "url": "https://shop.example"}
    for body, changes in (
        ({"text": "Hello"}, []),
        ({"text": "Which?", "buttons": MENU[:3]}, []),
        ({"text": "Which?", "buttons": four}, ["buttons_as_list"]),
        ({"text": "Which?", "buttons": [*MENU[:2], link]}, ["links_in_text"]),
        ({"text": "x" * 2000, "media": [photo]}, ["caption_apart"]),
    ):
        status, shown = await preview(house, **body)
        assert (status, shown["changes"], shown["segments"]) == (200, changes, None)


async def test_the_window_is_told(house: House) -> None:
    await house.writes("wa", "hello")
    _, shown = await preview(house, text="Hello")
    [row] = await house.rows(messages.c.direction == "in")
    assert shown["window"]["open"]
    assert shown["window"]["closes_at"] > "2026"
    assert shown["chosen"] == "message"
    await house.move_clock(25 * 3600)
    status, problem = await preview(house, text="Hello")
    assert (status, problem["code"]) == (409, "window_closed")
    status, shown = await preview(house, text="Hello", when_closed="hold")
    assert (shown["chosen"], shown["window"]["open"]) == ("hold", False)
    assert row["kind"] == "text"


async def test_a_wrong_wish_is_refused(house: House) -> None:
    await house.writes("sms", "hello")
    for body, field in (
        ({"text": "x", "note": True}, "note"),
        ({"text": "x", "channel": "fax"}, "channel"),
    ):
        status, problem = await preview(house, **body)
        assert (status, problem["errors"][0]["field"]) == (422, field)
    status, _ = await house.api("POST", f"/conversations/{'0' * 32}/preview", {"text": "x"})
    assert status == 404


async def test_a_note_is_never_stored_without_what_it_should_say(house: House) -> None:
    await house.writes("sms", "hello")
    _, found = await house.api("GET", "/conversations")
    where = f"/conversations/{found['items'][0]['id']}/messages"
    more: list[dict[str, Any]] = [
        {"media": [{"kind": "image", "url": "https://shop.example/a.png"}]},
        {"text": "see this", "buttons": [{"id": "a", "title": "A"}]},
        {"template": {"name": "delivery"}},
    ]
    for body in more:
        status, problem = await house.api("POST", where, {"note": True, **body})
        assert status == 422
        assert "a note has text alone" in problem["errors"][0]["message"]
    assert len(await house.rows()) == 1
