"""What WhatsApp tells of the account: its templates, its standing, how long its token lasts.

Graph API v25.0: `/{waba_id}/message_templates`, `/debug_token`, and the fields of a number.
"""

from typing import Any

from connectors._whatsapp_content import objects_of, part_of, text_of
from hub.clock import SECOND, Micros
from hub.connector import ListedTemplate
from hub.message import clean_text

TEMPLATES = (
    "message_templates?fields=name,language,status,quality_score,category,components&limit=200"
)
TEMPLATE_PAGES = 50
"""6,000 templates are the most an account may have."""

NUMBER_FIELDS = ("display_phone_number", "verified_name", "quality_rating", "status")
NEW_LIMIT_VERSION = 24  # before it the limit is a field of another name

TIERS = {"TIER_UNLIMITED": "any number of"}


def limit_field(api_version: str) -> str:
    major = int(api_version.removeprefix("v").partition(".")[0])
    is_new = major >= NEW_LIMIT_VERSION
    return "whatsapp_business_manager_messaging_limit" if is_new else "messaging_limit_tier"


def introduction(facts: dict[str, Any], limit: str) -> str:
    """Who the number is and how it stands, for `check`."""
    known = (text_of(facts, "display_phone_number"), text_of(facts, "verified_name"))
    told = [" ".join(filter(None, known)) or "WhatsApp"]
    if quality := text_of(facts, "quality_rating"):
        told.append(f"quality {quality.lower()}")
    if tier := text_of(facts, limit):
        many = TIERS.get(tier) or tier.removeprefix("TIER_")
        told.append(f"may write first to {many} customers a day")
    status = text_of(facts, "status")
    if status and status != "CONNECTED":
        told.append(f"status {status.lower()}")
    return ", ".join(told)


def listed(item: dict[str, Any]) -> ListedTemplate | None:
    """One template of the list, or None for what names none."""
    name, language = text_of(item, "name"), text_of(item, "language")
    if not name or not language:
        return None
    components = objects_of(item, "components")
    bodies = (text_of(part, "text") for part in components if text_of(part, "type") == "BODY")
    return ListedTemplate(
        name=name,
        language=language,
        status=text_of(item, "status").lower(),
        quality=quality(text_of(part_of(item, "quality_score"), "score")),
        category=text_of(item, "category").lower(),
        body=clean_text(next(bodies, "")),
        components=list(components),
    )


def quality(score: str) -> str:
    """Green, yellow or red; nothing while WhatsApp has not made up its mind."""
    return "" if score == "UNKNOWN" else score.lower()


def next_page(answer: dict[str, Any]) -> str:
    """The cursor after this page, or nothing when it was the last."""
    paging = part_of(answer, "paging")
    return text_of(part_of(paging, "cursors"), "after") if text_of(paging, "next") else ""


def token_end(answer: dict[str, Any]) -> Micros | None:
    """When the token, or its leave to see data, ends; None for never. Meta gives seconds, and 0
    for never."""
    data = part_of(answer, "data")
    ends = [data.get(name) for name in ("expires_at", "data_access_expires_at")]
    known = [end for end in ends if isinstance(end, int) and end > 0]
    return min(known) * SECOND if known else None
