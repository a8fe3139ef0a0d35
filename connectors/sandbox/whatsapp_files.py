"""Media of the WhatsApp stand-in: upload, look up, download; and what an account is called.

Facts are from Meta's Cloud API documentation: media and phone numbers.
"""

import hmac
import secrets
import time
from collections.abc import Callable

from aiohttp import web

from connectors.sandbox import (
    control,
    media,
    standin,
    whatsapp_rules,
    whatsapp_templates,
    whatsapp_wire,
)
from connectors.sandbox.calls import Call
from connectors.sandbox.refusal import Refusal
from connectors.sandbox.whatsapp_account import Account

UPLOAD_LIFE, URL_LIFE = 30 * 86_400.0, 300.0


class Files(standin.Standin[Account]):
    """The part of the Graph API that is not sending."""

    def __init__(self, *, now: Callable[[], float] = time.time, keep: int | None = None) -> None:
        super().__init__(now=now, keep=keep)
        self._links: dict[str, tuple[str, float]] = {}

    def add_provider_routes(self, router: web.UrlDispatcher) -> None:
        version = r"/{version:v\d+\.\d+}"
        router.add_post(version + "/{id}/media", self.provider(self._upload))
        router.add_get(version + "/{id}", self.provider(self._look_up))
        router.add_delete(version + "/{id}", self.provider(self._delete_media))
        router.add_get("/media-download/{token}", self.provider(self._download))

    def reset(self) -> None:
        super().reset()
        self._links.clear()

    def _authorize(self, request: web.Request, call: Call) -> Account:
        """The account of the path, which the Bearer token must be good for. Raises `Refusal`."""
        own = self._accounts_of(request)
        account = next((one for one in own if one.key == request.match_info["id"]), None)
        if account is None:
            raise Refusal(100, "Object does not exist or cannot be loaded: missing permissions")
        call.account = account.key
        return account

    def _accounts_of(self, request: web.Request) -> list[Account]:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        own = [
            account
            for account in self.accounts.values()
            if scheme == "Bearer"
            and hmac.compare_digest(account.access_token.encode(), token.encode())
        ]
        if not own:
            raise Refusal(190, "The access token could not be decrypted")
        return own

    async def _list_templates(self, request: web.Request, call: Call) -> web.Response:
        own = self._accounts_of(request)
        waba_id = request.match_info["id"]
        account = next((one for one in own if one.waba_id == waba_id), None)
        if account is None:
            raise Refusal(100, "Object does not exist or cannot be loaded: missing permissions")
        call.account = account.key
        await self.meet_read_fault(request, call, account, "list")
        url = f"{self.base_url}{request.path}"
        return control.json_response(whatsapp_templates.listed(account, request.query, url))

    async def _debug_token(self, request: web.Request, call: Call) -> web.Response:
        own = self._accounts_of(request)
        if request.query.get("input_token") != own[0].access_token:
            raise Refusal(100, "The access token could not be decrypted")
        data = {
            "type": "SYSTEM_USER",
            "is_valid": True,
            "expires_at": own[0].token_ends,
            "data_access_expires_at": 0,
            "scopes": ["whatsapp_business_management", "whatsapp_business_messaging"],
        }
        return control.json_response({"data": data})

    async def _upload(self, request: web.Request, call: Call) -> web.Response:
        form = await request.post()
        account = self._authorize(request, call)
        file = form.get("file")
        if form.get("messaging_product") != "whatsapp":
            raise Refusal(100, "The parameter messaging_product is required")
        if not isinstance(file, web.FileField):
            raise Refusal(100, "The parameter file is required")
        content, mime = file.file.read(), str(form.get("type") or file.content_type)
        call.body = {"type": mime, "size": len(content)}
        kind = whatsapp_rules.check_upload(mime, len(content))
        stored = media.Media(
            id=self.new_media_id(),
            account=account.key,
            kind=kind,
            mime=mime,
            content=content,
            expires_at=self.now() + UPLOAD_LIFE,
            name=file.filename,
        )
        self.media[stored.id] = stored
        call.external_id = stored.id
        return control.json_response({"id": stored.id})

    async def _look_up(self, request: web.Request, call: Call) -> web.Response:
        own = self._accounts_of(request)
        asked = request.match_info["id"]
        for account in own:
            if account.key == asked:
                call.account = account.key
                return control.json_response(_facts(account, request.query.get("fields")))
            stored = self._media_of(account, asked)
            if stored is not None:
                call.account, call.external_id = account.key, stored.id
                await self.meet_read_fault(request, call, account, "media")
                return control.json_response(self._media_facts(stored))
        raise Refusal(100, f"Object with ID {asked} does not exist")

    def _media_facts(self, stored: media.Media) -> whatsapp_wire.Json:
        token = secrets.token_urlsafe(16)
        self._links[token] = (stored.id, self.now() + URL_LIFE)
        return {
            "messaging_product": "whatsapp",
            "url": f"{self.base_url}/media-download/{token}?mid={stored.id}",
            "mime_type": stored.mime,
            "sha256": stored.sha256,
            "file_size": len(stored.content),
            "id": stored.id,
        }

    def _media_of(self, account: Account, id: str) -> media.Media | None:
        stored = self.media.get(id)
        if stored is None or stored.account != account.key or stored.expires_at <= self.now():
            return None
        return stored

    async def _download(self, request: web.Request, call: Call) -> web.Response:
        own = self._accounts_of(request)
        media_id, until = self._links.get(request.match_info["token"], ("", 0.0))
        for account in own:
            stored = self._media_of(account, media_id)
            if stored is not None and until > self.now():
                call.account, call.external_id = account.key, stored.id
                await self.meet_read_fault(request, call, account, "media")
                if not request.headers.get("User-Agent"):
                    return web.Response(status=400, text="<html></html>", content_type="text/html")
                return web.Response(body=stored.content, headers={"Content-Type": stored.mime})
        return web.Response(status=404, text="URL expired")

    async def _delete_media(self, request: web.Request, call: Call) -> web.Response:
        for account in self._accounts_of(request):
            if self._media_of(account, request.match_info["id"]) is not None:
                del self.media[request.match_info["id"]]
                return control.json_response({"success": True})
        raise Refusal(100, "Object does not exist")


def _facts(account: Account, fields: str | None) -> whatsapp_wire.Json:
    facts = {
        "verified_name": account.verified_name,
        "display_phone_number": account.display_phone_number,
        "quality_rating": account.quality,
        "status": "CONNECTED",
        "whatsapp_business_manager_messaging_limit": account.messaging_limit,
        "platform_type": "CLOUD_API",
        "code_verification_status": "VERIFIED",
    }
    asked = fields.split(",") if fields else list(facts)
    if strange := [name for name in asked if name not in facts and name != "id"]:
        raise Refusal(100, f"Tried accessing nonexisting field ({strange[0]})")
    return {**{name: facts[name] for name in asked if name in facts}, "id": account.key}
