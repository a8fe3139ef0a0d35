"""Who a visitor is: the identity merge table of the web-chat sheet, as far as it goes today."""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from connectors.webchat import hmac_hex
from hub.clock import SECOND
from hub.store.schema import addresses, customers
from tests.web.site import SECRET, Site, bearer, end_of, running_site

Json = dict[str, Any]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        yield running


def jwt(user: str, site: Site, **claims: Any) -> str:
    now = site.hub.clock.now() // SECOND
    payload = {"sub": user, "aud": "shop", "iat": now, "exp": now + 300, **claims}
    parts = [
        base64.urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT"}, payload)
    ]
    mac = hmac.digest(SECRET.encode(), b".".join(parts), hashlib.sha256)
    return b".".join([*parts, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()


async def identified(site: Site, session: Json, **claims: Any) -> tuple[int, Json]:
    return await site.call("POST", "/chat/v1/identify", claims, headers=bearer(session))


async def history(site: Site, session: Json) -> list[str]:
    _, page = await site.call("GET", "/chat/v1/events", headers=bearer(session))
    return [f["text"] for f in page["items"] if f["type"] == "message"]


async def customer_of(site: Site, external_id: str) -> Json:
    _, found = await site.call("GET", f"/customers?address={external_id}")
    (customer,) = found["items"]
    return dict(customer)


async def test_an_anonymous_chat_goes_along_when_she_is_proven(site: Site) -> None:
    anonymous = await site.visit()
    await site.said(anonymous, "who am I")
    status, session = await identified(site, anonymous, jwt=jwt("42", site, name="Tania"))
    assert (status, session["verified"], session["visitor_id"]) == (200, True, "user:shop:42")
    assert await history(site, session) == ["who am I"]
    await site.said(session, "it is me")
    assert await history(site, session) == ["who am I", "it is me"]
    assert await site.count(customers) == 1
    customer = await customer_of(site, "user:shop:42")
    assert {a["external_id"] for a in customer["addresses"]} == {
        "user:shop:42",
        anonymous["visitor_id"],
    }
    assert {"kind": "external", "value": "shop:42", "verified": True} in customer["aliases"]
    # The anonymous session is over, its secrets with it.
    assert (await site.call("GET", "/chat/v1/events", headers=bearer(anonymous)))[0] == 401
    fresh = await site.visit(visitor_token=anonymous["refresh"])
    assert await history(site, fresh) == []


async def test_a_known_user_finds_her_thread_on_another_browser(site: Site) -> None:
    first = (await identified(site, await site.visit(), jwt=jwt("42", site)))[1]
    await site.said(first, "from the phone")
    other = await site.visit()
    by_hash = {"user_id": "42", "user_hash": hmac_hex(SECRET, "42")}
    _, second = await identified(site, other, **by_hash)
    assert await history(site, second) == ["from the phone"]
    await site.said(second, "from the laptop")
    assert await history(site, first) == ["from the phone", "from the laptop"]
    assert await site.count(customers) == 1


@pytest.mark.parametrize("identity", ["optional", "enforced"])
async def test_a_claim_shows_nothing_and_tells_nothing(tmp_path: Path, identity: str) -> None:
    async with running_site(tmp_path, identity=identity) as site:
        real = (await identified(site, await site.visit(), jwt=jwt("42", site)))[1]
        await site.said(real, "secret of 42")
        answers = []
        for user in ("42", "43"):
            visitor = await site.visit()
            answer = await identified(
                site, visitor, user_id=user, user_hash="0" * 64, email="x@y.z"
            )
            answers.append(answer)
            assert await history(site, visitor) == []
            await site.said(visitor, "hello")
            assert await history(site, visitor) == ["hello"]
            customer = await customer_of(site, visitor["visitor_id"])
            assert all(not alias["verified"] for alias in customer["aliases"])
        assert answers[0] == answers[1]
        assert answers[0][0] == (401 if identity == "enforced" else 200)
        assert await site.count(customers) == 3


async def test_a_second_user_on_the_same_browser_gets_a_clean_visitor(site: Site) -> None:
    first = (await identified(site, await site.visit(), jwt=jwt("42", site)))[1]
    await site.said(first, "mine")
    status, second = await identified(site, first, jwt=jwt("43", site))
    assert (status, second["visitor_id"]) == (200, "user:shop:43")
    assert await history(site, second) == []
    await site.said(second, "other")
    assert await history(site, second) == ["other"]
    assert await site.count(customers) == 2
    # What is not proven cannot take a proven session over, nor leave it.
    status, problem = await identified(site, second, user_id="42")
    assert (status, problem["code"]) == (401, "identity_unverified")


async def test_logging_out_ends_the_session_and_its_sockets(site: Site) -> None:
    session = (await identified(site, await site.visit(), jwt=jwt("42", site)))[1]
    async with site.chatting(session) as chat:
        await chat.next("welcome")
        status, _ = await site.call("POST", "/chat/v1/logout", headers=bearer(session))
        assert status == 204
        assert await end_of(chat.ws) == 4001
    assert (await site.call("GET", "/chat/v1/events", headers=bearer(session)))[0] == 401
    fresh = await site.visit(visitor_token=session["refresh"])
    assert fresh["visitor_id"].startswith("v_")


async def test_identify_over_the_socket_once_however_often_it_is_said(site: Site) -> None:
    anonymous = await site.visit()
    await site.said(anonymous, "hi")
    token = jwt("42", site, phone="+8801711000001", name="Ayesha")
    async with site.chatting(anonymous) as chat:
        await chat.next("welcome")
        await chat.say(type="identify", jwt=token)
        session = await chat.next("session")
        assert session["visitor_id"] == "user:shop:42"
        await chat.next("welcome")
        assert (await chat.next("message"))["text"] == "hi"
        await chat.say(type="identify", jwt=token)
        await chat.say(type="message", client_id="c9", text="hello again")
        await chat.next("ack")
        assert [f["type"] for f in chat.frames].count("session") == 1
        assert [f["type"] for f in chat.frames].count("welcome") == 2
    customer = await customer_of(site, "user:shop:42")
    assert {"kind": "phone", "value": "+8801711000001", "verified": True} in customer["aliases"]
    assert customer["conversation_id"] == await site.thread_of(anonymous)


async def test_failed_proofs_are_counted(tmp_path: Path) -> None:
    async with running_site(tmp_path, identity="enforced") as site:
        session = await site.visit()
        statuses = [(await identified(site, session, user_id="1"))[0] for _ in range(7)]
        assert statuses == [401] * 5 + [429] * 2


async def test_a_blocked_visitor_is_told_so(site: Site) -> None:
    session = await site.visit()
    await site.said(session, "hi")
    blocked = addresses.update().values(blocked_at=1)
    await site.hub.store.write(lambda conn: conn.execute(blocked).close())
    body = {"client_id": "c2", "text": "again"}
    status, problem = await site.call("POST", "/chat/v1/messages", body, headers=bearer(session))
    assert (status, problem["code"]) == (403, "blocked")
    async with site.chatting(session) as chat:
        await chat.next("welcome")
        await chat.say(type="message", **body)
        assert (await chat.next("nack"))["code"] == "blocked"


async def test_what_the_page_says_of_itself_is_kept_without_its_secrets(site: Site) -> None:
    session = await site.visit(
        page="https://u:p@shop.example/bag?utm_source=ad&utm_campaign=eid&token=s3cr3t#x",
        referrer="https://search.example/?q=private",
        locale="bn-BD",
        tz="Asia/Dhaka",
    )
    await site.said(session, "hi")
    await site.said(session, "more")
    customer = await customer_of(site, session["visitor_id"])
    assert customer["timezone"] == "Asia/Dhaka"
    assert customer["traits"] == {
        "locale": "bn-BD",
        "page": "https://shop.example/bag",
        "referrer": "https://search.example/",
    }
    path = f"/conversations/{customer['conversation_id']}/messages"
    _, page = await site.call("GET", path)
    later, first = page["items"]
    assert first["referral"]["utm"] == {"source": "ad", "campaign": "eid"}
    assert first["referral"]["url"] == "https://shop.example/bag"
    assert later["referral"] is None
    assert "s3cr3t" not in str(page) + str(customer)
