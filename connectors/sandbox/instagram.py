"""The stand-in for Instagram Direct; `python -m connectors.sandbox.instagram` serves it.

Facts are from Meta's documentation of both products, the Messenger API for Instagram
(Facebook Login) and the Instagram API with Instagram Login.
"""

from collections.abc import Collection
from typing import ClassVar, Literal

from aiohttp import web
from pydantic import model_validator

from connectors.sandbox import meta_account, meta_rules, meta_wire
from connectors.sandbox.control import ControlError
from connectors.sandbox.customer import Phone
from connectors.sandbox.media import Media, make_content
from connectors.sandbox.meta_customer import CustomerMessage
from connectors.sandbox.meta_rules import Rules
from connectors.sandbox.meta_standin import STORY_LIFE, MetaStandin
from connectors.sandbox.meta_wire import Json
from connectors.sandbox.refusal import Refusal
from connectors.sandbox.transcript import Item

REACTIONS = {"❤": "love", "😂": "haha", "😮": "wow", "😢": "sad", "😡": "angry", "👍": "like"}
UNSUPPORTED = ("sticker", "location", "unsupported")


class Account(meta_account.Account):
    """One Instagram professional account, by Facebook Login (a Page's token) or Instagram Login.

    `app_scoped_id` is the other id that /me of Instagram Login tells. `messages_allowed` is
    the owner's switch "Allow access to messages".
    """

    ig_id: str
    login: Literal["facebook", "instagram"] = "instagram"
    page_id: str = "104800000000001"
    username: str = "sandbox.shop"
    name: str = "Sandbox shop"
    app_scoped_id: str = "24800000000000001"
    messages_allowed: bool = True
    receipts: tuple[Literal["sent", "delivered", "read"], ...] = ("sent", "read")
    subscribed_fields: tuple[str, ...] = (
        "messages", "messaging_postbacks", "messaging_seen", "message_reactions",
        "messaging_referral", "message_edit", "message_echoes", "messaging_handover", "standby",
    )  # fmt: skip

    @model_validator(mode="after")
    def _tells_no_delivery(self) -> "Account":
        if "delivered" in self.receipts:
            raise ValueError("Instagram does not tell what was delivered")
        return self

    @property
    def key(self) -> str:
        return self.ig_id

    @property
    def path_id(self) -> str:
        return self.page_id if self.login == "facebook" else self.ig_id

    @property
    def token_type(self) -> str:
        return "PAGE" if self.login == "facebook" else "USER"


class Sandbox(MetaStandin[Account]):
    """Instagram's send API by both logins, its webhooks, and the customers' phones."""

    account_model = Account
    product: ClassVar[str] = "instagram"
    rules: ClassVar[Rules] = meta_rules.INSTAGRAM

    def add_provider_routes(self, router: web.UrlDispatcher) -> None:
        super().add_provider_routes(router)
        router.add_get("/ig_messaging_cdn/", self._lead_on)

    def event(
        self, account: Account, phone: str, said: CustomerMessage, item: Item
    ) -> tuple[str, Json]:
        if said.read:
            return "messaging_seen", {"read": {"mid": item.external_id}}
        if said.edit is not None:
            edited = {"mid": item.external_id, "text": item.text, "num_edit": item.edits}
            return "message_edit" if account.login == "instagram" else "", {"message_edit": edited}
        if said.unsend is not None:
            return "messages", {"message": {"mid": item.external_id, "is_deleted": True}}
        if said.reaction is not None:
            return "message_reactions", {"reaction": _reaction(said)}
        if said.link is not None and (account.key, phone) in self.last_deeds:
            return "messaging_referral", {"referral": meta_wire.referral(said.link)}
        tap = said.button or said.postback
        if tap is not None:
            told = {"mid": item.external_id, "title": tap.title, "payload": tap.id}
            if said.standby:
                del told["payload"]
            return "messaging_postbacks", {"postback": told}
        return "messages", {"message": self._message(account, said, item)}

    def _message(self, account: Account, said: CustomerMessage, item: Item) -> Json:
        message: Json = {"mid": item.external_id}
        if said.get_started or said.link:
            raise ControlError("the first message of somebody new must say something")
        if said.text is not None or said.story_reply is not None:
            message["text"] = item.text
        elif said.quick_reply is not None:
            message |= {"text": item.text, "quick_reply": {"payload": said.quick_reply.id}}
        elif said.kind in UNSUPPORTED:
            message["is_unsupported"] = True
        elif said.like:
            item.text = "❤️"
            message["attachments"] = [{"type": "like_heart"}]
        else:
            message["attachments"] = meta_wire.attachments(said, self.cdn_urls(item))
        if said.story_reply is not None:
            story = self._story(account, said.story_reply.story_id)
            message["reply_to"] = {"story": {"id": story.id, "url": self.cdn_url(story)}}
        elif said.quotes and not said.quick_reply:
            message["reply_to"] = {"mid": said.quotes}
        if said.referral is not None:
            message["referral"] = said.referral
        return message

    def _story(self, account: Account, id: str) -> Media:
        """A story of the account, which lasts a day."""
        story = self.media.get(id)
        if story is None:
            content, until = make_content("image/jpeg"), self.now() + STORY_LIFE
            story = Media(id, account.key, "image", "image/jpeg", content, until)
            self.media[id] = story
        return story

    def cdn_url(self, media: Media) -> str:
        """The address in a webhook, which leads on to the file."""
        signature = self.sign_link(media)
        return f"{self.base_url}/ig_messaging_cdn/?asset_id={media.id}&signature={signature}"

    async def _lead_on(self, request: web.Request) -> web.Response:
        raise web.HTTPFound(f"{self.base_url}/cdn/{request.query.get('signature', '')}")

    def receipt_event(self, account: Account, item: Item, status: str) -> tuple[str, Json]:
        return "messaging_seen", {"read": {"mid": item.external_id}}

    def echo_event(self, account: Account, item: Item) -> tuple[str, Json]:
        # Neither app nor metadata is told: an echo is known by its mid alone.
        return "messages", meta_wire.echo(item, None, None)

    def check_account(self, account: Account) -> None:
        """May the app use this account's messages at all? Raises `Refusal`."""
        if not account.messages_allowed:
            raise Refusal(200, subcode=2534041)

    def facts(self, account: Account, id: str) -> Json | None:
        if id not in ("me", account.path_id):
            return None
        if account.login == "facebook":
            linked = {"id": account.ig_id}
            facts = {"id": account.page_id, "name": account.name}
            return {**facts, "instagram_business_account": linked}
        return {
            "id": account.app_scoped_id,
            "user_id": account.ig_id,
            "username": account.username,
            "name": account.name,
            "account_type": "BUSINESS",
        }

    def profile(self, known: Phone) -> Json:
        return {"name": known.name, "username": known.username or "a.person"}

    def no_profile(self) -> Refusal:
        return Refusal(230, "User consent is required to access user profile")

    def scopes(self, account: Account) -> Collection[str]:
        if account.login == "facebook":
            return ("instagram_basic", "instagram_manage_messages", "pages_manage_metadata")
        return ("instagram_business_basic", "instagram_business_manage_messages")


def _reaction(said: CustomerMessage) -> Json:
    reaction = said.reaction
    assert reaction is not None
    if not reaction.emoji:
        return {"mid": reaction.message_id, "action": "unreact"}
    name = REACTIONS.get(reaction.emoji.removesuffix("\ufe0f"), "other")
    told: Json = {"mid": reaction.message_id, "action": "react"}
    return {**told, "reaction": name, "emoji": reaction.emoji}


if __name__ == "__main__":
    from connectors.sandbox.alone import serve

    serve(Sandbox)
