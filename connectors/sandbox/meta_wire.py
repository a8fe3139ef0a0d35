"""The JSON of Messenger's and Instagram's webhooks, and what a phone shows of a send."""

import hashlib
import hmac
import json
import secrets
from typing import Any
from urllib.parse import unquote, urlsplit

from connectors.sandbox.meta_customer import NAMES, CustomerMessage, Link
from connectors.sandbox.transcript import Item

Json = dict[str, Any]


def sign(app_secret: str, body: bytes) -> dict[str, str]:
    """The headers of a webhook: both signatures are over the raw body."""
    key = app_secret.encode()
    return {
        "Content-Type": "application/json",
        "X-Hub-Signature": f"sha1={hmac.new(key, body, hashlib.sha1).hexdigest()}",
        "X-Hub-Signature-256": f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}",
    }


def envelope(product: str, entries: list[Json]) -> bytes:
    """One webhook body as Meta writes it: \\uXXXX beyond ASCII, and slashes escaped."""
    content = json.dumps({"object": product, "entry": entries}, separators=(",", ":"))
    return content.replace("/", "\\/").encode()


def new_mid(product: str) -> str:
    """An id in the platform's shape."""
    if product == "page":
        return "m_" + secrets.token_urlsafe(64)
    return "aWdfZAG1faXRlbToxOklHTWVzc2FnZAUlE" + secrets.token_urlsafe(96) + "ZD"


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def referral(link: Link) -> Json:
    return link.model_dump(exclude_none=True)


def attachments(said: CustomerMessage, urls: list[str]) -> list[Json]:
    """The `attachments` of a message with files or a share."""
    if said.share is not None:
        payload = said.share.model_dump(include={"url", "title"}, exclude_none=True)
        return [{"type": said.share.type, **({"payload": payload} if payload else {})}]
    kind = "story_mention" if said.story_mention else NAMES.get(said.kind, said.kind)
    return [{"type": kind, "payload": {"url": url}} for url in urls]


def overlaid(event: Json, raw: Json | None) -> Json:
    """The event with `raw` laid over it, one level deep."""
    for key, value in (raw or {}).items():
        under = event.get(key)
        both = isinstance(under, dict) and isinstance(value, dict)
        event[key] = {**(under or {}), **value} if both else value
    return event


def said_text(body: Json) -> str:
    """The text of a send that is not checked yet, for faults to match."""
    message = body.get("message")
    text = message.get("text") if isinstance(message, dict) else None
    if isinstance(text, str):
        return text
    try:
        text = body["message"]["attachment"]["payload"]["text"]
    except (KeyError, TypeError):
        return ""
    return text if isinstance(text, str) else ""


def show(body: Json, item: Item) -> None:
    """Fill in what the phone shows of a send that passed the rules, its file apart."""
    message = body["message"]
    item.text = message.get("text") or ""
    item.reply_to = (message.get("reply_to") or body.get("reply_to") or {}).get("mid")
    item.quick_replies = [
        {"id": reply.get("payload", ""), "title": reply.get("title") or reply["content_type"]}
        for reply in message.get("quick_replies") or ()
    ]
    attachment = message.get("attachment")
    if attachment is None:
        return
    payload = attachment.get("payload") or {}
    item.kind = {"MEDIA_SHARE": "share", "like_heart": "like"}.get(
        attachment["type"], attachment["type"]
    )
    if item.kind == "template":
        _show_template(payload, item)
    elif "url" in payload:
        item.media.append(shown_file(item.kind, payload["url"]))


def _show_template(payload: Json, item: Item) -> None:
    if payload["template_type"] == "button":
        item.kind, item.text = "text", payload["text"]
        item.buttons = [_button(button) for button in payload["buttons"]]
        return
    item.template = payload
    item.text = "\n".join(element["title"] for element in payload["elements"])
    item.buttons = [
        _button(button)
        for element in payload["elements"]
        for button in element.get("buttons") or ()
    ]


def _button(button: Json) -> dict[str, str]:
    shown = {"id": button.get("payload", ""), "title": button["title"]}
    return {**shown, "url": button["url"]} if "url" in button else shown


def shown_file(kind: str, url: str) -> Json:
    """A file the business sent by its link, before it is fetched."""
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    return {"kind": kind, "mime": None, "url": url, "id": None, "name": name or None}


def echo(item: Item, app_id: str | None, metadata: str | None) -> Json:
    """The `message` of an echo: what was said, whoever said it for the business."""
    message: Json = {"mid": item.external_id, "is_echo": True}
    if app_id is not None:
        message["app_id"] = int(app_id)
    if metadata is not None:
        message["metadata"] = metadata
    if item.reply_to is not None:
        message["reply_to"] = {"mid": item.reply_to}
    if item.kind == "text" and not item.buttons:
        return {**message, "text": item.text}
    return {**message, "attachments": _echoed(item)}


def _echoed(item: Item) -> list[Json]:
    if item.template is not None:
        return [{"type": "template", "payload": item.template}]
    if item.buttons:
        buttons = [
            {"type": "web_url", "title": button["title"], "url": button["url"]}
            if "url" in button
            else {"type": "postback", "title": button["title"], "payload": button["id"]}
            for button in item.buttons
        ]
        payload = {"template_type": "button", "text": item.text, "buttons": buttons}
        return [{"type": "template", "payload": payload}]
    if item.kind == "like":
        return [{"type": "like_heart"}]
    return [{"type": media["kind"], "payload": {"url": media["url"]}} for media in item.media]


def usage(retry_after: float | None) -> dict[str, str]:
    """The headers of a throttled call; Meta counts the time to wait in whole minutes."""
    minutes = -(-(retry_after or 0) // 60)
    share = {"call_count": 100, "total_cputime": 25, "total_time": 25}
    business = {"type": "messenger", **share, "estimated_time_to_regain_access": int(minutes)}
    return {
        "X-App-Usage": json.dumps(share),
        "X-Business-Use-Case-Usage": json.dumps({"200000000000001": [business]}),
    }
