"""WhatsApp by Meta's Cloud API: one business number is one channel.

Protocol facts: Graph API v25.0, webhooks of `whatsapp_business_account` with the fields
messages, smb_message_echoes, user_preferences, user_id_update and those of templates.
"""

from collections.abc import Iterator
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from pydantic import Field

from connectors import graph
from connectors._whatsapp_account import (
    NUMBER_FIELDS,
    TEMPLATE_PAGES,
    TEMPLATES,
    introduction,
    limit_field,
    listed,
    next_page,
    token_end,
)
from connectors._whatsapp_content import objects_of, part_of
from connectors._whatsapp_errors import CODES, MEDIA_ATTEMPTS, MEDIA_UPLOAD, PAIR_LIMIT
from connectors._whatsapp_items import read_entry
from connectors._whatsapp_payload import payload_of
from hub.clock import Micros
from hub.connector import ChannelSettings, Connector, Hook, HookAnswer, Limits, ListedTemplate
from hub.errors import (
    MediaFailed,
    Misconfigured,
    OutcomeUnknown,
    Refused,
    SendFailed,
    Unreachable,
)
from hub.message import Media, Outbound, Sent
from hub.signal import Parsed

KIB = 1024
MIB = 1024 * KIB
SOUNDS = frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"})


class WhatsApp(Connector):
    class Settings(ChannelSettings):
        """`phone_number_id` and `access_token` are of the number, `app_secret` and
        `verify_token` of the Meta app that calls the hook. `waba_id` is the WhatsApp Business
        Account, whose templates are listed."""

        phone_number_id: str = Field(pattern=r"^[0-9]{1,30}$")
        waba_id: str = Field(default="", pattern=r"^[0-9]{0,30}$")
        access_token: str = Field(min_length=1, repr=False)
        app_secret: str = Field(min_length=1, repr=False)
        verify_token: str = Field(min_length=1, repr=False)
        api_base: str = Field(default=graph.API_BASE, pattern=r"^https?://[^/?#]+[^?#]*$")
        api_version: str = Field(default="v25.0", pattern=r"^v[0-9]{1,3}\.[0-9]$")

    app: ClassVar[str] = graph.APP
    limits: ClassVar[Limits] = Limits(
        text=4096,
        caption=1024,
        buttons=3,
        button_title=20,
        button_id=200,  # 256 for reply buttons, 200 for the rows of a list
        button_body=1024,
        list_rows=10,
        list_title=24,
        list_description=72,
        list_body=4096,
        url_buttons=1,
        media={
            "image": 5 * MIB,
            "video": 16 * MIB,
            "audio": 16 * MIB,
            "voice": 16 * MIB,
            "file": 100 * MIB,
            "sticker": 500 * KIB,
        },
        media_types={
            "image": frozenset({"image/jpeg", "image/png"}),
            "video": frozenset({"video/mp4", "video/3gpp"}),
            "audio": SOUNDS,
            "voice": SOUNDS,
            "sticker": frozenset({"image/webp"}),
        },
        captions=frozenset({"image", "video", "file"}),
        places=True,
        contacts=True,
        quotes=True,
        templates=True,
        window=24 * 3600.0,
        rate=80.0,
        pair_rate=(1, 6.0, 45),
    )

    @classmethod
    def account(cls, settings: Settings) -> str:
        return settings.phone_number_id

    def secrets(self) -> tuple[str, ...]:
        settings: WhatsApp.Settings = self.settings
        return (settings.access_token, settings.app_secret, settings.verify_token)

    def check(self, hook: Hook) -> None:
        graph.check(hook, (self.settings.app_secret,), self.settings.verify_token)

    def kind_of(self, hook: Hook) -> str:
        return graph.kind_of(hook, self.channel.kind)

    def parse(self, hook: Hook) -> list[Parsed]:
        own = self.settings.phone_number_id

        def read(entry: Any) -> Iterator[Parsed]:
            return read_entry(entry, own, hook.received_at)

        return graph.parse(hook, "whatsapp_business_account", read)

    def answer(self, hook: Hook) -> HookAnswer:
        return graph.answer(hook)

    async def send(self, out: Outbound) -> Sent:
        try:
            answer = await self.call("POST", "messages", payload_of(out))
        except SendFailed as error:
            raise judged(error, out.attempt) from None
        messages = answer.get("messages")
        for message in messages if isinstance(messages, list) else ():
            if isinstance(message, dict) and isinstance(key := message.get("id"), str) and key:
                return Sent(key)
        raise OutcomeUnknown("the answer names no message")

    async def show_typing(self, to: Outbound) -> None:
        """Shows typing for up to 25 s; WhatsApp marks the customer's message read with it."""
        if to.reply_to:
            await self._mark(to.reply_to, typing_indicator={"type": "text"})

    async def mark_read(self, to: Outbound) -> None:
        if to.reply_to:
            await self._mark(to.reply_to)

    async def _mark(self, message_id: str, **more: Any) -> None:
        body = {"messaging_product": "whatsapp", "status": "read", "message_id": message_id}
        await self.call("POST", "messages", body | more)

    async def media_request(self, media: Media) -> tuple[str, dict[str, str]]:
        """An attachment's address, good for about five minutes: asked for anew at each fetch."""
        if not media.provider_id:
            raise MediaFailed("the attachment has no id at WhatsApp")
        number = self.settings.phone_number_id
        path = f"{quote(media.provider_id, safe='')}?phone_number_id={number}"
        token = self.settings.access_token
        try:
            answer = await graph.call(self.http, "GET", f"{self.root}/{path}", token, CODES)
        except (Misconfigured, Refused) as error:
            if error.code != "100":
                raise
            # Here the object that error 100 does not find is the attachment, not our account.
            raise MediaFailed("WhatsApp no longer has the attachment", code=error.code) from None
        url = answer.get("url")
        # The token goes along, so never to a scheme weaker than the API's own.
        allowed = {"https", urlsplit(self.root).scheme}
        if not isinstance(url, str) or urlsplit(url).scheme not in allowed:
            raise MediaFailed("WhatsApp gives no address for the attachment")
        return url, {"Authorization": f"Bearer {token}", "User-Agent": graph.USER_AGENT}

    async def who_am_i(self) -> str:
        """The number with its quality and how many customers it may write to first."""
        limit = limit_field(self.settings.api_version)
        try:
            facts = await self.call("GET", f"?fields={','.join((*NUMBER_FIELDS, limit))}")
        except Refused as error:
            if error.code != "100":
                raise
            # Not every account has all of the fields, and asking for one too many is an error.
            facts = await self.call("GET", f"?fields={','.join(NUMBER_FIELDS[:2])}")
        return introduction(facts, limit)

    async def expires_at(self) -> Micros | None:
        token = self.settings.access_token
        url = f"{self.root}/debug_token?input_token={quote(token, safe='')}"
        answer = await graph.call(self.http, "GET", url, token, CODES)
        if part_of(answer, "data").get("is_valid") is False:
            raise Misconfigured("the access token is not valid any more")
        return token_end(answer)

    async def list_templates(self) -> list[ListedTemplate]:
        account = self.settings.waba_id
        if not account:
            raise Misconfigured("waba_id is not set, so the templates cannot be listed")
        found: list[ListedTemplate] = []
        after = ""
        for _ in range(TEMPLATE_PAGES):
            url = f"{self.root}/{account}/{TEMPLATES}{after}"
            answer = await graph.call(self.http, "GET", url, self.settings.access_token, CODES)
            found += filter(None, map(listed, objects_of(answer, "data")))
            cursor = next_page(answer)
            if not cursor:
                break
            after = f"&after={quote(cursor, safe='')}"
        return found

    @property
    def root(self) -> str:
        settings: WhatsApp.Settings = self.settings
        return f"{settings.api_base.rstrip('/')}/{settings.api_version}"

    async def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Call the number's own part of the API."""
        joint = "" if path.startswith("?") else "/"
        url = f"{self.root}/{self.settings.phone_number_id}{joint}{path}"
        return await graph.call(self.http, method, url, self.settings.access_token, CODES, body)


def judged(error: SendFailed, attempt: int) -> SendFailed:
    """The error, where what it means depends on how often the message was tried."""
    if error.code == str(MEDIA_UPLOAD) and attempt < MEDIA_ATTEMPTS:
        return Unreachable(error.reason, code=error.code, retry_in=error.retry_in)
    if error.code == str(PAIR_LIMIT) and error.retry_in is None:
        # The platform's own advice: 4^n seconds.
        error.retry_in = 4.0 ** min(attempt, 6)
    return error
