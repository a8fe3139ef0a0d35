"""Whose word for a visitor's address is believed: limits count by it."""

from pathlib import Path

from tests.web.site import Site, running_site

AT_ONCE = 30  # sessions


async def opened(site: Site, *forwarded: str) -> int:
    headers = [("X-Forwarded-For", one) for one in forwarded]
    async with site.http.post(
        f"{site.url}/chat/v1/session", json={"site": "shop"}, headers=headers
    ) as answer:
        return answer.status


async def test_visitors_behind_a_proxy_are_told_apart(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        for _ in range(AT_ONCE):
            assert await opened(site, "203.0.113.7") == 200
        assert await opened(site, "203.0.113.7") == 429
        assert await opened(site, "203.0.113.8") == 200
        assert await opened(site, "198.51.100.1, 203.0.113.7") == 429, "she chose the first"
        assert await opened(site, "198.51.100.1", "203.0.113.7") == 429, "in two lines"


async def test_a_chain_of_our_own_proxies_is_followed(tmp_path: Path) -> None:
    async with running_site(tmp_path, proxies=["127.0.0.1/32", "10.0.0.0/8"]) as site:
        for _ in range(AT_ONCE):
            assert await opened(site, "203.0.113.7, 10.0.0.2") == 200
        assert await opened(site, "203.0.113.7, 10.9.9.9") == 429
        assert await opened(site, "203.0.113.8, 10.0.0.2") == 200
        assert await opened(site, "203.0.113.7, unknown") == 200, "a word of its own"


async def test_a_stranger_cannot_choose_an_address(tmp_path: Path) -> None:
    async with running_site(tmp_path, proxies=[]) as site:
        for number in range(AT_ONCE):
            assert await opened(site, f"203.0.113.{number}") == 200
        assert await opened(site, "198.51.100.1") == 429
