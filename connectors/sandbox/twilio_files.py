"""Twilio's media: those of messages, behind a redirect, and the links that sends give.

https://www.twilio.com/docs/messaging/api/media-resource; what WhatsApp takes is in `twilio_rules`.
"""

import secrets
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from connectors.sandbox import standin, twilio_rules, twilio_wire
from connectors.sandbox.calls import Call
from connectors.sandbox.deliveries import Post
from connectors.sandbox.links import Link, Reason
from connectors.sandbox.media import Media
from connectors.sandbox.refusal import Refusal
from connectors.sandbox.transcript import Item
from connectors.sandbox.twilio_account import Account
from connectors.sandbox.twilio_content import Contents

URL_LIFE = 14_400.0


class Files(Contents):
    """The files of messages, either way."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self._links: dict[str, tuple[str, float]] = {}

    def add_provider_routes(self, router: web.UrlDispatcher) -> None:
        super().add_provider_routes(router)
        accounts = f"/{twilio_wire.VERSION}/Accounts/{{ac:[^/.]+}}"
        media = accounts + "/Messages/{sid}/Media/{me:[^/.]+}"
        router.add_get(media, self.provider(self._media))
        router.add_delete(media, self.provider(self._delete_media))
        router.add_get("/cdn/{token}", self.provider(self._cdn))

    def reset(self) -> None:
        super().reset()
        self._links.clear()

    def new_media_id(self) -> str:
        return twilio_wire.new_sid("ME")

    async def _media(self, request: web.Request, call: Call) -> web.Response:
        own = self.authorize(request, call)
        file = self._own_media(own, request)
        call.external_id = file.id
        await self.meet_read_fault(request, call, own[0], "media")
        token = secrets.token_urlsafe(24)
        self._links[token] = (file.id, self.now() + URL_LIFE)
        return web.Response(status=302, headers={"Location": f"{self.base_url}/cdn/{token}"})

    async def _delete_media(self, request: web.Request, call: Call) -> web.Response:
        file = self._own_media(self.authorize(request, call), request)
        del self.media[file.id]
        return web.Response(status=204)

    def _own_media(self, own: list[Account], request: web.Request) -> Media:
        file = self.media.get(request.match_info["me"])
        if file is None or file.account not in {account.key for account in own}:
            raise Refusal(20404)
        return file

    async def _cdn(self, request: web.Request, call: Call) -> web.Response:
        id, until = self._links.get(request.match_info["token"], ("", 0.0))
        file = self.media.get(id)
        if file is None or until <= self.now():
            return web.Response(status=403, text="Request has expired")
        call.account, call.external_id = file.account, file.id
        return web.Response(body=file.content, headers={"Content-Type": file.mime})

    def link_code(self, item: Item, reason: Reason) -> int:
        if item.account.startswith("whatsapp:"):
            return {"type": 63021, "size": 11751}.get(reason, 63019)
        return 30019 if reason == "size" else 11200

    async def _fetch_links(
        self,
        account: Account,
        item: Item,
        links: Sequence[Link],
        steps: list[standin.Step],
        how: str | None,
        waited: bool,
    ) -> list[Post]:
        posts = await super()._fetch_links(account, item, links, steps, how, waited)
        mime = item.media[0]["mime"]
        if account.is_whatsapp and mime and mime not in twilio_rules.CAPTIONED:
            item.text = ""  # WhatsApp has no place for it, and nobody is told
        return posts


def links_of(account: Account, item: Item) -> list[Link]:
    """The links of a send, and what may be behind each."""
    limit, types = twilio_rules.media_limit, frozenset[str]()
    if account.is_whatsapp:
        limit, types = twilio_rules.whatsapp_media_limit, twilio_rules.WHATSAPP_TYPES
    return [Link(shown, shown["url"], types, limit) for shown in item.media]
