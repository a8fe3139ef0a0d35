"""The inbox over REST: conversations, their messages, and what agents do to them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, model_validator
from typing_extensions import TypedDict

from hub.clock import SECOND, Micros
from hub.desk.answers import Author, NotKept
from hub.desk.ways import Closed
from hub.errors import SendFailed
from hub.message import clean_text
from hub.store.heard import read_heard
from hub.store.threads import (
    Wanted,
    find_conversation,
    list_conversations,
    load_conversations,
)
from hub.store.tokens import valid_tokens
from hub.templates import TemplateMisuse
from hub.web.cursor import read_cursor, write_cursor
from hub.web.problem import FieldError, Problem, unknown, wrong
from hub.web.route import Api, Body, Call, Id, Query, read_id
from hub.web.shapes import ConversationJson
from hub.web.views import conversations_json

conversations = Api()

Limit = Annotated[int, Field(ge=1, le=200)]
Word = Annotated[
    str, StringConstraints(min_length=1, max_length=100), AfterValidator(lambda w: clean_text(w))
]
Status = Literal["open", "snoozed", "resolved"]
NewStatus = Literal["open", "snoozed", "resolved"]


class ConversationPage(TypedDict):
    items: list[ConversationJson]
    next: str | None


class ConversationQuery(Query):
    """`owner`: `bot`, `queue`, `agent`, `me` or an agent's id. `q`: the beginning of a customer's
    name, or exactly an alias, an address or an id; words inside messages are not searched yet."""

    status: Status | None = None
    owner: str | None = Field(None, max_length=100)
    channel: str | None = Field(None, max_length=100)
    team: str | None = Field(None, max_length=100)
    tag: str | None = Field(None, max_length=100)
    q: str | None = Field(None, max_length=200)
    limit: Limit = 50
    cursor: str | None = Field(None, max_length=100)


class Assignment(Body):
    """To an agent (`me`, or an id) or to a team."""

    agent: str | None = Field(None, max_length=100)
    team: Word | None = None

    @model_validator(mode="after")
    def _names_one(self) -> "Assignment":
        if (self.agent is None) == (self.team is None):
            raise ValueError("either agent or team is required")
        return self


class Release(Body):
    """Back to the bot. `resume`: its waiting dialog goes on, else it ends."""

    resume: bool = False
    note: str | None = Field(None, max_length=2000)


class ConversationPatch(Body):
    """What is left out stays. `team` null takes the team away."""

    status: NewStatus | None = None
    snoozed_until: AwareDatetime | None = None
    team: Word | None = None
    tags: Annotated[list[Word], Field(max_length=50)] | None = None

    @model_validator(mode="after")
    def _snoozes_until(self) -> "ConversationPatch":
        if (self.status == "snoozed") != (self.snoozed_until is not None):
            raise ValueError("status snoozed and snoozed_until go together")
        return self


@conversations.route("GET", "/conversations", tag="conversations")
async def get_conversations(call: Call, query: ConversationQuery) -> ConversationPage:
    """List the inbox, newest activity first."""
    wanted = Wanted(
        query.status,
        _read_owner(call, query.owner),
        query.channel,
        query.team,
        query.tag,
        query.q,
    )
    before = read_cursor(query.cursor) if query.cursor else None
    found = await call.state.store.read(list_conversations, wanted, before, query.limit + 1)
    more = len(found.rows) > query.limit
    del found.rows[query.limit :]
    last = found.rows[-1] if more else None
    return {
        "items": conversations_json(found, call.links),
        "next": write_cursor(last.id, last.last_message_at or 0) if last else None,
    }


@conversations.route("GET", "/conversations/{conversation_id}", tag="conversations")
async def get_conversation(call: Call, conversation_id: Id) -> ConversationJson:
    """One conversation. Of a merged one, the conversation it lives on in."""
    return await _show(call, await find_thread(call, conversation_id))


@conversations.route(
    "PATCH", "/conversations/{conversation_id}", tag="conversations", errors=(409,)
)
async def patch_conversation(
    call: Call, conversation_id: Id, body: ConversationPatch
) -> ConversationJson:
    """Change the status, the team or the tags."""
    until = micros(body.snoozed_until) if body.snoozed_until else None
    if until is not None and until <= call.state.clock.now():
        raise wrong("snoozed_until", "should be in the future")
    team = body.team or "" if "team" in body.model_fields_set else None
    found = await find_thread(call, conversation_id)
    with refusals():
        await call.state.desk.update(
            found,
            author_of(call),
            status=body.status,
            snoozed_until=until,
            team=team,
            tags=body.tags,
        )
    return await _show(call, found)


@conversations.route(
    "POST", "/conversations/{conversation_id}/assign", tag="conversations", errors=(409,)
)
async def assign_conversation(
    call: Call, conversation_id: Id, body: Assignment
) -> ConversationJson:
    """Give the conversation to an agent or a team; the bot stops answering."""
    agent = await _read_agent(call, body.agent) if body.agent is not None else None
    found = await find_thread(call, conversation_id)
    with refusals():
        await call.state.desk.assign(found, author_of(call), agent=agent, team=body.team)
    return await _show(call, found)


@conversations.route(
    "POST", "/conversations/{conversation_id}/release", tag="conversations", errors=(409,)
)
async def release_conversation(call: Call, conversation_id: Id, body: Release) -> ConversationJson:
    """Give the conversation back to the bot."""
    found = await find_thread(call, conversation_id)
    with refusals():
        await call.state.desk.release(found, author_of(call), resume=body.resume, note=body.note)
    return await _show(call, found)


@conversations.route("POST", "/conversations/{conversation_id}/read", tag="conversations")
async def read_conversation(call: Call, conversation_id: Id) -> None:
    """Agents have read all of it; the customer sees that where her channel shows it."""
    found = await find_thread(call, conversation_id)
    with refusals():
        await call.state.desk.read(found)
    if last := await call.state.store.read(read_heard, found):
        call.state.courtesy.mark_read(*last)


@conversations.route("POST", "/conversations/{conversation_id}/typing", tag="conversations")
async def show_typing(call: Call, conversation_id: Id) -> None:
    """An agent is writing an answer: the customer sees it for some seconds, where her channel shows
    it. Call it again every few seconds while that goes on."""
    found = await find_thread(call, conversation_id)
    if last := await call.state.store.read(read_heard, found):
        call.state.courtesy.show_typing(*last)


async def find_thread(call: Call, conversation_id: bytes) -> bytes:
    found = await call.state.store.read(find_conversation, conversation_id)
    if found is None:
        raise unknown("conversation")
    return found


async def _show(call: Call, conversation_id: bytes) -> ConversationJson:
    found = await call.state.store.read(load_conversations, [conversation_id])
    if not found.rows:
        raise unknown("conversation")
    return conversations_json(found, call.links)[0]


def author_of(call: Call) -> Author:
    return Author(call.caller.id, call.caller.name)


def _read_owner(call: Call, owner: str | None) -> str | bytes | None:
    if owner is None or owner in ("bot", "queue", "agent"):
        return owner
    if owner == "me":
        return call.caller.id
    try:
        return read_id(owner)
    except ValueError:
        raise wrong("owner", "should be bot, queue, agent, me or an agent's id") from None


async def _read_agent(call: Call, agent: str) -> Author:
    """Until agents have accounts of their own, an agent is the holder of a token."""
    try:
        agent_id = call.caller.id if agent == "me" else read_id(agent)
    except ValueError:
        raise wrong("agent", "should be me or an agent's id") from None
    found = await call.state.store.read(valid_tokens, [agent_id])
    if agent_id not in found:
        raise wrong("agent", "is not an agent")
    return Author(agent_id, found[agent_id].name)


def micros(moment: datetime) -> Micros:
    return round(moment.timestamp() * SECOND)


@contextmanager
def refusals() -> Iterator[None]:
    """What the desk refuses, as the API's errors."""
    try:
        yield
    except KeyError:
        raise unknown("conversation") from None
    except NotKept as error:
        raise wrong(f"media.{error.place}.id", error.reason) from None
    except LookupError:
        raise wrong("reply_to", "is not a message of this conversation") from None
    except TemplateMisuse as error:
        raise wrong("template", str(error), "template") from None
    except Closed as error:
        raise Problem(409, error.error_class, error.reason, errors=_possible(error)) from error
    except SendFailed as error:
        raise Problem(409, error.error_class, error.reason) from error


def _possible(error: Closed) -> list[FieldError]:
    """What can be done instead of a message that is refused."""
    held = "hold would keep it until the customer writes"
    names = ", ".join(error.templates)
    sent = f"can be sent now: {names}" if names else "none of the hub's templates can be sent there"
    return [
        {"field": "when_closed", "message": held},
        {"field": "template", "message": sent},
    ]
