"""Where attachments are fetched from, and where never: private targets, redirects, credentials."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest
from aiohttp import web
from yarl import URL

from hub.errors import MediaRefused, NotReached, SendFailed
from hub.media import MediaFetcher, MediaFolder, origin
from tests.hub.hosts import PNG, Names, Server, picture, serve

LIMIT = 100_000


@pytest.fixture
def folder(tmp_path: Path) -> MediaFolder:
    return MediaFolder(tmp_path / "media")


@pytest.fixture
async def fetcher(folder: MediaFolder) -> AsyncIterator[MediaFetcher]:
    async with MediaFetcher(folder, max_bytes=LIMIT, allow_private=True, timeout=5) as one:
        yield one


@pytest.fixture
async def guarded(folder: MediaFolder) -> AsyncIterator[MediaFetcher]:
    """As deployed: nothing private. 127.0.0.2 alone plays the public Internet."""
    names = Names(
        {
            "public.example": [["127.0.0.2"]],
            "inner.example": [["127.0.0.1"]],
            "mixed.example": [["127.0.0.2", "10.0.0.1"]],
            "rebound.example": [["127.0.0.2"], ["127.0.0.1"]],
        }
    )
    allowed = [ip_network("127.0.0.2/32")]
    async with MediaFetcher(
        folder, max_bytes=LIMIT, allowed=allowed, timeout=5, resolver=names
    ) as one:
        yield one


# Targets


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://public.example/x",
        "gopher://public.example/",
        "data:text/plain,hello",
        "//public.example/x",
        "public.example/x",
        "http://",
        "http:///x",
        "http://public.example:99999/",
        "http://user:pass@public.example/",
        "",
    ],
)
async def test_only_plain_web_addresses(guarded: MediaFetcher, url: str) -> None:
    with pytest.raises(MediaRefused):
        await guarded.fetch(url)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::]",
        "169.254.169.254",
        "10.0.0.1",
        "100.64.0.1",
        "127.1",
        "2130706433",
        "127.0.0.1.",
        "①②⑦.⓪.⓪.①",
        "inner.example",
        "mixed.example",
    ],
)
async def test_private_targets_are_never_connected_to(guarded: MediaFetcher, host: str) -> None:
    async with serve(picture) as server:
        with pytest.raises((MediaRefused, NotReached)) as failed:
            await guarded.fetch(server.url(host=host))

    assert server.seen == []
    assert isinstance(failed.value, MediaRefused) or host == "127.0.0.1."


async def test_a_numeric_name_is_refused_after_the_real_resolver(folder: MediaFolder) -> None:
    async with serve(picture) as server, MediaFetcher(folder, max_bytes=LIMIT) as real:
        for host in ("localhost", "0x7f000001", "0177.0.0.1"):
            with pytest.raises(MediaRefused):
                await real.fetch(server.url(host=host))

    assert server.seen == []


async def test_a_name_that_turns_private_between_calls(guarded: MediaFetcher) -> None:
    async with (
        serve(picture, host="127.0.0.2") as public,
        serve(picture, host="127.0.0.1", port=public.port) as private,
    ):
        url = public.url(host="rebound.example")
        assert (await guarded.fetch(url)).size == len(PNG)
        with pytest.raises(MediaRefused, match="not on the public Internet"):
            await guarded.fetch(url)

    assert len(public.seen) == 1
    assert private.seen == []


async def test_a_name_that_turns_private_between_redirects(guarded: MediaFetcher) -> None:
    async def again(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/again")

    async with (
        serve(again, host="127.0.0.2") as public,
        serve(picture, host="127.0.0.1", port=public.port) as private,
    ):
        with pytest.raises(MediaRefused, match="not on the public Internet"):
            await guarded.fetch(public.url(host="rebound.example"))

    assert len(public.seen) == 1
    assert private.seen == []


async def test_an_unknown_name_is_tried_again(guarded: MediaFetcher) -> None:
    with pytest.raises(NotReached):
        await guarded.fetch("http://unknown.example/")


# Redirects


@asynccontextmanager
async def redirecting(target: Callable[[], str], status: int = 302) -> AsyncIterator[Server]:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": target()})

    async with serve(answer, host="127.0.0.2") as server:
        yield server


@pytest.mark.parametrize("host", ["127.0.0.1", "inner.example", "[::ffff:127.0.0.1]"])
async def test_a_redirect_to_a_private_address_is_refused(guarded: MediaFetcher, host: str) -> None:
    async with serve(picture) as private, redirecting(lambda: private.url(host=host)) as public:
        with pytest.raises(MediaRefused, match="not on the public Internet"):
            await guarded.fetch(public.url(host="public.example"))

    assert len(public.seen) == 1
    assert private.seen == []


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://u:p@public.example/", "http://["])
async def test_a_redirect_to_what_is_no_web_address_is_refused(
    guarded: MediaFetcher, target: str
) -> None:
    async with redirecting(lambda: target) as public:
        with pytest.raises(MediaRefused):
            await guarded.fetch(public.url(host="public.example"))


async def test_credentials_stay_with_their_origin(fetcher: MediaFetcher) -> None:
    async def back(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(first.url("/file"))

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/start":
            raise web.HTTPFound("/here")
        if request.path == "/here":
            raise web.HTTPFound(other.url("/back"))
        return await picture(request)

    async with serve(answer) as first, serve(back) as other:
        await fetcher.fetch(first.url("/start"), {"Authorization": "Bearer t", "X-Key": "k"})

    carried = [(path, "Authorization" in sent, "X-Key" in sent) for path, sent in first.seen]
    assert carried == [("/start", True, True), ("/here", True, True), ("/file", False, False)]
    assert [(path, {"Authorization", "X-Key"} & set(sent)) for path, sent in other.seen] == [
        ("/back", set())
    ]


async def test_credentials_are_dropped_for_another_name_of_the_same_machine(
    guarded: MediaFetcher,
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/start":
            raise web.HTTPFound(server.url("/file", host="127.0.0.2"))
        return await picture(request)

    async with serve(answer, host="127.0.0.2") as server:
        await guarded.fetch(
            server.url("/start", host="public.example"), {"Authorization": "Bearer t"}
        )

    assert ["Authorization" in sent for _, sent in server.seen] == [True, False]


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://a.example:443/y?z", True),
        ("https://A.EXAMPLE/", True),
        ("http://a.example:443/", False),
        ("https://a.example:8443/", False),
        ("https://a.example.evil.example/", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, same: bool) -> None:
    assert (origin(URL(url)) == origin(URL("https://a.example/x"))) is same


async def test_a_cookie_is_not_kept(fetcher: MediaFetcher) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=PNG, headers={"Set-Cookie": "id=1; Path=/"})

    async with serve(answer) as server:
        await fetcher.fetch(server.url())
        await fetcher.fetch(server.url())

    assert not any("Cookie" in sent for _, sent in server.seen)


@pytest.mark.parametrize(("hops", "followed"), [(5, True), (6, False)])
async def test_five_redirects_are_followed(
    fetcher: MediaFetcher, hops: int, followed: bool
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        left = int(request.path[1:])
        if left:
            raise web.HTTPTemporaryRedirect(f"/{left - 1}")
        return await picture(request)

    async with serve(answer) as server:
        if followed:
            assert (await fetcher.fetch(server.url(f"/{hops}"))).size == len(PNG)
        else:
            with pytest.raises(MediaRefused, match="more than 5 times"):
                await fetcher.fetch(server.url(f"/{hops}"))

    assert len(server.seen) == 6


async def test_no_error_tells_the_address_or_the_headers(guarded: MediaFetcher) -> None:
    async with redirecting(lambda: "http://inner.example/SECRET") as public:
        urls = [
            "http://inner.example/?token=SECRET",
            "http://unknown.example/?token=SECRET",
            "http://u:SECRET@public.example/",
            public.url("/SECRET", host="public.example"),
        ]
        for url in urls:
            with pytest.raises((MediaRefused, SendFailed)) as failed:
                await guarded.fetch(url, {"Authorization": "SECRET"})
            assert "SECRET" not in repr(failed.value)
            assert "SECRET" not in str(failed.value)
