"""Typed API routes: what a handler's signature says is checked, answered and documented.

    @api.route("POST", "/conversations/{conversation_id}/messages", status=201)
    async def reply(call: Call, conversation_id: Id, body: Reply) -> Messages: ...

Parameters named in the path come from the path, `query` (a Query model) from the query string,
`body` (a Body model) from JSON. The return type is the answer's schema; None answers 204.
"""

import inspect
import re
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar, get_type_hints

import orjson
from aiohttp import web
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)

from hub.store.tokens import Role
from hub.web.auth import NOBODY, Caller, require_caller
from hub.web.once import answer_once
from hub.web.problem import FieldError, Problem, unknown
from hub.web.state import STATE, State
from hub.web.views import LINKS, MediaLinks

BODY_BYTES = 1024 * 1024

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])


def read_id(value: object) -> bytes:
    """An id in the one form we print: hyphenated hex. Raises ValueError."""
    if not isinstance(value, str) or str(found := uuid.UUID(value)) != value.lower():
        raise ValueError("should be an id")
    return found.bytes


Id = Annotated[
    bytes, BeforeValidator(read_id), WithJsonSchema({"type": "string", "format": "uuid"})
]


class Body(BaseModel):
    """A JSON body: no unknown fields, no conversions."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Query(BaseModel):
    """Query parameters, each at most once; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the API and who makes it."""

    request: web.Request
    state: State
    caller: Caller

    @property
    def links(self) -> MediaLinks:
        return self.request.app[LINKS]


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    handler: Callable[..., Awaitable[Any]]
    status: int
    tag: str
    role: Role | None
    errors: Sequence[int]
    ids: dict[str, TypeAdapter[Any]] = field(default_factory=dict)
    query: type[Query] | None = None
    body: TypeAdapter[Any] | None = None
    answer: TypeAdapter[Any] | None = None


class Api:
    """Operations, to be mounted under one prefix."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def route(
        self,
        method: str,
        path: str,
        *,
        tag: str,
        status: int = 200,
        role: Role | None = "agent",
        errors: Sequence[int] = (),
    ) -> Callable[[Handler], Handler]:
        """Add an operation. `role` None lets anybody call; `errors` are the statuses beyond
        those that follow from the signature."""

        def add(handler: Handler) -> Handler:
            hints = get_type_hints(handler, include_extras=True)
            names = re.findall(r"{(\w+)}", path)
            unexpected = {*inspect.signature(handler).parameters} ^ {
                *names,
                *(hints.keys() & {"query", "body"}),
                "call",
            }
            if unexpected:
                raise TypeError(f"{handler.__name__}: path and parameters differ: {unexpected}")
            answer = hints["return"]
            plain = answer is not type(None) and not (
                inspect.isclass(answer) and issubclass(answer, web.StreamResponse)
            )
            self.operations.append(
                Operation(
                    method,
                    path,
                    handler,
                    204 if answer is type(None) else status,
                    tag,
                    role,
                    errors,
                    {name: TypeAdapter(hints[name]) for name in names},
                    hints.get("query"),
                    TypeAdapter(hints["body"]) if "body" in hints else None,
                    TypeAdapter(answer) if plain else None,
                )
            )
            return handler

        return add

    def mount(self, app: web.Application, prefix: str) -> None:
        for operation in self.operations:
            app.router.add_route(operation.method, prefix + operation.path, _serving(operation))


# A NUL is left out, as at intake: no database keeps it. In JSON it is always escaped.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


def _serving(operation: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def serve(request: web.Request) -> web.StreamResponse:
        caller = await require_caller(request, operation.role) if operation.role else NOBODY
        values = _read_path(operation, request)
        if operation.query:
            values["query"] = _read_query(operation.query, request)
        raw = await _read_body(request) if request.method != "GET" else b""
        if operation.body:
            values["body"] = _validate_body(operation.body, request, raw)
        call = Call(request, request.app[STATE], caller)

        async def run() -> web.StreamResponse:
            return _answer(operation, await operation.handler(call, **values))

        if request.method == "POST" and operation.role:
            return await answer_once(request, call.state, caller.id, raw, run)
        return await run()

    return serve


def _answer(operation: Operation, result: Any) -> web.StreamResponse:
    if isinstance(result, web.StreamResponse):
        return result
    headers = {"Cache-Control": "no-store"}
    if operation.answer is None:
        return web.Response(status=204, headers=headers)
    return web.Response(
        body=orjson.dumps(result),
        status=operation.status,
        content_type="application/json",
        headers=headers,
    )


def _read_path(operation: Operation, request: web.Request) -> dict[str, Any]:
    try:
        return {
            name: adapter.validate_python(request.match_info[name])
            for name, adapter in operation.ids.items()
        }
    except ValidationError:
        raise unknown(operation.tag.removesuffix("s")) from None


def _read_query(model: type[Query], request: web.Request) -> Query:
    repeated = [name for name in request.query if len(request.query.getall(name)) > 1]
    if repeated:
        raise _mismatch([{"field": repeated[0], "message": "should be given once"}])
    if odd := [name for name, value in request.query.items() if "\0" in value]:
        raise _mismatch([{"field": odd[0], "message": "should hold no NUL"}])
    try:
        return model.model_validate(dict(request.query))
    except ValidationError as error:
        raise _mismatch(field_errors(error)) from None


async def _read_body(request: web.Request) -> bytes:
    if (request.content_length or 0) > BODY_BYTES:
        raise Problem(413, "too_large", "Bodies may have 1 MiB.")
    raw = await request.read()
    if len(raw) > BODY_BYTES:
        raise Problem(413, "too_large", "Bodies may have 1 MiB.")
    return raw


def _validate_body(adapter: TypeAdapter[Any], request: web.Request, raw: bytes) -> Any:
    if request.content_type != "application/json":
        raise Problem(415, "unsupported_media_type", "Send application/json.")
    try:
        return adapter.validate_json(_NUL.sub(rb"\1", raw))
    except ValidationError as error:
        if error.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid":
            raise Problem(400, "invalid_json", "The body is not valid JSON.") from None
        raise _mismatch(field_errors(error)) from None


def _mismatch(errors: list[FieldError]) -> Problem:
    return Problem(422, "invalid", "The request does not match the schema.", errors=errors)


def field_errors(error: ValidationError) -> list[FieldError]:
    """Which fields are wrong and why; never what was sent."""
    return [
        {
            "field": ".".join(str(part) for part in problem["loc"]),
            "message": problem["msg"].removeprefix("Value error, "),
        }
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    ]
