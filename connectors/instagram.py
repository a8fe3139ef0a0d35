"""Instagram Direct: one professional account is one channel.

Protocol facts: Instagram messaging, Graph API v25.0, by both logins: the Messenger API for
Instagram with a Page's token on graph.facebook.com, and the Instagram API with Instagram Login
on graph.instagram.com. Webhooks of `instagram` with the fields messages, messaging_postbacks,
messaging_seen, message_reactions, messaging_referral, message_edit, messaging_handover, standby.
"""

import time
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from connectors import graph
from connectors._meta_calls import Api, media_request
from connectors._meta_errors import CODES
from connectors._meta_items import START_WORDS, STOP_WORDS, Words, folded, read_entry
from connectors._meta_payload import action_of, payload_of
from hub.clock import SECOND, Micros
from hub.connector import ChannelRef, ChannelSettings, Connector, Hook, HookAnswer, Http, Limits
from hub.errors import Misconfigured, OutcomeUnknown
from hub.message import Media, Outbound, Profile, Sent
from hub.signal import Parsed

MB = 1_000_000
HOSTS = {"facebook": graph.API_BASE, "instagram": "https://graph.instagram.com"}
Secret = Annotated[str, Field(min_length=1)]


class Instagram(Connector):
    class Settings(ChannelSettings):
        """`account_id` is the professional account's id in webhooks (1784...). `login` says whose
        token it is: "facebook" a linked Page's, "instagram" the account's own. `app_secret` and
        `verify_token` are of the Meta app that calls the hook; where both logins' apps call it,
        `app_secret` is a list. `app_id` lets the end of a Page's token be asked for, `proves`
        sends appsecret_proof (by the first secret) with each call. A message that is one of
        `stop_words` stops marketing messages, one of `start_words` allows them again."""

        account_id: str = Field(pattern=r"^[0-9]{1,30}$")
        login: Literal["facebook", "instagram"] = "facebook"
        access_token: str = Field(min_length=1, repr=False)
        app_secret: Secret | Annotated[tuple[Secret, ...], Field(min_length=1)] = Field(repr=False)
        verify_token: str = Field(min_length=1, repr=False)
        app_id: str = Field(default="", pattern=r"^[0-9]{0,30}$")
        proves: bool = False
        stop_words: tuple[str, ...] = STOP_WORDS
        start_words: tuple[str, ...] = START_WORDS
        api_base: str = Field(default="", pattern=r"^(https?://[^/?#]+[^?#]*)?$")
        api_version: str = Field(default="v25.0", pattern=r"^v[0-9]{1,3}\.[0-9]$")

        @property
        def app_secrets(self) -> tuple[str, ...]:
            return (self.app_secret,) if isinstance(self.app_secret, str) else self.app_secret

    app: ClassVar[str] = graph.APP
    limits: ClassVar[Limits] = Limits(
        text=1000,
        text_unit="bytes",
        buttons=3,
        button_title=20,
        button_id=1000,
        button_body=640,
        url_buttons=3,
        mixed_buttons=True,
        quick_replies=13,
        buttons_hide=True,  # neither the website nor the desktop app shows any
        media={"image": 8 * MB, "video": 25 * MB, "audio": 25 * MB, "file": 25 * MB},
        media_types={
            "image": frozenset({"image/jpeg", "image/png"}),
            "audio": frozenset(
                {
                    "audio/aac", "audio/mp4", "audio/m4a", "audio/x-m4a",
                    "audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave",
                }
            ),
            "video": frozenset(
                {
                    "video/mp4", "video/ogg", "video/avi", "video/x-msvideo",
                    "video/quicktime", "video/webm",
                }
            ),
            "file": frozenset({"application/pdf"}),
        },
        quotes=True,
        window=24 * 3600.0,
        rate=100.0,  # 300 by one page of the documentation, 100 by another
    )  # fmt: skip

    def __init__(self, channel: ChannelRef, settings: Any, http: Http) -> None:
        super().__init__(channel, settings, http)
        self.token: str = settings.access_token

    @classmethod
    def account(cls, settings: Settings) -> str:
        return settings.account_id

    def secrets(self) -> tuple[str, ...]:
        settings: Instagram.Settings = self.settings
        return (settings.access_token, *settings.app_secrets, settings.verify_token)

    def check(self, hook: Hook) -> None:
        graph.check(hook, self.settings.app_secrets, self.settings.verify_token)

    def kind_of(self, hook: Hook) -> str:
        return graph.kind_of(hook, self.channel.kind)

    def parse(self, hook: Hook) -> list[Parsed]:
        words = Words(*map(folded, (self.settings.stop_words, self.settings.start_words)))

        def read(entry: Any) -> Iterator[Parsed]:
            return words.heard_in(read_entry(entry, hook.received_at))

        return graph.parse(hook, "instagram", read)

    def answer(self, hook: Hook) -> HookAnswer:
        return graph.answer(hook)

    async def send(self, out: Outbound) -> Sent:
        # Instagram Login knows no messaging_type.
        more = {"messaging_type": "RESPONSE"} if self.settings.login == "facebook" else {}
        return await self.api.send(payload_of(out, calls=False, **more))

    async def show_typing(self, to: Outbound) -> None:
        """Shows typing for up to 20 s."""
        await self.api.call("POST", "/messages", action_of(to, "typing_on"))

    async def mark_read(self, to: Outbound) -> None:
        await self.api.call("POST", "/messages", action_of(to, "mark_seen"))

    async def media_request(self, media: Media) -> tuple[str, dict[str, str]]:
        return media_request(media, self.base)

    async def look_up_profile(self, sender: str) -> Profile:
        return await self.api.profile(sender, "name,username")

    async def who_am_i(self) -> str:
        """The account that the token is of, which must be the channel's own."""
        if self.settings.login == "facebook":
            facts = await self.api.call("GET", "?fields=id,name,instagram_business_account")
            found = graph.text_of(graph.part_of(facts, "instagram_business_account"), "id")
            name = graph.text_of(facts, "name")
        else:
            facts = await self.api.call("GET", "?fields=user_id,username")
            found, name = graph.text_of(facts, "user_id"), graph.text_of(facts, "username")
        if found != self.settings.account_id:
            raise Misconfigured(
                f"the access token is of {found or 'no account'}, not of account_id"
            )
        # By Facebook Login the fields are the app's own, and any one of the Page's will do.
        told = await self.api.subscribed(any_field=self.settings.login == "facebook")
        return f"{name or 'Instagram'} ({found}){told}"

    async def expires_at(self) -> Micros | None:
        """Instagram Login's tokens last 60 days and are prolonged here, once a day old; none
        tells its end otherwise. Should Instagram give another token for it, that one is used
        while this process runs."""
        settings: Instagram.Settings = self.settings
        if settings.login == "facebook":
            secret = settings.app_secrets[0]
            asking = f"{settings.app_id}|{secret}" if settings.app_id else self.token
            return await graph.token_end(self.http, self.root, self.token, asking, CODES)
        url = f"{self.base}/refresh_access_token?grant_type=ig_refresh_token"
        answer = await graph.call(self.http, "GET", url, self.token, CODES)
        lasts = answer.get("expires_in")
        if not isinstance(lasts, int) or lasts <= 0:
            raise OutcomeUnknown("the answer does not tell how long the token lasts")
        self.token = graph.text_of(answer, "access_token") or self.token
        return time.time_ns() // 1000 + lasts * SECOND

    @property
    def base(self) -> str:
        settings: Instagram.Settings = self.settings
        return (settings.api_base or HOSTS[settings.login]).rstrip("/")

    @property
    def root(self) -> str:
        return f"{self.base}/{self.settings.api_version}"

    @property
    def api(self) -> Api:
        """By either login the token's own account is "me"."""
        settings: Instagram.Settings = self.settings
        proof = settings.app_secrets[0] if settings.proves else ""
        return Api(self.http, self.root, "me", self.token, proof)
