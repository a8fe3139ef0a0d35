"""What a customer can do on her phone, as the control calls take it."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from connectors.sandbox.transcript import Item


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class File(_Strict):
    """A file the customer sends; the stand-in makes it up, `size` bytes long if given."""

    mime: str | None = None
    caption: str = ""
    filename: str | None = None
    size: int | None = Field(None, ge=1, le=200_000_000)


class Tap(_Strict):
    """A tapped button or list row of the message `reply_to`."""

    id: str
    title: str
    description: str | None = None
    reply_to: str | None = None


class Place(_Strict):
    latitude: float
    longitude: float
    name: str | None = None
    address: str | None = None


class Card(_Strict):
    name: str
    phones: list[str] = []


class Reaction(_Strict):
    """An emoji put on a message, or taken off when empty."""

    message_id: str
    emoji: str = ""


class CustomerMessage(_Strict):
    """One message of a customer; exactly one kind of content, `raw` apart.

    `account` may be left out when the stand-in has one account only. `batch` holds the
    message back until the account's next message without it; all go out in one POST.
    `wait` answers only after the hook took it. `raw` is laid over the provider's own message
    object (WhatsApp) or form (Twilio), for what this model cannot say. A stand-in whose phones
    can do more extends this model, and names all its kinds in `contents`.
    """

    contents: ClassVar[tuple[str, ...]] = (
        "text", "image", "video", "audio", "voice", "document", "sticker",
        "location", "contacts", "button", "list_row", "reaction",
    )  # fmt: skip

    account: str | None = None
    text: str | None = None
    image: File | None = None
    video: File | None = None
    audio: File | None = None
    voice: File | None = None
    document: File | None = None
    sticker: File | None = None
    location: Place | None = None
    contacts: list[Card] | None = None
    button: Tap | None = None
    list_row: Tap | None = None
    reaction: Reaction | None = None
    name: str | None = None
    reply_to: str | None = None
    referral: dict[str, Any] | None = None
    raw: dict[str, Any] | None = None
    batch: bool = False
    wait: bool = False

    @model_validator(mode="after")
    def _has_one_content(self) -> "CustomerMessage":
        given = [kind for kind in self.contents if getattr(self, kind) is not None]
        if len(given) > 1 or not (given or self.raw):
            raise ValueError(f"give exactly one of {', '.join(self.contents)}")
        if self.batch and self.wait:
            raise ValueError("a message held back for a batch cannot be waited for")
        return self

    @property
    def kind(self) -> str:
        """The name of the content given, "raw" without one."""
        return next((kind for kind in self.contents if getattr(self, kind) is not None), "raw")

    @property
    def file(self) -> File | None:
        """The file, whatever its kind."""
        return self.image or self.video or self.audio or self.voice or self.document or self.sticker

    @property
    def tap(self) -> Tap | None:
        return self.button or self.list_row

    @property
    def quotes(self) -> str | None:
        """The external id of the message this one answers."""
        return (self.tap.reply_to if self.tap else None) or self.reply_to


class Phone(_Strict):
    """What is known of a customer's phone. All may be changed at any time.

    `wa_id` is WhatsApp's own form of the number where it differs. With a `username` the
    number is hidden and only the business-scoped `user_id` is shown. `fails_with` is the
    provider's error code for everything sent there: 131026 is a number that is not on
    WhatsApp. It comes as a failed receipt, or with `at_once` as the answer of the send.
    """

    name: str | None = None
    wa_id: str | None = None
    user_id: str | None = None
    username: str | None = None
    fails_with: int | None = None
    at_once: bool = False


class Written(_Strict):
    """The answer to a customer's message. `status` is the hook's, None if not waited for."""

    external_id: str
    status: int | None = None


def item_of(said: CustomerMessage, account: str, phone: str, external_id: str, at: float) -> Item:
    """What the phone shows of the customer's own message, its file apart."""
    item = Item(account, phone, "in", external_id, said.kind, at)
    item.status, item.by, item.reply_to = "received", "customer", said.quotes
    item.text = said.text or (said.file.caption if said.file else "")
    if said.tap is not None:
        item.text = said.tap.title
        item.choice = {"type": said.kind, "id": said.tap.id, "title": said.tap.title}
    if said.location is not None:
        item.place = said.location.model_dump(exclude_none=True)
    if said.reaction is not None:
        item.reaction = said.reaction.model_dump()
    item.contacts = [card.model_dump() for card in said.contacts or ()]
    return item
