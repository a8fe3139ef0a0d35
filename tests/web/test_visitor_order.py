"""The order of a visitor's frames: an answer in flight holds the line, a held one comes late."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.clock import parse_id
from hub.store.schema import changes, messages
from hub.store.visitors import Said
from hub.web.outlet import QUEUE, SLOW, Frame
from hub.web.visitor_sockets import Collector, News, VisitorOutlet
from tests.web.site import Site, running_site


def news(seq: int, state: str = "sent", direction: str = "out", *, edited: bool = False) -> News:
    row = Said(
        *(bytes(16), seq, direction, "agent", None, "text", "", None, None, None, state),
        *(None, None, None, 0, bytes(16), "v_1"),
    )
    return News(row, edited, Frame(f"{seq}"), Frame(f"{seq}*") if edited else None)


def told(*offers: News, top: int = 0, late: tuple[int, ...] = ()) -> list[str]:
    outlet = Collector()
    outlet.top = top
    outlet.expect(late)
    for one in offers:
        outlet.offer(one)
    return [frame.text for frame in outlet.frames]


@pytest.mark.parametrize(
    ("offers", "expected"),
    [
        ([news(1), news(2)], ["1", "2"]),
        ([news(1), news(1)], ["1"]),
        ([news(1, "queued"), news(2, "received", "in")], []),
        ([news(1, "queued"), news(2, "received", "in"), news(1)], ["1", "2"]),
        ([news(1, "queued"), news(1, "sending"), news(1), news(1, "read")], ["1"]),
        ([news(1, "queued"), news(2, "queued"), news(2), news(1)], ["1", "2"]),
        ([news(1, "queued"), news(2, "queued"), news(1), news(2)], ["1", "2"]),
        ([news(1, "queued"), news(2), news(1, "cancelled")], ["2"]),
        ([news(1, "queued"), news(2), news(1, "failed"), news(1)], ["2"]),
        ([news(1, "held"), news(2)], ["2"]),
        ([news(1, "held"), news(2), news(1, "sending"), news(1), news(1)], ["2", "1"]),
        ([news(1, "queued"), news(2), news(1, "held"), news(1)], ["2", "1"]),
        ([news(1, "unknown"), news(2), news(1, "delivered")], ["1", "2"]),
        ([news(1), news(1, edited=True)], ["1", "1*"]),
        ([news(1, "queued"), news(1, "queued", edited=True), news(1)], ["1"]),
    ],
)
def test_order(offers: list[News], expected: list[str]) -> None:
    assert told(*offers) == expected


def test_what_was_passed_is_told_once_if_it_is_still_to_come() -> None:
    assert told(news(3), news(3), top=5, late=(3,)) == ["3"]
    assert told(news(3), top=5) == []


async def test_what_is_read_from_the_past_goes_before_what_is_new() -> None:
    outlet = Collector()
    outlet.hold()
    outlet.offer(news(2))
    outlet.offer(news(3))
    assert outlet.frames == []
    for past in (news(1), news(2)):
        outlet.take(past)
    outlet.release()
    assert [frame.text for frame in outlet.frames] == ["1", "2", "3"]


async def test_a_slow_visitor_is_cut_off() -> None:
    never = asyncio.Event()
    codes: list[int] = []

    async def send(frame: Frame) -> None:
        await never.wait()

    async def close(code: int) -> None:
        codes.append(code)

    outlet = VisitorOutlet(send, close)
    for seq in range(QUEUE + 2):
        outlet.offer(news(seq + 1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert codes == [SLOW]


async def set_state(site: Site, message_id: bytes, **values: Any) -> None:
    """Move a row on as the outbox does, with its change."""

    def move(conn: sa.Connection) -> None:
        row = conn.execute(
            messages.update()
            .where(messages.c.id == message_id)
            .values(**values)
            .returning(messages.c.conversation_id)
        ).scalar_one()
        kind = {"kind": "receipt", "at": site.hub.clock.now(), "message_id": message_id}
        conn.execute(changes.insert().values(conversation_id=row, **kind))

    await site.hub.store.write(move)
    site.hub.bus.poke("change")


async def test_an_answer_sent_while_she_was_away_is_not_lost_behind_her_own_words(
    tmp_path: Path,
) -> None:
    """She wrote while an answer was in flight, was acknowledged, and lost the connection: the
    answer's seq is below the one she comes back with."""
    async with running_site(tmp_path, poll=60.0) as site:
        session = await site.visit()
        await site.said(session, "hi")
        thread = await site.thread_of(session)
        (answer,) = await site.answered(thread, "in flight")
        await asyncio.sleep(0.3)
        await set_state(site, answer, state="unknown", sent_at=None, lane=0, due_at=2**62)
        async with site.chatting(session) as chat:
            await chat.next("welcome")
            assert (await chat.next("message"))["text"] == "hi"
            ack = await site.said(session, "hello?")
            assert await chat.quiet() == []  # her own words wait behind the answer
            await set_state(site, answer, state="sent", sent_at=site.hub.clock.now(), lane=None)
            assert (await chat.next("message"))["text"] == "in flight"
            assert (await chat.next("message"))["text"] == "hello?"
        async with site.chatting(session, last_seq=ack["seq"]) as chat:
            await chat.next("welcome")
            assert (await chat.next("message"))["text"] == "in flight"
            assert await chat.quiet() == []


async def test_an_answer_that_becomes_final_later_comes_to_who_passed_it(tmp_path: Path) -> None:
    async with running_site(tmp_path, poll=60.0) as site:
        session = await site.visit()
        await site.said(session, "hi")
        thread = await site.thread_of(session)
        (answer,) = await site.answered(thread, "held")
        await asyncio.sleep(0.3)
        await set_state(site, answer, state="held", sent_at=None, lane=2, due_at=2**62)
        ack = await site.said(session, "hello?")
        async with site.chatting(session, last_seq=ack["seq"]) as chat:
            await chat.next("welcome")
            assert await chat.quiet() == []
            await set_state(site, answer, state="sent", sent_at=site.hub.clock.now(), lane=None)
            assert (await chat.next("message"))["text"] == "held"
            await set_state(site, answer, state="read")
            assert await chat.quiet() == []


async def test_an_edit_and_an_unsend_are_updates(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        session = await site.visit()
        ack = await site.said(session, "hi")
        async with site.chatting(session) as chat:
            await chat.next("message")
            row = {"message_id": parse_id(ack["id"]), "kind": "edit", "at": site.hub.clock.now()}

            def edit(conn: sa.Connection, **values: Any) -> None:
                conn.execute(messages.update().values(**values))
                thread = conn.execute(sa.select(messages.c.conversation_id)).scalar_one()
                conn.execute(changes.insert().values(conversation_id=thread, **row))

            await site.hub.store.write(lambda conn: edit(conn, text="edited", edited_at=1))
            update = await chat.next("update")
            assert (update["id"], update["text"], update["edited"]) == (ack["id"], "edited", True)
            await site.hub.store.write(lambda conn: edit(conn, deleted_at=1))
            update = await chat.next("update")
            assert (update["text"], update["deleted"]) == ("", True)


async def test_a_restart_says_goodbye(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        session = await site.visit()
        async with site.chatting(session) as chat:
            await chat.next("welcome")
            closing = asyncio.create_task(site.app.shutdown())
            assert (await chat.next("bye"))["retry_after"] == 2
            assert (await chat.ws.receive()).data == 1012
            await closing
