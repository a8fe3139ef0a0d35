"""The stand-in for Twilio's Messages API; `python -m connectors.sandbox.twilio` serves it.

Facts are from Twilio's documentation: Messages and Media resources, webhooks, opt-out, errors.
Typing: twilio.com/docs/whatsapp/api/typing-indicators-resource, v2 by form and v3 by JSON, 2026-11.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import orjson
from aiohttp import web

from connectors.sandbox import (
    control,
    customer,
    standin,
    twilio_list,
    twilio_rules,
    twilio_templates,
    twilio_wire,
)
from connectors.sandbox.calls import Call
from connectors.sandbox.deliveries import Post
from connectors.sandbox.faults import bare_number
from connectors.sandbox.media import Media, vcard
from connectors.sandbox.refusal import Refusal
from connectors.sandbox.transcript import Item
from connectors.sandbox.twilio_account import Account
from connectors.sandbox.twilio_customer import CustomerMessage
from connectors.sandbox.twilio_files import Files, links_of
from connectors.sandbox.twilio_templates import Content, Shown
from connectors.sandbox.twilio_wire import Record

WINDOW = 86_400.0


class Sandbox(Files):
    """Twilio's Messages API, its webhooks, and the customers' phones."""

    account_model = Account
    message_model = CustomerMessage
    fault_codes: ClassVar[dict[int, int]] = {400: 21211, 401: 20003, 429: 20429, 500: 20500}

    def __init__(self, *, now: Callable[[], float] = time.time, keep: int | None = None) -> None:
        super().__init__(now=now, keep=keep)
        self._keep = keep
        self._records: dict[str, Record] = {}
        self._opted_out: set[tuple[str, str]] = set()
        self._open_until: dict[tuple[str, str], float] = {}

    def add_provider_routes(self, router: web.UrlDispatcher) -> None:
        base = f"/{twilio_wire.VERSION}/Accounts/{{ac:[^/.]+}}"
        router.add_post(base + "/Messages.json", self.provider(self._messages))
        router.add_get(base + "/Messages.json", self.provider(self._list))
        router.add_get(base + "/Messages/{sid:[^/.]+}.json", self.provider(self._message))
        router.add_get(base + "/Messages/{sid}/Media.json", self.provider(self._media_list))
        router.add_get(base + ".json", self.provider(self._account_facts))
        for version in ("v2", "v3"):
            router.add_post(f"/{version}/Indicators/Typing.json", self.provider(self._typing))
        super().add_provider_routes(router)

    def reset(self) -> None:
        super().reset()
        self._records.clear()
        self._opted_out.clear()
        self._open_until.clear()

    # The customer's side.

    def hear(
        self, account: Account, phone: str, said: customer.CustomerMessage
    ) -> tuple[Item, Post | None]:
        assert isinstance(said, CustomerMessage)
        _check_can_say(account, said, self.transcript.find(said.quotes))
        self._open_until[account.key, phone] = self.now() + WINDOW
        files = self._files(account, said)
        item = self.heard(account, phone, said, twilio_wire.new_sid("MM" if files else "SM"), None)
        item.media = [
            {"kind": file.kind, "mime": file.mime, "url": self.media_url(file), "id": file.id}
            for file in files
        ]
        base = f"{self.base_url}/{twilio_wire.VERSION}/Accounts/{account.account_sid}/Messages"
        urls = [(file, f"{base}/{item.external_id}/Media/{file.id}") for file in files]
        quoted = self._records.get(said.quotes or "")
        known = self.phone(phone)
        form = twilio_wire.inbound_form(account, item, said, known, urls, quoted)
        item.text, item.external_id = form["Body"], form["MessageSid"]
        word = self._opt_out_word(account, item)
        if word is not None and account.advanced_opt_out:
            form["OptOutType"] = word
        self._remember(Record(item, account.account_sid, form["From"], account.number))
        post = twilio_wire.make_post(account, item, account.hook_url, form)
        post.answered = partial(self._take_answer, account, item)
        return item, post

    def _files(self, account: Account, said: CustomerMessage) -> list[Media]:
        never = float("inf")
        made = self.make_file(account, said, never)
        files = [made] if made is not None else []
        for card in said.contacts or ():
            content = vcard(card.name, card.phones)
            id = self.new_media_id()
            files.append(Media(id, account.key, "vcard", "text/vcard", content, never))
            self.media[id] = files[-1]
        return files

    def _opt_out_word(self, account: Account, item: Item) -> str | None:
        if account.is_whatsapp or not account.opt_out:
            return None
        word = twilio_rules.opt_out_word(item.text)
        stopped = (account.key, item.phone) in self._opted_out
        # START and YES are ordinary words to those who never stopped.
        return None if word == "START" and not stopped else word

    def react(self, account: Account, item: Item) -> None:
        """Twilio's own answer to STOP, START and HELP; the webhook goes out all the same."""
        word = self._opt_out_word(account, item)
        if word is None:
            return
        if word == "STOP":
            self._opted_out.add((account.key, item.phone))
        elif word == "START":
            self._opted_out.discard((account.key, item.phone))
        self._say(account, item, twilio_rules.REPLIES[word], by="provider")

    def _take_answer(
        self, account: Account, item: Item, status: int, mime: str, content: bytes
    ) -> None:
        """Send what the hook's answer says: TwiML messages, and any plain text too."""
        if not 200 <= status < 300 or not content.strip():
            return
        if mime == "text/plain":
            self._say(account, item, content.decode(errors="replace"), by="business")
        elif mime.endswith("xml"):
            try:
                messages = ElementTree.fromstring(content).findall("Message")
            except ElementTree.ParseError:
                return
            for message in messages:
                text = message.findtext("Body") or message.text or ""
                self._say(account, item, text.strip(), by="business")

    def _say(self, account: Account, heard: Item, text: str, *, by: str) -> None:
        said = Item(
            account.key, heard.phone, "out", twilio_wire.new_sid("SM"), "text", self.now(), text
        )
        said.status, said.by = "delivered", by
        self.transcript.add(said)
        to = twilio_wire.customer_address(account, heard.phone, self.phone(heard.phone))
        self._remember(Record(said, account.account_sid, account.number, to))

    def receipt(self, account: Account, item: Item, status: str, error: int | None) -> Post:
        record = self._records[item.external_id]
        form = twilio_wire.receipt_form(account, record, status, error, self.now())
        post = twilio_wire.make_post(account, item, record.callback, form)
        post.kind, post.receipt = "receipt", status
        return post

    # The business's side.

    async def _messages(self, request: web.Request, call: Call) -> web.Response:
        raw = await request.read()
        own = self.authorize(request, call)
        form = parse_qs(raw.decode(errors="replace"), keep_blank_values=True)
        call.body = {
            name: values if name == "MediaUrl" else values[0] for name, values in form.items()
        }
        call.to = twilio_rules.first(form, "To")
        callback = twilio_rules.first(form, "StatusCallback")
        call.correlation = urlsplit(callback).query or None
        phone, text = bare_number(call.to), twilio_rules.first(form, "Body")
        account = _sender(own, form)
        call.account = account.key
        told = text or twilio_rules.first(form, "ContentVariables")
        fault = await self.meet_fault(request, call, account, phone, told)
        content = self.content_of(account, twilio_rules.first(form, "ContentSid"))
        shown = twilio_rules.check_message(form, whatsapp=account.is_whatsapp, content=content)
        place = twilio_rules.place_of(form) if account.is_whatsapp else None
        phone = self.number_of(phone)
        sent = (content, shown) if content and shown else None
        steps = self._check_recipient(account, phone, twilio_rules.first(form, "From"), sent)
        urls = shown.media if shown else form.get("MediaUrl", [])
        urls = urls[: 1 if account.is_whatsapp else None]
        sid = twilio_wire.new_sid("MM" if urls else "SM")
        item = Item(account.key, phone, "out", sid, "text", self.now(), text)
        if sent:
            twilio_wire.show_content(item, *sent)
        else:
            twilio_wire.show(item, urls, place)
        item.correlation = call.correlation
        service = twilio_rules.first(form, "MessagingServiceSid") or None
        sender = twilio_rules.first(form, "From") or account.number
        record = Record(
            item, account.account_sid, sender, call.to, service, callback, body=item.text
        )
        self._remember(record)
        answer = control.json_response(record.resource(), 201)
        links = links_of(account, item)
        return await self.conclude(request, call, account, item, steps, answer, fault, links)

    def _check_recipient(
        self, account: Account, phone: str, sender: str, sent: tuple[Content, Shown] | None
    ) -> list[standin.Step]:
        """What becomes of the message on its way. Raises `Refusal` when it does not set out."""
        if (account.key, phone) in self._opted_out:
            raise Refusal(21610)
        known = self.phone(phone)
        if known.fails_with is not None:
            if known.at_once:
                raise Refusal(known.fails_with)
            if known.fails_with in twilio_rules.UNDELIVERED:
                return [("sent", None), ("undelivered", known.fails_with)]
            return [("failed", known.fails_with)]
        is_open = self._open_until.get((account.key, phone), 0) > self.now()
        if account.is_whatsapp and (error := _whatsapp_error(sent, is_open=is_open)):
            return [("failed", error)]
        if sender == twilio_rules.TEST_SENDER != account.number:
            return []
        return [(status, None) for status in account.receipts]

    def _remember(self, record: Record) -> None:
        self._records[record.item.external_id] = record
        if self._keep is not None and len(self._records) > self._keep:
            del self._records[next(iter(self._records))]

    def refuse(self, refusal: Refusal) -> web.Response:
        message = twilio_rules.MESSAGES.get(refusal.code, "The message could not be sent")
        status = refusal.status or twilio_rules.STATUSES.get(refusal.code, 400)
        error = {
            "code": refusal.code,
            "message": f"{message}: {refusal.details}" if refusal.details else message,
            "more_info": f"https://www.twilio.com/docs/errors/{refusal.code}",
            "status": status,
        }
        answer = control.json_response(error, status)
        if refusal.retry_after is not None:
            answer.headers["Retry-After"] = f"{refusal.retry_after:g}"
        return answer

    async def _typing(self, request: web.Request, call: Call) -> web.Response:
        """Typing under a customer's WhatsApp message, which marks it read."""
        own = self.authorize(request, call)
        is_json = request.content_type == "application/json"
        try:
            form = orjson.loads(await request.read()) if is_json else dict(await request.post())
        except orjson.JSONDecodeError:
            form = None
        if not isinstance(form, dict) or str(form.get("channel")).lower() != "whatsapp":
            raise Refusal(20001, "channel")
        call.body = form
        await self.meet_read_fault(request, call, own[0], "action")
        item = self.transcript.find(str(form.get("messageId")))
        of = {account.key for account in own if account.is_whatsapp}
        if item is None or item.direction != "in" or item.account not in of:
            raise Refusal(20404, "messageId")
        call.account, call.to, call.external_id = item.account, item.phone, item.external_id
        self.transcript.mark(item, "read")
        return control.json_response({"success": True})

    # Looking up messages, media and the account.

    async def _list(self, request: web.Request, call: Call) -> web.Response:
        own = self.authorize(request, call)
        call.body = dict(request.query)
        await self.meet_read_fault(request, call, own[0], "list")
        records = list(self._records.values())
        return control.json_response(twilio_list.messages(records, request))

    async def _media_list(self, request: web.Request, call: Call) -> web.Response:
        self.authorize(request, call)
        return control.json_response(twilio_list.media(self._record(request), request))

    async def _message(self, request: web.Request, call: Call) -> web.Response:
        self.authorize(request, call)
        record = self._record(request)
        call.external_id = record.item.external_id
        return control.json_response(record.resource())

    def _record(self, request: web.Request) -> Record:
        record = self._records.get(request.match_info["sid"])
        if record is None or record.account_sid != request.match_info["ac"]:
            raise Refusal(20404)
        return record

    async def _account_facts(self, request: web.Request, call: Call) -> web.Response:
        own = self.authorize(request, call)[0]
        facts: dict[str, Any] = {
            "sid": own.account_sid,
            "friendly_name": own.friendly_name,
            "status": "active",
            "type": "Full",
            "uri": request.path,
        }
        return control.json_response(facts)


def _sender(own: list[Account], form: twilio_rules.Form) -> Account:
    """The sender that `From` or `MessagingServiceSid` means. Raises `Refusal`."""
    number = twilio_rules.first(form, "From")
    service = twilio_rules.first(form, "MessagingServiceSid")
    for account in own:
        if account.number == number or (not number and service in account.names):
            return account
    if number == twilio_rules.TEST_SENDER:
        return own[0]
    if number:
        raise Refusal(63007 if number.startswith("whatsapp:") else 21606, number)
    raise Refusal(21701 if service else 21603)


def _whatsapp_error(sent: tuple[Content, Shown] | None, *, is_open: bool) -> int | None:
    """Why WhatsApp does not deliver a message, in or out of the window."""
    if sent is None:
        return None if is_open else 63016
    content, shown = sent
    is_approved = content.status == "approved"
    if not is_open and (not is_approved or shown.type in twilio_templates.IN_SESSION_ONLY):
        return twilio_templates.NOT_APPROVED.get(content.status, 63016)
    return twilio_templates.check_on_whatsapp(shown, is_approved=is_approved)


def _check_can_say(account: Account, said: CustomerMessage, quoted: Item | None) -> None:
    if said.batch:
        raise control.ControlError("Twilio posts one message at a time")
    if said.reaction is not None:
        raise control.ControlError("Twilio does not pass on reactions")
    if not account.is_whatsapp and (said.location or said.tap):
        raise control.ControlError("SMS carries no locations, buttons or lists")
    if not account.is_whatsapp and (said.referral or said.forwarded or said.frequently_forwarded):
        raise control.ControlError("SMS tells neither referrals nor what is forwarded")
    if quoted and quoted.template and said.tap:
        offered = quoted.buttons if said.button else quoted.rows
        if (said.tap.id, said.tap.title) not in [(one["id"], one["title"]) for one in offered]:
            raise control.ControlError("that template shows no such button")


if __name__ == "__main__":
    from connectors.sandbox.alone import serve

    serve(Sandbox)
