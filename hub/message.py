"""What is said, either way, in no channel's dialect; and who and where it is said to.

Every kind of message that any channel knows has its form here, so that connectors, dialogs,
the API and the screens share one vocabulary (docs/architecture.md lists the words).
"""

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from hub.clock import Micros

Kind = Literal[
    "text",
    "image",
    "video",
    "audio",
    "voice",
    "file",
    "sticker",
    "location",
    "contacts",
    "choice",
    "share",
    "story_mention",
    "template",
    "order",
    "unsupported",
]
MediaKind = Literal["image", "video", "audio", "voice", "file", "sticker"]
MediaState = Literal["pending", "stored", "failed", "refused"]
Direction = Literal["in", "out", "note"]
State = Literal[
    "received",
    "queued",
    "held",
    "sending",
    "unknown",
    "sent",
    "delivered",
    "read",
    "failed",
    "cancelled",
]
ReceiptStatus = Literal["sent", "delivered", "read", "failed"]


class Word(BaseModel):
    """A frozen value; unknown fields are ignored so that an older process reads newer rows."""

    model_config = ConfigDict(frozen=True)


class Media(Word):
    """One attachment. Inbound ones are fetched after the message is stored.

    `provider_id` is what the channel's API fetches it by, `source_url` where it lies (a
    provider's URL inbound, a link to send outbound). `path` names our stored copy, relative to
    the media folder, and is set by the hub alone. `size` is in bytes.
    """

    kind: MediaKind
    mime: str = ""
    name: str = ""
    size: int | None = None
    provider_id: str = ""
    source_url: str = ""
    sha256: str = ""
    voice: bool = False
    inline: bool = False
    content_id: str = ""
    state: MediaState = "pending"
    path: str = ""
    error: str = ""


class Button(Word):
    """Something to tap. With `url` it opens a page, else the tap comes back as a Choice.

    `description` is shown by channels that have lists.
    """

    id: str
    title: str
    url: str | None = None
    description: str = ""


class Choice(Word):
    """A tapped quick reply, button, list row or postback."""

    type: Literal["quick_reply", "button", "list", "postback"]
    id: str
    title: str = ""


class Place(Word):
    """A location; degrees WGS 84."""

    latitude: float
    longitude: float
    name: str = ""
    address: str = ""
    url: str = ""


class ContactCard(Word):
    """A shared contact. `is_sender`: the platform vouches that it is the sender's own."""

    name: str = ""
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    is_sender: bool = False


class TemplateUse(Word):
    """A template to send: its name, language and values by variable name.

    One of our files' names before it is stored, the provider's own once it is; then the values
    are by the provider's names: those of the body by position ("1", "2") or name, "header.NAME"
    of the header, "header.image" (or video, document) the link of its attachment, "button.0" the
    end of the first button's link, "payload.0" what the first button brings back.
    """

    name: str
    language: str = ""
    variables: dict[str, str] = Field(default_factory=dict)


class OrderItem(Word):
    product_id: str
    quantity: float = 1
    price: float | None = None
    currency: str = ""


class Order(Word):
    """A cart sent from a channel's catalogue."""

    catalog_id: str = ""
    items: tuple[OrderItem, ...] = ()


class Share(Word):
    """A post, reel, story or link that was shared."""

    url: str = ""
    title: str = ""
    type: str = ""


class Referral(Word):
    """What brought the customer here: an ad, a link, a QR code."""

    ref: str = ""
    source: str = ""
    type: str = ""
    ad_id: str = ""
    headline: str = ""
    body: str = ""
    url: str = ""
    click_id: str = ""
    utm: dict[str, str] = Field(default_factory=dict)


FormatType = Literal[
    "bold", "italic", "underline", "strike", "spoiler", "code", "pre", "quote", "link", "mention"
]


class Format(Word):
    """How a stretch of the text is shown. `start` and `length` count code points of the text;
    `url` is of a link whose text is another."""

    type: FormatType
    start: int
    length: int
    url: str = ""


class ReplyTo(Word):
    """The message this one answers, by the provider's id; it may be one we never stored."""

    external_id: str = ""
    quote: str = ""
    story_url: str = ""


class Message(Word):
    """What is said. `text` is code point for code point what was typed, after NFC.

    `kind` follows from the content unless given (`Message.of`): a choice wins, then place and
    contacts, then the kind of the first attachment. `html` is an e-mail's body, sanitised, where
    it shows more than the text. Messages of one `album` were sent as one.
    """

    text: str = ""
    media: tuple[Media, ...] = ()
    buttons: tuple[Button, ...] = ()
    choice: Choice | None = None
    place: Place | None = None
    contacts: tuple[ContactCard, ...] = ()
    template: TemplateUse | None = None
    order: Order | None = None
    share: Share | None = None
    subject: str = ""
    forwarded: bool = False
    standby: bool = False
    formats: tuple[Format, ...] = ()
    html: str = ""
    album: str = ""
    kind: Kind = "text"

    @classmethod
    def of(
        cls,
        text: str = "",
        *,
        media: tuple[Media, ...] = (),
        buttons: tuple[Button, ...] = (),
        choice: Choice | None = None,
        place: Place | None = None,
        contacts: tuple[ContactCard, ...] = (),
        template: TemplateUse | None = None,
        order: Order | None = None,
        share: Share | None = None,
        subject: str = "",
        forwarded: bool = False,
        standby: bool = False,
        formats: tuple[Format, ...] = (),
        html: str = "",
        album: str = "",
    ) -> "Message":
        """A message whose text is NFC-normalised and whose kind follows from its content."""
        kind: Kind = "text"
        if choice:
            kind = "choice"
        elif place:
            kind = "location"
        elif contacts:
            kind = "contacts"
        elif template:
            kind = "template"
        elif order:
            kind = "order"
        elif share:
            kind = "share"
        elif media:
            kind = media[0].kind
        return cls(
            text=clean_text(text),
            media=media,
            buttons=buttons,
            choice=choice,
            place=place,
            contacts=contacts,
            template=template,
            order=order,
            share=share,
            subject=subject,
            forwarded=forwarded,
            standby=standby,
            formats=formats,
            html=html,
            album=album,
            kind=kind,
        )


def clean_text(text: str) -> str:
    """NFC, with NUL and lone surrogates (which no database stores) removed; all else is kept:
    joiners, directional marks, emoji sequences."""
    if text.isascii():
        return text.replace("\0", "") if "\0" in text else text
    kept = "".join(c for c in text if c != "\0" and not "\ud800" <= c <= "\udfff")
    return unicodedata.normalize("NFC", kept)


@dataclass(frozen=True, slots=True)
class Alias:
    """A fact that may tie addresses to one customer.

    `value` is in its normal form: E.164 with `+` for a phone, lower case for an e-mail. Only a
    `verified` alias (the platform itself vouches for it) joins threads.
    """

    kind: Literal["phone", "email", "external"]
    value: str
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Profile:
    """What the channel tells of the sender; empty fields are unknown."""

    name: str = ""
    username: str = ""
    language: str = ""
    timezone: str = ""
    traits: dict[str, JsonValue] | None = None


@dataclass(frozen=True, slots=True)
class Inbound:
    """One message from a customer, as a connector parsed it.

    `account` is the receiving account's id at the provider; the core maps (kind, account) to a
    channel. `sender` is the customer's id on that channel and `also` other ids of the same
    sender seen with it (a WhatsApp BSUID beside a wa_id). `dedupe_key` decides what is a
    redelivery; `external_id` is kept for quotes and receipts. `group` is the external id of a
    group chat, which is then the customer. `client_id` is the sender's own id of the message
    (web chat). `raw` is the provider's item, kept with kinds we do not know.
    """

    account: str
    sender: str
    external_id: str
    dedupe_key: str
    message: Message
    sent_at: Micros
    reply_to: ReplyTo | None = None
    referral: Referral | None = None
    aliases: tuple[Alias, ...] = ()
    also: tuple[str, ...] = ()
    profile: Profile = Profile()
    group: str = ""
    client_id: str = ""
    raw: JsonValue = None


@dataclass(frozen=True, slots=True)
class ReceiptError:
    """Why a provider says a message failed. `error_class` is one of errors.ERROR_CLASSES."""

    code: str
    error_class: str
    reason: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a provider says later of a message of ours.

    `correlation_id` is our own id of the message if the provider echoes it. An error counts
    only with status `failed`.
    """

    account: str
    external_id: str
    status: ReceiptStatus
    at: Micros
    correlation_id: str = ""
    error: ReceiptError | None = None
    recipient: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a customer is reached, as a connector sees it: account and external id."""

    account: str
    external_id: str


@dataclass(frozen=True, slots=True)
class Earlier:
    """The customer's last message on this address: what an e-mail continues."""

    external_id: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Outbound:
    """One provider call to make. `correlation_id` comes back in receipts where the platform
    allows; `attempt` starts at 1; `reply_to` is an external id to quote. `files` are the
    attachments' bytes on disk, in the order of `message.media`, where `Limits.uploads`; `earlier`
    is given where `Limits.subjects`; `automatic`: no person wrote it."""

    id: bytes
    to: Address
    message: Message
    correlation_id: str
    attempt: int = 1
    reply_to: str = ""
    files: tuple[Path, ...] = ()
    earlier: Earlier | None = None
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider accepted the message under this id."""

    external_id: str
