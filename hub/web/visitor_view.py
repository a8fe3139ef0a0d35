"""Messages as a visitor sees them. This is a serialiser of its own: what it does not name (notes,
tags, assignment, agents' ids, other channels) cannot reach a visitor."""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from hub.clock import id_text, iso
from hub.store.threads import MediaRow
from hub.store.visitors import SENT, Said
from hub.web.views import MediaLinks, buttons_json, media_json

SAFE_URLS = ("http://", "https://", "mailto:", "tel:")


class VisitorAuthor(TypedDict):
    name: str
    bot: bool


class Attachment(TypedDict):
    kind: str
    mime: str
    name: str
    size: int | None
    url: str | None


class VisitorButton(TypedDict):
    id: str
    title: str
    kind: Literal["reply", "url"]
    url: NotRequired[str]


class SaidJson(TypedDict):
    """`dir` is hers to tell: `in` comes to the visitor, `out` is what she said."""

    type: Literal["message", "update"]
    seq: int
    id: str
    client_id: NotRequired[str]
    dir: Literal["in", "out"]
    kind: str
    text: str
    attachments: list[Attachment]
    buttons: NotRequired[list[VisitorButton]]
    reply_to: NotRequired[str]
    author: VisitorAuthor
    ts: str
    edited: NotRequired[bool]
    deleted: NotRequired[bool]


def is_shown(row: Said) -> bool:
    return row.direction == "in" or row.state in SENT


def said_json(
    row: Said,
    media: dict[int, MediaRow],
    links: MediaLinks,
    kind: Literal["message", "update"] = "message",
) -> SaidJson:
    gone = row.deleted_at is not None
    content: dict[str, Any] = {} if gone else row.content or {}
    said: SaidJson = {
        "type": kind,
        "seq": row.seq,
        "id": id_text(row.id),
        "dir": "out" if row.direction == "in" else "in",
        "kind": row.kind,
        "text": "" if gone else row.text,
        "attachments": _attachments(row, content, media, links),
        "author": {
            "name": "" if row.direction == "in" else row.author_name or "",
            "bot": row.author_kind in ("bot", "system"),
        },
        "ts": iso(row.created_at),
    }
    if row.client_id and row.direction == "in":
        said["client_id"] = row.client_id
    if buttons := _buttons(content):
        said["buttons"] = buttons
    if (row.reply_to or {}).get("message_id"):
        said["reply_to"] = id_text(bytes.fromhex((row.reply_to or {})["message_id"]))
    if row.edited_at is not None:
        said["edited"] = True
    if gone:
        said["deleted"] = True
    return said


def _attachments(
    row: Said, content: dict[str, Any], media: dict[int, MediaRow], links: MediaLinks
) -> list[Attachment]:
    """Ours by a signed link; what an agent sent as a link, by that."""
    found: list[Attachment] = []
    for item in media_json(content, media, links):
        url = item["url"]
        if url is None and row.direction == "out" and item["source_url"].startswith("http"):
            url = item["source_url"]
        found.append(
            {
                "kind": item["kind"],
                "mime": item["mime"],
                "name": item["name"],
                "size": item["size"],
                "url": url,
            }
        )
    return found


def _buttons(content: dict[str, Any]) -> list[VisitorButton]:
    buttons: list[VisitorButton] = []
    for button in buttons_json(content):
        url = button.get("url")
        if url is None:
            buttons.append({"id": button["id"], "title": button["title"], "kind": "reply"})
        elif url.lower().startswith(SAFE_URLS):
            buttons.append(
                {"id": button["id"], "title": button["title"], "kind": "url", "url": url}
            )
    return buttons
