"""From the spool into the store: in order, each hook once, and none that holds up the others."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import sqlalchemy as sa

from hub.channels import Channel
from hub.clock import Clock
from hub.connector import Hook
from hub.drain import TRIES, Drain
from hub.spool import Spool, spool_key
from hub.store.schema import dead_letters, hooks, messages
from tests.databases import only_sqlite
from tests.faults.scene import FLOWS
from tests.posting import text_item, wa_body, wa_signature
from tests.running import WA_ACCOUNT, House, running_hub

# Of today: housekeeping throws raw hooks of long ago away, as early as the hub starts.
NOW = Clock().now()
WA = spool_key("whatsapp", WA_ACCOUNT)
REFUSE = """
    CREATE TRIGGER refuse BEFORE INSERT ON hooks WHEN instr(NEW.body, 'poison') > 0
    BEGIN SELECT RAISE(ABORT, 'no'); END
"""


def hook(body: bytes, at: int) -> Hook:
    signed = {name.lower(): value for name, value in wa_signature(body).items()}
    return Hook("POST", "http://127.0.0.1/hooks/wa", "", signed, body, at)


def said(n: int, text: str) -> Hook:
    return hook(wa_body(messages=[text_item(f"wamid.{n}", text)]), NOW + n)


@contextlib.asynccontextmanager
async def spooled(folder: Path, *found: Hook) -> AsyncIterator[Spool]:
    """A spool beside the hub's own in which these hooks wait."""
    spool = Spool(folder, 1 << 24)
    await spool.open([WA])
    for one in found:
        await spool.append(WA, one)
    try:
        yield spool
    finally:
        await spool.close()


@contextlib.asynccontextmanager
async def drained(house: House, spool: Spool) -> AsyncIterator[None]:
    channel: Channel = house.hub.channels.by_name["wa"]
    drain = Drain(spool, house.hub.intake, {WA: channel}, longest_pause=0.02)
    task = asyncio.create_task(drain.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def texts(house: House) -> list[str]:
    rows = await house.rows(messages.c.direction == "in")
    return [row["text"] for row in rows]


async def test_what_cannot_be_read_any_more_becomes_a_dead_letter(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path, dialogs=FLOWS) as house,
        spooled(
            tmp_path / "own", said(1, "one"), hook(b"{not json", NOW + 2), said(3, "two")
        ) as spool,
        drained(house, spool),
    ):
        await house.until(lambda: not spool.counts.waiting)
        assert await texts(house) == ["one", "two"]
        [dead] = await house.hub.store.read(
            lambda conn: conn.execute(sa.select(dead_letters)).mappings().all()
        )
        assert (dead["kind"], dead["channel"]) == ("hook", "wa")
        bodies = await house.hub.store.read(
            lambda conn: conn.execute(sa.select(hooks.c.body)).scalars().all()
        )
        assert len(bodies) == 3
        await house.settled()
        replies = await house.rows(messages.c.direction == "out")
        assert [row["text"] for row in replies] == ["echo one", "echo two"]


async def test_a_replay_that_is_not_noted_is_repeated_and_changes_nothing(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        async with spooled(tmp_path / "own", *(said(n, f"{n}") for n in range(100))) as spool:
            batch = await spool.read()
            wa = house.hub.channels.by_name["wa"]
            await house.hub.intake.take_all([(wa, one) for _, one in batch.hooks])
            assert await texts(house) == [f"{n}" for n in range(64)]
        async with spooled(tmp_path / "own") as spool, drained(house, spool):
            assert spool.counts.waiting == 100
            await house.until(lambda: not spool.counts.waiting)
        assert await texts(house) == [f"{n}" for n in range(100)]


@only_sqlite
async def test_one_hook_that_cannot_be_stored_is_put_aside_at_last(tmp_path: Path) -> None:
    found = [said(n, "poison" if n == 5 else f"{n}") for n in range(10)]
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        await house.hub.store.write(lambda conn: conn.execute(sa.text(REFUSE)).close())
        async with spooled(tmp_path / "own", *found) as spool, drained(house, spool):
            await house.until(lambda: not spool.counts.waiting)
            assert (spool.counts.aside, spool.counts.replayed) == (1, 9)
        assert await texts(house) == [f"{n}" for n in range(10) if n != 5]
        kept = await asyncio.to_thread((tmp_path / "own" / "1" / WA / "aside").read_bytes)
        assert kept.count(b"poison") == 1
        assert TRIES > 3
