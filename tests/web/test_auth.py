"""Who may call: tokens, the session cookie with its CSRF rules, login codes and pages."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hub.store.schema import tokens
from hub.store.tokens import hash_secret, list_tokens, revoke_tokens
from hub.web.auth import COOKIE, local_path
from hub.web.pages import WORDS
from tests.web.site import SHOP, Site, running_site

CSRF = {"X-Onethread-CSRF": "1"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        yield running


def cookie(secret: str) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={secret}"}


async def post_page(site: Site, path: str, form: dict[str, str], **headers: str) -> Any:
    return await site.http.post(site.url + path, data=form, headers=headers, allow_redirects=False)


async def test_a_token_is_kept_as_its_hash_alone(site: Site) -> None:
    id, secret = await site.add_token("agent", "phone app")
    assert secret.startswith("ot_")
    assert len(secret) == 3 + 43
    rows = await site.hub.store.read(
        lambda conn: conn.execute(tokens.select().where(tokens.c.id == id)).mappings().all()
    )
    assert rows[0]["hash"] == hash_secret(secret)
    assert secret not in repr(rows)
    listed = await site.hub.store.read(list_tokens)
    assert [(t.name, t.role) for t in listed] == [("Admin", "admin"), ("phone app", "agent")]


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ot_wrong", "Bearer wrong", "Basic {}", "{}", "Bearer {}x", "Bearer x{}"],
)
async def test_without_a_valid_token_nothing_is_told(site: Site, authorization: str) -> None:
    headers = {"Authorization": authorization.format(site.token)} if authorization else {}
    async with site.http.get(site.url + "/api/v1/conversations", headers=headers) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.content_type == "application/problem+json"
        assert (await answer.json())["code"] == "unauthorized"


async def test_a_revoked_token_stops_at_once(site: Site) -> None:
    _, secret = await site.add_token("agent", "old phone")
    bearer = {"Authorization": f"Bearer {secret}"}
    assert (await site.call("GET", "/session", headers=bearer))[0] == 200
    revoked = await site.hub.store.write(revoke_tokens, "old phone", site.hub.clock.now())
    assert revoked == 1
    assert (await site.call("GET", "/session", headers=bearer))[0] == 401
    assert await site.hub.store.write(revoke_tokens, "old phone", site.hub.clock.now()) == 0


async def test_a_browser_session_by_token(site: Site) -> None:
    _, secret = await site.add_token("supervisor", "Tania")
    path = site.url + "/api/v1/session"
    async with site.http.post(path, json={"token": secret}, headers={}) as answer:
        assert answer.status == 201
        assert (await answer.json())["role"] == "supervisor"
        set_cookie = answer.headers["Set-Cookie"]
    assert set_cookie.startswith(f"{COOKIE}={secret};")
    assert "HttpOnly" in set_cookie
    assert "SameSite=Lax" in set_cookie
    assert "Secure" not in set_cookie
    status, me = await site.call("GET", "/session", headers=cookie(secret))
    assert (status, me["name"]) == (200, "Tania")
    assert (await site.call("POST", "/session", {"token": "ot_x"}, headers={}))[0] == 401
    status, _ = await site.call("DELETE", "/session", headers={**cookie(secret), **CSRF})
    assert status == 204


async def test_the_cookie_is_secure_behind_https(tmp_path: Path) -> None:
    async with (
        running_site(tmp_path, public_url="https://hub.example") as site,
        site.http.post(
            site.url + "/api/v1/session",
            json={"token": site.token},
            headers={"Origin": "https://hub.example"},
        ) as answer,
    ):
        assert answer.status == 201
        assert "Secure" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        (CSRF, 200),
        ({**CSRF, "Origin": "OWN"}, 200),
        ({**CSRF, "Origin": "http://127.0.0.1:8080"}, 200),
        ({"Origin": "OWN"}, 403),
        ({**CSRF, "Origin": "https://evil.example"}, 403),
        ({**CSRF, "Origin": "null"}, 403),
        ({**CSRF, "Origin": SHOP}, 403),
        ({**CSRF, "Sec-Fetch-Site": "cross-site"}, 403),
        ({**CSRF, "Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
async def test_a_cookie_changes_things_only_from_our_own_pages(
    site: Site, headers: dict[str, str], status: int
) -> None:
    session = await site.visit()
    await site.said(session, "hi")
    path = f"/conversations/{await site.thread_of(session)}"
    given = {n: site.url if v == "OWN" else v for n, v in headers.items()}
    found, _ = await site.call(
        "PATCH", path, {"tags": ["vip"]}, headers={**cookie(site.token), **given}
    )
    assert found == status
    read, shown = await site.call("GET", path, headers=cookie(site.token))
    assert read == 200
    assert shown["tags"] == (["vip"] if status == 200 else [])


async def test_a_bearer_needs_no_csrf_header(site: Site) -> None:
    session = await site.visit()
    await site.said(session, "hi")
    path = f"/conversations/{await site.thread_of(session)}/read"
    assert (await site.call("POST", path))[0] == 204


async def test_a_login_code_works_once_and_leads_home(site: Site) -> None:
    code = site.hub.state.login_codes.issue(site.token)
    url = f"{site.url}/login?code={code}&next=/demo"
    async with site.http.get(url, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/demo")
        assert answer.headers["Set-Cookie"].startswith(f"{COOKIE}={site.token};")
    async with aiohttp.ClientSession() as stranger, stranger.get(url) as answer:
        assert answer.status == 401
        assert WORDS["en"]["used"] in await answer.text()
    async with site.http.get(f"{site.url}/login?code=guess", headers={}) as answer:
        assert "Set-Cookie" not in answer.headers


async def test_a_code_of_a_revoked_token_opens_nothing(site: Site) -> None:
    _, secret = await site.add_token("agent", "gone")
    code = site.hub.state.login_codes.issue(secret)
    await site.hub.store.write(revoke_tokens, "gone", site.hub.clock.now())
    async with site.http.get(f"{site.url}/login?code={code}", allow_redirects=False) as answer:
        assert answer.status == 401
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("path", "leads"),
    [
        ("/demo", "/demo"),
        ("/a?b=c#d", "/a?b=c#d"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/a\\b", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/\t/evil.example", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
        ("", "/"),
    ],
)
def test_a_login_leads_only_to_our_own_pages(path: str, leads: str) -> None:
    assert local_path(path) == leads


async def test_the_login_page_in_the_readers_language(site: Site) -> None:
    async with site.http.get(site.url + "/login?next=//evil.example") as answer:
        html = await answer.text()
        assert answer.status == 200
        assert WORDS["en"]["login"] in html
        assert "evil" not in html
        policy = answer.headers["Content-Security-Policy"]
    assert "script-src" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    bangla = {"Accept-Language": "bn-BD,bn;q=0.9,en;q=0.8"}
    async with site.http.get(site.url + "/login", headers=bangla) as answer:
        html = await answer.text()
        assert WORDS["bn"]["login"] in html
        assert '<html lang="bn">' in html


async def test_the_login_form(site: Site) -> None:
    good = await post_page(site, "/login", {"token": site.token, "next": "/api/docs"})
    assert (good.status, good.headers["Location"]) == (303, "/api/docs")
    assert site.token in good.headers["Set-Cookie"]
    bad = await post_page(site, "/login", {"token": "ot_wrong", "next": '"><script>'})
    assert bad.status == 401
    html = await bad.text()
    assert WORDS["en"]["wrong"] in html
    assert "ot_wrong" not in html
    assert "<script>" not in html
    foreign = await post_page(site, "/login", {"token": site.token}, Origin="https://evil.example")
    assert foreign.status == 403
    out = await post_page(site, "/logout", {})
    assert (out.status, out.headers["Location"]) == (303, "/login")
    assert f'{COOKIE}=""' in out.headers["Set-Cookie"]


async def test_pages_ask_for_a_login_first(site: Site) -> None:
    site.http.cookie_jar.clear()
    for path, to in {"/": "/login", "/api/docs": "/login?next=/api/docs"}.items():
        async with site.http.get(site.url + path, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, to)
        async with site.http.get(site.url + path, headers=cookie(site.token)) as answer:
            assert answer.status == 200
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
    async with site.http.get(site.url + "/", headers=cookie(site.token)) as answer:
        assert WORDS["en"]["running"] in await answer.text()


async def test_health(site: Site) -> None:
    assert (await site.call("GET", "/api/v1/../../healthz"))[0] == 200
    async with site.http.get(site.url + "/readyz") as answer:
        assert (answer.status, await answer.json()) == (200, {"status": "ready"})
    site.hub.state.beat = lambda: 31.0
    async with site.http.get(site.url + "/readyz") as answer:
        assert (answer.status, list((await answer.json())["problems"])) == (503, ["worker"])
