"""A conversation's messages over REST: reading them, saying something, and calling it back."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints, model_validator
from typing_extensions import TypedDict

from hub.desk.answers import Wish
from hub.desk.ways import WhenClosed
from hub.message import Button, Media, MediaKind, Message, TemplateUse, clean_text
from hub.store.threads import list_messages, load_messages, messages_after
from hub.web.api_conversations import Limit, Word, author_of, find_thread, micros, refusals
from hub.web.cursor import read_cursor, write_cursor
from hub.web.previews import PreviewJson, preview_json
from hub.web.problem import Problem, unknown, wrong
from hub.web.route import Api, Body, Call, Id, Query
from hub.web.shapes import MessageJson
from hub.web.views import messages_json

messages = Api()

WebUrl = Annotated[
    str,
    StringConstraints(max_length=2000, pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/\S*)?$"),
]
LAST_SEQ = 2**53 - 1


class MessagePage(TypedDict):
    items: list[MessageJson]
    next: str | None


class SentMessages(TypedDict):
    """`chosen` says how it goes: as the message that was given, as its template, or held until
    the customer writes."""

    items: list[MessageJson]
    chosen: Literal["message", "template", "hold"]


class MessageQuery(Query):
    """Backwards from the latest; or, with `after_seq`, forwards: ask again after the last seq
    got, until fewer than `limit` come."""

    limit: Limit = 50
    cursor: str | None = Field(None, max_length=100)
    after_seq: int | None = Field(None, ge=0, le=LAST_SEQ)


class NewButton(Body):
    id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    title: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    url: WebUrl | None = None


class NewMedia(Body):
    """An attachment that lies under a public `url`, with its `kind`; or the `id` of one that a
    message of this conversation has."""

    id: Id | None = None
    kind: MediaKind | None = None
    url: WebUrl | None = None
    mime: str = Field("", max_length=100)
    name: str = Field("", max_length=200)

    @model_validator(mode="after")
    def _lies_somewhere(self) -> "NewMedia":
        if (self.id is None) == (self.url is None):
            raise ValueError("either id or url is required")
        if self.url is not None and self.kind is None:
            raise ValueError("kind is required with a url")
        return self

    def media(self) -> Media:
        """What is known of it here; of one with an id the store knows the rest."""
        return Media(
            kind=self.kind or "file",
            source_url=self.url or "",
            mime=self.mime,
            name=clean_text(self.name),
        )


class NewTemplate(Body):
    """One of the templates in the hub's folder, or by its own name one that only the provider
    knows. `language` omitted: the customer's."""

    name: Word
    language: Annotated[str, StringConstraints(max_length=20)] = ""
    variables: dict[str, str] = Field(default_factory=dict)


class NewMessage(Body):
    """What an agent says. `channel` omitted: where the customer last wrote. `reply_to` is a
    message's id. A repeated `client_id` says nothing twice.

    `when_closed` is what to do where the customer last wrote too long ago for a free message:
    `refuse` it, send the `template` given beside it, or `hold` it until she writes, at the longest
    until `held_until`."""

    text: str = Field("", max_length=20_000)
    media: list[NewMedia] = Field(default_factory=list, max_length=10)
    buttons: list[NewButton] = Field(default_factory=list, max_length=25)
    channel: str | None = Field(None, max_length=100)
    note: bool = False
    reply_to: Id | None = None
    template: NewTemplate | None = None
    when_closed: WhenClosed = "refuse"
    held_until: AwareDatetime | None = None
    client_id: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "NewMessage":
        if not (clean_text(self.text).strip() or self.media or self.template):
            raise ValueError("text, media or template is required")
        if self.note and (self.media or self.buttons or self.template):
            raise ValueError("a note has text alone")
        if self.when_closed == "template" and self.template is None:
            raise ValueError("when_closed template needs the template")
        if self.held_until is not None and self.when_closed != "hold":
            raise ValueError("held_until goes with when_closed hold")
        return self

    def kept(self) -> dict[int, bytes]:
        """The ids of attachments that are kept, by their places."""
        return {place: one.id for place, one in enumerate(self.media) if one.id is not None}

    def message(self) -> Message:
        template = self.template
        return Message.of(
            self.text,
            media=tuple(one.media() for one in self.media),
            buttons=tuple(
                Button(id=b.id, title=clean_text(b.title), url=b.url) for b in self.buttons
            ),
            template=TemplateUse(
                name=template.name, language=template.language, variables=template.variables
            )
            if template
            else None,
        )


@messages.route("GET", "/conversations/{conversation_id}/messages", tag="conversations")
async def get_messages(call: Call, conversation_id: Id, query: MessageQuery) -> MessagePage:
    """The thread, all channels merged, latest first; with `after_seq` what was added since, in
    the order of adding."""
    found = await find_thread(call, conversation_id)
    store = call.state.store
    if query.after_seq is not None:
        if query.cursor:
            raise wrong("cursor", "goes without after_seq")
        page = await store.read(messages_after, found, query.after_seq, query.limit)
        return {"items": messages_json(page, call.links), "next": None}
    before = read_cursor(query.cursor) if query.cursor else None
    page = await store.read(list_messages, found, before, query.limit + 1)
    more = len(page.rows) > query.limit
    del page.rows[query.limit :]
    last = page.rows[-1] if more else None
    return {
        "items": messages_json(page, call.links),
        "next": write_cursor(last.id, last.position) if last else None,
    }


@messages.route(
    "POST",
    "/conversations/{conversation_id}/messages",
    tag="conversations",
    status=201,
    errors=(409,),
)
async def post_message(call: Call, conversation_id: Id, body: NewMessage) -> SentMessages:
    """Answer the customer, which takes the conversation over, or add a note. The items are the
    parts the message was split into."""
    if body.channel is not None and body.channel not in call.state.channels.by_name:
        raise wrong("channel", "is not a configured channel")
    until = micros(body.held_until) if body.held_until else None
    if until is not None and until <= call.state.clock.now():
        raise wrong("held_until", "should be in the future")
    found = await find_thread(call, conversation_id)
    # A retry under an Idempotency-Key whose first try died half-way must not say it twice.
    key = call.request.headers.get("Idempotency-Key")
    with refusals():
        ids = await call.state.desk.reply(
            found,
            author_of(call),
            body.message(),
            channel=body.channel,
            reply_to=body.reply_to,
            client_id=body.client_id or (f"key:{key}" if key else None),
            note=body.note,
            wish=Wish(body.when_closed, until),
            kept=body.kept(),
        )
    stored = await call.state.store.read(load_messages, ids)
    items = messages_json(stored, call.links)
    return {"items": items, "chosen": _chosen(items[0])}


@messages.route(
    "POST", "/conversations/{conversation_id}/preview", tag="conversations", errors=(409,)
)
async def post_preview(call: Call, conversation_id: Id, body: NewMessage) -> PreviewJson:
    """What a reply would become if it were sent now: the parts on the channel it would go to, the
    number of SMS, the window, and what is changed for the channel. Nothing is stored."""
    if body.note:
        raise wrong("note", "goes nowhere")
    if body.channel is not None and body.channel not in call.state.channels.by_name:
        raise wrong("channel", "is not a configured channel")
    found = await find_thread(call, conversation_id)
    with refusals():
        draft = await call.state.desk.preview(
            found,
            body.message(),
            channel=body.channel,
            wish=Wish(body.when_closed),
            kept=body.kept(),
        )
    return preview_json(draft)


def _chosen(first: MessageJson) -> Literal["message", "template", "hold"]:
    if first["state"] == "held":
        return "hold"
    return "template" if first["kind"] == "template" else "message"


@messages.route(
    "DELETE",
    "/conversations/{conversation_id}/messages/{message_id}",
    tag="conversations",
    errors=(409,),
)
async def delete_message(call: Call, conversation_id: Id, message_id: Id) -> SentMessages:
    """Cancel a message that is held until the customer writes, all parts of it. What is on its
    way already cannot be cancelled."""
    found = await find_thread(call, conversation_id)
    try:
        cancelled = await call.state.desk.cancel(found, author_of(call), message_id)
    except KeyError:
        raise unknown("message") from None
    if not cancelled:
        raise Problem(409, "not_held", "The message is not held (any more).")
    stored = await call.state.store.read(load_messages, [message_id])
    items = messages_json(stored, call.links)
    return {"items": items, "chosen": _chosen(items[0])}
