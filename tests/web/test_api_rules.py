"""What holds for every call: errors as problems, idempotency keys, headers; and attachments."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.clock import id_text, new_id
from hub.store.schema import channels as channel_rows
from hub.store.schema import idempotency, media, messages
from tests.databases import only_sqlite
from tests.web.site import Site, running_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        yield running


async def a_thread(site: Site, *texts: str) -> tuple[dict[str, Any], str]:
    session = await site.visit()
    for text in texts or ("hi",):
        await site.said(session, text)
    return session, await site.thread_of(session)


def count_keys(conn: sa.Connection) -> int:
    query = sa.select(sa.func.count()).where(idempotency.c.scope != "health")
    return conn.execute(query).scalar_one()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/conversations/nonsense", None, 404, "not_found"),
        ("GET", "/conversations/" + "0" * 32, None, 404, "not_found"),
        ("GET", "/conversations/" + id_text(bytes(16)), None, 404, "not_found"),
        ("GET", f"/customers/{id_text(bytes(16))}", None, 404, "not_found"),
        ("POST", f"/conversations/{id_text(bytes(16))}/read", None, 404, "not_found"),
        ("GET", "/nothing", None, 404, "not_found"),
        ("DELETE", "/conversations", None, 405, "method_not_allowed"),
        ("GET", "/conversations?limit=0", None, 422, "invalid"),
        ("GET", "/conversations?limit=201", None, 422, "invalid"),
        ("GET", "/conversations?limit=1&limit=2", None, 422, "invalid"),
        ("GET", "/conversations?colour=red", None, 422, "invalid"),
        ("GET", "/conversations?cursor=AAAA", None, 422, "invalid"),
        ("GET", "/conversations?status=lost", None, 422, "invalid"),
        ("POST", "THREAD/messages", {"text": ""}, 422, "invalid"),
        ("POST", "THREAD/messages", {"text": " \n"}, 422, "invalid"),
        ("POST", "THREAD/messages", {"text": "x", "colour": "red"}, 422, "invalid"),
        ("POST", "THREAD/messages", {"text": "x", "note": "yes"}, 422, "invalid"),
        ("POST", "THREAD/messages", {"text": 5}, 422, "invalid"),
        ("POST", "THREAD/messages", {"text": "x", "channel": "fax"}, 422, "invalid"),
        ("POST", "THREAD/messages", b"{", 400, "invalid_json"),
        ("POST", "THREAD/messages", b"\xff", 400, "invalid_json"),
        ("POST", "THREAD/messages", b'"' + b"x" * 1_100_000 + b'"', 413, "too_large"),
    ],
)
async def test_errors_are_problems(
    site: Site, method: str, path: str, body: Any, status: int, code: str
) -> None:
    _, thread = await a_thread(site)
    url = f"{site.url}/api/v1{path.replace('THREAD', '/conversations/' + thread)}"
    headers = {"Authorization": f"Bearer {site.token}"}
    how: dict[str, Any] = {"json": body}
    if isinstance(body, bytes):
        how = {"data": io.BytesIO(body)}
        headers["Content-Type"] = "application/json"
    async with site.http.request(method, url, headers=headers, **how) as answer:
        problem = await answer.json(content_type="application/problem+json")
    assert (answer.status, problem["status"], problem["code"]) == (status, status, code)
    assert problem["type"] == "about:blank"
    assert problem["title"]
    if status == 422:
        assert all(set(error) == {"field", "message"} for error in problem["errors"])
        assert problem["errors"]


async def test_only_json_is_taken(site: Site) -> None:
    _, thread = await a_thread(site)
    url = f"{site.url}/api/v1/conversations/{thread}/messages"
    headers = {"Authorization": f"Bearer {site.token}"}
    async with site.http.post(url, headers=headers, data={"text": "x"}) as answer:
        assert answer.status == 415


async def test_an_error_shows_nothing_of_what_was_sent(site: Site) -> None:
    _, thread = await a_thread(site)
    path = f"/conversations/{thread}/messages"
    _, problem = await site.call("POST", path, {"text": ["my secret"], "secret-field": 1})
    assert "my secret" not in str(problem)


async def test_an_idempotency_key_is_done_once(site: Site) -> None:
    _, thread = await a_thread(site)
    url = f"{site.url}/api/v1/conversations/{thread}/messages"
    headers = {"Authorization": f"Bearer {site.token}", "Idempotency-Key": "k1"}

    async def post(text: str) -> tuple[int, bytes]:
        async with site.http.post(url, headers=headers, json={"text": text}) as answer:
            return answer.status, await answer.read()

    answers = await asyncio.gather(*(post("hello") for _ in range(8)))
    done = [body for status, body in answers if status == 201]
    assert done
    assert len(set(done)) == 1
    assert {status for status, _ in answers} <= {201, 409}
    assert (await post("hello")) == (201, done[0])
    assert (await post("other"))[0] == 422
    assert await site.count(messages) == 2
    assert await site.hub.store.read(count_keys) == 1


async def test_a_refusal_leaves_the_key_free(site: Site) -> None:
    _, thread = await a_thread(site)
    url = f"/conversations/{thread}/messages"
    headers = {"Authorization": f"Bearer {site.token}", "Idempotency-Key": "k1"}
    refused, _ = await site.call("POST", url, {"text": "x", "channel": "blog"}, headers=headers)
    assert refused == 409
    assert await site.hub.store.read(count_keys) == 0
    assert (await site.call("POST", url, {"text": "x"}, headers=headers))[0] == 201


async def test_channels_say_what_they_carry(site: Site) -> None:
    _, found = await site.call("GET", "/channels")
    assert [(c["name"], c["kind"], c["account"]) for c in found["items"]] == [
        ("shop", "webchat", "shop"),
        ("blog", "webchat", "blog"),
    ]
    assert found["items"][0]["limits"]["text"] == 10_000
    assert await site.count(channel_rows) == 2


async def test_stored_media_is_served_to_who_may_see_it_and_runs_nothing(site: Site) -> None:
    _, thread = await a_thread(site)
    folder = site.hub.settings.hub.media
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "p.png").write_bytes(b"\x89PNG picture")
    (folder / "p.svg").write_bytes(b"<svg onload='alert(1)'/>")
    (folder.parent / "secret").write_bytes(b"secret")
    files = {"image/png": "p.png", "image/svg+xml": "p.svg", "text/plain": "../secret"}
    ids = await site.hub.store.write(_attach, site.hub.channels.by_name["shop"].id, files)
    _, page = await site.call("GET", f"/conversations/{thread}/messages")
    links = [item["url"] for item in page["items"][0]["media"]]
    async with site.http.get(site.url + links[0]) as answer:
        assert await answer.read() == b"\x89PNG picture"
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.headers["Content-Disposition"].startswith("inline")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    async with site.http.get(site.url + links[1]) as answer:
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''exe.svg"
    bearer = {"Authorization": f"Bearer {site.token}"}
    bare = site.url + "/media/" + id_text(ids[0])
    expected = {
        links[2]: 404,
        links[0][:-2] + "AA": 403,
        links[1].replace(id_text(ids[1]), id_text(ids[0])): 403,
    }
    for path, status in expected.items():
        async with site.http.get(site.url + path) as answer:
            assert answer.status == status, path
    async with site.http.get(bare) as answer:
        assert answer.status == 403
    async with site.http.get(bare, headers=bearer) as answer:
        assert answer.status == 200
    site.hub.clock.move(26 * 3600)
    async with site.http.get(site.url + links[0]) as answer:
        assert answer.status == 403


def _attach(conn: sa.Connection, channel_id: bytes, files: dict[str, str]) -> list[bytes]:
    message_id = conn.execute(sa.select(messages.c.id)).scalar_one()
    items, ids = [], []
    for number, (mime, path) in enumerate(files.items()):
        # A direction-changing character would show "exe.svg" as another kind of file.
        name = "../\u202eexe." + path[-3:]
        item = {"kind": "file", "mime": mime, "path": path, "name": name, "state": "stored"}
        items.append(item)
        ids.append(new_id())
        conn.execute(
            media.insert().values(
                id=ids[-1],
                message_id=message_id,
                item=number,
                channel_id=channel_id,
                media=item,
                state="stored",
                created_at=1,
            )
        )
    conn.execute(messages.update().values(content={"media": items}))
    return ids


async def test_headers_on_every_answer(site: Site) -> None:
    for path in ("/healthz", "/api/v1/openapi.json", "/api/v1/conversations", "/nowhere"):
        async with site.http.get(site.url + path) as answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff", path
            assert answer.headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


async def test_the_document_and_the_page_that_reads_it(site: Site) -> None:
    async with site.http.get(site.url + "/api/v1/openapi.json") as answer:
        document = await answer.json()
    assert document["openapi"] == "3.1.0"
    reply = document["paths"]["/api/v1/conversations/{conversation_id}/messages"]["post"]
    assert set(reply["responses"]) >= {"201", "400", "401", "403", "404", "409", "415", "422"}
    assert "Idempotency-Key" in {p["name"] for p in reply["parameters"]}
    shapes = document["components"]["schemas"]
    assert set(shapes["MessageJson"]["required"]) == set(shapes["MessageJson"]["properties"])
    headers = {"Cookie": f"onethread_session={site.token}"}
    async with site.http.get(site.url + "/api/docs", headers=headers) as answer:
        html = await answer.text()
        policy = answer.headers["Content-Security-Policy"]
    assert "/api/v1/conversations/{conversation_id}/release" in html
    assert "<script" not in html
    assert "http" not in policy


@only_sqlite
async def test_what_was_done_is_not_done_again_though_its_answer_was_not_kept(site: Site) -> None:
    _, thread = await a_thread(site)

    def execute(conn: sa.Connection, statement: str) -> None:
        conn.exec_driver_sql(statement)

    async def post() -> int:
        headers = {"Authorization": f"Bearer {site.token}", "Idempotency-Key": "k1"}
        url = f"/conversations/{thread}/messages"
        return (await site.call("POST", url, {"text": "once"}, headers=headers))[0]

    fail = "BEGIN SELECT RAISE(ABORT, 'no'); END"
    await site.hub.store.write(execute, f"CREATE TRIGGER t BEFORE UPDATE ON idempotency {fail}")
    assert await post() == 500
    await site.hub.store.write(execute, "DROP TRIGGER t")
    assert await post() == 409
    assert await site.count(messages) == 2


async def test_a_nul_is_left_out_of_bodies_and_refused_in_queries(site: Site) -> None:
    _, thread = await a_thread(site)
    at = f"/conversations/{thread}"
    said = {"text": "a\0b \\u0000", "client_id": "c\0", "note": True}
    status, told = await site.call("POST", f"{at}/messages", said)
    assert status == 201, told
    [shown] = told["items"]
    assert (shown["text"], shown["client_id"]) == ("ab \\u0000", "c")
    status, _ = await site.call("POST", f"{at}/release", {"resume": False, "note": "x\0y"})
    assert status == 200
    for path in ("/conversations?q=%00", "/customers?address=1%00", "/dead?channel=%00"):
        status, told = await site.call("GET", path)
        assert (status, told["code"]) == (422, "invalid"), path
