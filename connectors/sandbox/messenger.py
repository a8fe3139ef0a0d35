"""The stand-in for Facebook Messenger; `python -m connectors.sandbox.messenger` serves it.

Facts are from Meta's documentation of the Messenger Platform: Send API, webhooks, error codes.
"""

from collections.abc import Collection
from typing import ClassVar, Literal

from connectors.sandbox import meta_account, meta_rules, meta_wire
from connectors.sandbox.control import ControlError
from connectors.sandbox.customer import Phone
from connectors.sandbox.meta_customer import CustomerMessage
from connectors.sandbox.meta_rules import Rules
from connectors.sandbox.meta_standin import MetaStandin
from connectors.sandbox.meta_wire import Json
from connectors.sandbox.refusal import Refusal
from connectors.sandbox.transcript import Item

INBOX_APP = "263902037430900"
THUMBS_UP = 369239263222822
STICKER = 144885035685763
REACTIONS = {"❤": "love", "😆": "smile", "😮": "wow", "😢": "sad", "😠": "angry", "👍": "like"}


class Page(meta_account.Account):
    """One Facebook Page. `delivery_mids` names the messages in a delivery, `stickers` is how a
    sticker comes: as itself since 2026-08-30, both ways in the 90 days before, an image until
    then. `get_started` is the payload of that button."""

    page_id: str
    name: str = "Sandbox shop"
    subscribed_fields: tuple[str, ...] = (
        "messages", "messaging_postbacks", "messaging_referrals", "messaging_optins",
        "message_deliveries", "message_reads", "message_echoes", "message_edits",
        "message_reactions", "messaging_handovers", "standby",
    )  # fmt: skip
    delivery_mids: bool = True
    stickers: Literal["sticker", "both", "image"] = "sticker"
    get_started: str = "GET_STARTED"

    @property
    def key(self) -> str:
        return self.page_id


class Sandbox(MetaStandin[Page]):
    """Messenger's Send API, its webhooks, and the customers' phones."""

    account_model = Page
    product: ClassVar[str] = "page"
    rules: ClassVar[Rules] = meta_rules.MESSENGER

    def event(
        self, account: Page, phone: str, said: CustomerMessage, item: Item
    ) -> tuple[str, Json]:
        if said.read:
            return "message_reads", {"read": {"watermark": meta_wire.milliseconds(self.now())}}
        if said.edit is not None:
            edited = {"mid": item.external_id, "text": item.text, "num_edit": item.edits}
            return "message_edits", {"message_edit": edited}
        if said.unsend is not None:
            return "", {}  # Messenger does not tell a Page.
        if said.reaction is not None:
            return "message_reactions", {"reaction": _reaction(said)}
        if said.get_started or said.postback or said.button or said.link:
            return self._postback(account, phone, said, item)
        return "messages", {"message": self._message(account, said, item)}

    def _postback(
        self, account: Page, phone: str, said: CustomerMessage, item: Item
    ) -> tuple[str, Json]:
        tap = said.button or said.postback
        is_new = (account.key, phone) not in self.last_deeds
        if said.link is not None and not is_new:
            return "messaging_referrals", {"referral": meta_wire.referral(said.link)}
        title, payload = (tap.title, tap.id) if tap else ("Get Started", account.get_started)
        item.text = title
        told: Json = {"mid": item.external_id, "title": title, "payload": payload}
        if said.link is not None:
            told["referral"] = meta_wire.referral(said.link)
        if said.standby:
            del told["payload"]
        return "messaging_postbacks", {"postback": told}

    def _message(self, account: Page, said: CustomerMessage, item: Item) -> Json:
        message: Json = {"mid": item.external_id}
        if said.story_reply or said.story_mention:
            raise ControlError("Messenger has no stories of a Page to answer or mention in")
        if said.text is not None:
            message["text"] = said.text
        elif said.quick_reply is not None:
            message |= {"text": item.text, "quick_reply": {"payload": said.quick_reply.id}}
        elif said.location is not None:
            place = {"lat": said.location.latitude, "long": said.location.longitude}
            message["attachments"] = [{"type": "location", "payload": {"coordinates": place}}]
        elif said.sticker is not None or said.like:
            message["attachments"] = self._sticker(account, said, item)
        elif not said.unsupported:
            message["attachments"] = meta_wire.attachments(said, self.cdn_urls(item))
        if said.quotes:
            quoted = self.transcript.find(said.quotes)
            is_own = quoted is not None and quoted.direction == "in"
            message["reply_to"] = {"mid": said.quotes, "is_self_reply": is_own}
        if said.referral is not None:
            message["referral"] = said.referral
        return message

    def _sticker(self, account: Page, said: CustomerMessage, item: Item) -> list[Json]:
        if said.like:
            item.text = "👍"
        urls = self.cdn_urls(item) or ["https://scontent.xx.fbcdn.net/like.png"]
        payload = {"url": urls[0], "sticker_id": THUMBS_UP if said.like else STICKER}
        kinds = {"both": ("image", "sticker")}.get(account.stickers, (account.stickers,))
        return [{"type": kind, "payload": payload} for kind in kinds]

    def receipt_event(self, account: Page, item: Item, status: str) -> tuple[str, Json]:
        told: Json = {"watermark": meta_wire.milliseconds(self.now())}
        if status == "read":
            return "message_reads", {"read": told}
        if account.delivery_mids:
            told["mids"] = [item.external_id]
        return "message_deliveries", {"delivery": told}

    def echo_event(self, account: Page, item: Item) -> tuple[str, Json]:
        app_id = INBOX_APP if item.by == "inbox" else account.app_id
        return "message_echoes", meta_wire.echo(item, app_id, item.correlation)

    def check_account(self, account: Page) -> None:
        """A Page may always write to those who wrote to it."""

    def facts(self, account: Page, id: str) -> Json | None:
        if id not in ("me", account.page_id):
            return None
        return {"id": account.page_id, "name": account.name, "username": None, "link": None}

    def profile(self, known: Phone) -> Json:
        first, _, last = (known.name or "").partition(" ")
        names = {"first_name": first or None, "last_name": last or None, "name": known.name}
        return {**names, "locale": None, "timezone": None, "gender": None}

    def no_profile(self) -> Refusal:
        return Refusal(100, "No profile available for this user.", subcode=2018218)

    def scopes(self, account: Page) -> Collection[str]:
        return ("pages_messaging", "pages_manage_metadata", "pages_show_list")


def _reaction(said: CustomerMessage) -> Json:
    reaction = said.reaction
    assert reaction is not None
    told: Json = {"mid": reaction.message_id, "action": "react" if reaction.emoji else "unreact"}
    if reaction.emoji:
        name = REACTIONS.get(reaction.emoji.removesuffix("\ufe0f"), "other")
        told |= {"reaction": name, "emoji": reaction.emoji}
    return told


if __name__ == "__main__":
    from connectors.sandbox.alone import serve

    serve(Sandbox)
