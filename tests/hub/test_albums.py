"""Photos sent as one album come one by one, and a dialog is asked once, with all of them."""

from pathlib import Path
from typing import Any

from hub.clock import SECOND, Clock
from hub.message import Inbound, Media, Message
from hub.signal import Parsed
from hub.store.schema import messages
from tests.faults.scene import FLOWS
from tests.running import CUSTOMER, WA_ACCOUNT, House, running_hub


def part(key: str, text: str = "", album: str = "13") -> Inbound:
    media = (Media(kind="image", provider_id=key, state="failed"),)
    message = Message.of(text, media=media, album=album)
    return Inbound(WA_ACCOUNT, CUSTOMER[1:], key, key, message, Clock().now())


async def take(house: House, *parts: Parsed) -> None:
    await house.hub.intake.accept(house.hub.channels.by_name["wa"], list(parts))


async def said(house: House) -> list[str]:
    return [row["text"] for row in await house.rows(messages.c.direction == "out")]


async def unhandled(house: House) -> list[dict[str, Any]]:
    return await house.rows(messages.c.direction == "in", messages.c.handled_at.is_(None))


async def test_an_album_is_one_event(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        await take(house, part("a", "two dresses"))
        await house.move_clock(1.0)
        assert await said(house) == []
        await take(house, part("b"), part("c", "and a shawl"))
        await house.move_clock(1.0)
        assert await said(house) == [], "more may come"
        await house.move_clock(1.0)
        await house.settled()
        assert await said(house) == ["echo two dresses\nand a shawl"]
        assert await unhandled(house) == []


async def test_a_part_that_comes_late_is_an_event_of_its_own(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        await take(house, part("a", "first"), part("b", "other", album="14"))
        await house.move_clock(2.0)
        await house.until(lambda: is_said(house, 2))
        assert await said(house) == ["echo first", "echo other"]
        await take(house, part("c", "late"))
        await house.move_clock(2.0)
        await house.until(lambda: is_said(house, 3))
        assert (await said(house))[-1] == "echo late"


async def test_an_album_without_end_is_answered_all_the_same(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        start = house.hub.clock.now()
        for at in range(6):
            await take(house, part(f"p{at}", f"p{at}"))
            await house.move_clock(1.0)
        await house.until(lambda: is_said(house, 1))
        [first, *_] = await house.rows(messages.c.direction == "out")
        assert first["created_at"] - start < 7 * SECOND


async def is_said(house: House, count: int) -> bool:
    return len(await said(house)) >= count
