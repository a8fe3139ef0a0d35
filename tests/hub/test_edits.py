"""Edits, unsends and reactions change the message they mean, whichever comes first."""

import re
from collections.abc import AsyncIterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.clock import DAY, SECOND
from hub.message import Inbound, Media, Message
from hub.signal import Edit, Reaction, Signal, Unsend
from hub.store.accept import Acceptance, Arrival, accept
from hub.store.attachments import due, forget, settle
from hub.store.edits import apply_due, is_due
from hub.store.rows import inbound_row
from hub.store.schema import early, media
from tests.hub.hosts import picture, serve
from tests.hub.line import AT, Line, open_line
from tests.posting import WA_ID
from tests.running import running_hub
from tests.statements import heard_by

HER, KEY = "8801711000001", "wamid.later"
PHOTO = Media(kind="image", provider_id="p1")


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with open_line(tmp_path) as opened:
        yield opened


def arrival(line: Line, message: Message | None = None) -> Arrival:
    said = message or Message(text="helo")
    inbound = Inbound("1", HER, KEY, KEY, said, AT)
    row = inbound_row(said, channel_id=line.channel_id, at=AT, sent_at=AT)
    return Arrival.of(line.channel_id, inbound, row | {"external_id": KEY, "dedupe_key": KEY})


def edit(text: str, seconds: int, **more: Any) -> Edit:
    return Edit("1", HER, AT + seconds * SECOND, KEY, Message.of(text, **more))


def unsend(seconds: int = 9) -> Unsend:
    return Unsend("1", HER, AT + seconds * SECOND, KEY)


def react(emoji: str, seconds: int) -> Reaction:
    return Reaction("1", HER, AT + seconds * SECOND, KEY, emoji)


def settle_all_erased(conn: sa.Connection, at: int) -> None:
    """As `Fetching` does once their files are gone."""
    for row in due(conn, at, at):
        if row["state"] == "erased":
            assert row["media"]["path"].startswith("ab/")
            forget(conn, row["id"])


async def reaction(line: Line) -> str:
    [row] = await line.rows()
    return "".join(one["emoji"] for one in row["reactions"] or ())


async def waiting(line: Line) -> int:
    return len(await line.rows(table=early))


FIRST, SECOND_EDIT = edit("hello", 1), edit("hello!", 2)


@pytest.mark.parametrize("order", list(permutations(["message", FIRST, SECOND_EDIT])))
async def test_the_latest_edit_holds_in_any_order(
    line: Line, order: tuple[str | Signal, ...]
) -> None:
    for one in order:
        await (line.accept(arrival(line)) if isinstance(one, str) else line.signal(one))
    [row] = await line.rows()
    assert (row["text"], row["edited_at"]) == ("hello!", AT + 2 * SECOND)
    assert await waiting(line) == 0


async def test_an_edit_delivered_twice_is_one_change(line: Line) -> None:
    await line.accept(arrival(line))
    await line.signal(FIRST)
    from_here = len(await line.rows(table=media.metadata.tables["changes"]))
    await line.signal(FIRST)
    await line.signal(edit("helo?", 0))
    assert len(await line.rows(table=media.metadata.tables["changes"])) == from_here


@pytest.mark.parametrize("order", list(permutations(["message", FIRST, unsend()])))
async def test_an_unsend_is_the_last_word_in_any_order(
    line: Line, order: tuple[str | Signal, ...]
) -> None:
    for one in order:
        await (line.accept(arrival(line)) if isinstance(one, str) else line.signal(one))
    [row] = await line.rows()
    assert (row["text"], row["content"], row["deleted_at"]) == ("", None, unsend().at)
    assert row["handled_at"], "nobody is to be asked about what was taken back"
    assert await waiting(line) == 0


async def test_an_older_reaction_never_overwrites_a_newer_one(line: Line) -> None:
    await line.signal(react("👍", 1))
    await line.signal(react("🎉", 3))
    await line.signal(react("👍", 1))
    await line.accept(arrival(line))
    assert await reaction(line) == "🎉"
    await line.signal(react("", 5))
    await line.signal(react("🎉", 3))
    assert await reaction(line) == ""


async def test_what_is_early_outlives_a_restart(tmp_path: Path) -> None:
    async with open_line(tmp_path) as line:
        await line.signal(FIRST)
    async with open_line(tmp_path) as line:
        await line.accept(arrival(line))
        assert [row["text"] for row in await line.rows()] == ["hello"]


async def test_what_crossed_its_message_is_applied_later(line: Line) -> None:
    """As with two processes, or a reaction to a message of ours whose answer was not here yet."""
    await line.signal(react("👍", 1))
    later = arrival(line)
    later.row["external_id"] = None
    await line.accept(later)

    def name(conn: Any) -> None:
        table = media.metadata.tables["messages"]
        conn.execute(table.update().values(external_id=KEY))

    await line.store.write(name)
    assert await reaction(line) == ""
    assert await line.store.read(is_due, AT)
    assert await line.store.write(apply_due, AT) == 1
    assert not await line.store.read(is_due, AT)
    assert await reaction(line) == "👍"


async def test_what_no_message_comes_for_is_forgotten(line: Line) -> None:
    await line.signal(unsend(), edit("x", 1), react("👍", 1))
    assert await waiting(line) == 3
    assert not await line.store.read(is_due, AT + 6 * DAY)
    assert await line.store.read(is_due, AT + 8 * DAY)
    await line.store.write(apply_due, AT + 6 * DAY)
    assert await waiting(line) == 3
    await line.store.write(apply_due, AT + 8 * DAY)
    assert (await waiting(line), await line.rows()) == (0, [])


async def test_an_edited_caption_keeps_the_photo(line: Line) -> None:
    await line.accept(arrival(line, Message.of("helo", media=(PHOTO,))))
    await line.signal(edit("hello", 1))
    [row] = await line.rows()
    assert (row["text"], row["kind"], row["content"]["media"]) == (
        "hello", "image", [{"kind": "image", "provider_id": "p1"}],
    )  # fmt: skip


async def test_another_photo_in_its_place_is_fetched(line: Line) -> None:
    await line.accept(arrival(line, Message.of("helo", media=(PHOTO,))))
    other = PHOTO.model_copy(update={"provider_id": "p2"})
    await line.signal(edit("helo", 1, media=(PHOTO,)))
    assert (await line.rows(table=media))[0]["media"]["provider_id"] == "p1"
    await line.signal(edit("helo", 2, media=(other,)))
    [row] = await line.rows(table=media)
    assert (row["media"]["provider_id"], row["state"]) == ("p2", "pending")


async def test_the_file_of_a_photo_that_was_replaced_is_erased(line: Line) -> None:
    await line.accept(arrival(line, Message.of(media=(PHOTO,))))
    for number in (1, 2):
        at = AT + number * SECOND
        [row] = await line.store.write(due, at, at + 300 * SECOND, 1)
        stored = {**row["media"], "state": "stored", "path": f"ab/{number}"}
        await line.store.write(settle, row, stored, at)
        other = PHOTO.model_copy(update={"provider_id": f"q{number}"})
        # The file to be erased is due after the photo to be fetched.
        await line.signal(edit("", number, media=(other,)), at=at)
        await line.store.write(settle_all_erased, at)
    rows = await line.rows(table=media)
    assert [(row["state"], row["media"].get("provider_id")) for row in rows] == [("pending", "q2")]


@pytest.mark.parametrize("order", list(permutations(["message", "edit"])))
async def test_photos_that_an_edit_adds_are_fetched(line: Line, order: tuple[str, ...]) -> None:
    other = PHOTO.model_copy(update={"provider_id": "p2"})
    for one in order:
        if one == "message":
            await line.accept(arrival(line))
        else:
            await line.signal(edit("hello", 1, media=(PHOTO, other)))
    rows = await line.store.write(due, AT, AT + 300 * SECOND)
    assert [(row["item"], row["media"]["provider_id"]) for row in rows] == [(0, "p1"), (1, "p2")]
    await line.store.write(settle, rows[1], {**rows[1]["media"], "state": "stored"}, AT)
    [row] = await line.rows()
    assert [one.get("state") for one in row["content"]["media"]] == [None, "stored"]


async def test_a_photo_fetched_while_another_took_its_place_is_not_shown(line: Line) -> None:
    await line.accept(arrival(line, Message.of(media=(PHOTO,))))
    [row] = await line.store.write(due, AT, AT + 300 * SECOND)
    other = PHOTO.model_copy(update={"provider_id": "p2"})
    await line.signal(edit("", 1, media=(other,)), at=AT + SECOND)
    stored = {**row["media"], "state": "stored", "path": "ab/cd"}
    await line.store.write(settle, row, stored, AT + 2 * SECOND)
    found = {row["item"]: row for row in await line.rows(table=media)}
    assert (found[0]["state"], found[0]["media"]["provider_id"]) == ("pending", "p2")
    assert (found[-1]["state"], found[-1]["media"]["path"]) == ("erased", "ab/cd")
    [said] = await line.rows()
    assert said["content"]["media"] == [{"kind": "image", "provider_id": "p2"}]


async def test_a_fetch_and_an_unsend_lock_in_the_same_order(line: Line) -> None:
    await line.accept(arrival(line, Message.of(media=(PHOTO,))))
    [row] = await line.store.write(due, AT, AT + 300 * SECOND)
    stored = {**row["media"], "state": "stored", "path": "ab/cd"}
    for act in (line.store.write(settle, row, stored, AT), line.signal(unsend())):
        said: list[str] = []
        with heard_by(lambda _conn, _cursor, sql, *_: said.append(sql)):  # noqa: B023  # at once
            await act
        [*touched] = [name for sql in said for name in re.findall(r"(?:FROM|UPDATE) (\w+)", sql)]
        assert touched.index("messages") < touched.index("media")


async def test_a_file_fetched_while_it_was_taken_back_goes_too(line: Line) -> None:
    await line.accept(arrival(line, Message.of(media=(PHOTO,))))
    [row] = await line.store.write(due, AT, AT + 300 * SECOND)
    await line.signal(unsend())
    stored = {"kind": "image", "state": "stored", "path": "ab/cd"}
    await line.store.write(settle, row, stored, AT)
    [kept] = await line.rows(table=media)
    assert (kept["state"], kept["media"], kept["due_at"]) == (
        "erased", {"kind": "image", "path": "ab/cd"}, AT,
    )  # fmt: skip


async def test_the_file_of_what_was_taken_back_is_erased(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs={"modules": [], "default": ""}) as house:
        channel = house.hub.channels.by_name["site"]
        async with serve(picture) as server:

            def files() -> list[Path]:
                return [file for file in (tmp_path / "media").rglob("*") if file.is_file()]

            for key in ("one", "two"):
                shown = Message.of(media=(Media(kind="image", source_url=server.url("/a.png")),))
                at = house.hub.clock.now()
                inbound = Inbound(channel.account, WA_ID, key, key, shown, at)
                row = inbound_row(shown, channel_id=channel.id, at=at, sent_at=at)
                row |= {"external_id": key, "dedupe_key": key}
                item = Acceptance(at, arrivals=[Arrival.of(channel.id, inbound, row)])
                await house.hub.store.each(accept, item)
            house.hub.bus.poke("media")

            async def states() -> list[str]:
                def read(conn: Any) -> list[str]:
                    return [row.state for row in conn.execute(media.select())]

                return await house.hub.store.read(read)

            async def are(*wanted: str) -> None:
                async def there() -> bool:
                    house.hub.bus.poke("media")
                    return await states() == list(wanted)

                await house.until(there)

            await are("stored", "stored")
            assert len(files()) == 1, "the same bytes are kept once"
            for key, left in (("one", 1), ("two", 0)):
                gone = Unsend(channel.account, WA_ID, house.hub.clock.now(), key)
                item = Acceptance(house.hub.clock.now(), signals=[(channel.id, gone)])
                await house.hub.store.each(accept, item)
                await are(*["stored"] * left)
                assert len(files()) == left
