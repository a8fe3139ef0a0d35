"""Live updates: the cursor's promises, over real sockets, while things change."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from hub.clock import DAY, id_text, parse_id
from hub.store.schema import changes
from hub.store.sweep import throw_away
from hub.store.tokens import revoke_tokens
from hub.web.auth import COOKIE
from hub.web.live import SOCKETS, AgentOutlet
from hub.web.outlet import QUEUE, SLOW, Frame
from tests.statements import heard_by
from tests.web.site import Site, end_of, running_site

Json = dict[str, Any]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        yield running


@contextlib.asynccontextmanager
async def listening(
    site: Site, cursor: str | None = None, **headers: str
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    given = headers or {"Authorization": f"Bearer {site.token}"}
    async with site.http.ws_connect(site.url + "/api/v1/live", headers=given) as ws:
        await ws.send_json({"type": "hello", "cursor": cursor})
        yield ws


async def hear(ws: aiohttp.ClientWebSocketResponse, kind: str, seconds: float = 5.0) -> Json:
    async with asyncio.timeout(seconds):
        while True:
            frame: Json = await ws.receive_json()
            if frame["type"] == kind:
                return frame
            assert frame["type"] in ("ping", "welcome"), frame


async def item_of(ws: aiohttp.ClientWebSocketResponse, kind: str) -> Json:
    """The next item of this kind, with its conversation, which its batch tells last; what the
    bot does besides is passed over."""
    while True:
        items = (await hear(ws, "changes"))["items"]
        for item in items:
            if item["kind"] == kind:
                return {**item, "conversation": items[-1]["conversation"]}


async def texts(ws: aiohttp.ClientWebSocketResponse, count: int) -> list[str]:
    """The texts of new messages until `count` were heard."""
    found: list[str] = []
    while len(found) < count:
        frame = await hear(ws, "changes")
        found += [i["message"]["text"] for i in frame["items"] if i["kind"] == "message"]
    return found


async def test_a_message_and_its_conversation_arrive_once_each(site: Site) -> None:
    async with listening(site) as ws:
        welcome = await hear(ws, "welcome")
        session = await site.visit()
        ack = await site.said(session, "নমস্কার")
        frame = await hear(ws, "changes")
        assert frame["cursor"] != welcome["cursor"]
        item = frame["items"][0]
        assert item["kind"] == "message"
        assert item["message"]["id"] == ack["id"]
        assert item["message"]["text"] == "নমস্কার"
        last = frame["items"][-1]["conversation"]
        assert last["last_message"]["id"] == ack["id"]
        assert item["conversation_id"] == last["id"]
        await site.call("PATCH", f"/conversations/{item['conversation_id']}", {"tags": ["vip"]})
        item = await item_of(ws, "status")
        assert item["message"] is None
        assert item["conversation"]["tags"] == ["vip"]


async def test_a_note_and_a_receipt_are_told_to_agents(site: Site) -> None:
    session = await site.visit()
    await site.said(session, "hi")
    thread = await site.thread_of(session)
    async with listening(site) as ws:
        await hear(ws, "welcome")
        await site.answered(thread, "psst", note=True)
        item = await item_of(ws, "message")
        assert (item["message"]["direction"], item["message"]["text"]) == ("note", "psst")
        await site.answered(thread, "hello")
        states: list[str] = []
        while "sent" not in states:
            items = (await hear(ws, "changes"))["items"]
            states += [i["message"]["state"] for i in items if i["message"]]


async def test_from_a_cursor_nothing_is_lost_or_doubled_while_it_races(site: Site) -> None:
    """Clients reconnect at every cursor they are given while twelve visitors write on."""
    sessions = [await site.visit() for _ in range(12)]
    said: list[str] = []

    async def write(index: int) -> None:
        for number in range(4):
            text = f"{index}.{number}"
            await site.said(sessions[index], text)
            said.append(text)
            await asyncio.sleep(0.01 * (index % 3))

    async def follow(rounds: int) -> list[str]:
        heard: list[str] = []
        cursor = "0-0"
        while len(heard) < 48:
            async with listening(site, cursor) as ws:
                assert (await hear(ws, "welcome"))["cursor"] == cursor
                for _ in range(rounds):
                    frame = await hear(ws, "changes")
                    cursor = frame["cursor"]
                    heard += [
                        i["message"]["text"] for i in frame["items"] if i["kind"] == "message"
                    ]
                    if len(heard) >= 48:
                        break
        return heard

    followers = [asyncio.create_task(follow(rounds)) for rounds in (1, 2, 5, 1000)]
    await asyncio.gather(*(write(index) for index in range(12)))
    assert len(said) == 48
    for heard in await asyncio.wait_for(asyncio.gather(*followers), 20):
        assert sorted(heard) == sorted(said)


async def test_a_cursor_that_is_no_longer_kept_is_told_to_resync(site: Site) -> None:
    session = await site.visit()
    async with listening(site) as ws:
        await hear(ws, "welcome")
        await site.said(session, "one")
        old = (await hear(ws, "changes"))["cursor"]
    await site.said(session, "two")
    async with listening(site, old) as ws:
        assert (await hear(ws, "welcome"))["cursor"] == old
        assert await texts(ws, 1) == ["two"]
    later = site.hub.clock.now() + 8 * DAY
    await site.hub.store.write(throw_away, later, hooks_days=14, changes_days=7)
    await site.said(session, "three")
    thread = await site.thread_of(session)
    for stale in (old, "999999-1", "1-1", "nonsense", "-", "1", "", "9" * 40 + "-1"):
        async with listening(site, stale) as ws:
            frame = await hear(ws, "resync")
            assert frame["cursor"]
            # From there on it is live again.
            await site.answered(thread, f"after {stale}", note=True)
            while (await texts(ws, 1))[-1] != f"after {stale}":
                pass


async def test_another_process_write_is_found_by_polling(site: Site) -> None:
    session = await site.visit()
    await site.said(session, "hi")
    thread = parse_id(await site.thread_of(session))
    async with listening(site) as ws:
        await hear(ws, "welcome")
        row = {"conversation_id": thread, "kind": "status", "at": site.hub.clock.now()}
        await site.hub.store.write(lambda conn: conn.execute(changes.insert(), row).close())
        assert (await item_of(ws, "status"))["conversation_id"] == id_text(thread)


async def test_who_may_listen(site: Site) -> None:
    for headers in (
        {"Authorization": "Bearer ot_wrong"},
        {"Cookie": f"{COOKIE}={site.token}"},
        {"Cookie": f"{COOKIE}={site.token}", "Origin": "https://evil.example"},
        {"Authorization": f"Bearer {site.token}", "Origin": "https://evil.example"},
    ):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await site.http.ws_connect(site.url + "/api/v1/live", headers=headers)
        assert refused.value.status in (401, 403)
    own = {"Cookie": f"{COOKIE}={site.token}", "Origin": site.url}
    async with listening(site, **own) as ws:
        await hear(ws, "welcome")


async def test_who_does_not_say_hello_is_sent_away(site: Site) -> None:
    bearer = {"Authorization": f"Bearer {site.token}"}
    for words in ("hi", "{}", '{"type":"hello","cursor":5}'):
        async with site.http.ws_connect(site.url + "/api/v1/live", headers=bearer) as ws:
            await ws.send_str(words)
            assert await end_of(ws) == 4002


async def test_pings_keep_the_living_and_drop_the_silent_and_the_revoked(tmp_path: Path) -> None:
    async with running_site(tmp_path, ping_every=0.2) as site:
        _, secret = await site.add_token("agent", "phone")
        async with listening(site) as living, listening(site) as silent:
            async with listening(site, Authorization=f"Bearer {secret}") as revoked:
                await hear(revoked, "welcome")
                await site.hub.store.write(revoke_tokens, "phone", site.hub.clock.now())
                assert await end_of(revoked) == 4001
            silent_end = asyncio.create_task(end_of(silent))
            for _ in range(6):
                await hear(living, "ping")
                await living.send_json({"type": "pong"})
            assert await silent_end == 1001
            assert not living.closed


async def test_a_slow_client_is_cut_off_and_others_are_not() -> None:
    stuck, closed = asyncio.Event(), asyncio.Event()
    codes: list[int] = []

    async def send(frame: Frame) -> None:
        await stuck.wait()

    async def close(code: int) -> None:
        codes.append(code)
        closed.set()

    outlet = AgentOutlet(send, close)
    for number in range(QUEUE):
        outlet.put(Frame(str(number)))
    assert not outlet.closed
    outlet.put(Frame("one too many"))
    assert outlet.closed
    await asyncio.wait_for(closed.wait(), 1)
    assert codes == [SLOW]
    outlet.put(Frame("ignored"))


async def read_event(content: aiohttp.StreamReader) -> Json:
    """One server-sent event with its id."""
    event: Json = {}
    async with asyncio.timeout(5):
        while line := (await content.readline()).decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            event[name] = value
    return event | {"data": orjson.loads(event["data"])}


async def test_events_without_a_websocket(site: Site) -> None:
    session = await site.visit()
    headers = {"Authorization": f"Bearer {site.token}", "Accept": "text/event-stream"}
    url = site.url + "/api/v1/live"
    async with site.http.get(url, headers=headers) as answer:
        assert answer.content_type == "text/event-stream"
        assert (await read_event(answer.content))["data"]["type"] == "welcome"
        await site.said(session, "one")
        event = await read_event(answer.content)
        assert event["data"]["items"][0]["message"]["text"] == "one"
        assert event["id"] == event["data"]["cursor"]
    await site.said(session, "two")
    async with site.http.get(url, headers={**headers, "Last-Event-ID": event["id"]}) as answer:
        assert (await read_event(answer.content))["data"]["type"] == "welcome"
        told: list[Json] = []
        while "two" not in [item["message"]["text"] for item in told if item["message"]]:
            told += (await read_event(answer.content))["data"]["items"]
        assert "one" not in [i["message"]["text"] for i in told if i["kind"] == "message"]
    async with site.http.get(url, headers={"Authorization": headers["Authorization"]}) as answer:
        assert answer.status == 426


async def test_a_gone_client_leaves_nothing_behind(tmp_path: Path) -> None:
    async with running_site(tmp_path, ping_every=0.1) as site:
        headers = {"Authorization": f"Bearer {site.token}", "Accept": "text/event-stream"}
        sockets = site.app[SOCKETS]
        async with listening(site) as ws:
            await hear(ws, "welcome")
            answer = await site.http.get(site.url + "/api/v1/live", headers=headers)
            await read_event(answer.content)
            assert len(sockets.outlets) == 2
            answer.close()
        for _ in range(200):
            await asyncio.sleep(0.02)
            if not sockets.outlets:
                break
        assert not sockets.outlets


async def test_what_a_batch_costs_does_not_grow_with_the_listeners(tmp_path: Path) -> None:
    loads: list[str] = []

    def see(conn: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "conversations.unread" in statement and "customers" in statement:
            loads.append(statement)

    async with running_site(tmp_path, poll=60.0) as site, contextlib.AsyncExitStack() as stack:
        session = await site.visit()
        sockets = [await stack.enter_async_context(listening(site)) for _ in range(12)]
        for ws in sockets:
            await hear(ws, "welcome")
        with heard_by(see):
            await site.said(session, "hi")
            frames = [await hear(ws, "changes") for ws in sockets]
    assert len({frame["cursor"] for frame in frames}) == 1
    assert 1 <= len(loads) <= 2  # the message, and what the bot did of it
