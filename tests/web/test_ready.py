"""What `/readyz` and `/metrics` say while the database is away or the worker stands still."""

import asyncio
import contextlib
import math
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hub.app import open_hub
from hub.settings import load_settings
from hub.store.schema import idempotency
from hub.web.health import FRESH, PATIENCE, Probe
from hub.web.watch import watching
from tests.databases import only_sqlite, url_of
from tests.faults.scene import FLOWS
from tests.posting import post_wa, text_item, wa_body
from tests.running import House, running_hub
from tests.web.page import Page, ask, page


async def ready(house: House) -> tuple[int, dict[str, Any]]:
    async with house.session.get(f"{house.url}/readyz") as answer:
        return answer.status, await answer.json()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with running_hub(tmp_path, dialogs=FLOWS) as opened:
        yield opened


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process holds the database's write lock."""
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()


@only_sqlite
async def test_the_page_answers_while_the_database_is_locked(house: House, tmp_path: Path) -> None:
    assert (await page(house))("database_up") == 1
    assert await ready(house) == (200, {"status": "ready"})
    await asyncio.sleep(FRESH)
    with locked(tmp_path / "hub.db"):
        begun = time.monotonic()
        seen, (status, told) = await asyncio.gather(page(house), ready(house))
        assert time.monotonic() - begun < PATIENCE + 0.5
        assert seen("database_up") == 0
        assert seen("queue_items", queue="unhandled") == 0, "it can still be read"
        assert (status, told["status"], list(told["problems"])) == (503, "unready", ["database"])

    async def is_well() -> bool:
        return await ready(house) == (200, {"status": "ready"})

    await house.until(is_well)
    assert (await page(house))("database_up") == 1


async def test_the_page_answers_without_a_database(house: House) -> None:
    await page(house)
    await house.settled()
    await house.hub.store.close()
    body = wa_body(messages=[text_item("wamid.1", "too late")])
    await post_wa(house, body)

    async def noticed() -> bool:
        status, told = await ready(house)
        return status == 503 and list(told["problems"]) == ["database"]

    await house.until(noticed)
    seen = await page(house)
    assert seen("database_up") == 0
    assert seen("hooks_total", channel="wa") == 1
    assert (await ask(house, "ot_" + "x" * 43))[0] == 503, "who was never let in is not now"
    assert (await ask(house))[0] == 401

    async def unknown() -> bool:
        return math.isnan((await page(house))("queue_items", queue="unhandled"))

    await house.until(unknown)


@only_sqlite
async def test_the_spool_is_shown(house: House, tmp_path: Path) -> None:
    slow = "PRAGMA busy_timeout=50"
    await house.hub.store.write(lambda conn: conn.exec_driver_sql(slow).close())
    with locked(tmp_path / "hub.db"):
        for key in ("wamid.1", "wamid.2"):
            assert await post_wa(house, wa_body(messages=[text_item(key, "while away")])) == 200
        seen = await page(house)
        assert seen("hooks_total", channel="wa", answer="spooled") == 2
        assert seen("hooks_total", answer="accepted") == 0
        assert seen("spool_hooks") == 2
        assert seen("spool_bytes") > 0
        assert seen("spool_total", what="appended") == 2

    async def stored() -> bool:
        return (await page(house))("spool_hooks") == 0

    await house.until(stored)
    seen = await page(house)
    assert seen("spool_total", what="replayed") == 2
    assert seen("messages_accepted_total", channel="wa") == 2


async def test_a_worker_alone_can_be_watched(tmp_path: Path) -> None:
    settings = {
        "database": url_of(tmp_path),
        "media": str(tmp_path / "media"),
        "spool": str(tmp_path / "spool"),
        "secret_key": "k" * 40,
        "metrics": "open",
    }
    async with (
        open_hub(load_settings(None, {"hub": settings})) as hub,
        watching(hub.state, "127.0.0.1", 0) as url,
        aiohttp.ClientSession() as session,
    ):
        found = {}
        for path in ("/healthz", "/readyz", "/metrics", "/api/v1/openapi.json"):
            async with session.get(url + path) as answer:
                found[path] = answer.status
                if path == "/metrics":
                    assert Page(await answer.text())("sockets") == 0
        assert found == {
            "/healthz": 200,
            "/readyz": 200,
            "/metrics": 200,
            "/api/v1/openapi.json": 404,
        }


async def test_a_worker_that_stands_still_is_not_ready(house: House) -> None:
    house.hub.state.beat = lambda: 31.0
    status, told = await ready(house)
    assert status == 503
    assert told["problems"] == {"worker": "has not looked for work for 31 s"}
    assert (await page(house))("worker_beat_seconds") == 31


async def test_a_trial_leaves_nothing_behind(house: House) -> None:
    assert (await ready(house))[0] == 200
    rows = await house.hub.store.read(lambda conn: conn.execute(idempotency.select()).all())
    assert rows == []


async def test_a_question_is_never_asked_twice_at_once() -> None:
    asked, go = [0], asyncio.Event()

    async def ask_slowly() -> int:
        asked[0] += 1
        await go.wait()
        if asked[0] == 2:
            raise ConnectionError
        return asked[0]

    probe = Probe(ask_slowly, fresh=0.05)
    late = await asyncio.gather(*(probe.answer() for _ in range(5)), return_exceptions=True)
    assert [type(one) for one in late] == [TimeoutError] * 5
    with pytest.raises(TimeoutError):
        await probe.answer()
    assert asked == [1]
    go.set()
    assert [await probe.answer(), asked] == [1, [1]], "what came late is an answer"
    await asyncio.sleep(0.1)
    with pytest.raises(ConnectionError):
        await probe.answer()
    assert [await probe.answer(), asked] == [3, [3]], "a failure is not kept"
