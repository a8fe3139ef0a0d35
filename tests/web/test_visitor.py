"""Web chat as visitors meet it: exactly once, in order, gap-free, and nothing that is not hers."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from hub.clock import HOUR, SECOND, id_text
from hub.store.schema import customers, messages, visitors
from tests.web.site import SHOP, Chat, Site, bearer, end_of, running_site

Json = dict[str, Any]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        yield running


async def said_frames(chat: Chat, count: int, seconds: float = 10.0) -> list[Json]:
    return [await chat.next("message", seconds) for _ in range(count)]


async def test_a_chat_both_ways(site: Site) -> None:
    session = await site.visit()
    async with site.chatting(session) as chat:
        assert await chat.next("welcome") == {"type": "welcome", "seq": 0, "unread": 0}
        await chat.say(type="message", client_id="c1", text="  নমস্কার 👩‍👩‍👧\r\n")
        ack = await chat.next("ack")
        thread = await site.thread_of(session)
        await site.answered(thread, "Hello <b>you</b>")
        if not (shown := [f for f in chat.frames if f["type"] == "message"]):
            shown = [await chat.next("message")]
        own = shown[0]
        assert (own["dir"], own["text"], own["client_id"]) == ("out", "নমস্কার 👩‍👩‍👧", "c1")
        assert (own["id"], own["seq"]) == (ack["id"], ack["seq"])
        answer = await chat.next("message")
        assert (answer["dir"], answer["text"]) == ("in", "Hello <b>you</b>")
        assert answer["author"] == {"name": "Tania", "bot": False}
        assert answer["seq"] > own["seq"]
        assert answer["ts"].endswith("Z")


async def test_the_same_client_id_at_once_on_two_roads_is_one_message(site: Site) -> None:
    session = await site.visit()
    body = {"client_id": "same", "text": "hi"}
    async with site.chatting(session) as chat:
        await chat.next("welcome")
        await chat.say(type="message", **body)
        await chat.say(type="message", **body)
        rest = asyncio.gather(
            *(
                site.call("POST", "/chat/v1/messages", body, headers=bearer(session))
                for _ in range(2)
            )
        )
        acks = [await chat.next("ack"), await chat.next("ack"), *(a for _, a in await rest)]
    assert len({(ack["id"], ack["seq"]) for ack in acks}) == 1
    assert await site.count(messages) == 1
    assert await site.count(customers) == 1


async def test_the_rest_twin_says_whether_it_was_new(site: Site) -> None:
    session = await site.visit()
    headers = bearer(session) | {"Idempotency-Key": "k1"}
    first = await site.call("POST", "/chat/v1/messages", {"text": "hi"}, headers=headers)
    again = await site.call("POST", "/chat/v1/messages", {"text": "hi"}, headers=headers)
    assert (first[0], again[0]) == (201, 200)
    assert first[1] == again[1]
    assert first[1]["client_id"] == "k1"


async def test_what_came_while_away_is_replayed_in_order(site: Site) -> None:
    session = await site.visit()
    ack = await site.said(session, "hi")
    thread = await site.thread_of(session)
    for number in range(5):
        await site.answered(thread, str(number))
        await site.answered(thread, f"note {number}", note=True)
    async with site.chatting(session, last_seq=0) as chat:
        welcome = await chat.next("welcome")
        first = await said_frames(chat, 6)
        assert [frame["text"] for frame in first] == ["hi", "0", "1", "2", "3", "4"]
        assert [f["seq"] for f in first] == sorted(f["seq"] for f in first)
    async with site.chatting(session, last_seq=first[3]["seq"]) as chat:
        welcome = await chat.next("welcome")
        assert welcome["seq"] == first[-1]["seq"]
        assert welcome["unread"] == 5
        assert [frame["text"] for frame in await said_frames(chat, 2)] == ["3", "4"]
        assert await chat.quiet() == []
    assert ack["seq"] == 1


async def test_a_replay_races_the_live_stream_without_loss_doubles_or_disorder(site: Site) -> None:
    """Agents answer while clients of the same visitor reconnect at each seq they have got to."""
    session = await site.visit()
    await site.said(session, "hi")
    thread = await site.thread_of(session)
    count = 60

    async def answer() -> None:
        for number in range(count):
            await site.answered(thread, str(number), note=number % 3 == 0)
            await asyncio.sleep(0.005)

    wanted = [str(number) for number in range(count) if number % 3]

    async def follow(frames_a_visit: int) -> list[Json]:
        got: dict[int, Json] = {}
        last = 1
        while len(got) < len(wanted):
            fresh: list[int] = []
            async with site.chatting(session, last_seq=last) as chat:
                await chat.next("welcome")
                with contextlib.suppress(TimeoutError):
                    for _ in range(frames_a_visit):
                        frame = await chat.next("message", 2.0)
                        assert frame["seq"] not in fresh, "twice on one connection"
                        fresh.append(frame["seq"])
                        got[frame["seq"]] = frame
                        last = max(last, frame["seq"])
            later = [seq for seq in fresh if seq > (fresh[0] if fresh else 0)]
            assert later == sorted(later)
        return [got[seq] for seq in sorted(got)]

    followers = [asyncio.create_task(follow(n)) for n in (1, 3, 10, 1000)]
    await answer()
    for frames in await asyncio.wait_for(asyncio.gather(*followers), 40):
        assert [frame["text"] for frame in frames] == wanted


async def test_a_long_absence_is_a_reset_and_a_last_page(site: Site) -> None:
    session = await site.visit()
    await site.said(session, "hi")
    thread = await site.thread_of(session)
    for number in range(204):
        await site.answered(thread, str(number))
    await asyncio.sleep(0.5)
    async with site.chatting(session) as chat:
        await chat.next("reset")
        frames = await said_frames(chat, 50)
        assert frames[-1]["text"] == "203"
    path = f"/chat/v1/conversations/{thread}/messages?limit=200&before_seq={frames[0]['seq']}"
    _, page = await site.call("GET", path, headers=bearer(session))
    assert page["more"] is False
    assert len(page["items"]) + 50 == 205
    async with site.chatting(session, last_seq=10_000) as chat:
        await chat.next("reset")


async def test_nothing_of_the_agents_side_reaches_a_visitor(site: Site) -> None:
    """Everything a visitor can get, searched for what must not be in it."""
    session = await site.visit()
    agent, token = await site.add_token("agent", "Tania")
    as_agent = {"Authorization": f"Bearer {token}"}
    async with site.chatting(session) as chat:
        await chat.next("welcome")
        await chat.say(type="message", client_id="c1", text="hi")
        await chat.next("ack")
        thread = await site.thread_of(session)
        path = f"/conversations/{thread}"
        await site.call(
            "POST", path + "/messages", {"text": "NOTE", "note": True}, headers=as_agent
        )
        await site.call("PATCH", path, {"tags": ["TAGGED"]}, headers=as_agent)
        await site.call("POST", path + "/assign", {"team": "TEAM"}, headers=as_agent)
        await site.call("POST", path + "/assign", {"agent": "me"}, headers=as_agent)
        await site.call("POST", path + "/messages", {"text": "ANSWER"}, headers=as_agent)
        while (await chat.next("message"))["text"] != "ANSWER":
            pass
        await chat.quiet()
        seen = orjson.dumps(chat.frames).decode()
    for url in (f"/chat/v1/conversations/{thread}/messages", "/chat/v1/events?after_seq=0"):
        _, page = await site.call("GET", url, headers=bearer(session))
        assert "ANSWER" in str(page)
        seen += orjson.dumps(page).decode()
    _, opened = await site.call("POST", "/chat/v1/session", {"site": "shop"}, headers={})
    seen += orjson.dumps(opened).decode()
    for hidden in ("NOTE", "TAGGED", "TEAM", id_text(agent), "owner", "internal", "Admin"):
        assert hidden not in seen, hidden
    keys = {key for frame in chat.frames for key in frame}
    assert keys <= {
        *("type", "seq", "unread", "id", "client_id", "dir", "kind", "text", "attachments"),
        *("buttons", "reply_to", "author", "ts", "edited", "deleted", "up_to_seq"),
    }


async def test_another_visitors_thread_is_as_one_that_does_not_exist(site: Site) -> None:
    mine, hers = await site.visit(), await site.visit()
    await site.said(mine, "mine")
    await site.said(hers, "hers")
    thread = await site.thread_of(hers)
    nothing = id_text(bytes(16))
    answers = []
    for id in (thread, nothing):
        path = f"/chat/v1/conversations/{id}/messages"
        answers.append(await site.call("GET", path, headers=bearer(mine)))
    assert answers[0][0] == 404
    assert answers[0] == answers[1]
    _, events = await site.call("GET", "/chat/v1/events", headers=bearer(mine))
    assert "hers" not in str(events)
    async with site.chatting(mine) as chat:
        await chat.next("welcome")
        await site.answered(thread, "for her alone")
        assert "for her alone" not in str(await chat.quiet(0.5))


async def test_a_token_opens_its_own_session_alone(site: Site) -> None:
    session = await site.visit()
    token = session["token"]
    wrong = [
        "",
        "v1.",
        token[:-1],
        token[:-4] + "AAAA",
        "x" + token,
        session["refresh"],
        session["session_id"],
        session["visitor_id"],
        site.token,
    ]
    for forged in wrong:
        headers = {"Authorization": f"Bearer {forged}"}
        status, problem = await site.call(
            "POST", "/chat/v1/messages", {"text": "x"}, headers=headers
        )
        assert (status, problem["code"]) == (401, "token_expired"), forged
        async with site.chatting({"token": forged}) as chat:
            assert await end_of(chat.ws) == 4001
    async with site.chatting({"token": 5}) as chat:
        assert await end_of(chat.ws) == 4002
    # A visitor's token is nothing to the agents' API.
    assert (await site.call("GET", "/conversations", headers=bearer(session)))[0] == 401
    site.hub.clock.move(HOUR // SECOND + 1)
    assert (await site.call("GET", "/chat/v1/events", headers=bearer(session)))[0] == 401
    again = await site.visit(visitor_token=session["refresh"])
    assert again["visitor_id"] == session["visitor_id"]
    other = await site.visit("blog", visitor_token=session["refresh"])
    assert other["visitor_id"] != session["visitor_id"]


async def test_secrets_of_a_session_are_not_stored(site: Site) -> None:
    session = await site.visit()
    rows = await site.hub.store.read(
        lambda conn: [dict(row) for row in conn.execute(visitors.select()).mappings()]
    )
    assert session["refresh"] not in repr(rows)
    assert rows[0]["hash"] == hashlib.sha256(session["refresh"].encode()).digest()


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (SHOP, True),
        ("OWN", True),
        ("https://evil.example", False),
        ("https://shop.example.evil.test", False),
        ("null", False),
    ],
)
async def test_only_allowed_pages_may_use_the_chat(site: Site, origin: str, allowed: bool) -> None:
    headers = {"Origin": site.url if origin == "OWN" else origin}
    url = site.url + "/chat/v1/session"
    async with site.http.post(url, json={"site": "shop"}, headers=headers) as answer:
        assert answer.status == (200 if allowed else 403)
        shared = answer.headers.get("Access-Control-Allow-Origin")
        assert shared == (headers["Origin"] if allowed else None)
        assert "Origin" in answer.headers["Vary"]
    async with site.http.options(url, headers=headers) as answer:
        assert answer.status == (204 if allowed else 403)
    session = await site.visit()
    if allowed:
        async with site.chatting(session, headers=headers) as chat:
            await chat.next("welcome")
    else:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with site.chatting(session, headers=headers):
                pass
        assert refused.value.status == 403


async def test_a_session_belongs_to_the_page_that_opened_it(site: Site) -> None:
    url, here = site.url + "/chat/v1/session", {"Origin": SHOP}
    async with site.http.post(url, json={"site": "shop"}, headers=here) as answer:
        session = await answer.json()
    own = bearer(session) | {"Origin": site.url}
    status, problem = await site.call("GET", "/chat/v1/events", headers=own)
    assert (status, problem["code"]) == (403, "origin_not_allowed")
    # The site `blog` allows no page but the hub's own.
    async with site.http.post(url, json={"site": "blog"}, headers=here) as answer:
        assert answer.status == 403


async def test_wrong_frames(site: Site) -> None:
    session = await site.visit()
    async with site.chatting(session) as chat:
        await chat.next("welcome")
        wrong: list[Json] = [
            {"text": ""},
            {"text": "x" * 10_001},
            {"text": 5},
            {"text": "x", "action": 5},
            {"text": "x", "action": {}},
        ]
        for number, frame in enumerate(wrong):
            await chat.say(type="message", client_id=f"w{number}", **frame)
            nack = await chat.next("nack")
            assert nack["client_id"] == f"w{number}"
            assert (nack["code"], nack["retryable"]) in {
                ("invalid_message", False),
                ("rate_limited", True),
            }
        await chat.say(type="unknown", x=1)
        await chat.say(type="ping")
        await chat.next("pong")
        await chat.ws.send_str("[1]")
        assert await end_of(chat.ws) == 4002
    async with site.chatting(session) as chat:
        await chat.next("welcome")
        await chat.ws.send_str("x" * 70_000)
        assert await end_of(chat.ws) == 1009
    assert await site.count(messages) == 0


async def test_a_flood_is_slowed_and_then_cut(site: Site) -> None:
    session = await site.visit()
    async with site.chatting(session) as chat:
        await chat.next("welcome")
        for number in range(8):
            await chat.say(type="message", client_id=f"f{number}", text="x")
        nack = await chat.next("nack")
        assert (nack["code"], nack["retryable"]) == ("rate_limited", True)
        assert nack["retry_after"] >= 1
        for _ in range(80):
            await chat.say(type="ping")
        assert await end_of(chat.ws) == 4029


async def test_reading_is_told_to_agents_and_to_her_other_tab(site: Site) -> None:
    session = await site.visit()
    await site.said(session, "hi")
    thread = await site.thread_of(session)
    async with site.chatting(session) as one, site.chatting(session) as two:
        await two.next("welcome")
        await site.answered(thread, "hello")
        while (frame := await one.next("message"))["dir"] != "in":
            pass
        await one.say(type="read", up_to_seq=frame["seq"])
        assert (await two.next("read"))["up_to_seq"] == frame["seq"]
    _, page = await site.call("GET", f"/conversations/{thread}/messages")
    states = {item["text"]: item["state"] for item in page["items"]}
    assert states["hello"] == "read"
    async with site.chatting(session, last_seq=frame["seq"]) as chat:
        assert (await chat.next("welcome"))["unread"] == 0


async def test_events_without_a_websocket(site: Site) -> None:
    session = await site.visit()
    ack = await site.said(session, "hi")
    thread = await site.thread_of(session)
    url = f"/chat/v1/events?after_seq={ack['seq']}&wait=10"
    waiting = asyncio.create_task(site.call("GET", url, headers=bearer(session)))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await site.answered(thread, "polled")
    _, page = await asyncio.wait_for(waiting, 5)
    assert [f["text"] for f in page["items"] if f["type"] == "message"] == ["polled"]
    headers = bearer(session) | {"Accept": "text/event-stream", "Last-Event-ID": str(ack["seq"])}
    async with site.http.get(site.url + "/chat/v1/events", headers=headers) as answer:
        assert answer.content_type == "text/event-stream"
        lines: list[str] = []
        async with asyncio.timeout(5):
            while not any('"polled"' in line for line in lines):
                lines.append((await answer.content.readline()).decode())
    assert any(line.startswith("id: ") for line in lines)
