"""The methods of the Bot API by which a bot says and changes things."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web

from connectors.sandbox import control, standin, telegram_rules, telegram_wire
from connectors.sandbox.calls import Call
from connectors.sandbox.faults import bare_number
from connectors.sandbox.links import Link, fetch_link
from connectors.sandbox.media import Media
from connectors.sandbox.pace import Pace
from connectors.sandbox.refusal import Refusal
from connectors.sandbox.telegram_account import Bot
from connectors.sandbox.telegram_rules import BadRequest
from connectors.sandbox.telegram_wire import Json
from connectors.sandbox.transcript import Item

Uploads = dict[str, web.FileField]
Method = Callable[[web.Request, Call, Bot, Json, Uploads], Awaitable[web.Response]]
FILES = ("photo", "video", "audio", "voice", "document", "animation", "sticker")
QUERY_LIFE, DELETE_LIFE = 15.0, 48 * 3600.0


class Sends(standin.Standin[Bot]):
    """What bots may send, change and delete, and to whom."""

    def __init__(self, *, now: Callable[[], float] = time.time, keep: int | None = None) -> None:
        super().__init__(now=now, keep=keep)
        self.started: set[tuple[str, int]] = set()
        self.blocked: set[tuple[str, int]] = set()
        self.taps: dict[tuple[str, str], tuple[Item, float]] = {}
        self._ids: Counter[int] = Counter()
        self._paces: dict[tuple[str, float, int], Pace] = {}

    def forget(self) -> None:
        """Forget who started, and every tap."""
        for known in (self.started, self.blocked, self.taps, self._paces):
            known.clear()

    def next_id(self, chat: int) -> int:
        """The chat's next message id; 0 counts what is no message."""
        self._ids[chat] += 1
        return self._ids[chat]

    def chat(self, id: int) -> Json:
        return telegram_wire.chat(id, self.phone(str(id)))

    def find_method(self, name: str) -> Method | None:
        """The send, change or deletion of that name in small letters."""
        kind = name.removeprefix("send")
        if name.startswith("send") and kind in ("message", "location", "venue", "contact"):
            return partial(self._send, kind)
        if name.startswith("send") and kind in FILES:
            return partial(self._send, kind)
        methods: dict[str, Method] = {
            "sendmediagroup": self._send_album,
            "editmessagetext": self._edit,
            "editmessagereplymarkup": self._edit,
            "deletemessage": self._delete,
            "setmessagereaction": self._react_to,
            "sendchataction": self._act,
            "answercallbackquery": self._answer,
        }
        return methods.get(name)

    async def _send(
        self, kind: str, request: web.Request, call: Call, account: Bot, fields: Json,
        uploads: Uploads,
    ) -> web.Response:  # fmt: skip
        chat = self._chat_of(call, fields)
        text = str(fields.get("text") or fields.get("caption") or "")
        fault = await self.meet_fault(request, call, account, str(chat), text)
        self._check_chat(account, chat)
        item = Item(account.key, bare_number(str(chat)), "out", "", kind, self.now())
        await self._fill(kind, account, item, fields, uploads)
        item.buttons = telegram_rules.check_markup(fields)
        item.reply_to = self._check_reply(chat, fields)
        self._check_pace(account, chat)
        item.external_id = f"{chat}:{self.next_id(chat)}"
        return await self.conclude(
            request, call, account, item, [], _ok(self._told(account, item)), fault
        )

    async def _fill(
        self, kind: str, account: Bot, item: Item, fields: Json, uploads: Uploads
    ) -> None:
        if kind == "message":
            item.kind, item.text = "text", telegram_rules.check_text(fields)
        elif kind in FILES:
            item.text = "" if kind == "sticker" else telegram_rules.check_caption(fields)
            given = uploads.get(kind, fields.get(kind))
            item.media = [await self._take_file(kind, account, given, uploads)]
        elif kind == "contact":
            if not fields.get("phone_number") or not fields.get("first_name"):
                raise BadRequest("phone number and first name must be given")
            phones = [str(fields["phone_number"])]
            item.contacts = [{"name": str(fields["first_name"]), "phones": phones}]
        else:
            item.place = _place(fields)
            if kind == "venue":
                if not fields.get("title") or not fields.get("address"):
                    raise BadRequest("venue title and address must be non-empty")
                item.place |= {"name": fields["title"], "address": fields["address"]}

    async def _take_file(self, kind: str, account: Bot, given: Any, uploads: Uploads) -> Json:
        """A file given as an upload, by its id or by a link; Telegram fetches it at once."""
        if isinstance(given, str) and given.startswith("attach://"):
            given = uploads.get(given.removeprefix("attach://"))
        shown: Json = {"kind": kind, "mime": None, "url": str(given), "id": None}
        if isinstance(given, web.FileField):
            content = given.file.read()
            if len(content) > telegram_rules.by_upload(kind):
                raise Refusal(413, "Request Entity Too Large")
            if not content:
                raise BadRequest("file must be non-empty")
            mime = given.content_type
            stored = Media(self.new_media_id(), account.key, kind, mime, content, float("inf"))
        elif isinstance(given, str) and given in self.media:
            stored = self.media[given]
        elif isinstance(given, str) and telegram_rules.is_url(given):
            link = Link(shown, given, frozenset(), lambda mime: telegram_rules.by_link(kind))
            fetched = await fetch_link(self.deliveries.session, link, account.key)
            if isinstance(fetched, str):
                raise BadRequest("failed to get HTTP URL content")
            if fetched is None:
                return shown
            stored = fetched
        else:
            raise BadRequest("wrong file identifier/HTTP URL specified")
        self.media[stored.id] = stored
        return shown | {"mime": stored.mime, "url": self.media_url(stored), "id": stored.id}

    async def _send_album(
        self, request: web.Request, call: Call, account: Bot, fields: Json, uploads: Uploads
    ) -> web.Response:
        chat, media = self._chat_of(call, fields), fields.get("media")
        fault = await self.meet_fault(request, call, account, str(chat), "")
        self._check_chat(account, chat)
        if not isinstance(media, list) or not 2 <= len(media) <= 10:
            raise BadRequest("media group must include 2-10 items")
        if fields.get("reply_markup"):
            raise BadRequest("reply_markup is not allowed in a media group")
        kinds = {one.get("type") for one in media}
        if not kinds <= {"photo", "video"} and kinds not in ({"audio"}, {"document"}):
            raise BadRequest("these types can't be mixed in a media group")
        reply_to, items = self._check_reply(chat, fields), []
        for one in media:
            item = Item(account.key, bare_number(str(chat)), "out", "", one["type"], self.now())
            item.text, item.reply_to = telegram_rules.check_caption(one), reply_to
            item.media = [await self._take_file(one["type"], account, one.get("media"), uploads)]
            items.append(item)
        self._check_pace(account, chat)
        for item in items:
            item.external_id = f"{chat}:{self.next_id(chat)}"
        answer = _ok([self._told(account, item) for item in items])
        for item in items[1:]:
            self.transcript.add(item)
        return await self.conclude(request, call, account, items[0], [], answer, fault)

    # Whom it may reach.

    def _chat_of(self, call: Call, fields: Json) -> int:
        chat = telegram_wire.whole(fields, "chat_id")
        if chat is None:
            raise BadRequest("chat_id is empty")
        call.to = str(chat)
        return chat

    def _check_chat(self, account: Bot, chat: int) -> None:
        if (account.key, chat) in self.blocked:
            raise Refusal(403, "Forbidden: bot was blocked by the user")
        known = self.phone(str(chat))
        if known.fails_with is not None:
            raise Refusal(known.fails_with, "Forbidden: user is deactivated")
        if (account.key, chat) not in self.started:
            if chat > 0 and str(chat) in self.phones:
                raise Refusal(403, "Forbidden: bot can't initiate conversation with a user")
            raise BadRequest("chat not found")

    def _check_pace(self, account: Bot, chat: int) -> None:
        every, burst = (1.0, account.chat_burst) if chat > 0 else (3.0, 20)
        for key, each, most in ((chat, every, burst), (0, 1 / account.throughput,
                                                       account.throughput)):  # fmt: skip
            pace = self._paces.setdefault((account.key, each, most), Pace(each, most))
            if not pace.take(key, self.now()):
                seconds = max(1, round(each))
                text = f"Too Many Requests: retry after {seconds}"
                raise Refusal(429, text, retry_after=seconds)

    def _check_reply(self, chat: int, fields: Json) -> str | None:
        reply = fields.get("reply_parameters")
        if not isinstance(reply, dict):
            return None
        id = f"{chat}:{telegram_wire.whole(reply, 'message_id')}"
        if self.transcript.find(id) is not None:
            return id
        if reply.get("allow_sending_without_reply") is True:
            return None
        raise BadRequest("message to be replied not found")

    # What it may do to messages.

    def _message_of(self, account: Bot, call: Call, fields: Json, missing: str) -> Item:
        chat, number = self._chat_of(call, fields), telegram_wire.whole(fields, "message_id")
        item = self.transcript.find(f"{chat}:{number}")
        if item is None or item.account != account.key:
            raise BadRequest(missing)
        call.external_id = item.external_id
        return item

    async def _edit(
        self, request: web.Request, call: Call, account: Bot, fields: Json, uploads: Uploads
    ) -> web.Response:
        item = self._message_of(account, call, fields, "message to edit not found")
        if item.direction != "out":
            raise BadRequest("message can't be edited")
        text, buttons = item.text, telegram_rules.check_markup(fields)
        if call.path.lower() == "/editmessagetext":
            text = telegram_rules.check_text(fields)
        if (text, buttons) == (item.text, item.buttons):
            raise BadRequest("message is not modified")
        item.edits += text != item.text
        item.text, item.buttons = text, buttons
        self.transcript.put(item)
        return _ok(self._told(account, item) | {"edit_date": int(self.now())})

    async def _delete(
        self, request: web.Request, call: Call, account: Bot, fields: Json, uploads: Uploads
    ) -> web.Response:
        item = self._message_of(account, call, fields, "message to delete not found")
        if item.at + DELETE_LIFE < self.now() or item.status == "deleted":
            raise BadRequest("message can't be deleted")
        item.text, item.media, item.buttons, item.status = "", [], [], "deleted"
        self.transcript.put(item)
        return _ok(True)

    async def _react_to(
        self, request: web.Request, call: Call, account: Bot, fields: Json, uploads: Uploads
    ) -> web.Response:
        item = self._message_of(account, call, fields, "message to react not found")
        given = fields.get("reaction") or []
        if len(given) > 1 or any(one.get("type") != "emoji" for one in given):
            raise BadRequest("REACTION_INVALID")
        emoji = given[0].get("emoji", "") if given else ""
        item.reaction = {"message_id": item.external_id, "emoji": emoji} if emoji else None
        self.transcript.put(item)
        return _ok(True)

    async def _act(
        self, request: web.Request, call: Call, account: Bot, fields: Json, uploads: Uploads
    ) -> web.Response:
        chat = self._chat_of(call, fields)
        await self.meet_read_fault(request, call, account, "action")
        self._check_chat(account, chat)
        if not fields.get("action"):
            raise BadRequest("wrong parameter action in request")
        return _ok(True)

    async def _answer(
        self, request: web.Request, call: Call, account: Bot, fields: Json, uploads: Uploads
    ) -> web.Response:
        """The tap stops spinning. Raises `BadRequest` when it is unknown or too old."""
        if telegram_rules.units(str(fields.get("text") or "")) > 200:
            raise BadRequest("MESSAGE_TOO_LONG")
        found = self.taps.pop((account.key, str(fields.get("callback_query_id"))), None)
        if found is None or found[1] + QUERY_LIFE < self.now():
            raise BadRequest("query is too old and response timeout expired or query ID is invalid")
        item = found[0]
        item.choice = (item.choice or {}) | {"answered": True, "notice": fields.get("text") or ""}
        self.transcript.put(item)
        return _ok(True)

    def _told(self, account: Bot, item: Item) -> Json:
        """The message as Telegram gives it back."""
        where = self.chat(telegram_wire.chat_of(item))
        told = telegram_wire.plain(item, where, telegram_wire.bot_user(account))
        if item.media and item.text:
            told["caption"] = told.pop("text")
        return told


def _place(fields: Json) -> Json:
    try:
        place = {name: float(fields[name]) for name in ("latitude", "longitude")}
    except (KeyError, TypeError, ValueError):
        raise BadRequest("latitude and longitude must be numbers") from None
    if abs(place["latitude"]) > 90 or abs(place["longitude"]) > 180:
        raise BadRequest("wrong latitude or longitude")
    return place


def _ok(result: Any) -> web.Response:
    return control.json_response({"ok": True, "result": result})
