"""Stored attachments, served so that nothing in them can run in a page of ours."""

import re
from urllib.parse import quote

from aiohttp import web

from hub.message import Media
from hub.mime import safe_name
from hub.store.threads import find_media
from hub.web.auth import find_caller
from hub.web.route import read_id
from hub.web.state import STATE
from hub.web.views import LINKS

ACTIVE = re.compile(r"text/(?!plain|csv)|.*\+xml|application/(xml|(java|ecma)script)", re.I)
INLINE = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"})


async def serve_media(request: web.Request) -> web.StreamResponse:
    """One attachment, to whoever holds its signed link or a session. Everything but plain
    images is a download; what was not fetched is 404."""
    state = request.app[STATE]
    try:
        media_id = read_id(request.match_info["media_id"])
    except ValueError:
        raise web.HTTPNotFound from None
    links, signature = request.app[LINKS], request.query.get("s", "")
    public = links.is_public(media_id, signature)
    if not (public or links.allows(media_id, signature)) and await find_caller(request) is None:
        raise web.HTTPForbidden
    found = await state.store.read(find_media, media_id)
    if found is None or found.state != "stored":
        raise web.HTTPNotFound
    media = Media.model_validate(found.media)
    folder = state.settings.hub.media.resolve()
    path = (folder / media.path).resolve()
    if not media.path or not path.is_relative_to(folder) or not path.is_file():
        raise web.HTTPNotFound
    inline = media.mime.partition(";")[0].strip().lower() in INLINE
    headers = _headers(media, inline)
    if public and not ACTIVE.match(media.mime):
        # Providers go by the type; the other headers keep it from running in a page of ours.
        headers["Content-Type"] = media.mime or headers["Content-Type"]
    return web.FileResponse(path, headers=headers)


def _headers(media: Media, inline: bool) -> dict[str, str]:
    name = quote(safe_name(media.name, media.mime), safe="")
    return {
        "Content-Type": media.mime if inline else "application/octet-stream",
        "Content-Disposition": f"{'inline' if inline else 'attachment'}; filename*=UTF-8''{name}",
        "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
        "Cross-Origin-Resource-Policy": "same-site",
        "Cache-Control": "private, max-age=3600",
    }


def add_media(app: web.Application) -> None:
    app.router.add_get("/media/{media_id}", serve_media)
