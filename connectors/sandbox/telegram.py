"""The stand-in for Telegram; `python -m connectors.sandbox.telegram` serves it.

Facts are from the documentation of the Bot API 10.0. Receipts there are none. A hook may be at
http on this machine, where Telegram wants https. Not played: parse_mode, business connections,
channels, live locations, and what an update's 24 hours of waiting end.
"""

import hmac
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import orjson
from aiohttp import web

from connectors.sandbox import control, telegram_rules, telegram_wire
from connectors.sandbox.calls import Call
from connectors.sandbox.deliveries import Post
from connectors.sandbox.faults import bare_number
from connectors.sandbox.links import Reason
from connectors.sandbox.refusal import Refusal
from connectors.sandbox.telegram_account import Bot
from connectors.sandbox.telegram_customer import CustomerMessage
from connectors.sandbox.telegram_polls import Waiting, is_allowed
from connectors.sandbox.telegram_rules import BadRequest
from connectors.sandbox.telegram_sends import Sends
from connectors.sandbox.telegram_wire import Json
from connectors.sandbox.transcript import Item


class Sandbox(Sends):
    """The Bot API, its webhooks, and the customers' phones. A phone's number is its user id."""

    account_model = Bot
    message_model = CustomerMessage
    fault_codes: ClassVar[dict[int, int]] = {
        code: code for code in (400, 401, 403, 404, 409, 429, 500, 502)
    }

    def __init__(self, *, now: Callable[[], float] = time.time, keep: int | None = None) -> None:
        super().__init__(now=now, keep=keep)
        self._numbers_of_updates: Counter[str] = Counter()
        self._waiting: dict[str, Waiting] = {}

    def add_provider_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/file/bot{token:[^/]+}/{path:.+}", self.provider(self._download))
        router.add_route("*", "/bot{token:[^/]+}/{method:\\w+}", self.provider(self._call))

    def reset(self) -> None:
        super().reset()
        self._waiting.clear()
        self.forget()

    async def _call(self, request: web.Request, call: Call) -> web.Response:
        method = request.match_info["method"]
        account = self._authorize(request, call, f"/{method}")
        fields, uploads = await telegram_wire.read_fields(request)
        call.body = fields
        found = self.find_method(method.lower())
        if found is not None:
            return await found(request, call, account, fields, uploads)
        asked = {
            "getme": self._me, "setwebhook": self._set_webhook, "getfile": self._file,
            "deletewebhook": self._delete_webhook, "getwebhookinfo": self._webhook_info,
        }.get(method.lower())  # fmt: skip
        if asked is not None:
            return _ok(asked(account, fields))
        if method.lower() == "getupdates":
            return _ok(await self._updates(account, fields))
        raise Refusal(404, "Not Found")

    def _authorize(self, request: web.Request, call: Call, path: str) -> Bot:
        """The bot of the path's token, which no log keeps. Raises `Refusal`."""
        token, call.path = request.match_info["token"], path
        account = self.accounts.get(token.partition(":")[0])
        if account is None or not hmac.compare_digest(account.token.encode(), token.encode()):
            raise Refusal(401, "Unauthorized")
        call.account = account.key
        return account

    def _me(self, account: Bot, fields: Json) -> Json:
        return telegram_wire.bot_user(account) | {"can_join_groups": True}

    # How updates reach the bot.

    def _set_webhook(self, account: Bot, fields: Json) -> bool:
        url, secret = str(fields.get("url") or ""), str(fields.get("secret_token") or "")
        if url and not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
            raise BadRequest("bad webhook: An HTTPS URL must be provided for webhook")
        if len(secret) > 256 or not all(c.isascii() and (c.isalnum() or c in "_-") for c in secret):
            raise BadRequest("secret token contains unallowed characters")
        changed: Json = {"hook_url": url, "secret_token": secret}
        if "allowed_updates" in fields:
            changed["allowed_updates"] = tuple(fields["allowed_updates"] or ())
        account = self.accounts[account.key] = account.model_copy(update=changed)
        waiting = self.waiting_of(account.key)
        held, waiting.updates = waiting.updates, []
        if not _truth(fields.get("drop_pending_updates")):
            for update in held:
                self._tell(account, update, "", ())
        return True

    def _delete_webhook(self, account: Bot, fields: Json) -> bool:
        waiting = self.waiting_of(account.key)
        if _truth(fields.get("drop_pending_updates")):
            waiting.updates = []
        self.accounts[account.key] = account.model_copy(update={"hook_url": ""})
        return True

    def _webhook_info(self, account: Bot, fields: Json) -> Json:
        waiting = self._waiting.get(account.key)
        pending = len(waiting.updates) if waiting and not account.hook_url else 0
        info: Json = {"url": account.hook_url, "has_custom_certificate": False}
        info["pending_update_count"] = pending or self.deliveries.waiting()
        failed = [one for one in self.deliveries.attempts if one.account == account.key]
        if failed and not (failed[-1].status and 200 <= failed[-1].status < 300):
            info["last_error_date"] = int(failed[-1].at)
            info["last_error_message"] = (
                f"Wrong response from the webhook: {failed[-1].status or failed[-1].error}"
            )
        return info | {"allowed_updates": list(account.allowed_updates)}

    async def _updates(self, account: Bot, fields: Json) -> list[Json]:
        if account.hook_url:
            raise Refusal(
                409, "Conflict: can't use getUpdates method while webhook is active; "
                "use deleteWebhook to delete the webhook first",
            )  # fmt: skip
        if "allowed_updates" in fields:
            allowed = tuple(fields["allowed_updates"] or ())
            self.accounts[account.key] = account.model_copy(update={"allowed_updates": allowed})
        offset = telegram_wire.whole(fields, "offset", 0) or 0
        limit = max(1, min(100, telegram_wire.whole(fields, "limit", 100) or 100))
        seconds = telegram_wire.whole(fields, "timeout", 0) or 0
        waiting = self.waiting_of(account.key)
        return await waiting.take(offset, limit, seconds)

    def waiting_of(self, key: str) -> Waiting:
        """The updates that a bot has not taken yet."""
        return self._waiting.setdefault(key, Waiting())

    def _update(self, account: Bot, kind: str, what: Json) -> Json:
        self._numbers_of_updates[account.key] += 1
        return {"update_id": 900_000_000 + self._numbers_of_updates[account.key], kind: what}

    def _tell(
        self, account: Bot, update: Json, phone: str, ids: tuple[str, ...], *, put: bool = True
    ) -> Post | None:
        """The update's webhook; None when the bot polls, or has not asked for such updates."""
        kind = next(key for key in update if key != "update_id")
        account = self.accounts[account.key]
        known = ("message", "edited_message", "callback_query", "my_chat_member",
                 "message_reaction")  # fmt: skip
        if kind in known and not is_allowed(kind, account.allowed_updates):
            return None
        if not account.hook_url:
            self.waiting_of(account.key).put(update)
            return None
        headers = {"Content-Type": "application/json"}
        if account.secret_token:
            headers["X-Telegram-Bot-Api-Secret-Token"] = account.secret_token
        post = Post(
            queue=f"{account.key}/{update['update_id'] if account.parallel else phone}",
            account=account.key,
            phone=phone,
            url=account.hook_url,
            body=orjson.dumps(update),
            headers=headers,
            kind="message",
            external_ids=ids,
            first_retry=account.first_retry,
            timeout=account.hook_timeout,
        )
        if put:
            self.deliveries.put(post)
        return post

    # The customer's side.

    def hear(self, account: Bot, phone: str, said: Any) -> tuple[Item, Post | None]:
        assert isinstance(said, CustomerMessage)
        sender = telegram_wire.user(phone, self.phone(phone))
        where = self.chat(said.group or int(phone))
        shown_on = bare_number(str(where["id"]))
        self.started.add((account.key, where["id"]))
        if said.block is not True:
            self.blocked.discard((account.key, where["id"]))
        kind, what, item = self._deed(account, shown_on, said, sender, where)
        update = said.unknown or {kind: what}
        update = self._update(account, *next(iter(update.items())))
        return item, self._tell(account, update, shown_on, (item.external_id,), put=False)

    def _deed(
        self, account: Bot, phone: str, said: CustomerMessage, sender: Json, where: Json
    ) -> tuple[str, Json, Item]:
        at = {"date": int(self.now())}
        if said.block is not None:
            if said.block:
                self.blocked.add((account.key, where["id"]))
            item = self._service(account, phone, "block" if said.block else "unblock")
            return "my_chat_member", telegram_wire.membership(
                account, where, sender, self.now(), blocks=said.block
            ), item  # fmt: skip
        if said.button is not None:
            return "callback_query", *self._tap(account, said, sender, where)
        if said.reaction is not None:
            return "message_reaction", *self._reaction(said, sender, where, at)
        if said.edit is not None:
            item = self._found(said.edit.message_id)
            if item.direction != "in":
                raise control.ControlError("that is no message of hers")
            item.text, item.edits = said.edit.text, item.edits + 1
            edited = telegram_wire.plain(item, where, sender) | {"edit_date": int(self.now())}
            return "edited_message", edited, item
        return "message", *self._message(account, phone, said, sender, where, at)

    def _message(
        self, account: Bot, phone: str, said: CustomerMessage, sender: Json, where: Json, at: Json
    ) -> tuple[Json, Item]:
        if said.album is not None:
            group = str(self.next_id(where["id"]))
            *first, last = said.album
            for file in first:
                one = said.model_copy(update={"album": None, "image": file})
                what, item = self._message(account, phone, one, sender, where, at)
                self.transcript.add(item)
                update = self._update(account, "message", what | {"media_group_id": group})
                self._tell(account, update, phone, (item.external_id,))
            one = said.model_copy(update={"album": None, "image": last})
            what, item = self._message(account, phone, one, sender, where, at)
            return what | {"media_group_id": group}, item
        if said.animation is not None and said.animation.mime is None:
            moving = said.animation.model_copy(update={"mime": "video/mp4"})
            said = said.model_copy(update={"animation": moving})
        made = self.make_file(account, said, float("inf"))
        number = self.next_id(where["id"])
        item = self.heard(account, phone, said, f"{where['id']}:{number}", made)
        what = {"message_id": number, "chat": where, "from": sender, **at}
        what |= telegram_wire.content(said, made, sender)
        item.text = what.get("text", item.text)
        if said.topic is not None:
            what |= {"message_thread_id": said.topic, "is_topic_message": True}
        if said.quotes:
            quoted = self._found(said.quotes)
            by = telegram_wire.bot_user(account) if quoted.direction == "out" else sender
            what["reply_to_message"] = telegram_wire.plain(quoted, where, by)
        return what | (said.raw or {}), item

    def _service(self, account: Bot, phone: str, kind: str) -> Item:
        """What the phone shows of a deed that is no message."""
        id = f"service:{self.next_id(0)}"
        item = Item(account.key, phone, "in", id, kind, self.now())
        item.status, item.by = "received", "customer"
        return item

    def _found(self, external_id: str | None) -> Item:
        item = self.transcript.find(external_id)
        if item is None or item.external_id.startswith("service:"):
            raise control.ControlError("that message is not on this phone")
        return item

    def _tap(
        self, account: Bot, said: CustomerMessage, sender: Json, where: Json
    ) -> tuple[Json, Item]:
        """Her tap spins on the message (`choice`) until it is answered."""
        assert said.button is not None
        item = self._found(said.quotes)
        id = str(4_382_000_000_000_000 + self.next_id(0))
        item.choice = said.button.model_dump() | {"callback": id, "answered": False}
        self.taps[account.key, id] = item, self.now()
        message = telegram_wire.plain(item, where, telegram_wire.bot_user(account))
        message |= telegram_wire.keyboard(item)
        told = {"id": id, "from": sender, "chat_instance": "-77", "message": message}
        return told | {"data": said.button.id}, item

    def _reaction(
        self, said: CustomerMessage, sender: Json, where: Json, at: Json
    ) -> tuple[Json, Item]:
        assert said.reaction is not None
        item = self._found(said.reaction.message_id)
        old = (item.reaction or {}).get("emoji", "")
        new = said.reaction.emoji
        item.reaction = said.reaction.model_dump() if new else None
        told = {"chat": where, "message_id": telegram_wire.number_of(item), "user": sender, **at}
        for name, emoji in (("old_reaction", old), ("new_reaction", new)):
            told[name] = [{"type": "emoji", "emoji": emoji}] if emoji else []
        return told, item

    # Files, and how no is said.

    def _file(self, account: Bot, fields: Json) -> Json:
        id = str(fields.get("file_id", ""))
        file = self.media.get(id.removesuffix("s"))
        if file is None or file.account != account.key:
            raise BadRequest("wrong file_id or the file is temporarily unavailable")
        if len(file.content) > telegram_rules.DOWNLOAD:
            raise BadRequest("file is too big")
        facts = telegram_wire.file_facts(file)
        del facts["mime_type"]
        return facts | {"file_path": f"{file.kind}s/{file.id}"}

    async def _download(self, request: web.Request, call: Call) -> web.Response:
        account = self._authorize(request, call, "/file")
        await self.meet_read_fault(request, call, account, "media")
        file = self.media.get(request.match_info["path"].rpartition("/")[2])
        if file is None or file.account != account.key:
            raise Refusal(404, "Not Found")
        call.external_id = file.id
        headers = {"Content-Type": "application/octet-stream"}
        return web.Response(body=file.content, headers=headers)

    def receipt(self, account: Bot, item: Item, status: str, error: int | None) -> Post:
        raise NotImplementedError("Telegram tells bots of no receipts")

    def link_code(self, item: Item, reason: Reason) -> int:
        return 400

    def refuse(self, refusal: Refusal) -> web.Response:
        status = refusal.status or refusal.code
        said: Json = {"ok": False, "error_code": status, "description": refusal.details}
        if refusal.retry_after is not None:
            said["parameters"] = {"retry_after": int(refusal.retry_after)}
        elif isinstance(refusal, BadRequest) and refusal.moved_to is not None:
            said["parameters"] = {"migrate_to_chat_id": refusal.moved_to}
        return control.json_response(said, status)


def _ok(result: Any) -> web.Response:
    return control.json_response({"ok": True, "result": result})


def _truth(value: Any) -> bool:
    return value in (True, 1, "1", "true", "True")


if __name__ == "__main__":
    from connectors.sandbox.alone import serve

    serve(Sandbox)
