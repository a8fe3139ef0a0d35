"""What a message is at Twilio: body, attachments, and the content its buttons or template need.

Buttons and lists are sent as Content (https://www.twilio.com/docs/content): a shape that is created
once, whose texts are variables of each send. There are at most 100 variables, best of fewer than
250 characters, and none in a body may be empty or have a line end, a tab or more than four spaces
together (https://www.twilio.com/docs/api/errors/21656 and 63013, 2026-11): those are part of the
shape.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from hub.connector import ListedTemplate
from hub.errors import MediaFailed
from hub.message import Media, Message, Place, TemplateUse, clean_text

VALUE = 249
PIECES = 60
"""A body's values at most, but for the rest of it: a list's label and rows take 31 of the 100."""

UNSENDABLE = re.compile(r"[^\S\r\n\t]*[\r\n\t]\s*|\s{5,}")
CONTENT_SID = re.compile(r"HX[0-9A-Za-z]{1,64}")
BUTTONS, BUTTON_TITLE = 3, 20


@dataclass(frozen=True, slots=True)
class Shape:
    """Buttons or a list as Twilio's Content knows them, without the texts: what stands before each
    of the body's values and after the last, and of each choice whether it has a description."""

    is_list: bool
    between: tuple[str, ...]
    described: tuple[bool, ...]

    @property
    def types(self) -> dict[str, Any]:
        names = map("{{%d}}".__mod__, range(1, 101))
        *before, after = self.between
        body = "".join(space + next(names) for space in before) + after
        if not self.is_list:
            actions = [
                {"type": "QUICK_REPLY", "title": next(names), "id": next(names)}
                for _ in self.described
            ]
            return {"twilio/quick-reply": {"body": body, "actions": actions}}
        label = next(names)
        items = []
        for has_description in self.described:
            item = {"item": next(names), "id": next(names)}
            items.append(item | ({"description": next(names)} if has_description else {}))
        return {"twilio/list-picker": {"body": body, "button": label, "items": items}}

    @property
    def name(self) -> str:
        """The name the shape is found by again, also by another process."""
        plain = orjson.dumps(self.types, option=orjson.OPT_SORT_KEYS)
        return f"onethread_{hashlib.sha256(plain).hexdigest()[:16]}"

    @property
    def resource(self) -> dict[str, Any]:
        """What is created at Twilio."""
        count = len(set(re.findall(r"{{(\d+)}}", orjson.dumps(self.types).decode())))
        samples = {str(number): f"sample {number}" for number in range(1, count + 1)}
        whole = {"friendly_name": self.name, "language": "en", "variables": samples}
        return {**whole, "types": self.types}


def shape_of(message: Message) -> Shape | None:
    """The shape of a message with buttons; None of one without."""
    if not message.buttons:
        return None
    as_list = len(message.buttons) > BUTTONS or any(
        button.description or len(button.title) > BUTTON_TITLE for button in message.buttons
    )
    described = tuple(as_list and bool(button.description) for button in message.buttons)
    return Shape(as_list, take_apart(message.text)[0], described)


def values_of(message: Message, shape: Shape) -> dict[str, str]:
    """The texts of a message in the order of its shape's variables."""
    return {str(number): text for number, text in enumerate(texts_of(message, shape), 1)}


def texts_of(message: Message, shape: Shape) -> Iterator[str]:
    yield from take_apart(message.text)[1]
    if shape.is_list:
        yield list_label(message.text)
    for button, has_description in zip(message.buttons, shape.described, strict=True):
        yield from (button.title, button.id)
        if has_description:
            yield button.description


def take_apart(text: str) -> tuple[tuple[str, ...], list[str]]:
    """What no value may hold, before each value of the text and after the last; and the values.

    The line ends of a text of very many lines become spaces from some line on."""
    between, at = [""], 0
    values: list[str] = []
    for found in UNSENDABLE.finditer(text):
        if len(values) >= PIECES:
            break
        if pieces := cut(text[at : found.start()]):
            between += [""] * len(pieces)
            values += pieces
        between[-1] += found[0]
        at = found.end()
    rest = cut(one_line(text[at:]))
    return (*between, *[""] * len(rest)), values + rest


def cut(text: str) -> list[str]:
    """The text in values that are not too long, none of which begins or ends with a space that
    might be trimmed; none of an empty text."""
    pieces: list[str] = []
    while len(text) > VALUE:
        at = next(
            (n for n in range(VALUE, 0, -1) if not (text[n - 1].isspace() or text[n].isspace())),
            VALUE,
        )
        pieces.append(text[:at])
        text = text[at:]
    return [*pieces, text] if text else pieces


def list_label(text: str) -> str:
    """What the button that opens a list says, in the language of the text above it."""
    return "বেছে নিন" if re.search("[\u0980-\u09ff]", text) else "Choose"


def is_content(name: str) -> bool:
    """Is this the name of a template at Twilio, a Content SID? Another is a template of somebody
    else, of which only the text can be sent."""
    return CONTENT_SID.fullmatch(name) is not None


def template_fields(use: TemplateUse) -> dict[str, str]:
    """The SDK's fields of an approved template."""
    # Of the names that a template may have, those of header and buttons are Meta's alone: Twilio
    # numbers all variables of a content together.
    values = {name: value for name, value in use.variables.items() if "." not in name}
    return content_fields(use.name, {name: one_line(value) for name, value in values.items()})


def content_fields(sid: str, values: dict[str, str]) -> dict[str, str]:
    fields = {"content_sid": sid}
    if values:
        fields["content_variables"] = orjson.dumps(values).decode()
    return fields


def one_line(value: str) -> str:
    """The value without what a template refuses in one: line ends, tabs, runs of spaces."""
    return UNSENDABLE.sub(" ", value)


def listed_template(item: Any) -> ListedTemplate | None:
    """One content of the list with its approval by WhatsApp; None of what names none."""
    found = item if isinstance(item, dict) else {}
    sid, types, asked = (found.get(name) for name in ("sid", "types", "approval_requests"))
    if not isinstance(sid, str) or not sid:
        return None
    asked = asked if isinstance(asked, dict) else {}
    types = types if isinstance(types, dict) else {}
    bodies = (one.get("body") for one in types.values() if isinstance(one, dict))
    return ListedTemplate(
        name=sid,
        language=text_in(found, "language"),
        status=text_in(asked, "status").lower(),
        category=text_in(asked, "category").lower(),
        body=clean_text(next((body for body in bodies if isinstance(body, str)), "")),
        components=types,
    )


def text_in(holder: dict[str, Any], name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""


# Body and attachments


def public_url(media: Media) -> str:
    if not media.source_url.startswith(("http://", "https://")):
        raise MediaFailed("the attachment has no address that Twilio could fetch it from")
    return media.source_url


def text_of(message: Message) -> str:
    """The body; a place must have one."""
    place = message.place
    return message.text or (place.name or place.address or "\N{ROUND PUSHPIN}" if place else "")


def geo(place: Place) -> str:
    """The pin, labelled with all that is known of the place."""
    label = one_line(", ".join(filter(None, (place.name, place.address))))
    # Seven digits are a centimetre; a small float's own text would have an exponent.
    point = ",".join(
        f"{degrees:.7f}".rstrip("0").rstrip(".") for degrees in (place.latitude, place.longitude)
    )
    return f"geo:{point}" + (f"|{label}" if label else "")
