"""Templates at WhatsApp: what a send of one must give, how they are listed, and news of them.

Facts are from Meta's documentation: message templates, webhooks of templates, error codes.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from connectors.sandbox.refusal import Refusal
from connectors.sandbox.whatsapp_account import Account, Template, TemplateButton, variables
from connectors.sandbox.whatsapp_rules import CAPTION

Json = dict[str, Any]
PAGE = 25
_REFUSED = {"PAUSED": 132015, "DISABLED": 132016}


def find(account: Account, send: Mapping[str, Any]) -> Template | None:
    """The template a send names, None where the account takes any. Raises `Refusal`."""
    if account.templates is None:
        return None
    name, language = send["name"], send["language"]["code"]
    for template in account.templates:
        if (template.name, template.language) == (name, language):
            break
    else:
        raise Refusal(132001, f"template name ({name}) does not exist in {language}")
    if template.status != "APPROVED":
        raise Refusal(_REFUSED.get(template.status, 132001), f"{name} is {template.status}")
    return template


def check(template: Template, send: Mapping[str, Any]) -> str:
    """Refuse a send that does not give what the template needs; returns the text it makes.
    Raises `Refusal`."""
    parts = _components(send)
    header, body = parts.pop("header", []), parts.pop("body", [])
    buttons = {int(key): value for key, value in parts.items()}
    if template.header_format == "TEXT":
        above = _filled("header", template.header, header)
    else:
        _check_attachment(template, header)
        above = ""
    text = _filled("body", template.body, body)
    if len(text) > CAPTION:
        raise Refusal(132005, "the body with its parameters is too long")
    for index, button in enumerate(template.buttons):
        given = buttons.pop(index, [])
        if button.type == "URL" and button.url and variables(button.url) and len(given) != 1:
            raise Refusal(
                131008, f"buttons: Button at index {index} of type Url requires a parameter"
            )
        wanted = "text" if button.type == "URL" else "payload"
        if any(each.get("type") != wanted for each in given):
            raise Refusal(132012, f"buttons: expected {wanted} at index {index}")
    if buttons:
        raise Refusal(132018, f"buttons: there is none at index {min(buttons)}")
    return "\n\n".join(filter(None, (above, text, template.footer)))


def shown_buttons(template: Template, send: Mapping[str, Any]) -> list[dict[str, str]]:
    """The buttons as the phone shows them; a tap on one brings back its payload, or its text."""
    parts = _components(send)
    shown = []
    for index, button in enumerate(template.buttons):
        [given] = parts.get(str(index)) or [{}]
        tail, payload = str(given.get("text", "")), str(given.get("payload", button.text))
        if button.type == "URL":
            url = "".join(tail if odd % 2 else part for odd, part in enumerate(parts_of(button)))
            shown.append({"id": "", "title": button.text, "url": url})
        else:
            shown.append({"id": payload, "title": button.text})
    return shown


def parts_of(button: TemplateButton) -> list[str]:
    """A link's text and, at the odd places, its variables."""
    return re.split(r"{{(\w+)}}", button.url or "")


def _components(send: Mapping[str, Any]) -> dict[str, list[Json]]:
    """Parameters by component; those of buttons by their index."""
    parts: dict[str, list[Json]] = {}
    for component in send.get("components") or []:
        kind = str(component.get("type")).lower()
        if kind == "button":
            index = str(component.get("index"))
            if not index.isdigit() or component.get("sub_type") not in ("url", "quick_reply"):
                raise Refusal(131009, "a button needs a sub_type and an index")
            kind = index
        elif kind not in ("header", "body"):
            raise Refusal(131009, f"component type {kind} is not known")
        if kind in parts:
            raise Refusal(131009, f"{kind} comes twice")
        parts[kind] = list(component.get("parameters") or [])
    return parts


def _filled(where: str, text: str, given: list[Json]) -> str:
    """The text with its parameters put in. Raises `Refusal`."""
    wanted = variables(text)
    if len(given) != len(wanted):
        details = f"{where}: number of localizable_params ({len(given)}) does not match"
        raise Refusal(132000, f"{details} the expected number of params ({len(wanted)})")
    if any(each.get("type") != "text" for each in given):
        raise Refusal(132012, f"{where}: expected text")
    named = bool(wanted) and not wanted[0].isdigit()
    values: dict[str, str] = {}
    for place, each in enumerate(given, 1):
        name = each.get("parameter_name") if named else str(place)
        if named and name not in wanted:
            raise Refusal(132012, f"{where}: parameter_name is missing or not in the template")
        values[str(name)] = str(each.get("text"))
    return re.sub(r"{{(\w+)}}", lambda found: values.get(found[1], found[0]), text)


def _check_attachment(template: Template, given: list[Json]) -> None:
    kinds = [str(each.get("type")).upper() for each in given]
    if kinds != [template.header_format]:
        got = ", ".join(kinds) or "UNKNOWN"
        raise Refusal(
            132012, f"header: Format mismatch, expected {template.header_format}, received {got}"
        )


# The list, and news


def listed(account: Account, query: Mapping[str, str], url: str) -> Json:
    """One page of the account's templates, with the fields asked for."""
    templates = account.templates or ()
    try:
        start = int(base64.b64decode(query.get("after", "MA=="), validate=True))
        limit = int(query.get("limit", PAGE))
    except (ValueError, binascii.Error):
        raise Refusal(100, "Invalid cursor or limit") from None
    fields = query.get("fields", "name,language,status,category,components").split(",")
    page = [_listed(one, fields, index) for index, one in enumerate(templates)]
    answer: Json = {"data": page[start : start + limit]}
    end = min(start + limit, len(page))
    cursors = {
        name: base64.b64encode(str(at).encode()).decode()
        for name, at in (("before", start), ("after", end))
    }
    answer["paging"] = {"cursors": cursors}
    if end < len(page):
        answer["paging"]["next"] = f"{url}?after={cursors['after']}"
    return answer


def _listed(template: Template, fields: list[str], index: int) -> Json:
    facts: Json = {
        "name": template.name,
        "language": template.language,
        "status": template.status,
        "category": template.category.upper(),
        "quality_score": {"score": template.quality, "date": 1_795_000_000},
        "components": _shape(template),
    }
    return {**{name: facts[name] for name in fields if name in facts}, "id": str(9000 + index)}


def _shape(template: Template) -> list[Json]:
    shape: list[Json] = []
    if template.header or template.header_format != "TEXT":
        shape.append({"type": "HEADER", "format": template.header_format})
        if template.header:
            shape[-1]["text"] = template.header
    shape.append({"type": "BODY", "text": template.body})
    if template.footer:
        shape.append({"type": "FOOTER", "text": template.footer})
    if template.buttons:
        buttons = [one.model_dump(exclude_none=True) for one in template.buttons]
        shape.append({"type": "BUTTONS", "buttons": buttons})
    return shape


def changes(old: Template, new: Template) -> list[tuple[str, Json]]:
    """The webhooks' fields and values that tell how a template changed."""
    about = {
        "message_template_id": 9000,
        "message_template_name": new.name,
        "message_template_language": new.language,
    }
    told: list[tuple[str, Json]] = []
    if new.status != old.status:
        event = {"event": new.status, "reason": "NONE"}
        told.append(("message_template_status_update", about | event))
    if new.quality != old.quality:
        scores = {"previous_quality_score": old.quality, "new_quality_score": new.quality}
        told.append(("message_template_quality_update", about | scores))
    return told
