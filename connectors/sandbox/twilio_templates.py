"""Contents at Twilio: what may be created, what a send must give, and what the phone then shows.

Facts, as of 2026-11: twilio.com/docs/content (quick-reply, list-picker, call-to-action, location,
card, media, "Using Variables with Content Templates") and the pages of the errors 21654 to 21656,
216602, 63013, 63016, 63021, 92001 to 92008. By which code a filled content fails that breaks
WhatsApp's rules is told for its length alone (63021: "components follow character limitations ...
and channel specific rules"); the others' are taken to be the same.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from connectors.sandbox.refusal import Refusal

Json = dict[str, Any]
SID = re.compile(r"HX[0-9a-fA-F]{32}")
VARIABLE = re.compile(r"{{(\w{1,16})}}")
NAME = re.compile(r"[a-z0-9_]{1,512}")
VARIABLES, VALUE = 100, 1600
TEXT, BODY, TITLE, APPROVED_TITLE, ID, ROW, DESCRIPTION = 1600, 1024, 20, 25, 200, 24, 72
OPTIONS, BUTTONS_IN_SESSION = 10, 3
CATEGORIES = frozenset({"UTILITY", "MARKETING", "AUTHENTICATION"})
STATUSES = ("unsubmitted", "received", "pending", "approved", "rejected", "paused", "disabled")
# Of several types of one content the channel gets the richest that it can show.
ON_WHATSAPP = (
    "twilio/list-picker", "twilio/quick-reply", "twilio/call-to-action", "twilio/card",
    "twilio/location", "twilio/media", "twilio/text",
)  # fmt: skip
ON_SMS = ("twilio/media", "twilio/text")
APPROVED_ONLY = frozenset({"twilio/card"})
IN_SESSION_ONLY = frozenset({"twilio/list-picker", "twilio/location"})
NOT_APPROVED = {"rejected": 63040, "paused": 63041, "disabled": 63042}


@dataclass(slots=True)
class Content:
    """One content; `approval` is what WhatsApp says of it, empty when it was never asked."""

    sid: str
    account_sid: str
    friendly_name: str
    language: str
    variables: dict[str, str]
    types: Json
    at: float
    approval: Json = field(default_factory=dict)

    @property
    def status(self) -> str:
        return str(self.approval.get("status", "unsubmitted"))

    def resource(self, origin: str) -> Json:
        """The content in the API's JSON, with links below `origin`."""
        date = datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        url = f"{origin}/v1/Content/{self.sid}"
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "friendly_name": self.friendly_name,
            "language": self.language,
            "variables": self.variables,
            "types": self.types,
            "date_created": date,
            "date_updated": date,
            "url": url,
            "links": {
                "approval_create": f"{url}/ApprovalRequests/whatsapp",
                "approval_fetch": f"{url}/ApprovalRequests",
            },
        }


@dataclass(slots=True)
class Shown:
    """A filled content as the phone shows it. `broken` is the error it fails with on its way."""

    type: str
    text: str = ""
    buttons: list[dict[str, str]] = field(default_factory=list)
    rows: list[dict[str, str]] = field(default_factory=list)
    list_button: str | None = None
    media: list[str] = field(default_factory=list)
    place: Json | None = None
    broken: int | None = None


def make(raw: bytes, sid: str, account_sid: str, at: float) -> Content:
    """The content that a call creates. Raises `Refusal`."""
    given = _object(raw)
    types, variables = given.get("types"), given.get("variables") or {}
    if not isinstance(types, dict) or not types:
        raise Refusal(92001)
    if not isinstance(given.get("language"), str) or not given["language"]:
        raise Refusal(92003)
    if not isinstance(variables, dict) or len(variables) > VARIABLES:
        raise Refusal(92002)
    if not all(isinstance(value, str) and value for value in variables.values()):
        raise Refusal(20001, "variables")
    for name, shape in types.items():
        if name not in ON_WHATSAPP:
            raise Refusal(92008, name)
        _check_shape(name, shape)
    if len(set(VARIABLE.findall(orjson.dumps(types).decode()))) > VARIABLES:
        raise Refusal(92002)
    name = str(given.get("friendly_name") or "")
    return Content(sid, account_sid, name, given["language"], variables, types, at)


def ask_approval(content: Content, raw: bytes) -> Json:
    """What WhatsApp says of a content that is handed in. Raises `Refusal`."""
    given = _object(raw)
    if not NAME.fullmatch(str(given.get("name"))):
        raise Refusal(20001, "name must be lower case letters, digits and _")
    if given.get("category") not in CATEGORIES:
        raise Refusal(20001, "category")
    kind = type_for(content, whatsapp=True)
    if kind in IN_SESSION_ONLY:
        raise Refusal(20001, f"{kind} cannot be approved")
    return {
        "name": given["name"],
        "category": given["category"],
        "content_type": kind,
        "status": "received",
        "rejection_reason": "",
        "allow_category_change": bool(given.get("allow_category_change", True)),
    }


def type_for(content: Content, *, whatsapp: bool) -> str:
    """The type that the channel is sent. Raises `Refusal`."""
    for name in ON_WHATSAPP if whatsapp else ON_SMS:
        if name in content.types:
            return name
    raise Refusal(216602)


def fill(content: Content, variables: str, *, whatsapp: bool) -> Shown:
    """The content with the values of a send, as the phone shows it. Raises `Refusal`."""
    kind = type_for(content, whatsapp=whatsapp)
    shape = content.types[kind]
    values = {**content.variables, **_values(variables)}
    if re.search(r"{{\W*}}", orjson.dumps(shape).decode()):
        raise Refusal(21656, "an empty placeholder")
    used = VARIABLE.findall(str(shape.get("body") or shape.get("title") or ""))
    if any(re.search(r"[\r\n\t]|\s{5}", values.get(name, "")) for name in used):
        raise Refusal(21656, "a value of the body has a line end, a tab or too many spaces")
    return _shown(kind, _filled(shape, values))


def check_on_whatsapp(shown: Shown, *, is_approved: bool) -> int | None:
    """The code of the error by which WhatsApp refuses what is shown, if it does."""
    titles = [one["title"] for one in shown.buttons]
    rows = [one["title"] for one in shown.rows]
    ids = [one["id"] for one in shown.buttons + shown.rows if one["id"]]
    lists = (
        (rows, ROW),
        ([one["description"] for one in shown.rows if "description" in one], DESCRIPTION),
        (titles, APPROVED_TITLE if is_approved else TITLE),
        (ids, ID),
        ([shown.list_button or ""], TITLE),
        ([shown.text], BODY if titles or rows or is_approved else TEXT),
    )
    too_long = any(len(text) > most for texts, most in lists for text in texts)
    twice = len(set(ids)) < len(ids) or len(set(titles)) < len(titles)
    too_many = len(titles) > BUTTONS_IN_SESSION and not is_approved
    must_wait = shown.type in APPROVED_ONLY and not is_approved
    return 63021 if too_long or twice or too_many or must_wait else None


def _check_shape(name: str, shape: Any) -> None:
    if not isinstance(shape, dict):
        raise Refusal(20001, name)
    wanted = {"twilio/media": "media", "twilio/card": "title"}.get(name, "body")
    if name == "twilio/location":
        if not all(_is_number(shape.get(part)) for part in ("latitude", "longitude")):
            raise Refusal(20001, "latitude and longitude")
    elif not shape.get(wanted):
        raise Refusal(20001, f"{name} needs {wanted}")
    if name == "twilio/list-picker":
        _check_options(shape.get("items"), ("item", "id"))
        if not shape.get("button"):
            raise Refusal(20001, "button")
    elif name == "twilio/quick-reply":
        _check_options(shape.get("actions"), ("title",))
    elif name == "twilio/call-to-action":
        _check_options(shape.get("actions"), ("title", "type"))


def _check_options(given: Any, wanted: tuple[str, ...]) -> None:
    if not isinstance(given, list) or not 1 <= len(given) <= OPTIONS:
        raise Refusal(20001, f"1 to {OPTIONS} options")
    for one in given:
        if not isinstance(one, dict) or not all(one.get(part) for part in wanted):
            raise Refusal(20001, f"an option needs {' and '.join(wanted)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _values(variables: str) -> dict[str, str]:
    """A send's ContentVariables. Raises `Refusal`."""
    if not variables:
        return {}
    try:
        given = orjson.loads(variables)
    except orjson.JSONDecodeError:
        raise Refusal(21656, "not JSON") from None
    if not isinstance(given, dict):
        raise Refusal(21656, "not an object")
    if not all(isinstance(value, str) and 0 < len(value) <= VALUE for value in given.values()):
        raise Refusal(21656, "a value is no text, empty or too long")
    return given


def _filled(shape: Any, values: Mapping[str, str]) -> Any:
    """The shape with all its texts filled. Raises `Refusal`."""
    if isinstance(shape, str):
        missing = [name for name in VARIABLE.findall(shape) if not values.get(name)]
        if missing:
            raise Refusal(21656, "a variable has neither a value nor a default")
        return VARIABLE.sub(lambda found: values[found[1]], shape)
    if isinstance(shape, dict):
        return {name: _filled(value, values) for name, value in shape.items()}
    if isinstance(shape, list):
        return [_filled(value, values) for value in shape]
    return shape


def _shown(kind: str, shape: Json) -> Shown:
    shown = Shown(kind, shape.get("body") or "")
    if kind == "twilio/card":
        shown.text = "\n".join(filter(None, (shape["title"], shape.get("subtitle"))))
    if kind == "twilio/list-picker":
        shown.list_button = shape["button"]
        shown.rows = [
            {"id": one["id"], "title": one["item"]}
            | ({"description": one["description"]} if one.get("description") else {})
            for one in shape["items"]
        ]
    elif kind == "twilio/location":
        shown.place = {"latitude": shape["latitude"], "longitude": shape["longitude"]}
        shown.place |= {"name": shape["label"]} if shape.get("label") else {}
    for one in shape.get("actions") or []:
        button = {"id": one.get("id") or one["title"], "title": one["title"]}
        if one.get("url"):
            button |= {"id": "", "url": one["url"]}
        shown.buttons.append(button)
    shown.media = list(shape.get("media") or [])
    return shown


def _object(raw: bytes) -> Json:
    try:
        given = orjson.loads(raw)
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, dict):
        raise Refusal(20001, "the body is no JSON object")
    return given
