"""Writes one message as the body of Messenger's or Instagram's `POST /me/messages`.

`compose` has already fitted the message to the channel's limits; what does not fit into one
call all the same is Refused here rather than sent in part.
"""

import re
from typing import Any

from hub.errors import MediaFailed, Refused
from hub.message import Button, Media, Message, Outbound

BUTTONS, BUTTON_TEXT, QUICK_REPLIES = 3, 640, 13
TYPES = {"image": "image", "video": "video", "audio": "audio", "voice": "audio", "file": "file"}

Json = dict[str, Any]


def payload_of(out: Outbound, *, calls: bool, **more: Any) -> Json:
    """The whole body, with `more` of it. `calls`: a button may dial a number. Raises Refused or
    MediaFailed."""
    body: Json = {"recipient": {"id": out.to.external_id}, **more}
    body["message"] = content_of(out.message, calls)
    if out.reply_to:
        body["reply_to"] = {"mid": out.reply_to}
    return body


def action_of(out: Outbound, action: str) -> Json:
    """The body that shows typing or that she was read: a request of its own."""
    return {"recipient": {"id": out.to.external_id}, "sender_action": action}


def content_of(message: Message, calls: bool) -> Json:
    if message.template or message.place or message.contacts:
        raise Refused("Messenger and Instagram have no templates, places or contacts")
    if len(message.media) + bool(message.text.strip()) > 1:
        raise Refused("more than one message: an attachment here has no text")
    content: Json
    if message.media:
        content = {"attachment": attachment(message.media[0])}
    elif message.text.strip():
        content = {"text": message.text}
    else:
        raise Refused("nothing to say")
    if not message.buttons:
        return content
    if message.media or not as_template(message):
        return {**content, "quick_replies": quick_replies(message.buttons)}
    buttons = [button_of(button, calls) for button in message.buttons]
    payload = {"template_type": "button", "text": message.text, "buttons": buttons}
    return {"attachment": {"type": "template", "payload": payload}}


def as_template(message: Message) -> bool:
    """Up to three buttons below a short text stay in the thread; chips, which more and longer
    texts have, go away when she taps one or writes."""
    if len(message.buttons) <= BUTTONS and len(message.text) <= BUTTON_TEXT:
        return True
    if any(button.url for button in message.buttons):
        raise Refused("links cannot be among more than three buttons or below a long text")
    return False


def button_of(button: Button, calls: bool) -> Json:
    if not button.url:
        return {"type": "postback", "title": button.title, "payload": button.id}
    if button.url.startswith("tel:"):
        number = button.url.removeprefix("tel:")
        if not calls or not re.fullmatch(r"\+[0-9]{5,15}", number):
            raise Refused("a button cannot dial this number here")
        return {"type": "phone_number", "title": button.title, "payload": number}
    return {"type": "web_url", "title": button.title, "url": button.url}


def quick_replies(buttons: tuple[Button, ...]) -> list[Json]:
    if len(buttons) > QUICK_REPLIES or any(button.url for button in buttons):
        raise Refused(f"at most {QUICK_REPLIES} quick replies, and no links among them")
    return [
        {"content_type": "text", "title": button.title, "payload": button.id} for button in buttons
    ]


def attachment(media: Media) -> Json:
    kind = TYPES.get(media.kind)
    if kind is None:
        raise Refused(f"a {media.kind} cannot be sent here")
    if media.source_url:
        return {"type": kind, "payload": {"url": media.source_url}}
    if media.provider_id:
        return {"type": kind, "payload": {"attachment_id": media.provider_id}}
    raise MediaFailed("the attachment has no link that Meta could fetch")
