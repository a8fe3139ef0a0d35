"""What a person can do in Telegram, as the control calls take it."""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from connectors.sandbox import customer
from connectors.sandbox.customer import Card, File


class Edit(BaseModel):
    """A new text for a message of hers."""

    model_config = ConfigDict(extra="forbid")

    message_id: str
    text: str


class CustomerMessage(customer.CustomerMessage):
    """One deed of a person; exactly one of `contents`, `raw` apart.

    `start` presses Start, with the payload of the link that led here. A `location` with a name
    is a venue. `own_contact` shares her own number. `album` are several photos. `group` is the
    chat's negative id and `topic` its thread. `raw` is laid over the message object; `unknown`
    over the whole update, in place of any message.
    """

    contents: ClassVar[tuple[str, ...]] = (
        *(name for name in customer.CustomerMessage.contents if name != "list_row"),
        "start", "album", "animation", "own_contact", "edit", "block", "unknown",
    )  # fmt: skip

    start: str | None = Field(None, pattern=r"^[\w-]{0,64}$")
    album: list[File] | None = Field(None, min_length=2, max_length=10)
    animation: File | None = None
    own_contact: Card | None = None
    edit: Edit | None = None
    block: bool | None = None
    unknown: dict[str, Any] | None = None
    entities: list[dict[str, Any]] | None = None
    group: int | None = Field(None, lt=0)
    topic: int | None = None
    list_row: None = None
    batch: Literal[False] = False

    @property
    def file(self) -> File | None:
        return super().file or self.animation
