"""The send API of Messenger and Instagram: what is let through, and what becomes of it."""

import json
import secrets
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from connectors.sandbox import control, meta_rules, meta_wire
from connectors.sandbox.calls import Call
from connectors.sandbox.faults import Fault
from connectors.sandbox.links import Link, fetch_link
from connectors.sandbox.media import Media
from connectors.sandbox.meta_account import Account
from connectors.sandbox.meta_wire import Json
from connectors.sandbox.pace import Pace
from connectors.sandbox.refusal import Refusal
from connectors.sandbox.standin import Step
from connectors.sandbox.transcript import Item

if TYPE_CHECKING:
    from connectors.sandbox.meta_standin import MetaStandin

FILES = ("image", "audio", "video", "file")
BLOCKED = 1545041


class Sends:
    """One stand-in's `messages` and `message_attachments`."""

    def __init__(self, standin: "MetaStandin[Any]") -> None:
        self._standin = standin
        self._paces: dict[tuple[str, bool, int], Pace] = {}

    def clear(self) -> None:
        self._paces.clear()

    def add_routes(self, router: web.UrlDispatcher, version: str) -> None:
        provider = self._standin.provider
        router.add_post(version + "/{id}/messages", provider(self._messages))
        router.add_post(version + "/{id}/message_attachments", provider(self._upload))

    async def _messages(self, request: web.Request, call: Call) -> web.Response:
        body, file = await _read(request)
        account = self._standin.tokens.named_account(request, body)
        call.account, call.body = account.key, {**body}
        call.body.pop("access_token", None)
        phone = call.to = _recipient(body)
        if "sender_action" in body:
            return await self._act(request, call, account, body)
        message = body.get("message")
        if isinstance(message, dict) and isinstance(message.get("metadata"), str):
            call.correlation = message["metadata"]
        text = meta_wire.said_text(body)
        fault = await self._standin.meet_fault(request, call, account, phone, text)
        rules = self._standin.rules
        meta_rules.check_message(message, rules, file is not None)
        meta_rules.check_quote(body)
        life = meta_rules.check_type(body, rules, account.human_agent)
        self._check_recipient(account, phone, life)
        item = Item(account.key, phone, "out", "", "text", self._standin.now())
        item.correlation = call.correlation
        meta_wire.show(body, item)
        self._check_quote(item)
        self._check_pace(account, item)
        attachment = body["message"].get("attachment")
        await self._attach(account, attachment, item, file)
        return await self._accept(request, call, account, item, attachment or {}, fault)

    async def _accept(
        self,
        request: web.Request,
        call: Call,
        account: Account,
        item: Item,
        attachment: Json,
        fault: Fault | None,
    ) -> web.Response:
        item.external_id = meta_wire.new_mid(self._standin.product)
        content = {"recipient_id": item.phone, "message_id": item.external_id}
        if item.media and (attachment.get("payload") or {}).get("is_reusable"):
            content["attachment_id"] = item.media[0]["id"] or secrets.token_hex(8)
        self._standin.drop_chips(account, item.phone, item)
        steps: list[Step] = [(status, None) for status in account.receipts]
        answer = control.json_response(content)
        return await self._standin.conclude(request, call, account, item, steps, answer, fault)

    async def _act(
        self, request: web.Request, call: Call, account: Account, body: Json
    ) -> web.Response:
        """Typing, seen and reactions: requests of their own."""
        phone, action, standin = str(call.to), body["sender_action"], self._standin
        await standin.meet_read_fault(request, call, account, "action")
        if "message" in body:
            raise meta_rules.invalid("sender_action cannot be sent with a message")
        if action not in meta_rules.ACTIONS:
            raise meta_rules.invalid("Param sender_action must be one of its known values")
        self._check_recipient(account, phone, 86_400.0)
        if action in ("react", "unreact"):
            given = body.get("payload")
            payload = given if isinstance(given, dict) else {}
            item = standin.transcript.find(str(payload.get("message_id")))
            if item is None or item.phone != phone:
                raise meta_rules.invalid("payload[message_id] is not a message of this thread")
            reaction = str(payload.get("reaction", "")) if action == "react" else ""
            item.reaction = {"message_id": item.external_id, "emoji": reaction}
            standin.transcript.put(item)
        elif action == "mark_seen":
            for item in standin.transcript.read(phone, account.key):
                if item.direction == "in":
                    standin.transcript.mark(item, "read")
        return control.json_response({"recipient_id": phone})

    def _check_recipient(self, account: Account, phone: str, life: float) -> None:
        """Is there such a person, who may be written to? Raises `Refusal`."""
        rules = self._standin.rules
        known = self._standin.phone(phone)
        last = self._standin.last_deeds.get((account.key, phone))
        if last is None:
            code, subcode = rules.unknown
            raise Refusal(code, "No matching user found", subcode=subcode)
        if known.fails_with is not None:
            subcode = BLOCKED if known.fails_with in (551, 200) else None
            raise Refusal(known.fails_with, subcode=subcode)
        self._standin.check_account(account)
        if self._standin.now() >= last + life:
            code, subcode = rules.closed
            raise Refusal(code, subcode=subcode)

    def _check_quote(self, item: Item) -> None:
        if item.reply_to is None:
            return
        quoted = self._standin.transcript.find(item.reply_to)
        if quoted is None or quoted.phone != item.phone:
            raise meta_rules.invalid("reply_to[mid] is not a message of this thread")

    def _check_pace(self, account: Account, item: Item) -> None:
        """The sends a second, of which audio and video may have fewer. Raises `Refusal`."""
        heavy = item.kind in ("audio", "video")
        most = account.media_throughput if heavy else account.throughput
        pace = self._paces.setdefault((account.key, heavy, most), Pace(1 / most, most))
        if not pace.take(account.key, self._standin.now()):
            code, subcode = self._standin.rules.throttled
            raise Refusal(code, subcode=subcode)

    # Files.

    async def _attach(
        self, account: Account, attachment: Json | None, item: Item, file: web.FileField | None
    ) -> None:
        """Take the file of a send, before it is accepted: by link, id or upload."""
        if attachment is None or attachment["type"] not in FILES:
            return
        kind, payload = attachment["type"], attachment.get("payload") or {}
        stored = await self._taken(account, kind, payload, file)
        if stored is not None:
            shown = {"kind": kind, "mime": stored.mime, "url": self._standin.media_url(stored)}
            name = item.media[0]["name"] if item.media else stored.name
            item.media = [{**shown, "id": stored.id, "name": name}]

    async def _taken(
        self, account: Account, kind: str, payload: Json, file: web.FileField | None
    ) -> Media | None:
        """The file, stored; None for a link that leads off this machine. Raises `Refusal`."""
        if "attachment_id" in payload:
            stored = self._standin.media.get(str(payload["attachment_id"]))
            if stored is None or (stored.account, stored.kind) != (account.key, kind):
                raise meta_rules.invalid("attachment_id is not a reusable attachment of this type")
            return stored
        if file is not None:
            content, mime = file.file.read(), file.content_type
            if len(content) > meta_rules.size_limit(kind):
                raise meta_rules.too_large(kind)
            meta_rules.check_mime(kind, mime, self._standin.rules)
            never = float("inf")
            return self._standin.store(account, kind, mime, content, file.filename, never)
        return await self._fetched(account, kind, payload["url"])

    async def _fetched(self, account: Account, kind: str, url: str) -> Media | None:
        limit = meta_rules.size_limit(kind)
        link = Link({"kind": kind}, url, frozenset(), lambda mime: limit)
        fetched = await fetch_link(self._standin.deliveries.session, link, account.key)
        if fetched == "size":
            raise meta_rules.too_large(kind)
        if fetched == "fetch":
            raise meta_rules.invalid("Failed to fetch the file from the url", 2018007)
        if isinstance(fetched, Media):
            meta_rules.check_mime(kind, fetched.mime, self._standin.rules)
            self._standin.media[fetched.id] = fetched
            return fetched
        return None

    async def _upload(self, request: web.Request, call: Call) -> web.Response:
        body, file = await _read(request)
        account = self._standin.tokens.named_account(request, body)
        call.account = account.key
        message = body.get("message")
        attachment = message.get("attachment") if isinstance(message, dict) else None
        meta_rules.check_attachment(attachment, self._standin.rules, file is not None)
        if attachment is None or attachment["type"] not in FILES:
            raise meta_rules.invalid("only files can be uploaded")
        payload = attachment.get("payload") or {}
        stored = await self._taken(account, attachment["type"], payload, file)
        call.external_id = stored.id if stored is not None else secrets.token_hex(8)
        return control.json_response({"attachment_id": call.external_id})


def _recipient(body: Json) -> str:
    """The scoped id a send is meant for. Raises `Refusal`."""
    recipient = body.get("recipient")
    id = recipient.get("id") if isinstance(recipient, dict) else None
    if isinstance(id, int) and not isinstance(id, bool):
        id = str(id)
    if not isinstance(id, str) or not id.isdecimal():
        raise meta_rules.invalid("Param recipient must have the id of a person")
    return id


async def _read(request: web.Request) -> tuple[Json, web.FileField | None]:
    """The body as JSON, or as a form whose objects are JSON, with the file beside it."""
    if request.content_type in ("multipart/form-data", "application/x-www-form-urlencoded"):
        form = await request.post()
        file = form.get("filedata")
        body = {name: _unpacked(value) for name, value in form.items() if isinstance(value, str)}
        return body, file if isinstance(file, web.FileField) else None
    try:
        body = orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        raise meta_rules.invalid("The body is not valid JSON") from None
    if not isinstance(body, dict):
        raise meta_rules.invalid("The body must be a JSON object")
    return body, None


def _unpacked(value: str) -> Any:
    try:
        return json.loads(value) if value.startswith("{") else value
    except ValueError:
        return value
