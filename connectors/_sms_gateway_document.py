"""A gateway's body, whatever its format, and the values in it."""

import re
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import orjson

from connectors._sms_gateway_settings import Find
from hub.errors import HookUnreadable

Document = Any
"""Dicts, lists and scalars; or text, when the body is in no format we know."""

UNSTORABLE = re.compile("[\0\ud800-\udfff]")
DEEPEST = 20


def read_body(body: bytes, content_type: str = "", charset: str = "utf-8") -> Document:
    """A body as its content type or its first character says. What is neither JSON nor XML nor
    a form is text."""
    text = body.decode(charset, "replace")
    head = text.lstrip()[:1]
    if "form-urlencoded" in content_type:
        return read_form(body, charset)
    if head in ("{", "["):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            return text
    if head == "<" and (element := read_xml(body)) is not None:
        return {element.tag: xml_value(element)}
    return text


def read_form(body: bytes, charset: str = "utf-8") -> dict[str, str]:
    """Form or query fields; of a repeated one the last counts. Raises HookUnreadable."""
    # What a careless sender left raw is read as if it had been encoded.
    encoded = re.sub(rb"[\x80-\xff]", lambda found: b"%%%02X" % found[0][0], body)
    try:
        pairs = parse_qsl(
            encoded.decode(),
            keep_blank_values=True,
            encoding=charset,
            errors="replace",
            max_num_fields=500,
        )
    except ValueError:
        raise HookUnreadable("the form has too many fields") from None
    return dict(pairs)


def read_xml(body: bytes) -> ElementTree.Element | None:
    # Expat expands no external entities and stops those that grow without end.
    if b"<!ENTITY" in body:
        return None
    try:
        return ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError, LookupError):
        return None


def xml_value(element: ElementTree.Element, depth: int = 0) -> Document:
    """An element as the dict of its attributes and children, or as its text when it has none.
    Children of one name are a list."""
    found: dict[str, Any] = dict(element.attrib)
    if depth < DEEPEST:
        for child in element:
            value = xml_value(child, depth + 1)
            name = child.tag.rpartition("}")[2]
            if name in found:
                held = found[name]
                found[name] = [*held, value] if isinstance(held, list) else [held, value]
            else:
                found[name] = value
    return found or (element.text or "").strip()


def at_path(document: Document, path: str) -> Document:
    """What stands at a dotted path, or None. A number counts into a list; a list of one stands
    for its element."""
    for step in path.split(".") if path else ():
        if isinstance(document, list):
            if step.isdecimal() and len(step) < 6:
                document = document[int(step)] if int(step) < len(document) else None
                continue
            document = document[0] if len(document) == 1 else None
        document = document.get(step) if isinstance(document, dict) else None
    return document


def text_at(document: Document, path: str) -> str:
    """The text or number at a path, as text; "" when there is none."""
    if not path:
        return ""
    value = at_path(document, path)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return UNSTORABLE.sub("", str(value))


def find(document: Document, body: bytes, wanted: Find) -> str | None:
    """The value that `wanted` describes, or None."""
    value = text_at(document, wanted.path) if wanted.path else body.decode("utf-8", "replace")
    if wanted.path and not value:
        return None
    if wanted.matches:
        match = re.search(wanted.matches, value)
        if match is None:
            return None
        value = match[1] if match.re.groups else match[0]
    value = (value or "").strip()
    if wanted.equals:
        return value if value.casefold() in {one.casefold() for one in wanted.equals} else None
    return value
