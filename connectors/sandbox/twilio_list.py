"""Twilio's lists of messages and of their media: filters, and pages that stay where they were.

https://www.twilio.com/docs/messaging/api/message-resource#read-multiple-message-resources and
https://www.twilio.com/docs/usage/twilios-response#pagination: newest first, 50 a page and at most
1000. The next page goes on behind the message that its token names, whatever came meanwhile.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from connectors.sandbox.refusal import Refusal
from connectors.sandbox.twilio_wire import Record

PAGE, LONGEST_PAGE = 50, 1000
TOKEN = "PA"


def messages(records: Sequence[Record], request: web.Request) -> dict[str, Any]:
    """The page of an account's messages, oldest first in `records`, that is asked for. Raises
    `Refusal`."""
    sid, query = request.match_info["ac"], dict(request.query)
    try:
        size = min(max(1, int(query.pop("PageSize", PAGE))), LONGEST_PAGE)
        page = max(0, int(query.pop("Page", 0)))
        token = query.pop("PageToken", "")
        found = [one for one in reversed(records) if one.account_sid == sid and _fits(one, query)]
        start = _place(found, token) if token else page * size
    except ValueError:
        raise Refusal(20001) from None
    shown = found[start : start + size]
    following = None
    if len(found) > start + size:
        last = TOKEN + shown[-1].item.external_id
        rest = {**query, "PageSize": size, "Page": page + 1, "PageToken": last}
        following = f"{request.path}?{urlencode(rest)}"
    return {
        "messages": [record.resource() for record in shown],
        "page": page,
        "page_size": size,
        "start": start,
        "end": start + len(shown) - 1,
        "next_page_uri": following,
        "uri": request.path_qs,
    }


def media(record: Record, request: web.Request) -> dict[str, Any]:
    """The attachments of a message."""
    resource = record.resource()
    base = resource["uri"].removesuffix(".json")
    found = [
        {
            "sid": one["id"],
            "account_sid": record.account_sid,
            "parent_sid": record.item.external_id,
            "content_type": str(one["mime"]).partition(";")[0],
            "date_created": resource["date_created"],
            "date_updated": resource["date_updated"],
            "uri": f"{base}/Media/{one['id']}.json",
        }
        for one in record.item.media
        if one["id"]
    ]
    return {
        "media_list": found,
        "page": 0,
        "page_size": PAGE,
        "next_page_uri": None,
        "uri": request.path_qs,
    }


def _place(found: list[Record], token: str) -> int:
    """Where the page of a token begins. Raises ValueError."""
    ids = [record.item.external_id for record in found]
    return ids.index(token.removeprefix(TOKEN)) + 1


def _fits(record: Record, query: dict[str, str]) -> bool:
    """Whether a message is one the list asks for; days and times are UTC."""
    if "To" in query and record.recipient != query["To"]:
        return False
    if "From" in query and record.sender != query["From"]:
        return False
    sent = datetime.fromtimestamp(record.item.at, UTC)
    for name, asked in query.items():
        if not name.startswith("DateSent"):
            continue
        is_day = len(asked) == 10
        # Whole days are compared as days; Twilio's > and < include the value itself.
        limit = datetime.fromisoformat(asked)
        limit = limit if limit.tzinfo else limit.replace(tzinfo=UTC)
        moment = sent.replace(hour=0, minute=0, second=0, microsecond=0) if is_day else sent
        if name == "DateSent>" and moment < limit:
            return False
        if name == "DateSent<" and moment > limit:
            return False
        if name == "DateSent" and sent.date() != limit.date():
            return False
    return True
