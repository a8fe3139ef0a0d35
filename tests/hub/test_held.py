"""A reply outside the window: refused, sent as a template, or held until the customer writes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.chat import Chat, Message, TemplateUse, TimedOut, dialog
from hub.clock import Clock
from hub.store.held import give_up
from hub.store.schema import conversations, messages
from tests.running import House, running_hub

HOURS = 3600.0
SHIPPED = """
default = "en"
[variables]
order = "A-17"
[languages.en]
text = "Your order {{order}} is on its way."
[languages.bn]
text = "আপনার অর্ডার {{order}} পাঠানো হয়েছে।"
[channels.whatsapp]
name = "shipped_2"
body = ["order"]
"""
PLAIN = '[languages.en]\ntext = "Plain words."\n'
KNOWN = (
    {"name": "shipped_2", "language": "en", "body": "Your order {{1}} is on its way."},
    {"name": "shipped_2", "language": "bn", "body": "আপনার অর্ডার {{1}} পাঠানো হয়েছে।"},
)
ORDER = {"name": "shipped", "variables": {"order": "B-9"}}
HELD = messages.c.state == "held"


@asynccontextmanager
async def late_house(folder: Path, **settings: Any) -> AsyncIterator[tuple[House, str]]:
    """A hub whose one customer wrote on WhatsApp two days ago."""
    templates = folder / "templates"
    templates.mkdir(exist_ok=True)
    (templates / "shipped.toml").write_text(SHIPPED, "utf-8")
    (templates / "plain.toml").write_text(PLAIN, "utf-8")
    settings = {"hub": {"templates": str(templates)}, "dialogs": {"default": ""}} | settings
    async with running_hub(folder, clock=Clock(), **settings) as house:
        account = next(iter(house.whatsapp.accounts.values()))
        house.whatsapp.add_account({**account.model_dump(), "templates": KNOWN})
        await house.writes("wa", "17?")
        await house.settled()
        await house.move_clock(48 * HOURS)
        _, listed = await house.api("GET", "/conversations")
        yield house, f"/conversations/{listed['items'][0]['id']}"


@pytest.fixture
async def late(tmp_path: Path) -> AsyncIterator[tuple[House, str]]:
    async with late_house(tmp_path) as found:
        yield found


async def test_it_is_refused_and_told_what_is_possible(late: tuple[House, str]) -> None:
    house, thread = late
    status, problem = await house.api("POST", f"{thread}/messages", {"text": "hi again"})
    assert (status, problem["code"]) == (409, "window_closed")
    assert problem["detail"] == "the customer last wrote on wa more than 24 hours ago"
    assert problem["errors"] == [
        {"field": "when_closed", "message": "hold would keep it until the customer writes"},
        {"field": "template", "message": "can be sent now: shipped"},
    ]
    assert await house.rows(messages.c.direction == "out") == []


async def test_a_template_goes_and_its_values_are_checked(late: tuple[House, str]) -> None:
    house, thread = late
    wrong = {"template": {"name": "shipped", "variables": {}}}
    status, problem = await house.api("POST", f"{thread}/messages", wrong)
    assert (status, problem["code"]) == (422, "template")
    assert problem["detail"] == "template shipped needs a value for order"
    status, said = await house.api("POST", f"{thread}/messages", {"template": ORDER})
    assert (status, said["chosen"]) == (201, "template")
    assert said["items"][0]["text"] == "Your order B-9 is on its way."
    assert said["items"][0]["template"] == {
        "name": "shipped_2",
        "language": "en",
        "variables": {"1": "B-9"},
    }
    await house.settled()
    assert await house.heard("wa") == ["Your order B-9 is on its way."]


async def test_one_without_approval_is_no_way_out(late: tuple[House, str]) -> None:
    house, thread = late
    status, problem = await house.api("POST", f"{thread}/messages", {"template": {"name": "plain"}})
    assert (status, problem["code"]) == (409, "window_closed")


async def test_the_template_goes_in_place_of_the_words(late: tuple[House, str]) -> None:
    house, thread = late
    both = {
        "text": "hi again",
        "template": {**ORDER, "language": "bn-BD"},
        "when_closed": "template",
    }
    status, said = await house.api("POST", f"{thread}/messages", both)
    assert (status, said["chosen"]) == (201, "template")
    await house.writes("wa", "18?")
    status, said = await house.api("POST", f"{thread}/messages", both)
    assert (status, said["chosen"]) == (201, "message")
    await house.settled()
    assert await house.heard("wa") == ["আপনার অর্ডার B-9 পাঠানো হয়েছে।", "hi again"]


async def test_held_ones_go_in_order_and_once_when_she_writes(late: tuple[House, str]) -> None:
    house, thread = late
    wish = {"when_closed": "hold", "client_id": "c1"}
    for text in ("first", "second"):
        body = {**wish, "text": text, "client_id": text}
        for _ in range(2):
            status, said = await house.api("POST", f"{thread}/messages", body)
            assert (status, said["chosen"], len(said["items"])) == (201, "hold", 1)
            assert said["items"][0]["state"] == "held"
            assert said["items"][0]["held_until"]
    await house.settled()
    assert await house.heard("wa") == []
    template = {"template": ORDER}
    assert (await house.api("POST", f"{thread}/messages", template))[0] == 201
    await house.settled()
    assert len(await house.heard("wa")) == 1, "what is held holds nothing up"
    await asyncio.gather(*(house.writes("wa", f"{n}?") for n in range(3)))
    await house.settled()
    assert (await house.heard("wa"))[1:] == ["first", "second"]
    rows = await house.rows(messages.c.direction == "out")
    assert {row["state"] for row in rows} <= {"sent", "delivered", "read"}
    assert (await house.api("GET", thread))[1]["status"] == "open"


async def test_one_she_answered_to_an_older_release_goes_soon(late: tuple[House, str]) -> None:
    """As in a rolling upgrade: a process that knows of no held messages takes what she writes."""
    house, thread = late
    body = {"text": "hi again", "when_closed": "hold"}
    assert (await house.api("POST", f"{thread}/messages", body))[0] == 201
    await house.hub.worker.keep_house()
    assert len(await house.rows(HELD)) == 1, "she has not written yet"
    await house.hub.store.write(lambda conn: conn.execute(conversations.update().values(held=0)))
    await house.writes("wa", "18?")
    assert len(await house.rows(HELD)) == 1
    await house.hub.worker.keep_house()
    await house.settled()
    assert await house.heard("wa") == ["hi again"]
    await house.hub.worker.keep_house()
    assert await house.rows(HELD) == []


async def test_a_held_message_is_cancelled(late: tuple[House, str]) -> None:
    house, thread = late
    long = {"text": "বড় কথা। " * 700, "when_closed": "hold"}
    _, said = await house.api("POST", f"{thread}/messages", long)
    assert len(said["items"]) > 1
    path = f"{thread}/messages/{said['items'][1]['id']}"
    status, gone = await house.api("DELETE", path)
    assert (status, gone["items"][0]["state"]) == (200, "cancelled")
    assert await house.rows(HELD) == [], "with its other parts"
    status, problem = await house.api("DELETE", path)
    assert (status, problem["code"]) == (409, "not_held")
    nothing = path.replace(said["items"][1]["id"], "0" * 8 + said["items"][1]["id"][8:])
    assert (await house.api("DELETE", nothing))[0] == 404
    await house.writes("wa", "17?")
    await house.settled()
    assert await house.heard("wa") == []


async def test_a_held_message_gives_up_in_the_end(late: tuple[House, str]) -> None:
    house, thread = late
    await house.api("POST", f"{thread}/messages", {"text": "soon", "when_closed": "hold"})
    assert await house.hub.store.write(give_up, house.hub.clock.now()) == 0
    await house.move_clock(8 * 24 * HOURS)
    assert await house.hub.store.write(give_up, house.hub.clock.now()) == 1
    [row] = await house.rows(messages.c.direction == "out")
    assert (row["state"], row["error_class"], row["due_at"]) == ("failed", "window_closed", None)
    await house.writes("wa", "17?")
    await house.settled()
    assert await house.heard("wa") == []


@dialog("patient", on=["wait for it"])
async def patient(chat: Chat) -> None:
    """Speaks when the window is closed, first freely, then by a template."""
    with contextlib.suppress(TimedOut):
        await chat.ask("Well?", timeout=timedelta(hours=30))
    await chat.say("Still there?")
    use = TemplateUse(name="shipped", variables={"order": "B-9"})
    await chat.say(Message.of(template=use))


@pytest.mark.parametrize("when_closed", ["refuse", "hold"])
async def test_what_a_dialog_says_too_late(tmp_path: Path, when_closed: str) -> None:
    dialogs = {"default": "", "when_closed": when_closed, "modules": [__name__]}
    async with late_house(tmp_path, dialogs=dialogs) as (house, thread):
        await house.api("POST", f"{thread}/release", {})
        await house.writes("wa", "wait for it")
        await house.settled()
        await house.move_clock(31 * HOURS)
        await house.until(lambda: said(house, 3))
        await house.settled()
        template = "Your order B-9 is on its way."
        assert await house.heard("wa") == ["Well?", template]
        rows = await house.rows(messages.c.direction == "out")
        late = [(row["state"], row["error_class"]) for row in rows if row["text"] == "Still there?"]
        assert late == [("held", None) if when_closed == "hold" else ("failed", "window_closed")]
        await house.writes("wa", "17?")
        await house.settled()
        after = ["Still there?"] if when_closed == "hold" else []
        assert await house.heard("wa") == ["Well?", template, *after]


async def test_a_take_over_cancels_what_the_bot_has_held(tmp_path: Path) -> None:
    dialogs = {"default": "", "when_closed": "hold", "modules": [__name__]}
    async with late_house(tmp_path, dialogs=dialogs) as (house, thread):
        await house.api("POST", f"{thread}/release", {})
        await house.writes("wa", "wait for it")
        await house.settled()
        await house.move_clock(31 * HOURS)
        await house.until(lambda: said(house, 3))
        assert len(await house.rows(HELD)) == 1
        await house.api("POST", f"{thread}/assign", {"team": "shop"})
        [row] = await house.rows(messages.c.text == "Still there?")
        assert (row["state"], row["error_reason"]) == ("cancelled", "an agent took over")
        await house.writes("wa", "17?")
        await house.settled()
        assert "Still there?" not in await house.heard("wa")


async def said(house: House, count: int) -> bool:
    return len(await house.rows(messages.c.direction == "out")) >= count


@pytest.mark.parametrize(
    "body",
    [
        {"text": "x", "when_closed": "template"},
        {"text": "x", "held_until": "2030-01-01T00:00:00Z"},
        {"text": "x", "when_closed": "hold", "held_until": "2020-01-01T00:00:00Z"},
        {"text": "x", "when_closed": "later"},
    ],
)
async def test_wishes_that_make_no_sense(late: tuple[House, str], body: dict[str, Any]) -> None:
    house, thread = late
    assert (await house.api("POST", f"{thread}/messages", body))[0] == 422


async def test_she_writes_while_it_is_being_held(late: tuple[House, str]) -> None:
    """Many times at once: whoever comes first, what was held goes and goes once."""
    house, thread = late
    body = {"text": "at once", "when_closed": "hold"}
    await asyncio.gather(house.writes("wa", "17?"), house.api("POST", f"{thread}/messages", body))
    await house.settled()
    assert await house.heard("wa") == ["at once"]
