"""What a person can do in Messenger and Instagram, as the control calls take it."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from connectors.sandbox import customer
from connectors.sandbox.customer import File, Tap

NAMES = {
    "image": "image",
    "video": "video",
    "audio": "audio",
    "voice": "audio",
    "document": "file",
    "album": "image",
    "story_mention": "image",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Edit(_Strict):
    """A new text for a message of hers."""

    message_id: str
    text: str


class StoryReply(_Strict):
    """A text that answers a story of the account."""

    text: str
    story_id: str = "18000000000000001"


class Share(_Strict):
    """A shared post, reel or link; without `url` it comes without any payload."""

    type: Literal["share", "ig_post", "ig_reel", "reel", "post", "fallback"] = "fallback"
    url: str | None = None
    title: str | None = None


class Link(_Strict):
    """A tapped m.me or ig.me link, or the ad that led here."""

    ref: str | None = None
    source: str = "SHORTLINK"
    type: str = "OPEN_THREAD"
    ad_id: str | None = None


class CustomerMessage(customer.CustomerMessage):
    """One deed of a person; exactly one of `contents`, `raw` apart.

    `button` and `quick_reply` tap what a message shows, `postback` the menu or an ice breaker.
    `album` are several pictures in one message. A `link` tapped by somebody new comes with the
    first postback. `unsend` names a message of hers. `read` opens the thread. `standby` tells it
    to an app that does not own the thread. `raw` is laid over the whole messaging item, key by
    key, and one level deeper where both have an object.
    """

    contents: ClassVar[tuple[str, ...]] = (
        *customer.CustomerMessage.contents,
        "album", "quick_reply", "postback", "get_started", "link", "edit", "unsend", "share",
        "story_reply", "story_mention", "like", "unsupported", "read",
    )  # fmt: skip

    album: list[File] | None = Field(None, min_length=1, max_length=30)
    quick_reply: Tap | None = None
    postback: Tap | None = None
    get_started: Literal[True] | None = None
    link: Link | None = None
    edit: Edit | None = None
    unsend: str | None = Field(None, min_length=1)
    share: Share | None = None
    story_reply: StoryReply | None = None
    story_mention: Literal[True] | None = None
    like: Literal[True] | None = None
    unsupported: Literal[True] | None = None
    read: Literal[True] | None = None
    standby: bool = False

    @property
    def changes_a_message(self) -> bool:
        """Whether it is about a message that is there, and says nothing new."""
        return bool(self.edit or self.unsend or self.read)

    @property
    def files(self) -> list[File]:
        """The files, of one kind."""
        if self.story_mention:
            return [File()]
        return self.album or ([self.file] if self.file else [])

    @property
    def tap(self) -> Tap | None:
        return self.button or self.quick_reply or self.list_row
