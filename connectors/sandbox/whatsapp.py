"""The stand-in for Meta's WhatsApp Cloud API; `python -m connectors.sandbox.whatsapp` serves it.

Facts are from Meta's Cloud API documentation: messages, media, webhooks, error codes.
"""

import re
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import ClassVar

import orjson
from aiohttp import web
from yarl import URL

from connectors.sandbox import (
    control,
    standin,
    whatsapp_customer,
    whatsapp_rules,
    whatsapp_templates,
    whatsapp_wire,
)
from connectors.sandbox.calls import Call
from connectors.sandbox.customer import CustomerMessage
from connectors.sandbox.deliveries import Post
from connectors.sandbox.faults import bare_number
from connectors.sandbox.links import Link, Reason
from connectors.sandbox.media import Media
from connectors.sandbox.pace import Pace
from connectors.sandbox.refusal import Refusal
from connectors.sandbox.transcript import Item
from connectors.sandbox.whatsapp_account import Account, Template
from connectors.sandbox.whatsapp_files import Files

DAY = 86_400.0
WINDOW, AD_WINDOW = DAY, 3 * DAY
INBOUND_MEDIA_LIFE = 7 * DAY
PAIR_EVERY, PAIR_BURST = 6.0, 45


class Sandbox(Files):
    """WhatsApp's Cloud API, its webhooks, and the customers' phones."""

    account_model = Account
    message_model = whatsapp_customer.CustomerMessage
    fault_codes: ClassVar[dict[int, int]] = {400: 100, 401: 190, 429: 130429, 500: 131000}

    def __init__(self, *, now: Callable[[], float] = time.time, keep: int | None = None) -> None:
        super().__init__(now=now, keep=keep)
        self._open_until: dict[tuple[str, str], float] = {}
        self._batches: dict[str, tuple[list[whatsapp_wire.Json], list[whatsapp_wire.Json]]] = {}
        self._groups: set[str] = set()
        self._pairs = Pace(PAIR_EVERY, PAIR_BURST)
        self._paces: dict[tuple[str, int], Pace] = {}

    def add_provider_routes(self, router: web.UrlDispatcher) -> None:
        version = r"/{version:v\d+\.\d+}"
        router.add_post(version + "/{id}/messages", self.provider(self._messages))
        router.add_get(version + "/{id}/message_templates", self.provider(self._list_templates))
        router.add_get(version + "/debug_token", self.provider(self._debug_token))
        super().add_provider_routes(router)
        for path, handle in (
            ("/accounts/{id}/verify", self._verify),
            ("/accounts/{id}/templates", self._change_template),
            ("/phones/{number}/preferences", self._prefer),
            ("/phones/{number}/moves", self._move),
            ("/phones/{number}/echoes", self._echo),
        ):
            router.add_post("/_sandbox" + path, control.guarded(handle))

    def reset(self) -> None:
        super().reset()
        self._open_until.clear()
        self._batches.clear()
        self._groups.clear()
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

    # What is no message of a customer.

    def change_template(
        self, account: str, name: str, language: str = "en", **news: str
    ) -> list[Post]:
        """Change a template's `status` or `quality`, and tell by webhooks. Raises ControlError."""
        known = self.account(account)
        found = known.templates or ()
        old = next((one for one in found if (one.name, one.language) == (name, language)), None)
        if old is None:
            raise control.ControlError(f"no template {name} in {language}")
        new = Template.model_validate({**old.model_dump(), **news})
        templates = tuple(new if one is old else one for one in found)
        self.accounts[known.key] = known.model_copy(update={"templates": templates})
        told = whatsapp_templates.changes(old, new)
        posts = [self._post(known, "", value, name) for name, value in told]
        for post in posts:
            self.deliveries.put(post)
        return posts

    async def _change_template(self, request: web.Request) -> web.Response:
        news = orjson.loads(await request.read())
        posts = self.change_template(request.match_info["id"], **news)
        return control.json_response({"webhooks": len(posts)})

    async def _prefer(self, request: web.Request) -> web.Response:
        wish = whatsapp_customer.Preference.model_validate_json(await request.read())
        account, phone = self.account(wish.account), bare_number(request.match_info["number"])
        value = whatsapp_wire.preference(phone, self.phone(phone), wish.value, self.now())
        return self._tell(account, phone, value, "user_preferences")

    async def _move(self, request: web.Request) -> web.Response:
        """Her number becomes another; the phone's facts go with it."""
        to = whatsapp_customer.Move.model_validate_json(await request.read())
        account, old = self.account(to.account), bare_number(request.match_info["number"])
        new = bare_number(to.number)
        value = whatsapp_wire.number_change(old, new, self.phone(old), self.now())
        self.phones[new] = self.phones.pop(old, self.phone(old))
        return self._tell(account, old, value, "messages")

    async def _echo(self, request: web.Request) -> web.Response:
        typed = whatsapp_customer.Echo.model_validate_json(await request.read())
        account, phone = self.account(typed.account), bare_number(request.match_info["number"])
        item = Item(
            account.key,
            phone,
            "out",
            whatsapp_wire.new_wamid(phone),
            "text",
            self.now(),
            typed.text,
        )
        self.transcript.add(item)
        number = account.display_phone_number
        value = whatsapp_wire.echo(item, number, self.phone(phone))
        return self._tell(account, phone, value, "smb_message_echoes")

    def _tell(
        self, account: Account, phone: str, value: whatsapp_wire.Json, field: str
    ) -> web.Response:
        self.deliveries.put(self._post(account, phone, value, field))
        return control.json_response({}, 201)

    # The customer's side.

    def hear(self, account: Account, phone: str, said: CustomerMessage) -> tuple[Item, Post | None]:
        assert isinstance(said, whatsapp_customer.CustomerMessage)
        now, known = self.now(), self.phone(phone)
        external_id = whatsapp_wire.new_wamid(phone)
        life = AD_WINDOW if said.referral else WINDOW
        if said.group is not None:
            self._groups.add(said.group)
        for who in (phone, said.group) if said.group else (phone,):
            opened = max(self._open_until.get((account.key, who), 0.0), now + life)
            self._open_until[account.key, who] = opened
        file = self.make_file(account, said, now + INBOUND_MEDIA_LIFE)
        quoted = self.transcript.find(said.quotes)
        message = whatsapp_wire.inbound(
            said, phone, known, account.display_phone_number, external_id, now, file, quoted
        )
        item = self._item(account, phone, said, message["id"], file)
        contacts, messages = self._batches.setdefault(account.key, ([], []))
        contacts.append(whatsapp_wire.contact(phone, known))
        messages.append(message)
        if said.batch:
            return item, None
        del self._batches[account.key]
        post = self._post(account, phone, {"contacts": contacts, "messages": messages})
        post.external_ids = tuple(message["id"] for message in messages)
        return item, post

    def _item(
        self,
        account: Account,
        phone: str,
        said: whatsapp_customer.CustomerMessage,
        external_id: str,
        file: Media | None,
    ) -> Item:
        """What the phone shows: a new message, or one of hers that she changed."""
        change = said.edit or said.unsend
        if change is None:
            item = self.heard(account, phone, said, external_id, file)
            item.text = item.text or (said.flow.body if said.flow else "")
            return item
        found = self.transcript.find(change.message_id)
        if found is None or found.direction != "in" or found.phone != phone:
            raise control.ControlError("that is no message of hers")
        if said.edit is not None:
            found.text, found.edits = said.edit.text, found.edits + 1
        else:
            found.text, found.status = "", "deleted"
        return found

    def receipt(self, account: Account, item: Item, status: str, error: int | None) -> Post:
        entry = whatsapp_wire.status_entry(item, self.phone(item.phone), status, error, self.now())
        post = self._post(account, item.phone, {"statuses": [entry]})
        post.kind, post.receipt, post.external_ids = "receipt", status, (item.external_id,)
        return post

    def _post(
        self, account: Account, phone: str, value: whatsapp_wire.Json, field: str = "messages"
    ) -> Post:
        if "message_template_name" not in value:
            metadata = {
                "display_phone_number": account.display_phone_number,
                "phone_number_id": account.phone_number_id,
            }
            value = {"messaging_product": "whatsapp", "metadata": metadata, **value}
        body = whatsapp_wire.envelope(account.waba_id, field, value)
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

    def _recipient(self, body: whatsapp_wire.Json) -> str:
        """The phone meant by `to`, or by the business-scoped id in `recipient`; or the group."""
        to, recipient = body.get("to"), body.get("recipient")
        if body.get("recipient_type") == "group":
            if to not in self._groups:
                raise Refusal(131041, "the group is not known")
            return str(to)
        if isinstance(to, str) and to:
            digits = re.sub(r"[ ()+-]", "", to)
            if not re.fullmatch(r"\d{5,20}", digits):
                raise Refusal(100, "Param to is not a phone number")
            return self.number_of(digits)
        if isinstance(recipient, str) and recipient:
            return self.number_of(recipient)
        raise Refusal(100, "The parameter to is required.")

    def _check_template(self, account: Account, body: whatsapp_wire.Json, item: Item) -> None:
        if item.template is None:
            return
        template = whatsapp_templates.find(account, item.template)
        if template is None:
            return
        item.text = whatsapp_templates.check(template, item.template)
        item.buttons = whatsapp_templates.shown_buttons(template, item.template)
        if template.category == "authentication" and not body.get("to"):
            raise Refusal(131062)

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


if __name__ == "__main__":
    from connectors.sandbox.alone import serve

    serve(Sandbox)
