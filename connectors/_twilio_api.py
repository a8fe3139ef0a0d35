"""Twilio's REST API: its SDK over the hub's HTTP session.

Imported in a thread at first use, because the SDK takes 100 ms to import. The SDK's own client
would own a session, have no time-out and lose the Retry-After header; here every answer that is
not a success becomes a SendFailed before the SDK sees it.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
import orjson
from twilio.base.exceptions import TwilioException  # type: ignore[import-untyped]  # ships no types
from twilio.http import AsyncHttpClient  # type: ignore[import-untyped]  # ships no types
from twilio.http.response import Response  # type: ignore[import-untyped]  # ships no types
from twilio.rest import Client  # type: ignore[import-untyped]  # ships no types

from connectors._twilio_codes import send_failure
from connectors._twilio_content import Shape, listed_template
from connectors._twilio_form import sent_at
from hub.connector import Http, HttpReply, ListedTemplate
from hub.errors import Misconfigured, OutcomeUnknown, Refused, SendFailed, Unreachable

API = "https://api.twilio.com"
CONTENT, MESSAGING = "https://content.twilio.com", "https://messaging.twilio.com"
CONTENT_PAGE, CONTENT_PAGES = 500, 20
PAGE = 50
"""How many of a recipient's messages are looked through for one whose outcome is unknown."""

LIST_PAGE, LIST_PAGES = 1000, 20
"""How much of one list of inbound messages is read. 1000 is Twilio's largest page."""

UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, TwilioException)
"""What the SDK raises on a success whose body is not what it expects."""


class SharedSession(AsyncHttpClient):  # type: ignore[misc]  # the SDK ships no types
    """The SDK's transport over `Http`. Raises a SendFailed for whatever is not a success."""

    def __init__(self, http: Http, api_base: str) -> None:
        super().__init__(logging.getLogger(__name__), is_async=True)
        self.http = http
        self.api_base = api_base

    async def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        url = self.api_base + uri.removeprefix(API)
        if params:
            url += "?" + urlencode(params, doseq=True)
        named = dict(headers or {})
        if auth:
            named["Authorization"] = aiohttp.encode_basic_auth(*auth)
        body = urlencode(data, doseq=True).encode() if data else None
        reply = await self.http.request(method, url, headers=named, body=body)
        if not 200 <= reply.status < 300:
            raise failure_of(reply)
        return Response(reply.status, reply.body.decode("utf-8", "replace"), reply.headers)


class Api:
    """The calls the connector makes. All raise a SendFailed."""

    def __init__(self, http: Http, api_base: str, account_sid: str, auth_token: str) -> None:
        self.http, self.api_base = http, api_base
        self.login = aiohttp.encode_basic_auth(account_sid, auth_token)
        self.account_sid = account_sid
        self._contents: dict[str, str] | None = None
        self.client = Client(
            account_sid,
            auth_token,
            http_client=SharedSession(http, api_base),
            # An empty mapping would make the SDK take its region from the process environment.
            environment={"TWILIO_REGION": ""},
        )
        self.messages = self.client.messages  # imports the API's classes, too: a thread's work

    async def create(self, fields: Mapping[str, Any]) -> str:
        """Hand a message over and return its sid; `fields` are the SDK's names."""
        try:
            message = await self.messages.create_async(**fields)
        except UNREADABLE:
            raise OutcomeUnknown("Twilio's answer cannot be read") from None
        if not (isinstance(message.sid, str) and message.sid):
            raise OutcomeUnknown("Twilio's answer has no sid")
        return message.sid

    async def content(self, shape: Shape) -> str:
        """The sid of a shape's content, created unless the account has it. Nothing is sent by it,
        and doing it twice leaves no more than a spare: whatever fails here may be tried again.
        Raises a SendFailed that says the message is not out."""
        try:
            if self._contents is None:
                self._contents = await self._list_contents()
            if shape.name not in self._contents:
                answer = await self._json("POST", f"{CONTENT}/v1/Content", shape.resource)
                sid = answer.get("sid")
                if not isinstance(sid, str) or not sid:
                    raise Unreachable("Twilio's answer names no content")
                self._contents[shape.name] = sid
            return self._contents[shape.name]
        except OutcomeUnknown as error:
            raise Unreachable(f"the content was not prepared: {error.reason}") from None

    def forget_contents(self) -> None:
        """They are not what Twilio has any more."""
        self._contents = None

    async def _list_contents(self) -> dict[str, str]:
        """The account's contents that are ours, by name."""
        try:
            found = await self._pages("Content")
        except (Misconfigured, Refused) as error:
            if error.code == "20003":
                raise
            return {}  # an account that may not list may still create
        named = [(one.get("friendly_name"), one.get("sid")) for one in found]
        return {
            name: sid
            for name, sid in named
            if isinstance(name, str) and name.startswith("onethread_") and isinstance(sid, str)
        }

    async def templates(self) -> list[ListedTemplate]:
        """The account's contents with what WhatsApp thinks of them, but for our own shapes."""
        found = await self._pages("ContentAndApprovals")
        theirs = [
            one for one in found if not str(one.get("friendly_name")).startswith("onethread_")
        ]
        return [one for one in map(listed_template, theirs) if one is not None]

    async def _pages(self, resource: str) -> list[dict[str, Any]]:
        """All items of a list of the Content API, from each page the link to the next."""
        found: list[dict[str, Any]] = []
        path = f"/v1/{resource}?PageSize={CONTENT_PAGE}"
        for _ in range(CONTENT_PAGES):
            answer = await self._json("GET", CONTENT + path)
            items = answer.get("contents")
            found += [one for one in items if isinstance(one, dict)] if items else []
            meta = answer.get("meta")
            following = meta.get("next_page_url") if isinstance(meta, dict) else None
            if not isinstance(following, str) or not following:
                break
            parts = urlsplit(following)
            path = f"{parts.path}?{parts.query}"
        return found

    async def show_typing(self, wanted: Mapping[str, str]) -> None:
        """Show typing under a customer's message; the fields are those of Indicators v3."""
        await self._json("POST", f"{MESSAGING}/v3/Indicators/Typing.json", wanted)

    async def _json(self, method: str, url: str, body: Any = None) -> dict[str, Any]:
        """A call that takes and gives JSON. Raises a SendFailed."""
        if self.api_base != API:
            parts = urlsplit(url)
            url = f"{self.api_base}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        headers = {"Authorization": self.login, "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else orjson.dumps(body)
        reply = await self.http.request(method, url, headers=headers, body=data)
        if not 200 <= reply.status < 300:
            raise failure_of(reply)
        try:
            answer = orjson.loads(reply.body)
        except orjson.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict):
            raise OutcomeUnknown("Twilio's answer cannot be read")
        return answer

    async def newest(self, to: str, sender: str, since: datetime) -> list[Any]:
        """The messages to a recipient created at or after `since`, newest first, of `sender`
        alone if it is given.

        Twilio is not asked to filter by date: it would by the date of sending, which a message
        that still waits in its queue has not.
        """
        filters = {"to": to, "from_": sender} if sender else {"to": to}
        try:
            found = list(await self.messages.page_async(**filters, page_size=PAGE))
        except UNREADABLE:
            raise OutcomeUnknown("Twilio's list of messages cannot be read") from None
        recent = [message for message in found if created_at(message) >= since]
        return sorted(recent, key=created_at, reverse=True)

    async def inbound(self, to: str, since: datetime, until: datetime) -> tuple[list[Any], bool]:
        """The messages received from `since` on and before `until`, oldest first, by a number
        if it is given; and whether these are all.

        Twilio gives them newest first and times to the second.
        """
        filters: dict[str, Any] = {"to": to} if to else {}
        filters |= {"date_sent_after": since, "date_sent_before": until, "page_size": LIST_PAGE}
        found: list[Any] = []
        try:
            page = await self.messages.page_async(**filters)
            for _ in range(LIST_PAGES):
                found += [one for one in page if str(one.direction) == "inbound"]
                page = await page.next_page_async()
                if page is None:
                    break
        except UNREADABLE:
            raise OutcomeUnknown("Twilio's list of messages cannot be read") from None
        found.reverse()
        wanted = [one for one in found if since <= sent_at(one) < until]
        return sorted(wanted, key=sent_at), page is None

    async def attachments(self, message: Any) -> list[tuple[str, str]]:
        """Path and MIME type of each attachment of a message."""
        try:
            found = await message.media.list_async(limit=PAGE)
            return [(str(one.uri).removesuffix(".json"), str(one.content_type)) for one in found]
        except UNREADABLE:
            raise OutcomeUnknown("Twilio's list of media cannot be read") from None

    async def account(self) -> str:
        """The account's name, sid and, if it is not active, status."""
        try:
            account = await self.client.api.v2010.accounts(self.account_sid).fetch_async()
            name, status = str(account.friendly_name), str(account.status)
        except UNREADABLE:
            raise OutcomeUnknown("Twilio's account cannot be read") from None
        about = self.account_sid if status == "active" else f"{self.account_sid}, {status}"
        return f"{name} ({about})"


def created_at(message: Any) -> datetime:
    found = message.date_created or message.date_sent
    return found if isinstance(found, datetime) else datetime.min.replace(tzinfo=UTC)


def failure_of(reply: HttpReply) -> SendFailed:
    try:
        code = int(orjson.loads(reply.body)["code"])
    except (ValueError, TypeError, LookupError, OverflowError):
        code = None
    return send_failure(reply.status, code, seconds_of(reply.headers.get("Retry-After")))


def seconds_of(retry_after: str | None) -> float | None:
    """Retry-After in seconds; Twilio does not give it as a date."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < 1e6 else None
