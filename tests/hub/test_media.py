"""Attachments fetched from real servers, sound and broken, and the folder that keeps them."""

import asyncio
import gzip
import hashlib
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from hub.errors import Busy, MediaRefused, NotReached, SendFailed, Unreachable
from hub.media import Fetched, MediaFetcher, MediaFolder
from tests.hub.hosts import PNG, picture, serve, serve_bytes

LIMIT = 100_000


@pytest.fixture
def folder(tmp_path: Path) -> MediaFolder:
    return MediaFolder(tmp_path / "media")


@pytest.fixture
async def fetcher(folder: MediaFolder) -> AsyncIterator[MediaFetcher]:
    async with MediaFetcher(folder, max_bytes=LIMIT, allow_private=True, timeout=5) as one:
        yield one


def files(folder: MediaFolder) -> list[str]:
    """Every file in the folder, drafts too."""
    found = (path for path in folder.root.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(folder.root)) for path in found)


# What is fetched is kept


async def test_an_attachment_is_stored_under_its_hash(
    fetcher: MediaFetcher, folder: MediaFolder
) -> None:
    digest = hashlib.sha256(PNG).hexdigest()
    async with serve(picture) as server:
        fetched = await fetcher.fetch(server.url("/a%2fb?s=%7E%2B1"), {"Authorization": "Bearer t"})
        again = await fetcher.fetch(server.url())

    assert fetched == again == Fetched(f"{digest[:2]}/{digest}", len(PNG), digest, "image/png")
    assert files(folder) == [fetched.path]
    with folder.open(fetched.path) as file:
        assert file.read() == PNG
    path, headers = server.seen[0]
    assert path == "/a%2fb?s=%7E%2B1"
    assert headers["Authorization"] == "Bearer t"
    assert headers["User-Agent"] == "Onethread"


async def test_the_messages_hint_refines_and_the_answers_type_stands_in(
    fetcher: MediaFetcher,
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"a,b\n", content_type="text/csv")

    async with serve(answer) as server:
        assert (await fetcher.fetch(server.url())).mime == "text/csv"
        assert (await fetcher.fetch(server.url(), hint="text/x-list")).mime == "text/x-list"


@pytest.mark.parametrize(
    "path",
    ["../secret", "/etc/passwd", "ab/../../x", "tmp/a.part", "", f"ab/{'0' * 64}/../../../x"],
)
def test_no_other_path_is_opened_or_removed(folder: MediaFolder, path: str) -> None:
    with pytest.raises(ValueError, match="not a path"):
        folder.open(path)
    with pytest.raises(ValueError, match="not a path"):
        folder.remove(path)


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_an_upload_is_saved_and_removed(folder: MediaFolder) -> None:
    saved = await folder.save(pieces(b"one ", b"two"), max_bytes=7, hint="text/plain")

    assert (saved.size, saved.mime) == (7, "text/plain")
    folder.remove(saved.path)
    folder.remove(saved.path)
    assert files(folder) == []


async def test_a_failing_upload_leaves_nothing(folder: MediaFolder) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await folder.save(broken(), max_bytes=100)
    with pytest.raises(MediaRefused, match="larger than 7 bytes"):
        await folder.save(pieces(b"one ", b"two", b"!"), max_bytes=7)
    assert files(folder) == []


async def test_many_saves_of_the_same_bytes_make_one_file(folder: MediaFolder) -> None:
    saved = await asyncio.gather(
        *(folder.save(pieces(PNG, PNG), max_bytes=LIMIT) for _ in range(20))
    )

    assert files(folder) == [saved[0].path]
    assert len(set(saved)) == 1


def test_drafts_of_a_crash_are_swept(folder: MediaFolder) -> None:
    drafts = folder.root / "tmp"
    drafts.mkdir(parents=True)
    for name in ("old.part", "new.part"):
        (drafts / name).write_bytes(b"half")
    os.utime(drafts / "old.part", (1, 1))

    assert folder.sweep() == 1
    assert files(folder) == ["tmp/new.part"]


# Caps


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_001,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + (b"8000\r\n" + b"x" * 0x8000 + b"\r\n") * 4,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4893\r\n\r\n"
        + gzip.compress(b"\0" * 5_000_000, mtime=0),
    ],
    ids=["told", "untold", "chunked", "a little that unpacks to much"],
)
async def test_too_much_is_refused(fetcher: MediaFetcher, folder: MediaFolder, head: bytes) -> None:
    async with serve_bytes(head) as url:
        with pytest.raises(MediaRefused, match="larger than 100000 bytes"):
            await fetcher.fetch(url)

    assert files(folder) == []


async def test_exactly_the_cap_is_taken(fetcher: MediaFetcher) -> None:
    async with serve_bytes(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * LIMIT) as url:
        assert (await fetcher.fetch(url)).size == LIMIT


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
        b"",
        b"not http at all\r\n\r\n",
    ],
    ids=["short", "long", "chunks cut", "chunks garbled", "no answer", "no http"],
)
async def test_a_broken_answer_is_tried_again(
    fetcher: MediaFetcher, folder: MediaFolder, answer: bytes
) -> None:
    async with serve_bytes(answer) as url:
        with pytest.raises(Unreachable):
            await fetcher.fetch(url)

    assert files(folder) == []


async def test_a_slow_body_ends_at_the_time_cap(folder: MediaFolder) -> None:
    trickle = [b"HTTP/1.1 200 OK\r\n\r\n", *([b"x"] * 100)]
    async with (
        MediaFetcher(folder, max_bytes=LIMIT, allow_private=True, timeout=0.3) as hasty,
        serve_bytes(*trickle, pause=0.05) as url,
    ):
        with pytest.raises(Unreachable, match="too long"):
            await hasty.fetch(url)

    assert files(folder) == []


async def test_a_cancelled_fetch_leaves_nothing(fetcher: MediaFetcher, folder: MediaFolder) -> None:
    async with serve_bytes(b"HTTP/1.1 200 OK\r\n\r\nhalf", b"", pause=5) as url:
        fetching = asyncio.create_task(fetcher.fetch(url))
        while not files(folder):  # noqa: ASYNC110  # the draft on disk is what is awaited
            await asyncio.sleep(0.01)
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching

        assert files(folder) == []


# Answers


@pytest.mark.parametrize(
    ("status", "headers", "error"),
    [
        (500, {}, Unreachable),
        (503, {}, Unreachable),
        (404, {}, Unreachable),
        (410, {}, Unreachable),
        (401, {}, Unreachable),
        (400, {}, MediaRefused),
        (204, {}, MediaRefused),
        (304, {}, MediaRefused),
        (429, {"Retry-After": "7"}, Busy),
        (429, {"Retry-After": "Fri, 20 Nov 2026 12:00:00 GMT"}, Busy),
    ],
)
async def test_statuses(
    fetcher: MediaFetcher, status: int, headers: dict[str, str], error: type[Exception]
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers=headers)

    async with serve(answer) as server:
        with pytest.raises(error) as failed:
            await fetcher.fetch(server.url())

    if isinstance(failed.value, SendFailed):
        assert failed.value.retried
        assert failed.value.code == str(status)
        wait = 7.0 if headers.get("Retry-After") == "7" else None
        assert failed.value.retry_in == wait


async def test_a_login_page_is_no_picture(fetcher: MediaFetcher) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(text="<!DOCTYPE html><title>Log in</title>", content_type="text/html")

    async with serve(answer) as server:
        with pytest.raises(Unreachable, match="web page"):
            await fetcher.fetch(server.url(), hint="image/jpeg")
        assert (await fetcher.fetch(server.url(), hint="text/html")).mime == "text/html"


async def test_nobody_there_is_tried_again(fetcher: MediaFetcher) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(NotReached):
            await fetcher.fetch(f"http://127.0.0.1:{free.getsockname()[1]}/")
