"""The shapes of the public JSON, as docs and clients read them. Clients accept values of these
closed sets that they do not know."""

from typing import Annotated, Literal, NotRequired

from pydantic import JsonValue, WithJsonSchema
from typing_extensions import TypedDict

from hub.errors import ErrorClass
from hub.message import Direction, FormatType, Kind, MediaKind, MediaState, ReceiptStatus, State

IdText = Annotated[str, WithJsonSchema({"type": "string", "format": "uuid"})]
TimeText = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


class AuthorJson(TypedDict):
    kind: Literal["customer", "bot", "agent", "system"]
    id: IdText | None
    name: str | None


class AddressJson(TypedDict):
    channel: str
    external_id: str


class MediaJson(TypedDict):
    id: str | None
    kind: MediaKind
    mime: str
    name: str
    size: int | None
    url: str | None
    provider_id: str
    source_url: str
    voice: bool
    inline: bool
    content_id: str
    state: MediaState


class ButtonJson(TypedDict):
    id: str
    title: str
    url: NotRequired[str]


class ChoiceJson(TypedDict):
    type: Literal["quick_reply", "button", "list", "postback"]
    id: str
    title: str


class PlaceJson(TypedDict):
    latitude: float
    longitude: float
    name: str
    address: str
    url: str


class ContactJson(TypedDict):
    name: str
    phones: list[str]
    emails: list[str]
    is_sender: bool


class ReferralJson(TypedDict):
    ref: str
    source: str
    type: str
    ad_id: str
    headline: str
    body: str
    url: str
    click_id: str
    utm: dict[str, str]


class ReplyToJson(TypedDict):
    external_id: str
    message_id: IdText | None
    quote: str
    story_url: str


class ReactionJson(TypedDict):
    emoji: str
    by: str


class PartJson(TypedDict):
    group: IdText
    index: int
    count: int


ErrorJson = TypedDict("ErrorJson", {"code": str, "class": ErrorClass, "reason": str})


class ReceiptJson(TypedDict):
    status: ReceiptStatus
    at: TimeText


class FormatJson(TypedDict):
    """How a stretch of the text is shown; `start` and `length` count its code points."""

    type: FormatType
    start: int
    length: int
    url: str


class MessageJson(TypedDict):
    """One message of a thread, in or out, or an agents' note."""

    id: IdText
    seq: int
    conversation_id: IdText
    direction: Direction
    author: AuthorJson
    channel: str | None
    address: AddressJson | None
    kind: Kind
    text: str
    media: list[MediaJson]
    buttons: list[ButtonJson]
    choice: ChoiceJson | None
    place: PlaceJson | None
    contacts: list[ContactJson]
    template: dict[str, JsonValue] | None
    order: dict[str, JsonValue] | None
    share: dict[str, JsonValue] | None
    referral: ReferralJson | None
    reply_to: ReplyToJson | None
    reactions: list[ReactionJson]
    forwarded: bool
    standby: bool
    subject: str
    formats: list[FormatJson]
    html: str
    album: str
    edited_at: TimeText | None
    deleted_at: TimeText | None
    external_id: str | None
    client_id: str | None
    part: PartJson | None
    state: State | None
    held_until: TimeText | None
    error: ErrorJson | None
    receipts: list[ReceiptJson]
    sent_at: TimeText | None
    created_at: TimeText


class CustomerRefJson(TypedDict):
    id: IdText
    name: str


class OwnerJson(TypedDict):
    kind: Literal["bot", "queue", "agent"]
    id: IdText | None
    name: str | None


class ConversationJson(TypedDict):
    """A customer's one thread; `last_message` is the one added last."""

    id: IdText
    customer: CustomerRefJson
    status: Literal["open", "snoozed", "resolved"]
    snoozed_until: TimeText | None
    owner: OwnerJson
    team: str | None
    tags: list[str]
    unread: int
    last_message_at: TimeText | None
    channels: list[str]
    last_message: MessageJson | None


class CustomerAddressJson(TypedDict):
    channel: str
    kind: str
    external_id: str
    last_seen_at: TimeText | None
    blocked: bool


class AliasJson(TypedDict):
    kind: str
    value: str
    verified: bool


class CustomerJson(TypedDict):
    id: IdText
    name: str
    language: str | None
    timezone: str | None
    created_at: TimeText
    traits: dict[str, JsonValue]
    addresses: list[CustomerAddressJson]
    aliases: list[AliasJson]
    conversation_id: IdText | None
