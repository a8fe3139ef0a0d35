"""Twilio's Content API: contents are created, listed, handed in for approval and deleted.

https://www.twilio.com/docs/content/content-api-resources, v1, 2026-11; the resources' fields as
twilio-python 9.13 reads them. Lists are newest first, 50 a page and at most 500.
"""

import base64
import hmac
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import orjson
from aiohttp import web

from connectors.sandbox import control, standin, twilio_templates, twilio_wire
from connectors.sandbox.calls import Call
from connectors.sandbox.refusal import Refusal
from connectors.sandbox.twilio_account import Account
from connectors.sandbox.twilio_templates import Content, Json

PAGE, LONGEST_PAGE = 50, 500


class Contents(standin.Standin[Account]):
    """The accounts' contents, and what WhatsApp says of them."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.contents: dict[str, Content] = {}

    def add_provider_routes(self, router: web.UrlDispatcher) -> None:
        one = "/v1/Content/{sid:[^/.]+}"
        router.add_post("/v1/Content", self.provider(self._create))
        router.add_get("/v1/Content", self.provider(self._list_contents))
        router.add_get("/v1/ContentAndApprovals", self.provider(self._list_approvals))
        router.add_get(one, self.provider(self._fetch))
        router.add_delete(one, self.provider(self._delete))
        router.add_post(one + "/ApprovalRequests/whatsapp", self.provider(self._ask))
        router.add_get(one + "/ApprovalRequests", self.provider(self._approval))
        router.add_post("/_sandbox/contents/{sid}", control.guarded(self._judge))

    def reset(self) -> None:
        super().reset()
        self.contents.clear()

    def judge(self, sid: str, status: str, reason: str = "") -> None:
        """Let WhatsApp say what it thinks of a content. Raises ControlError."""
        content = self.contents.get(sid)
        if content is None or status not in twilio_templates.STATUSES:
            raise control.ControlError("no such content or status")
        named = {"name": content.friendly_name, "category": "UTILITY"}
        content.approval = {
            **named,
            "content_type": next(iter(content.types)),
            "allow_category_change": True,
            **content.approval,
            "status": status,
            "rejection_reason": reason,
        }

    async def _judge(self, request: web.Request) -> web.Response:
        said = orjson.loads(await request.read())
        self.judge(request.match_info["sid"], said.get("status", ""), said.get("reason", ""))
        return control.json_response({})

    def authorize(self, request: web.Request, call: Call) -> list[Account]:
        """The senders of the account that the Basic login is of, which must be the path's if that
        names one. Raises `Refusal`."""
        scheme, _, login = request.headers.get("Authorization", "").partition(" ")
        sid = request.match_info.get("ac")
        own = [
            account
            for account in self.accounts.values()
            if sid in (None, account.account_sid)
            and scheme == "Basic"
            and hmac.compare_digest(_login(account), login.encode())
        ]
        if not own:
            raise Refusal(20003)
        call.account = own[0].key
        return own

    def content_of(self, account: Account, sid: str) -> Content | None:
        """The account's own content of that sid."""
        content = self.contents.get(sid)
        is_own = content is not None and content.account_sid == account.account_sid
        return content if is_own else None

    async def _create(self, request: web.Request, call: Call) -> web.Response:
        raw = await request.read()
        own = self.authorize(request, call)[0]
        await self.meet_read_fault(request, call, own, "action")
        sid = twilio_wire.new_sid("HX")
        content = twilio_templates.make(raw, sid, own.account_sid, self.now())
        call.body, call.external_id = content.types, sid
        self.contents[sid] = content
        return control.json_response(content.resource(self.base_url), 201)

    async def _fetch(self, request: web.Request, call: Call) -> web.Response:
        content = self._content(request, call)
        return control.json_response(content.resource(self.base_url))

    async def _delete(self, request: web.Request, call: Call) -> web.Response:
        del self.contents[self._content(request, call).sid]
        return web.Response(status=204)

    async def _ask(self, request: web.Request, call: Call) -> web.Response:
        content = self._content(request, call)
        content.approval = twilio_templates.ask_approval(content, await request.read())
        return control.json_response(content.approval, 201)

    async def _approval(self, request: web.Request, call: Call) -> web.Response:
        content = self._content(request, call)
        found = {"sid": content.sid, "account_sid": content.account_sid}
        told = {"type": "whatsapp", **_told(content)}
        url = f"{self.base_url}/v1/Content/{content.sid}/ApprovalRequests"
        return control.json_response({**found, "whatsapp": told, "url": url})

    def _content(self, request: web.Request, call: Call) -> Content:
        own = self.authorize(request, call)[0]
        content = self.content_of(own, request.match_info["sid"])
        if content is None:
            raise Refusal(20404)
        call.external_id = content.sid
        return content

    async def _list_contents(self, request: web.Request, call: Call) -> web.Response:
        return await self._listed(request, call, lambda one: one.resource(self.base_url))

    async def _list_approvals(self, request: web.Request, call: Call) -> web.Response:
        def told(one: Content) -> Json:
            resource = one.resource(self.base_url)
            del resource["url"], resource["links"]
            return {**resource, "approval_requests": _told(one)}

        return await self._listed(request, call, told)

    async def _listed(
        self, request: web.Request, call: Call, told: Callable[[Content], Json]
    ) -> web.Response:
        own = self.authorize(request, call)[0]
        await self.meet_read_fault(request, call, own, "list")
        mine = [one for one in self.contents.values() if one.account_sid == own.account_sid]
        return control.json_response(_page(mine[::-1], request, self.base_url, told))


def _page(
    contents: list[Content], request: web.Request, origin: str, told: Callable[[Content], Json]
) -> Json:
    """The page that is asked for. Raises `Refusal`."""
    try:
        size = min(max(1, int(request.query.get("PageSize", PAGE))), LONGEST_PAGE)
        number = max(0, int(request.query.get("Page", 0)))
    except ValueError:
        raise Refusal(20001) from None
    token = request.query.get("PageToken", "")
    sids = [one.sid for one in contents]
    if token and token not in sids:
        raise Refusal(20001)
    start = sids.index(token) + 1 if token else number * size
    shown = contents[start : start + size]
    following = None
    if len(contents) > start + size:
        rest = {"PageSize": size, "Page": number + 1, "PageToken": shown[-1].sid}
        following = f"{origin}{request.path}?{urlencode(rest)}"
    meta = {
        "key": "contents",
        "page": number,
        "page_size": size,
        "url": f"{origin}{request.path_qs}",
        "first_page_url": f"{origin}{request.path}?PageSize={size}&Page=0",
        "previous_page_url": None,
        "next_page_url": following,
    }
    return {"contents": [told(one) for one in shown], "meta": meta}


def _told(content: Content) -> Json:
    return content.approval or {
        "name": "",
        "category": "",
        "content_type": next(iter(content.types)),
        "status": "unsubmitted",
        "rejection_reason": "",
        "allow_category_change": True,
    }


def _login(account: Account) -> bytes:
    return base64.b64encode(f"{account.account_sid}:{account.auth_token}".encode())
