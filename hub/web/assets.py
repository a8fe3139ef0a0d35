"""The built files of the web pages, served from memory, and the HTML shells that load them.

Their URL carries a hash of the whole tree, so browsers keep them for good and a new release
is fetched whole: a page never mixes the chunks of two releases."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache, cached_property
from gzip import compress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from aiohttp import hdrs, web

_HERE: Final = Path(__file__).parent
_COMPRESSIBLE: Final = frozenset({".js", ".css", ".svg", ".txt", ".webmanifest"})
_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}

CSP: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    # The boot JSON is the reader's own.
    hdrs.CACHE_CONTROL: "no-store",
}
_ASSET_HEADERS: Final = {
    hdrs.CACHE_CONTROL: "public, max-age=31536000, immutable",
    hdrs.VARY: hdrs.ACCEPT_ENCODING,
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class _Asset:
    body: bytes
    type: str
    compressible: bool

    @cached_property
    def hash(self) -> str:
        return hashlib.sha256(self.body).hexdigest()[:16]

    @cached_property
    def gzip(self) -> bytes:
        return compress(self.body, 9, mtime=0)

    @cached_property
    def brotli(self) -> bytes:
        # Optional, and imported only once a browser asks.
        packed: bytes = import_module("brotli").compress(self.body, quality=9)
        return packed

    def encoded(self, accepted: str) -> tuple[str, bytes]:
        """The content coding to answer with ("" for none) and the bytes in it."""
        if not self.compressible:
            return "", self.body
        codings = _codings(accepted)
        if "br" in codings and _has_brotli():
            return "br", self.brotli
        if "gzip" in codings:
            return "gzip", self.gzip
        return "", self.body


@cache
def _has_brotli() -> bool:
    return find_spec("brotli") is not None


def _codings(accepted: str) -> set[str]:
    """The codings of an Accept-Encoding header, without those refused by a weight of zero."""
    codings = set()
    for part in accepted.split(","):
        coding, _, weight = part.replace(" ", "").lower().partition(";q=")
        if weight.strip("0.") or not weight:
            codings.add(coding)
    return codings


@cache
def _assets() -> dict[str, _Asset]:
    root = _HERE / "static"
    return {
        path.relative_to(root).as_posix(): _Asset(
            path.read_bytes(),
            _TYPES.get(path.suffix, "application/octet-stream"),
            path.suffix in _COMPRESSIBLE,
        )
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@cache
def _tree() -> str:
    tree = hashlib.sha256()
    for name, asset in _assets().items():
        tree.update(f"{name}\0{asset.hash}\0".encode())
    return tree.hexdigest()[:12]


@cache
def _shell(name: str) -> str:
    return (_HERE / "templates" / f"{name}.html").read_text(encoding="utf-8")


def _as_json(value: dict[str, Any]) -> str:
    """JSON that is inert inside a script element: nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def page(name: str, boot: dict[str, Any]) -> web.Response:
    """The shell `name` ("phones") with `boot` as the JSON its script reads first."""
    before, _, after = _shell(name).partition("{{boot}}")
    static = f"/static/{_tree()}"
    html = before.replace("{{static}}", static) + _as_json(boot) + after
    return web.Response(text=html, content_type="text/html", headers=_PAGE_HEADERS)


async def _serve(request: web.Request) -> web.Response:
    asset = _assets().get(request.match_info["name"])
    # Another release's hash gets nothing: answering it from this one would be cached for good.
    if asset is None or request.match_info["tree"] != _tree():
        raise web.HTTPNotFound(headers={hdrs.CACHE_CONTROL: "no-store"})
    coding, body = asset.encoded(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
    etag = f'"{asset.hash}{"-" + coding if coding else ""}"'
    headers = {**_ASSET_HEADERS, hdrs.ETAG: etag}
    known = request.headers.get(hdrs.IF_NONE_MATCH, "")
    if etag in {one.strip().removeprefix("W/") for one in known.split(",")}:
        return web.Response(status=304, headers=headers)
    if coding:
        headers[hdrs.CONTENT_ENCODING] = coding
    headers[hdrs.CONTENT_TYPE] = asset.type
    return web.Response(body=body, headers=headers)


def add_assets(app: web.Application) -> None:
    """Serve the built files under `/static/<hash of the tree>/`."""
    app.router.add_get("/static/{tree}/{name:.+}", _serve)
