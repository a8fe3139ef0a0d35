"""Attachments: fetching what a provider points to, and keeping the files.

URLs and bytes come from strangers. The perimeter keeps requests off our own network, a cap holds
what is read and how long, and a file is either whole on the disk under its hash or not there.
"""

import asyncio
import contextlib
import hashlib
import os
import re
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from hub.errors import Busy, MediaRefused, NotReached, Unreachable
from hub.mime import HEAD, is_page, sniff
from hub.perimeter import Network, Perimeter

CHUNK = 1 << 16
REDIRECTS = 5
MEASURED_IN = 3.0  # seconds in which a server has to tell how large a file is
STALE_DRAFT = 24 * 3600
OWN_PATH = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}")
READABLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A stored file: `path` relative to the media folder, `size` in bytes, `sha256` in hex."""

    path: str
    size: int
    sha256: str
    mime: str


class MediaFolder:
    """Files by their content: the same bytes are stored once, and a stored file never changes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def locate(self, path: str) -> Path:
        """Where a stored file lies. Raises ValueError for a path that is not one of ours."""
        if not OWN_PATH.fullmatch(path):
            raise ValueError("not a path of the media folder")
        return self.root / path

    def open(self, path: str) -> BinaryIO:
        """A stored file to read. Raises FileNotFoundError, or ValueError as `locate`."""
        return self.locate(path).open("rb")

    def remove(self, path: str) -> None:
        """Erase a stored file; one already gone is fine. Raises ValueError as `locate`."""
        self.locate(path).unlink(missing_ok=True)

    def sweep(self, older_than: float = STALE_DRAFT) -> int:
        """Remove what writes cut short by a crash left behind, begun over `older_than` seconds
        ago; says how many."""
        swept = 0
        for draft in (self.root / "tmp").glob("*.part"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - draft.stat().st_mtime >= older_than:
                    draft.unlink()
                    swept += 1
        return swept

    async def save(
        self, chunks: AsyncIterator[bytes], *, max_bytes: int, hint: str = ""
    ) -> Fetched:
        """Store a file as it comes, durably before this returns.

        `hint` is the sender's word on its type. Raises MediaRefused past `max_bytes`, OSError
        when the disk cannot take it, and what `chunks` raises; then nothing is left behind.
        """
        draft = Draft(self.root)
        try:
            async for chunk in chunks:
                if draft.size + len(chunk) > max_bytes:
                    raise too_large(max_bytes)
                # Into the page cache, a few microseconds; only the fsync is worth a thread.
                draft.write(chunk)
        except BaseException:
            draft.discard()
            raise
        # From here the thread alone owns the draft, and ends it even when we are cancelled.
        path = await asyncio.shield(asyncio.to_thread(draft.keep))
        return Fetched(path, draft.size, draft.hash.hexdigest(), sniff(bytes(draft.head), hint))


class Draft:
    """A file being written, unseen until it is kept."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.size = 0
        self.hash = hashlib.sha256()
        self.head = bytearray()
        (root / "tmp").mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=root / "tmp", suffix=".part")
        self.file = os.fdopen(number, "wb", buffering=0)
        self.name = Path(name)

    def write(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest:
            rest = rest[self.file.write(rest) :]
        self.size += len(chunk)
        self.hash.update(chunk)
        self.head += chunk[: HEAD - len(self.head)]

    def keep(self) -> str:
        """Make it durable and give it its place; the relative path."""
        name = self.hash.hexdigest()
        path = f"{name[:2]}/{name}"
        target = self.root / path
        try:
            os.fsync(self.file.fileno())
            target.parent.mkdir(exist_ok=True)
            self.name.replace(target)
            for folder in (target.parent, self.root):
                sync_folder(folder)
        finally:
            self.discard()
        return path

    def discard(self) -> None:
        self.file.close()
        self.name.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a folder's entries survive a power cut."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def too_large(max_bytes: int) -> MediaRefused:
    return MediaRefused(f"the attachment is larger than {max_bytes} bytes")


class MediaFetcher:
    """Fetches attachments into a folder. Made inside a running loop; closed when done with.

    `max_bytes` caps each file, `timeout` (seconds) each fetch with all its redirects.
    `allow_private` lets it reach loopback and private networks, `allowed` the networks named.
    """

    def __init__(
        self,
        folder: MediaFolder,
        *,
        max_bytes: int,
        allow_private: bool = False,
        allowed: Sequence[Network] = (),
        timeout: float = 60.0,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self.timeout = timeout
        perimeter = Perimeter(allow_private=allow_private, allowed=allowed)
        self.session = aiohttp.ClientSession(
            connector=perimeter.connector(resolver),
            cookie_jar=aiohttp.DummyCookieJar(),
            # Meta's media hosts answer a client that names itself, and no other.
            headers={"User-Agent": "Onethread", "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10.0),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self.session.close()

    async def fetch(
        self, url: str, headers: Mapping[str, str] | None = None, *, hint: str = ""
    ) -> Fetched:
        """GET an attachment and store it.

        `headers` go to the URL's own origin alone. `hint` is the provider's MIME type, from the
        message. Raises MediaRefused when trying again cannot help; else NotReached, Unreachable
        or Busy, also for 401, 403, 404 and 410: links expire, so the next try should ask
        `media_request` for a fresh one. Raises OSError when the disk cannot take the file.
        """
        try:
            async with asyncio.timeout(self.timeout):
                return await self.follow(read_url(url), dict(headers or {}), hint)
        except TimeoutError:
            raise Unreachable("fetching the attachment took too long") from None

    async def measure(self, url: str) -> tuple[int | None, str]:
        """Size in bytes and MIME type of what lies under a URL, as its server tells when asked
        once, without redirects; (None, "") when it does not."""
        try:
            async with (
                asyncio.timeout(MEASURED_IN),
                self.session.head(read_url(url), allow_redirects=False) as response,
            ):
                told = response.headers.get("Content-Length", "")
                if response.status != 200 or not re.fullmatch(r"\d{1,15}", told):
                    return None, ""
                return int(told), response.content_type
        except (MediaRefused, aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return None, ""

    async def follow(self, url: URL, headers: dict[str, str], hint: str) -> Fetched:
        for _ in range(REDIRECTS + 1):
            async with self.request(url, headers) as response:
                if response.status in (301, 302, 303, 307, 308):
                    target = read_url(response.headers.get("Location", ""), url)
                    if origin(target) != origin(url):
                        headers = {}
                    url = target
                    continue
                check_answer(response)
                return await self.store(response, hint)
        raise MediaRefused(f"the attachment's address redirects more than {REDIRECTS} times")

    @contextlib.asynccontextmanager
    async def request(
        self, url: URL, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            response = await self.session.get(url, headers=headers, allow_redirects=False)
        except (aiohttp.InvalidURL, ValueError):
            raise MediaRefused("the attachment's address cannot be read") from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotReached(type(error).__name__) from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(type(error).__name__) from None
        async with response:
            yield response

    async def store(self, response: aiohttp.ClientResponse, hint: str) -> Fetched:
        told = response.content_length
        if told is not None and told > self.max_bytes:
            raise too_large(self.max_bytes)
        wanted = hint.partition("/")[0] in ("image", "audio", "video")
        async with contextlib.aclosing(body_of(response, no_page=wanted)) as body:
            return await self.folder.save(
                body, max_bytes=self.max_bytes, hint=hint or response.content_type
            )


async def body_of(
    response: aiohttp.ClientResponse, *, no_page: bool
) -> AsyncGenerator[bytes, None]:
    """The body in pieces. Raises Unreachable when it breaks off, or is a web page though
    `no_page`: an expired link's log-in page, answered with 200."""
    try:
        async for chunk in response.content.iter_chunked(CHUNK):
            if no_page and is_page(chunk):
                raise Unreachable("a web page came in place of the attachment")
            no_page = False
            yield chunk
    except (aiohttp.ClientError, OSError) as error:
        raise Unreachable(type(error).__name__) from None


def read_url(text: str, base: URL | None = None) -> URL:
    """An address to fetch, its own escapes kept as they are (signatures are over them).

    With `base` it may be relative to that. Raises MediaRefused for anything but http and https,
    and for one with a password in it.
    """
    try:
        url = URL(text, encoded=bool(READABLE.fullmatch(text)))
        whole = url if base is None else base.join(url)
        usable = whole.scheme in ("http", "https") and whole.host and whole.port
    except ValueError:
        usable = False
    if not usable:
        raise MediaRefused("the attachment's address is neither http nor https")
    if whole.user is not None or whole.password is not None:
        raise MediaRefused("the attachment's address has a user name in it")
    return whole


def origin(url: URL) -> tuple[str, str, int | None]:
    return url.scheme, (url.host or "").lower(), url.port


def check_answer(response: aiohttp.ClientResponse) -> None:
    """Raises unless the answer is the file, as `MediaFetcher.fetch` says."""
    status = response.status
    if status == 200:
        return
    reason = f"fetching the attachment was answered {status}"
    if status == 429:
        wait = response.headers.get("Retry-After", "")
        seconds = float(wait) if re.fullmatch(r"\d{1,6}", wait) else None
        raise Busy(reason, code="429", retry_in=seconds)
    if status >= 500 or status in (401, 403, 404, 408, 410, 425):
        raise Unreachable(reason, code=str(status))
    raise MediaRefused(reason)
