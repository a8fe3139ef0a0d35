"""Telegram bots: one bot is one channel, called by webhook or polled.

Protocol facts: Bot API 10.0. A webhook has no signature; it is trusted by the secret token that
Telegram repeats in a header.
"""

import asyncio
import hmac
import time
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self
from urllib.parse import quote

import orjson
from pydantic import Field, model_validator

from connectors._telegram_errors import judged
from connectors._telegram_fields import Object, part_of, read_object, text_of, whole
from connectors._telegram_ids import TAP, Peer, message_number
from connectors._telegram_updates import WANTED, Origin, read_update
from hub.clock import Clock
from hub.connector import ChannelRef, ChannelSettings, Connector, Hook, Http, Keep, Limits
from hub.errors import HookRejected, MediaFailed, NoSuchRecipient, OutcomeUnknown, SendFailed
from hub.message import Inbound, Media, Outbound, Sent
from hub.signal import Parsed

if TYPE_CHECKING:
    from connectors._telegram_bot import Call

API_BASE = "https://api.telegram.org"
MIB = 1024 * 1024
HEADER = "x-telegram-bot-api-secret-token"

LONG_POLL = 50
"""Seconds Telegram may hold an answer back until something comes."""
ANSWER_LEEWAY = 10.0
SHORTEST_POLL = 1.0
"""Seconds between two polls, where an answer without updates comes at once."""


class Telegram(Connector):
    class Settings(ChannelSettings):
        """`bot_token` is from @BotFather. `secret_token` is what Telegram repeats with each
        webhook, a text of your choice. `mode`: Telegram calls the hook, or the hub asks.
        `set_webhook`: whether the hub tells Telegram the hook's URL when it starts."""

        bot_token: str = Field(pattern=r"^[0-9]{1,19}:[A-Za-z0-9_-]+$", repr=False)
        secret_token: str = Field(default="", pattern=r"^[A-Za-z0-9_-]{0,256}$", repr=False)
        mode: Literal["webhook", "polling"] = "webhook"
        set_webhook: bool = True
        api_base: str = Field(default=API_BASE, pattern=r"^https?://[^/?#]+[^?#]*$")

        @model_validator(mode="after")
        def _has_a_secret(self) -> Self:
            if self.mode == "webhook" and not self.secret_token:
                raise ValueError('secret_token is missing; it is needed unless mode is "polling"')
            return self

    typing_lasts: ClassVar[float] = 5.0
    limits: ClassVar[Limits] = Limits(
        text=4096,
        text_unit="utf16",
        caption=1024,
        buttons=100,
        button_title=64,
        button_id=4096,  # 64 bytes for Telegram; a longer one goes as its digest
        button_body=4096,
        url_buttons=100,
        mixed_buttons=True,
        media={
            "image": 10 * MIB,
            "video": 50 * MIB,
            "audio": 50 * MIB,
            "voice": 50 * MIB,
            "file": 50 * MIB,
            "sticker": 10 * MIB,
        },
        media_count=10,
        uploads=True,
        captions=frozenset({"image", "video", "audio", "voice", "file"}),
        places=True,
        contacts=True,
        quotes=True,
        rate=30.0,
        pair_rate=(1, 1.0, 5),
    )

    def __init__(self, channel: ChannelRef, settings: Any, http: Http) -> None:
        super().__init__(channel, settings, http)
        self._library: tuple[Any, Any] | None = None

    @classmethod
    def account(cls, settings: Settings) -> str:
        return settings.bot_token.partition(":")[0]

    def secrets(self) -> tuple[str, ...]:
        settings: Telegram.Settings = self.settings
        token = settings.bot_token
        own = (token, token.partition(":")[2], settings.secret_token)
        return tuple(secret for secret in own if secret)

    def check(self, hook: Hook) -> None:
        # What comes from outside may hold anything; compare_digest takes non-ASCII only as bytes.
        given = hook.headers.get(HEADER, "").encode("utf-8", "surrogateescape")
        wanted = self.settings.secret_token.encode()
        if hook.method != "POST" or not wanted or not hmac.compare_digest(given, wanted):
            raise HookRejected("wrong or missing X-Telegram-Bot-Api-Secret-Token")

    def parse(self, hook: Hook) -> list[Parsed]:
        origin = Origin(self.account(self.settings), hook.received_at)
        return read_update(read_object(hook.body), origin)

    async def send(self, out: Outbound) -> Sent:
        peer = self._peer(out.to.external_id)
        _, calls = await self._imported()
        try:
            result = await self._call(lambda bot: calls.deliver(bot, out, peer))
        except SendFailed as error:
            raise judged(error, out.attempt) from None
        first = result[0] if isinstance(result, list) and result else result
        number = whole(first.get("message_id")) if isinstance(first, dict) else None
        if number is None:
            raise OutcomeUnknown("the answer names no message")
        chat = whole(part_of(first, "chat").get("id"))
        return Sent(Peer(chat or peer.chat, business=peer.business).message(number))

    async def show_typing(self, to: Outbound) -> None:
        """Shows typing for 5 s."""
        peer = self._peer(to.to.external_id)
        topic, business = peer.topic, peer.business or None
        await self._call(lambda bot: bot.send_chat_action(peer.chat, "typing", topic, business))

    async def mark_read(self, to: Outbound) -> None:
        """Marks the message read, which bots can in a business account's chats alone."""
        peer, number = self._peer(to.to.external_id), message_number(to.reply_to)
        if peer.business and number is not None:
            business = peer.business
            await self._call(lambda bot: bot.read_business_message(business, peer.chat, number))

    async def acknowledge(self, inbound: Inbound) -> None:
        """Takes the spinner off a tapped button, which turns for a while else."""
        if inbound.external_id.startswith(TAP):
            query = inbound.external_id.removeprefix(TAP)
            await self._call(lambda bot: bot.answer_callback_query(query))

    async def media_request(self, media: Media) -> tuple[str, dict[str, str]]:
        """An attachment's address, good for an hour. It holds the bot's token."""
        if not media.provider_id:
            raise MediaFailed("the attachment has no id at Telegram")
        found = await self._call(lambda bot: bot.get_file(media.provider_id))
        path = text_of(found, "file_path") if isinstance(found, dict) else ""
        if not path or path.startswith("/"):
            # A Bot API server in local mode names a file on its own disk.
            raise MediaFailed("Telegram gives no address for the attachment")
        settings: Telegram.Settings = self.settings
        root = f"{settings.api_base.rstrip('/')}/file/bot{settings.bot_token}"
        return f"{root}/{quote(path)}", {}

    async def who_am_i(self) -> str:
        """The bot, and whether its updates come to this hub."""
        me = await self._call(lambda bot: bot.get_me())
        hook = await self._call(lambda bot: bot.get_webhook_info())
        told = [f"@{text_of(me, 'username')}" if isinstance(me, dict) else "Telegram"]
        return ", ".join([*told, *self._hook_state(hook if isinstance(hook, dict) else {})])

    def _hook_state(self, info: Object) -> list[str]:
        settings: Telegram.Settings = self.settings
        url, wanted = text_of(info, "url"), self.channel.hook_url
        if settings.mode == "polling":
            return ["polled"] + [
                "a webhook is set, which the hub takes away when it starts"
            ] * bool(url)
        told = ["the webhook is set" if url == wanted else "no webhook is set"]
        if url != wanted:
            if url:
                told = ["the webhook is set to another URL"]
            how = "the hub sets it when it starts" if settings.set_webhook else HOW
            told.append(how)
        if waiting := whole(info.get("pending_update_count")):
            told.append(f"{waiting} updates wait")
        if error := text_of(info, "last_error_message"):
            told.append(f"last error: {error}")
        return told

    async def subscribe(self) -> None:
        """Tell Telegram where to call and what of. It is told at each start: whether it knows
        the secret token cannot be asked."""
        settings: Telegram.Settings = self.settings
        if settings.mode != "webhook" or not settings.set_webhook:
            return
        url, secret, wanted = self.channel.hook_url, settings.secret_token, list(WANTED)
        await self._call(
            lambda bot: bot.set_webhook(url, secret_token=secret, allowed_updates=wanted)
        )

    @property
    def polls(self) -> bool:
        return bool(self.settings.mode == "polling")

    async def poll(self, keep: Keep) -> None:
        """Ask for updates. Asking on from the last one kept is what tells Telegram of it."""
        http = Http(self.http.session, LONG_POLL + ANSWER_LEEWAY)
        # Where a webhook is set Telegram refuses to be asked.
        await self._call(lambda bot: bot.delete_webhook())
        after: int | None = None
        while True:
            asked = time.monotonic()
            offset = after
            updates = await self._call(
                lambda bot, offset=offset: bot.get_updates(  # type: ignore[misc]  # bound now
                    offset, limit=100, timeout=LONG_POLL, allowed_updates=list(WANTED)
                ),
                http,
            )
            if not isinstance(updates, list):
                raise OutcomeUnknown("the answer lists no updates")
            for update in updates:
                await keep(self._as_hook(update))
                number = whole(update.get("update_id")) if isinstance(update, dict) else None
                after = after if number is None else number + 1
            if (not updates or after == offset) and time.monotonic() - asked < SHORTEST_POLL:
                await asyncio.sleep(SHORTEST_POLL)

    def _as_hook(self, update: Any) -> Hook:
        headers = {"content-type": "application/json"}
        body = orjson.dumps(update)
        return Hook("POST", self.channel.hook_url, "", headers, body, Clock().now())

    def _peer(self, address: str) -> Peer:
        peer = Peer.of(address)
        if peer is None:
            raise NoSuchRecipient("the address is no chat of Telegram's")
        return peer

    async def _call(self, make: "Call", http: Http | None = None) -> Any:
        bot, _ = await self._imported()
        settings: Telegram.Settings = self.settings
        return await bot.call(http or self.http, settings.api_base, settings.bot_token, make)

    async def _imported(self) -> tuple[Any, Any]:
        if self._library is None:
            self._library = await asyncio.to_thread(_import_library)
        return self._library


HOW = "set it by the Bot API's setWebhook, with your secret_token, to the URL that follows"


def _import_library() -> tuple[Any, Any]:
    from connectors import _telegram_bot, _telegram_calls

    return _telegram_bot, _telegram_calls
