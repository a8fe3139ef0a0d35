"""Facebook Messenger: one Page is one channel.

Protocol facts: Messenger Platform, Graph API v25.0, webhooks of `page` with the fields messages,
messaging_postbacks, message_deliveries, message_reads, message_echoes, message_edits,
message_reactions, messaging_referrals, messaging_optins, messaging_handovers and standby.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from connectors import graph
from connectors._meta_calls import Api, media_request
from connectors._meta_errors import CODES
from connectors._meta_items import START_WORDS, STOP_WORDS, Words, folded, read_entry
from connectors._meta_payload import action_of, payload_of
from hub.clock import Micros
from hub.connector import ChannelSettings, Connector, Hook, HookAnswer, Limits
from hub.errors import Misconfigured
from hub.message import Media, Outbound, Profile, Sent
from hub.signal import Parsed

MB = 1_000_000


class Messenger(Connector):
    class Settings(ChannelSettings):
        """`page_id` and `access_token` are of the Page, `app_secret` and `verify_token` of the
        Meta app that calls the hook. `app_id` lets the token's end be asked for, `proves` sends
        appsecret_proof with each call, where the app demands it. A message that is one of
        `stop_words` stops marketing messages, one of `start_words` allows them again."""

        page_id: str = Field(pattern=r"^[0-9]{1,30}$")
        access_token: str = Field(min_length=1, repr=False)
        app_secret: str = Field(min_length=1, repr=False)
        verify_token: str = Field(min_length=1, repr=False)
        app_id: str = Field(default="", pattern=r"^[0-9]{0,30}$")
        proves: bool = False
        stop_words: tuple[str, ...] = STOP_WORDS
        start_words: tuple[str, ...] = START_WORDS
        api_base: str = Field(default=graph.API_BASE, pattern=r"^https?://[^/?#]+[^?#]*$")
        api_version: str = Field(default="v25.0", pattern=r"^v[0-9]{1,3}\.[0-9]$")

    app: ClassVar[str] = graph.APP
    limits: ClassVar[Limits] = Limits(
        text=2000,
        buttons=3,
        button_title=20,
        button_id=1000,
        button_body=640,
        url_buttons=3,
        mixed_buttons=True,
        quick_replies=13,
        media={
            "image": 8 * MB,
            "video": 25 * MB,
            "audio": 25 * MB,
            "voice": 25 * MB,
            "file": 25 * MB,
        },
        media_types={
            "image": frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"}),
        },
        quotes=True,
        window=24 * 3600.0,
        rate=40.0,  # the platform takes 300; beyond 40 the Page's inbox no longer keeps up
    )

    @classmethod
    def account(cls, settings: Settings) -> str:
        return settings.page_id

    def secrets(self) -> tuple[str, ...]:
        settings: Messenger.Settings = self.settings
        return (settings.access_token, settings.app_secret, settings.verify_token)

    def check(self, hook: Hook) -> None:
        graph.check(hook, (self.settings.app_secret,), self.settings.verify_token)

    def kind_of(self, hook: Hook) -> str:
        return graph.kind_of(hook, self.channel.kind)

    def parse(self, hook: Hook) -> list[Parsed]:
        words = Words(*map(folded, (self.settings.stop_words, self.settings.start_words)))

        def read(entry: Any) -> Iterator[Parsed]:
            return words.heard_in(read_entry(entry, hook.received_at))

        return graph.parse(hook, "page", read)

    def answer(self, hook: Hook) -> HookAnswer:
        return graph.answer(hook)

    async def send(self, out: Outbound) -> Sent:
        body = payload_of(out, calls=True, messaging_type="RESPONSE")
        if out.correlation_id:
            body["message"]["metadata"] = out.correlation_id
        return await self.api.send(body)

    async def show_typing(self, to: Outbound) -> None:
        """Shows typing for up to 20 s."""
        await self.api.call("POST", "/messages", action_of(to, "typing_on"))

    async def mark_read(self, to: Outbound) -> None:
        await self.api.call("POST", "/messages", action_of(to, "mark_seen"))

    async def media_request(self, media: Media) -> tuple[str, dict[str, str]]:
        return media_request(media, self.settings.api_base)

    async def look_up_profile(self, sender: str) -> Profile:
        return await self.api.profile(sender, "first_name,last_name")

    async def who_am_i(self) -> str:
        """The Page that the token is of, which must be the channel's own."""
        facts = await self.me.call("GET", "?fields=id,name")
        found = graph.text_of(facts, "id")
        if found != self.settings.page_id:
            raise Misconfigured(f"the access token is of {found or 'no Page'}, not of the Page")
        return f"{graph.text_of(facts, 'name') or 'Page'} ({found}){await self.api.subscribed()}"

    async def expires_at(self) -> Micros | None:
        settings: Messenger.Settings = self.settings
        token = settings.access_token
        asking = f"{settings.app_id}|{settings.app_secret}" if settings.app_id else token
        return await graph.token_end(self.http, self.root, token, asking, CODES)

    @property
    def root(self) -> str:
        settings: Messenger.Settings = self.settings
        return f"{settings.api_base.rstrip('/')}/{settings.api_version}"

    @property
    def api(self) -> Api:
        return self.api_of(self.settings.page_id)

    @property
    def me(self) -> Api:
        return self.api_of("me")

    def api_of(self, node: str) -> Api:
        settings: Messenger.Settings = self.settings
        proof = settings.app_secret if settings.proves else ""
        return Api(self.http, self.root, node, settings.access_token, proof)
