"""The stand-in for Meta's WhatsApp Cloud API; `python -m connectors.sandbox.whatsapp` serves it.

Facts are from Meta's Cloud API documentation: messages, media, webhooks, error codes.
"""

import hmac
import re
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import ClassVar

import orjson
from aiohttp import web
from yarl import URL

from connectors.sandbox import control, media, standin, whatsapp_rules, whatsapp_wire
from connectors.sandbox.calls import Call
from connectors.sandbox.customer import CustomerMessage
from connectors.sandbox.deliveries import Post
from connectors.sandbox.faults import bare_number
from connectors.sandbox.links import Link, Reason
from connectors.sandbox.pace import Pace
from connectors.sandbox.refusal import Refusal
from connectors.sandbox.transcript import Item
from connectors.sandbox.whatsapp_account import Account

DAY = 86_400.0
WINDOW, AD_WINDOW = DAY, 3 * DAY
INBOUND_MEDIA_LIFE, UPLOAD_LIFE, URL_LIFE = 7 * DAY, 30 * DAY, 300.0
PAIR_EVERY, PAIR_BURST = 6.0, 45


class Sandbox(standin.Standin[Account]):
    """WhatsApp's Cloud API, its webhooks, and the customers' phones."""

    account_model = Account
    fault_codes: ClassVar[dict[int, int]] = {400: 100, 401: 190, 429: 130429, 500: 131000}

    def __init__(self, *, now: Callable[[], float] = time.time, keep: int | None = None) -> None:
        super().__init__(now=now, keep=keep)
        self._open_until: dict[tuple[str, str], float] = {}
        self._batches: dict[str, tuple[list[whatsapp_wire.Json], list[whatsapp_wire.Json]]] = {}
        self._links: dict[str, tuple[str, float]] = {}
        self._pairs = Pace(PAIR_EVERY, PAIR_BURST)
        self._paces: dict[tuple[str, int], Pace] = {}

    def add_provider_routes(self, router: web.UrlDispatcher) -> None:
        version = r"/{version:v\d+\.\d+}"
        router.add_post(version + "/{id}/messages", self.provider(self._messages))
        router.add_post(version + "/{id}/media", self.provider(self._upload))
        router.add_get(version + "/{id}", self.provider(self._look_up))
        router.add_delete(version + "/{id}", self.provider(self._delete_media))
        router.add_get("/media-download/{token}", self.provider(self._download))
        router.add_post("/_sandbox/accounts/{id}/verify", control.guarded(self._verify))

    def reset(self) -> None:
        super().reset()
        self._open_until.clear()
        self._batches.clear()
        self._links.clear()
        self._pairs.clear()
        self._paces.clear()

    async def verify(self, account: str) -> bool:
        """Do Meta's GET handshake with the account's hook: whether it echoes the challenge."""
        known = self.account(account)
        challenge = str(secrets.randbelow(10**9))
        query = {
            "hub.mode": "subscribe",
            "hub.verify_token": known.verify_token,
            "hub.challenge": challenge,
        }
        url = URL(known.hook_url).update_query(query)
        async with self.deliveries.session.get(url, allow_redirects=False) as response:
            return response.status == 200 and await response.text() == challenge

    async def _verify(self, request: web.Request) -> web.Response:
        return control.json_response({"verified": await self.verify(request.match_info["id"])})

    # The customer's side.

    def hear(self, account: Account, phone: str, said: CustomerMessage) -> tuple[Item, Post | None]:
        now, known = self.now(), self.phone(phone)
        external_id = whatsapp_wire.new_wamid(phone)
        life = AD_WINDOW if said.referral else WINDOW
        opened = max(self._open_until.get((account.key, phone), 0.0), now + life)
        self._open_until[account.key, phone] = opened
        file = self.make_file(account, said, now + INBOUND_MEDIA_LIFE)
        quoted = self.transcript.find(said.quotes)
        message = whatsapp_wire.inbound(
            said, phone, known, account.display_phone_number, external_id, now, file, quoted
        )
        item = self.heard(account, phone, said, message["id"], file)
        contacts, messages = self._batches.setdefault(account.key, ([], []))
        contacts.append(whatsapp_wire.contact(phone, known))
        messages.append(message)
        if said.batch:
            return item, None
        del self._batches[account.key]
        post = self._post(account, phone, {"contacts": contacts, "messages": messages})
        post.external_ids = tuple(message["id"] for message in messages)
        return item, post

    def receipt(self, account: Account, item: Item, status: str, error: int | None) -> Post:
        entry = whatsapp_wire.status_entry(item, self.phone(item.phone), status, error, self.now())
        post = self._post(account, item.phone, {"statuses": [entry]})
        post.kind, post.receipt, post.external_ids = "receipt", status, (item.external_id,)
        return post

    def _post(self, account: Account, phone: str, value: whatsapp_wire.Json) -> Post:
        metadata = {
            "display_phone_number": account.display_phone_number,
            "phone_number_id": account.phone_number_id,
        }
        body = whatsapp_wire.envelope(account.waba_id, metadata, value)
        return Post(
            queue=f"{account.key}/{phone}",
            account=account.key,
            phone=phone,
            url=account.hook_url,
            body=body,
            headers=whatsapp_wire.sign(account.app_secret, body),
            kind="message",
            external_ids=(),
            first_retry=account.first_retry,
            timeout=account.hook_timeout,
        )

    # The business's side.

    async def _messages(self, request: web.Request, call: Call) -> web.Response:
        raw = await request.read()
        account = self._authorize(request, call)
        body = _parse(raw)
        call.body = body
        if body.get("status") == "read":
            return self._mark_read(body)
        call.correlation = body.get("biz_opaque_callback_data")
        item = Item(account.key, "", "out", "", "text", self.now())
        item.phone = call.to = self._recipient(body)
        item.text = whatsapp_wire.said_text(body)
        fault = await self.meet_fault(request, call, account, item.phone, item.text)
        whatsapp_rules.check_message(body, lambda id: self._media_of(account, id))
        whatsapp_wire.show(body, item)
        self._check_template(account, body, item)
        steps = self._check_recipient(account, item)
        item.external_id = whatsapp_wire.new_wamid(item.phone)
        item.correlation = call.correlation
        for shown in item.media:
            if shown["id"] is not None:
                stored = self.media[shown["id"]]
                shown.update(mime=stored.mime, url=self.media_url(stored))
        links = _links(item)
        answer = control.json_response(self._accepted(body, item))
        return await self.conclude(request, call, account, item, steps, answer, fault, links)

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

    def _recipient(self, body: whatsapp_wire.Json) -> str:
        """The phone meant by `to`, or by the business-scoped id in `recipient`."""
        to, recipient = body.get("to"), body.get("recipient")
        if isinstance(to, str) and to:
            digits = re.sub(r"[ ()+-]", "", to)
            if not re.fullmatch(r"\d{5,20}", digits):
                raise Refusal(100, "Param to is not a phone number")
            return self.number_of(digits)
        if isinstance(recipient, str) and recipient:
            return self.number_of(recipient)
        raise Refusal(100, "The parameter to is required.")

    def _check_template(self, account: Account, body: whatsapp_wire.Json, item: Item) -> None:
        if item.template is None or account.templates is None:
            return
        name, language = item.template["name"], item.template["language"]["code"]
        for template in account.templates:
            if (template.name, template.language) == (name, language):
                break
        else:
            raise Refusal(132001, f"template {name} does not exist in {language}")
        given = whatsapp_wire.count_parameters(item.template)
        if given != template.parameters:
            raise Refusal(132000, f"{given} parameters, {template.parameters} expected")
        if template.category == "authentication" and not body.get("to"):
            raise Refusal(131062)
        item.text = whatsapp_wire.render_template(template.body, item.template)
        if len(item.text) > whatsapp_rules.CAPTION:
            raise Refusal(132005, "the body with its parameters is too long")

    def _check_recipient(self, account: Account, item: Item) -> list[standin.Step]:
        """What becomes of the message on its way. Raises `Refusal` when it does not set out."""
        phone, now = item.phone, self.now()
        if phone == bare_number(account.display_phone_number):
            raise Refusal(131021)
        if account.throughput is not None:
            key = (account.key, account.throughput)
            pace = self._paces.setdefault(key, Pace(1 / account.throughput, account.throughput))
            if not pace.take(account.key, now):
                raise Refusal(130429)
        if account.pair_limit and not self._pairs.take((account.key, phone), now):
            raise Refusal(131056)
        known = self.phone(phone)
        if known.fails_with is not None and known.at_once:
            raise Refusal(known.fails_with)
        if known.fails_with is not None:
            return [("failed", known.fails_with)]
        if item.template is None and self._open_until.get((account.key, phone), 0.0) <= now:
            if not account.async_window_error:
                raise Refusal(131047, "more than 24 hours since the customer last replied")
            return [("failed", 131047)]
        return [(status, None) for status in account.receipts]

    def _accepted(self, body: whatsapp_wire.Json, item: Item) -> whatsapp_wire.Json:
        known = self.phone(item.phone)
        contact = {"input": body.get("to") or body.get("recipient")}
        if body.get("to"):
            contact["wa_id"] = known.wa_id or item.phone
        else:
            contact["user_id"] = body.get("recipient")
        message = {"id": item.external_id}
        if item.template is not None:
            message["message_status"] = "accepted"
        return {"messaging_product": "whatsapp", "contacts": [contact], "messages": [message]}

    def _mark_read(self, body: whatsapp_wire.Json) -> web.Response:
        item = self.transcript.find(body.get("message_id"))
        if item is None or item.direction != "in":
            raise Refusal(131009, "message_id is not a message of a customer")
        typing = body.get("typing_indicator")
        if typing is not None and typing != {"type": "text"}:
            raise Refusal(131009, "typing_indicator must have the type text")
        self.transcript.mark(item, "read")
        return control.json_response({"success": True})

    def refuse(self, refusal: Refusal) -> web.Response:
        title = whatsapp_rules.TITLES.get(refusal.code, "Message failed to send")
        details = refusal.details or title
        error = {
            "message": f"(#{refusal.code}) {title if refusal.code != 100 else details}",
            "type": "OAuthException",
            "code": refusal.code,
            "error_data": {"messaging_product": "whatsapp", "details": details},
            "fbtrace_id": secrets.token_urlsafe(12),
        }
        status = refusal.status or whatsapp_rules.STATUSES.get(refusal.code, 400)
        answer = control.json_response({"error": error}, status)
        if refusal.retry_after is not None:
            answer.headers["Retry-After"] = f"{refusal.retry_after:g}"
        return answer

    def link_code(self, item: Item, reason: Reason) -> int:
        return 131053

    # Media and what the account is called.

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


def _parse(raw: bytes) -> whatsapp_wire.Json:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Refusal(100, "The body is not valid JSON") from None
    if not isinstance(body, dict):
        raise Refusal(100, "The body must be a JSON object")
    return body


def _links(item: Item) -> list[Link]:
    links = []
    for shown in item.media:
        if shown["id"] is None:
            kind = "audio" if shown["kind"] == "voice" else shown["kind"]
            most = partial(_most, kind)
            links.append(Link(shown, shown["url"], whatsapp_rules.MIMES[kind], most))
    return links


def _most(kind: str, mime: str) -> int:
    return whatsapp_rules.SIZES[kind]


def _facts(account: Account, fields: str | None) -> whatsapp_wire.Json:
    facts = {
        "verified_name": account.verified_name,
        "display_phone_number": account.display_phone_number,
        "quality_rating": "GREEN",
        "platform_type": "CLOUD_API",
        "code_verification_status": "VERIFIED",
    }
    asked = fields.split(",") if fields else list(facts)
    return {**{name: facts[name] for name in asked if name in facts}, "id": account.key}


if __name__ == "__main__":
    from connectors.sandbox.alone import serve

    serve(Sandbox)
