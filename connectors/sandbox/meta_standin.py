"""What the stand-ins for Messenger and Instagram share: hooks, the send API, and the phones."""

import secrets
import time
from abc import abstractmethod
from collections.abc import Callable, Collection
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

import orjson
from aiohttp import web
from yarl import URL

from connectors.sandbox import control, customer, meta_customer, meta_rules, meta_wire, standin
from connectors.sandbox.calls import Call
from connectors.sandbox.customer import File
from connectors.sandbox.deliveries import Post
from connectors.sandbox.faults import bare_number
from connectors.sandbox.links import Reason
from connectors.sandbox.media import USUAL_MIME, Media, make_content
from connectors.sandbox.meta_account import Account
from connectors.sandbox.meta_customer import CustomerMessage
from connectors.sandbox.meta_lookups import LookUps
from connectors.sandbox.meta_rules import Rules
from connectors.sandbox.meta_sends import Sends
from connectors.sandbox.meta_tokens import Tokens
from connectors.sandbox.meta_wire import Json
from connectors.sandbox.refusal import Refusal
from connectors.sandbox.transcript import Item

URL_LIFE, STORY_LIFE = 2 * 86_400.0, 86_400.0
MOST_EDITS = 5
MIMES = {**USUAL_MIME, "voice": "audio/mp4"}

A = TypeVar("A", bound=Account)


class MetaStandin(standin.Standin[A]):
    """Webhooks of one `product` ("page", "instagram"), its send API and its phones."""

    product: ClassVar[str]
    rules: ClassVar[Rules]
    message_model: ClassVar[type[customer.CustomerMessage]] = CustomerMessage
    fault_codes: ClassVar[dict[int, int]] = {200: 1, 400: 100, 401: 190, 429: 4, 500: 2}

    def __init__(self, *, now: Callable[[], float] = time.time, keep: int | None = None) -> None:
        super().__init__(now=now, keep=keep)
        self.tokens = Tokens(self)
        self.sends = Sends(self)
        self.last_deeds: dict[tuple[str, str], float] = {}
        self._batches: dict[tuple[str, str], list[tuple[str, Json]]] = {}
        self._links: dict[str, tuple[str, float]] = {}
        self._chips: dict[tuple[str, str], Item] = {}

    @abstractmethod
    def event(self, account: A, phone: str, said: CustomerMessage, item: Item) -> tuple[str, Json]:
        """The subscription field of what she did, and what its messaging item says."""

    @abstractmethod
    def receipt_event(self, account: A, item: Item, status: str) -> tuple[str, Json]:
        """The same of what became of a message of the business; the echo apart."""

    @abstractmethod
    def echo_event(self, account: A, item: Item) -> tuple[str, Json]:
        """The same of the echo of a message of the business."""

    @abstractmethod
    def check_account(self, account: A) -> None:
        """May the app use this account's messages at all? Raises `Refusal`."""

    @abstractmethod
    def facts(self, account: A, id: str) -> Json | None:
        """What the API tells of the account when asked for `id`; None if that is another."""

    @abstractmethod
    def profile(self, known: customer.Phone) -> Json:
        """What the API tells of a person."""

    @abstractmethod
    def no_profile(self) -> Refusal:
        """The answer when somebody lets nothing be known."""

    @abstractmethod
    def scopes(self, account: A) -> Collection[str]:
        """The permissions of the account's token."""

    def add_provider_routes(self, router: web.UrlDispatcher) -> None:
        version = r"/{version:v\d+\.\d+}"
        self.sends.add_routes(router, version)
        LookUps(self).add_routes(router, version)
        router.add_get("/cdn/{token}{name:(/[^/]*)?}", self.provider(self._cdn))
        router.add_post("/_sandbox/accounts/{id}/verify", control.guarded(self._verify))
        router.add_post("/_sandbox/accounts/{id}/inbox", control.guarded(self._inbox))

    def reset(self) -> None:
        super().reset()
        for state in (self.last_deeds, self._batches, self._links, self._chips):
            state.clear()
        self.tokens.clear()
        self.sends.clear()

    async def verify(self, account: str) -> bool:
        """Do Meta's GET handshake with the account's hook: whether it echoes the challenge."""
        known = self.account(account)
        challenge = str(secrets.randbelow(10**9))
        query = {
            "hub.mode": "subscribe",
            "hub.challenge": challenge,
            "hub.verify_token": known.verify_token,
        }
        url = URL(known.hook_url).update_query(query)
        async with self.deliveries.session.get(url, allow_redirects=False) as response:
            return response.status == 200 and await response.text() == challenge

    async def _verify(self, request: web.Request) -> web.Response:
        return control.json_response({"verified": await self.verify(request.match_info["id"])})

    # The person's side.

    def hear(
        self, account: A, phone: str, said: customer.CustomerMessage
    ) -> tuple[Item, Post | None]:
        assert isinstance(said, CustomerMessage)
        changed = said.changes_a_message
        item = (self._changed if changed else self._new_item)(account, phone, said)
        field, event = "messages", dict[str, Any]()
        if said.kind != "raw":
            field, event = self.event(account, phone, said, item)
        if not changed:
            self.last_deeds[account.key, phone] = self.now()
            self.drop_chips(account, phone)
        post = self._webhook(account, phone, said, item, field, event) if field else None
        return item, post

    def _webhook(
        self, account: A, phone: str, said: CustomerMessage, item: Item, field: str, told: Json
    ) -> Post | None:
        """What the app's hook gets of a deed; None while it waits for the rest of its batch."""
        people: Json = {"sender": {"id": phone}, "recipient": {"id": account.key}}
        event = {**people, "timestamp": meta_wire.milliseconds(self.now()), **told}
        entry = self._entry(account, meta_wire.overlaid(event, said.raw), said.standby)
        app = (account.hook_url, account.app_secret)
        entries = self._batches.setdefault(app, [])
        entries.append((item.external_id, entry))
        if said.batch:
            return None
        del self._batches[app]
        field = "standby" if said.standby else field
        post = self._post(account, phone, [entry for _, entry in entries], field)
        post.external_ids = tuple(id for id, _ in entries)
        return post

    def _new_item(self, account: A, phone: str, said: CustomerMessage) -> Item:
        if said.file is not None and said.file.caption:
            raise control.ControlError("a file has no caption here; write another message")
        if said.contacts is not None or said.list_row is not None:
            raise control.ControlError("these phones have neither contact cards nor lists")
        item = self.heard(account, phone, said, meta_wire.new_mid(self.product), None)
        life = STORY_LIFE if said.story_mention else URL_LIFE
        for file in said.files:
            kind = meta_customer.NAMES.get(said.kind, said.kind)
            media = self._made(account, kind, MIMES.get(said.kind, "image/jpeg"), file, life)
            shown = {"kind": media.kind, "mime": media.mime, "url": self.media_url(media)}
            item.media.append({**shown, "id": media.id})
        if said.story_reply is not None:
            item.kind, item.text = "text", said.story_reply.text
            item.reply_to = said.story_reply.story_id
        if said.postback is not None:
            item.text = said.postback.title
            item.choice = {"type": "postback", "id": said.postback.id, "title": item.text}
        return item

    def _changed(self, account: A, phone: str, said: CustomerMessage) -> Item:
        """The item that an edit, an unsend or a look at the thread is about, changed."""
        if said.read:
            out = [item for item in self.transcript.read(phone, account.key) if _is_out(item)]
            if not out:
                raise control.ControlError("there is nothing to read")
            for item in out:
                self.transcript.mark(item, "read")
            return out[-1]
        found = self.transcript.find(said.edit.message_id if said.edit else said.unsend)
        if found is None or found.direction != "in" or found.phone != phone:
            raise control.ControlError("that is no message of hers")
        if said.edit is not None:
            if found.edits >= MOST_EDITS or found.kind != "text":
                raise control.ControlError("that message cannot be edited (any more)")
            found.text, found.edits = said.edit.text, found.edits + 1
        else:
            found.kind, found.text, found.media = "unsent", "", []
        return found

    def _made(self, account: A, kind: str, usual: str, file: File, life: float) -> Media:
        mime = file.mime or usual
        content = make_content(mime, file.size)
        return self.store(account, kind, mime, content, file.filename, self.now() + life)

    def store(
        self, account: A, kind: str, mime: str, content: bytes, name: str | None, until: float
    ) -> Media:
        stored = Media(self.new_media_id(), account.key, kind, mime, content, until, name)
        self.media[stored.id] = stored
        return stored

    def cdn_url(self, media: Media) -> str:
        """A signed address of the file, good as long as the file is, with its name if known."""
        name = f"/{quote(media.name, safe='')}" if media.name else ""
        until = int(min(media.expires_at, 2**40))
        return f"{self.base_url}/cdn/{self.sign_link(media)}{name}?oe={until:X}"

    def sign_link(self, media: Media) -> str:
        """The part of a file's address that lets it be fetched."""
        token = secrets.token_urlsafe(16)
        self._links[token] = (media.id, media.expires_at)
        return token

    def cdn_urls(self, item: Item) -> list[str]:
        """The addresses of the files of a message of hers, as its webhook names them."""
        return [self.cdn_url(self.media[shown["id"]]) for shown in item.media]

    def drop_chips(self, account: A, phone: str, newest: Item | None = None) -> None:
        """Quick replies vanish from the phone with the `newest` message, which may have its own."""
        item = self._chips.pop((account.key, phone), None)
        if item is not None and item.quick_replies:
            item.quick_replies = []
            self.transcript.put(item)
        if newest is not None and newest.quick_replies:
            self._chips[account.key, phone] = newest

    def _check_tap(self, said: customer.CustomerMessage) -> None:
        assert isinstance(said, CustomerMessage)
        tapped = self.transcript.find(said.quotes)
        if said.tap is None:
            return
        if tapped is None:
            raise control.ControlError("name in reply_to the message that shows it")
        offered = tapped.quick_replies if said.quick_reply else tapped.buttons
        if all((offer["id"], offer["title"]) != (said.tap.id, said.tap.title) for offer in offered):
            raise control.ControlError("that message shows no such button or quick reply")

    def _entry(self, account: A, event: Json, standby: bool = False) -> Json:
        at = meta_wire.milliseconds(self.now())
        return {"id": account.key, "time": at, "standby" if standby else "messaging": [event]}

    def _post(self, account: A, phone: str, entries: list[Json], field: str) -> Post:
        """A webhook, which goes nowhere when its field is not subscribed to."""
        body = meta_wire.envelope(self.product, entries)
        return Post(
            queue=f"{account.key}/{phone}",
            account=account.key,
            phone=phone,
            url=account.hook_url if field in account.subscribed_fields else "",
            body=body,
            headers=meta_wire.sign(account.app_secret, body),
            kind="message",
            external_ids=(),
            first_retry=account.first_retry,
            timeout=account.hook_timeout,
        )

    def receipt(self, account: A, item: Item, status: str, error: int | None) -> Post:
        if status == "sent":
            field, message = self.echo_event(account, item)
            at = meta_wire.milliseconds(item.at)
            event: Json = {"sender": {"id": account.key}, "recipient": {"id": item.phone}}
            event |= {"timestamp": at, "message": message}
        else:
            field, told = self.receipt_event(account, item, status)
            event = {"sender": {"id": item.phone}, "recipient": {"id": account.key}}
            event |= {"timestamp": meta_wire.milliseconds(self.now()), **told}
        post = self._post(account, item.phone, [self._entry(account, event)], field)
        post.kind, post.receipt, post.external_ids = "receipt", status, (item.external_id,)
        return post

    # The business's side.

    def business_writes(self, account: str | None, to: str, text: str) -> Item:
        """Let somebody answer in the platform's own inbox. Raises `ControlError`."""
        known, phone = self.account(account), bare_number(to)
        if (known.key, phone) not in self.last_deeds:
            raise control.ControlError("nobody of that id has written")
        mid = meta_wire.new_mid(self.product)
        item = Item(known.key, phone, "out", mid, "text", self.now(), text, by="inbox")
        self.drop_chips(known, phone)
        self.transcript.add(item)
        self._put_receipts(known, item, [(status, None) for status in known.receipts], None, False)
        return item

    async def _inbox(self, request: web.Request) -> web.Response:
        said = orjson.loads(await request.read())
        item = self.business_writes(request.match_info["id"], str(said["to"]), str(said["text"]))
        return control.json_response({"external_id": item.external_id}, 201)

    # What both need.

    async def _cdn(self, request: web.Request, call: Call) -> web.Response:
        """A file by its signed address; the platform's tokens have no business here."""
        media_id, until = self._links.get(request.match_info["token"], ("", 0.0))
        stored = self.media.get(media_id)
        call.body = {"has_token": "Authorization" in request.headers}
        if stored is None or until <= self.now():
            return web.Response(status=403, text="URL signature expired")
        call.account, call.external_id = stored.account, stored.id
        account = self.accounts[stored.account]
        await self.meet_read_fault(request, call, account, "media")
        return web.Response(body=stored.content, headers={"Content-Type": stored.mime})

    def link_code(self, item: Item, reason: Reason) -> int:
        return 100

    def refuse(self, refusal: Refusal) -> web.Response:
        details = refusal.details or meta_rules.TITLES.get(refusal.code, "An error occurred")
        error: Json = {
            "message": f"(#{refusal.code}) {details}",
            "type": "OAuthException",
            "code": refusal.code,
        }
        if refusal.subcode is not None:
            error["error_subcode"] = refusal.subcode
        if refusal.code in (1, 2):
            error["is_transient"] = True
        error["fbtrace_id"] = secrets.token_urlsafe(12)
        status = refusal.status or meta_rules.STATUSES.get(refusal.code, 400)
        answer = control.json_response({"error": error}, status)
        if refusal.code in meta_rules.THROTTLES:
            answer.headers.update(meta_wire.usage(refusal.retry_after))
        if refusal.retry_after is not None:
            answer.headers["Retry-After"] = f"{refusal.retry_after:g}"
        return answer


def _is_out(item: Item) -> bool:
    return item.direction == "out"
