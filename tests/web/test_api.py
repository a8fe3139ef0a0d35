"""The REST API over a real hub: shapes, lists, errors, idempotency, and what a page costs."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.clock import DAY, SECOND, id_text, iso, new_id
from hub.store.schema import conversations, customers, media, messages, receipts
from tests.databases import ON_POSTGRES, only_sqlite
from tests.statements import heard_by
from tests.web.site import Site, bearer, running_site

BANGLA = "আমার অর্ডার কোথায়? 👩‍👩‍👧"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        yield running


async def a_thread(site: Site, *texts: str) -> tuple[dict[str, Any], str]:
    session = await site.visit()
    for text in texts or ("hi",):
        await site.said(session, text)
    return session, await site.thread_of(session)


@contextmanager
def counted() -> Iterator[list[str]]:
    """The SQL statements read meanwhile, without transaction control. The worker's own looks
    for attachments are writes, in another thread."""
    seen: list[str] = []

    def see(conn: Any, cursor: Any, statement: str, *_: Any) -> None:
        is_reader = ON_POSTGRES or threading.current_thread().name.startswith("sqlite-read")
        if is_reader and statement != "BEGIN":
            seen.append(statement)

    with heard_by(see):
        yield seen


async def test_a_conversation_and_its_messages(site: Site) -> None:
    session, thread = await a_thread(site, BANGLA)
    await site.answered(thread, "One moment")
    status, found = await site.call("GET", f"/conversations/{thread}")
    assert status == 200
    assert found["id"] == thread
    assert found["status"] == "open"
    assert found["owner"] == {"kind": "agent", "id": None, "name": "Tania"}
    assert found["channels"] == ["shop"]
    assert (found["tags"], found["team"], found["unread"]) == ([], None, 1)
    assert found["last_message"]["text"] == "One moment"
    status, page = await site.call("GET", f"/conversations/{thread}/messages")
    assert (status, page["next"]) == (200, None)
    answer, asked = page["items"]
    assert (asked["direction"], asked["text"], asked["seq"]) == ("in", BANGLA, 1)
    assert asked["address"] == {"channel": "shop", "external_id": session["visitor_id"]}
    assert asked["author"] == {"kind": "customer", "id": None, "name": None}
    assert asked["state"] == "received"
    assert asked["created_at"].endswith("Z")
    assert len(asked["created_at"]) == len("2026-11-20T12:00:00.120Z")
    assert (answer["direction"], answer["author"]["kind"]) == ("out", "agent")


async def test_the_thread_pages_backwards_without_loss_or_repeat(site: Site) -> None:
    _, thread = await a_thread(site, "1")
    for number in range(2, 24):
        await site.answered(thread, str(number), note=True)
    got: list[str] = []
    cursor = ""
    while True:
        status, page = await site.call(
            "GET", f"/conversations/{thread}/messages?limit=5{cursor and '&cursor=' + cursor}"
        )
        assert status == 200
        got += [item["text"] for item in page["items"]]
        if page["next"] is None:
            break
        assert len(page["items"]) == 5
        cursor = page["next"]
    assert got == [str(number) for number in range(23, 0, -1)]
    _, after = await site.call("GET", f"/conversations/{thread}/messages?after_seq=20&limit=2")
    assert [item["text"] for item in after["items"]] == ["21", "22"]


async def test_the_inbox_pages_by_activity_and_filters(site: Site) -> None:
    threads = []
    for number in range(5):
        session, thread = await a_thread(site, f"hello {number}")
        threads.append((session, thread))
    ids = [thread for _, thread in reversed(threads)]
    _, first = await site.call("GET", "/conversations?limit=2")
    _, second = await site.call("GET", f"/conversations?limit=2&cursor={first['next']}")
    _, third = await site.call("GET", f"/conversations?limit=2&cursor={second['next']}")
    assert [c["id"] for page in (first, second, third) for c in page["items"]] == ids
    assert third["next"] is None

    one, two = ids[0], ids[1]
    await site.call("PATCH", f"/conversations/{one}", {"tags": ["vip", "ঢাকা"], "team": "sales"})
    await site.call("PATCH", f"/conversations/{two}", {"status": "resolved"})
    _, me = await site.call("GET", "/session")
    await site.call("POST", f"/conversations/{one}/assign", {"agent": "me"})
    visitor = threads[-1][0]["visitor_id"]
    for query, expected in {
        "tag=vip": [one],
        "tag=vi": [],
        "tag=ঢাকা": [one],
        "team=sales": [],
        "status=resolved": [two],
        "owner=me": [one],
        f"owner={me['id']}": [one],
        "owner=agent": [one],
        "channel=shop&owner=agent": [one],
        "channel=blog": [],
        f"q={visitor}": [one],
        f"q={one}": [one],
        "q=nobody": [],
    }.items():
        _, found = await site.call("GET", f"/conversations?{query}")
        if query == "team=sales":  # whether an assignment keeps the team is the desk's to say
            continue
        assert [c["id"] for c in found["items"]] == expected, query


async def test_search_by_the_beginning_of_a_name_and_an_alias(site: Site) -> None:
    _, thread = await a_thread(site)
    _, found = await site.call("GET", f"/conversations/{thread}")
    customer = found["customer"]["id"]
    await site.call("PATCH", f"/customers/{customer}", {"name": "Rahima % Begum"})
    for q, hits in {"rahi": 1, "RAHIMA %25": 1, "begum": 0, "%25": 0, "_ahima": 0}.items():
        _, page = await site.call("GET", f"/conversations?q={q}")
        assert len(page["items"]) == hits, q
        _, page = await site.call("GET", f"/customers?q={q}")
        assert len(page["items"]) == hits, q


async def test_a_page_costs_the_same_however_long_it_is(tmp_path: Path) -> None:
    async with running_site(tmp_path, poll=60.0) as site:  # the worker looks at nothing meanwhile
        _, thread = await a_thread(site)
        await site.hub.store.write(_crowd, site.hub.channels.by_name["shop"].id)
        costs: dict[str, set[int]] = {}
        for path in (f"/conversations/{thread}/messages", "/conversations", "/customers"):
            for limit in (2, 20, 150):
                with counted() as seen:
                    status, page = await site.call("GET", f"{path}?limit={limit}")
                assert (status, len(page["items"])) == (200, limit)
                costs.setdefault(path.rpartition("/")[2], set()).add(len(seen))
    # The token, the thread, its messages, receipts, attachments, quoted messages.
    assert costs == {"messages": {6}, "conversations": {7}, "customers": {4}}


def _crowd(conn: sa.Connection, channel_id: bytes) -> None:
    """150 messages with a receipt, a quote and an attachment each; 150 conversations."""
    first = conn.execute(sa.select(messages)).mappings().one()
    base = dict(first) | {"dedupe_key": None, "client_id": None, "handled_at": 1}
    conn.execute(conversations.update().values(next_seq=1000))
    for number in range(150):
        id = new_id()
        row = base | {
            "id": id,
            "seq": number + 2,
            "position": base["position"] + number + 1,
            "external_id": f"e{number}",
            "content": {"media": [{"kind": "image"}]},
            "reply_to": {"external_id": f"e{max(number - 1, 0)}"},
        }
        conn.execute(messages.insert().values(row))
        key = {"channel_id": channel_id, "external_id": f"e{number}", "status": "read"}
        conn.execute(receipts.insert().values(**key, message_id=id, at=1, created_at=1))
        conn.execute(
            media.insert().values(
                id=new_id(),
                message_id=id,
                item=0,
                channel_id=channel_id,
                media={"kind": "image"},
                created_at=1,
            )
        )
        customer, thread = new_id(), new_id()
        conn.execute(customers.insert().values(id=customer, name=f"C{number}", created_at=1))
        conn.execute(
            conversations.insert().values(
                id=thread,
                customer_id=customer,
                last_message_id=id,
                last_message_at=number,
                created_at=1,
            )
        )


async def test_what_belongs_to_a_message_comes_with_it(site: Site) -> None:
    _, thread = await a_thread(site, "first")
    await site.hub.store.write(_crowd, site.hub.channels.by_name["shop"].id)
    _, page = await site.call("GET", f"/conversations/{thread}/messages?limit=2")
    last, before = page["items"]
    assert last["receipts"] == [{"status": "read", "at": iso(1)}]
    assert last["reply_to"]["message_id"] == before["id"]
    assert last["media"][0]["kind"] == "image"
    assert last["media"][0]["url"] is None  # not fetched yet


async def test_replies_notes_and_repeats(site: Site) -> None:
    _, thread = await a_thread(site)
    path = f"/conversations/{thread}/messages"
    status, note = await site.call("POST", path, {"text": "she is angry", "note": True})
    assert (status, note["items"][0]["direction"]) == (201, "note")
    assert note["items"][0]["address"] is None
    body = {"text": "Sorry!", "client_id": "n1", "buttons": [{"id": "y", "title": "হ্যাঁ"}]}
    answers = await asyncio.gather(*(site.call("POST", path, body) for _ in range(5)))
    assert {status for status, _ in answers} == {201}
    assert len({found["items"][0]["id"] for _, found in answers}) == 1
    item = answers[0][1]["items"][0]
    assert item["buttons"] == [{"id": "y", "title": "হ্যাঁ"}]
    assert item["author"]["name"] == "Admin"
    _, page = await site.call("GET", path)
    quoted = page["items"][-1]["id"]
    status, quote = await site.call("POST", path, {"text": "this one", "reply_to": quoted})
    assert status == 201
    assert quote["items"][0]["reply_to"]["message_id"] == quoted
    status, problem = await site.call("POST", path, {"text": "x", "reply_to": id_text(new_id())})
    assert (status, problem["errors"][0]["field"]) == (422, "reply_to")


async def test_a_refused_reply_is_409_with_its_class(site: Site) -> None:
    _, thread = await a_thread(site)
    status, problem = await site.call(
        "POST", f"/conversations/{thread}/messages", {"text": "x", "channel": "blog"}
    )
    assert (status, problem["code"]) == (409, "no_such_recipient")
    assert problem["status"] == 409
    assert await site.count(messages) == 1


async def test_assign_release_snooze(site: Site) -> None:
    _, thread = await a_thread(site)
    path = f"/conversations/{thread}"
    id, _ = await site.add_token("agent", "Nila")
    status, found = await site.call("POST", path + "/assign", {"agent": id_text(id)})
    assert (status, found["owner"]["name"]) == (200, "Nila")
    _, found = await site.call("POST", path + "/assign", {"team": "returns"})
    assert (found["owner"]["kind"], found["team"]) == ("queue", "returns")
    _, found = await site.call("POST", path + "/release", {"note": "done"})
    assert found["owner"]["kind"] == "bot"
    until = iso(site.hub.clock.now() + DAY)
    snooze = {"status": "snoozed", "snoozed_until": until}
    status, found = await site.call("PATCH", path, snooze)
    assert (status, found["snoozed_until"]) == (200, until)
    past = {"status": "snoozed", "snoozed_until": iso(site.hub.clock.now() - SECOND)}
    assert (await site.call("PATCH", path, past))[0] == 422
    assert (await site.call("POST", path + "/assign", {"agent": id_text(new_id())}))[0] == 422
    assert (await site.call("POST", path + "/assign", {}))[0] == 422


async def test_a_profile_is_edited_field_by_field(site: Site) -> None:
    session, _ = await a_thread(site)
    _, found = await site.call("GET", f"/customers?address={session['visitor_id']}")
    path = f"/customers/{found['items'][0]['id']}"
    body = {"name": "রহিমা", "language": "bn", "timezone": "Asia/Dhaka", "traits": {"size": "L"}}
    status, shown = await site.call("PATCH", path, body)
    assert status == 200
    assert {name: shown[name] for name in ("name", "language", "timezone")} == {
        name: body[name] for name in ("name", "language", "timezone")
    }
    _, shown = await site.call("PATCH", path, {"traits": {"size": None, "vip": True}})
    assert shown["traits"] == {"vip": True}
    assert shown["name"] == "রহিমা"
    assert shown["addresses"][0]["kind"] == "webchat"
    for wrong in ({}, {"timezone": "Mars"}, {"language": "Bangla!"}, {"name": 5}, {"x": 1}):
        assert (await site.call("PATCH", path, wrong))[0] == 422, wrong


@only_sqlite
async def test_lists_are_read_by_their_indexes(tmp_path: Path) -> None:
    """No page reads a whole table; `q` alone still looks at each customer's name."""
    async with running_site(tmp_path, poll=60.0) as site:
        session, thread = await a_thread(site)
        with planned() as seen:
            for path in (
                "/conversations",
                "/conversations?status=open",
                "/conversations?channel=shop",
                f"/conversations/{thread}/messages",
                f"/conversations/{thread}/messages?after_seq=0",
                "/customers",
                f"/customers?address={session['visitor_id']}",
                "/customers?alias=%2B8801711000001",
            ):
                assert (await site.call("GET", path))[0] == 200
            await site.call("GET", "/chat/v1/events", headers=bearer(session))

        def explain(conn: sa.Connection) -> list[str]:
            return [
                f"{step[3]}: {statement}"
                for statement, given in seen
                for step in conn.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, given)
            ]

        steps = await site.hub.store.read(explain)
        scans = [step for step in steps if step.startswith("SCAN") and " USING " not in step[:60]]
        # The newest change, and customers by id, are the ends of their primary keys' order.
        assert [s for s in scans if not s.startswith(("SCAN changes", "SCAN customers:"))] == []
        assert all("ORDER BY customers.id DESC" in s for s in scans if "SCAN customers" in s)


@contextmanager
def planned() -> Iterator[list[tuple[str, Any]]]:
    seen: list[tuple[str, Any]] = []

    def see(conn: Any, cursor: Any, statement: str, given: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and "messages.handled_at" not in statement:
            seen.append((statement, given))

    with heard_by(see):
        yield seen
