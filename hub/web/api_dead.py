"""Dead letters over REST: what ended badly, to be tried again or dropped. For admins alone."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from hub.clock import SECOND, id_text
from hub.errors import ErrorClass
from hub.store.dead import DeadKind, Letter, list_letters, load_hook, load_letter
from hub.store.retries import Refusal, Retried, Wish, drop, retry
from hub.web.cursor import read_cursor, write_cursor
from hub.web.problem import Problem, unknown
from hub.web.route import Api, Call, Id, Query
from hub.web.shapes import IdText, TimeText
from hub.web.views import time_text

dead = Api()

SHOWN = 65536  # bytes of a raw webhook in an answer


class DeadJson(TypedDict):
    """`kind`: `hook`, a webhook that could not be used; `send`, a message that was not sent;
    `media`, an attachment that was not fetched; `signal`, one that nobody was there for. `at`: when
    it ended badly; of a send, when it was written. `retrying`: somebody asked to try it again.
    `attempts`: how often that was done; of a send, how often it was tried before it failed."""

    id: IdText
    kind: DeadKind
    channel: str | None
    at: TimeText
    reason: str
    error_class: ErrorClass | None
    error_code: str | None
    retrying: bool
    attempts: int
    conversation_id: IdText | None
    message_id: IdText | None


class RawHookJson(TypedDict):
    """A webhook as it came. `body`: its text, of a long one the beginning; `size`: all its
    bytes."""

    method: str
    content_type: str
    body: str
    size: int
    received_at: TimeText


class DeadDetailJson(DeadJson):
    """With the webhook itself, while it is kept."""

    hook: RawHookJson | None


class DeadPage(TypedDict):
    items: list[DeadJson]
    next: str | None


class RetryJson(TypedDict):
    """What is tried again now, or was going to be already."""

    id: IdText
    kind: DeadKind
    retrying: Literal[True]


class DeadQuery(Query):
    kind: DeadKind | None = None
    channel: str | None = Field(None, max_length=255)
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: str | None = Field(None, max_length=100)


@dead.route("GET", "/dead", tag="dead letters", role="admin")
async def get_dead(call: Call, query: DeadQuery) -> DeadPage:
    """List what ended badly and may be tried again, the newest first."""
    before = read_cursor(query.cursor)[1] if query.cursor else None
    found = await call.state.store.read(
        list_letters, before, query.limit + 1, kind=query.kind, channel=query.channel
    )
    page = found[: query.limit]
    return {
        "items": [_letter_json(letter) for letter in page],
        "next": write_cursor(page[-1].id) if len(found) > len(page) else None,
    }


@dead.route("GET", "/dead/{id}", tag="dead letters", role="admin")
async def get_dead_letter(call: Call, id: Id) -> DeadDetailJson:
    """One of them."""
    letter = await call.state.store.read(load_letter, id)
    if letter is None:
        raise unknown("dead letter")
    kept = None
    if letter.kind == "hook" and letter.reference is not None:
        kept = await call.state.store.read(load_hook, letter.reference)
    shown: RawHookJson | None = None
    if kept is not None:
        shown = {
            "method": kept.method,
            "content_type": kept.content_type,
            "body": kept.body[:SHOWN].decode("utf-8", "replace"),
            "size": len(kept.body),
            "received_at": time_text(kept.received_at) or "",
        }
    return {**_letter_json(letter), "hook": shown}


@dead.route("POST", "/dead/{id}/retry", tag="dead letters", role="admin", status=202)
async def retry_dead_letter(call: Call, id: Id) -> RetryJson:
    """Try it again. Asked twice, it is done once. Of a webhook with several dead letters all are
    tried together. 409 says why it cannot be."""
    state = call.state
    at = state.clock.now()
    wish = Wish(
        at,
        at + round(state.settings.limits.retry_horizon * SECOND),
        tuple(state.channels.by_name),
    )
    done = await state.store.write(retry, id, wish)
    if done is None:
        raise unknown("dead letter")
    if isinstance(done, Refusal):
        raise Problem(409, done.code, done.reason)
    _poke(call, done)
    return {"id": id_text(id), "kind": done.kind, "retrying": True}


@dead.route("DELETE", "/dead/{id}", tag="dead letters", role="admin")
async def drop_dead_letter(call: Call, id: Id) -> None:
    """Take it off the list. The webhook stays for its days, a message with its state."""
    if not await call.state.store.write(drop, id, call.state.clock.now()):
        raise unknown("dead letter")


def _poke(call: Call, done: Retried) -> None:
    """What is due already is found without it; so it is sooner."""
    bus = call.state.bus
    if done.address_id is not None:
        bus.poke("address", done.address_id)
    if done.kind == "media":
        bus.poke("media")
    bus.poke("change")


def _letter_json(letter: Letter) -> DeadJson:
    return {
        "id": id_text(letter.id),
        "kind": letter.kind,
        "channel": letter.channel,
        "at": time_text(letter.at) or "",
        "reason": letter.reason,
        "error_class": letter.error_class,
        "error_code": letter.error_code,
        "retrying": letter.due_at is not None,
        "attempts": letter.attempt,
        "conversation_id": id_text(letter.conversation_id) if letter.conversation_id else None,
        "message_id": id_text(letter.message_id) if letter.message_id else None,
    }
