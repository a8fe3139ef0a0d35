"""What a customer can do in WhatsApp beyond a message of the usual kinds."""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from connectors.sandbox import customer


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Flow(_Strict):
    """A filled-in Flow: WhatsApp hands its answers on as JSON in a string."""

    response: dict[str, Any]
    name: str = "flow"
    body: str = "Sent"


class Product(_Strict):
    product_retailer_id: str
    quantity: int = 1
    item_price: float = 0
    currency: str = "BDT"


class Order(_Strict):
    """A cart sent from the catalogue."""

    catalog_id: str = "1"
    text: str = ""
    product_items: list[Product] = []


class Edit(_Strict):
    message_id: str
    text: str


class Unsend(_Strict):
    message_id: str


class Unsupported(_Strict):
    """A kind that the Cloud API does not hand on."""

    type: str = "poll"


class CustomerMessage(customer.CustomerMessage):
    """One deed of a customer. `group` is the id of a group chat it is said in; `forwarded` marks
    it as such."""

    contents: ClassVar[tuple[str, ...]] = (
        *customer.CustomerMessage.contents,
        "flow",
        "order",
        "edit",
        "unsend",
        "unsupported",
    )

    flow: Flow | None = None
    order: Order | None = None
    edit: Edit | None = None
    unsend: Unsend | None = None
    unsupported: Unsupported | None = None
    group: str | None = None
    forwarded: bool = False


class Preference(_Strict):
    """What the customer chose under "offers and announcements" of the business."""

    value: Literal["stop", "resume"]
    account: str | None = None


class Move(_Strict):
    """The customer's number became another, as WhatsApp's system message tells."""

    number: str
    account: str | None = None


class Echo(_Strict):
    """What the business typed in the WhatsApp Business app to this customer."""

    text: str
    account: str | None = None
