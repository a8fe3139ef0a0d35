"""The control calls under /_sandbox/: JSON, without a login, from this machine only."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from connectors.sandbox.faults import Fault, bare_number

if TYPE_CHECKING:
    from connectors.sandbox.standin import Standin

LONGEST_WAIT = 25.0
_FAULTS = TypeAdapter(list[Fault])


class ControlError(ValueError):
    """A control call asks for what cannot be done."""


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid")

    account: str | None = None
    after: int = 0
    wait: float = 0.0
    limit: int | None = None


def json_response(content: Any, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(content, default=_plain),
        status=status,
        content_type="application/json",
    )


def add_routes(router: web.UrlDispatcher, standin: "Standin[Any]") -> None:
    """Add every control call of the stand-in."""
    routes = _Control(standin)
    for method, path, handle in (
        ("POST", "/accounts", routes.add_account),
        ("POST", "/phones/{number}", routes.set_phone),
        ("GET", "/phones/{number}", routes.read_phone),
        ("POST", "/phones/{number}/messages", routes.write),
        ("GET", "/media/{id}", routes.show_media),
        ("GET", "/log", routes.read_log),
        ("GET", "/webhooks", routes.read_webhooks),
        ("GET", "/faults", routes.read_faults),
        ("POST", "/faults", routes.add_faults),
        ("DELETE", "/faults", routes.clear_faults),
        ("POST", "/reset", routes.reset),
    ):
        router.add_route(method, "/_sandbox" + path, guarded(handle))


Handler = Callable[[web.Request], Awaitable[web.Response]]


def guarded(handle: Handler) -> Handler:
    async def serve(request: web.Request) -> web.Response:
        if not _is_local(request):
            return json_response({"error": "control calls come from this machine only"}, 403)
        try:
            return await handle(request)
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False, include_input=False)
            return json_response({"error": "invalid", "errors": faults}, 400)
        except (ControlError, orjson.JSONDecodeError) as error:
            return json_response({"error": str(error)}, 400)

    return serve


class _Control:
    def __init__(self, standin: "Standin[Any]") -> None:
        self._standin = standin

    async def add_account(self, request: web.Request) -> web.Response:
        account = self._standin.add_account(orjson.loads(await request.read()))
        return json_response({"account": account.key}, 201)

    async def set_phone(self, request: web.Request) -> web.Response:
        facts = orjson.loads(await request.read())
        return json_response(self._standin.set_phone(request.match_info["number"], **facts))

    async def read_phone(self, request: web.Request) -> web.Response:
        query = _Query.model_validate(dict(request.query))
        number = request.match_info["number"]
        items = self._standin.shown(number, query.account, query.after)
        if not items and query.wait > 0:
            account = self._standin.account(query.account).key if query.account else None
            items = await self._standin.transcript.follow(
                bare_number(number), account, query.after, min(query.wait, LONGEST_WAIT)
            )
        newest = max((item.changed for item in items), default=query.after)
        return json_response({"items": items, "next": newest})

    async def write(self, request: web.Request) -> web.Response:
        said = self._standin.message_model.model_validate_json(await request.read())
        # A cancelled call must not take the webhook's future with it.
        writing = self._standin.customer_writes(request.match_info["number"], said)
        written = await asyncio.shield(asyncio.ensure_future(writing))
        return json_response(written, 201)

    async def show_media(self, request: web.Request) -> web.Response:
        media = self._standin.media.get(request.match_info["id"])
        if media is None:
            return json_response({"error": "no such media"}, 404)
        return web.Response(body=media.content, headers={"Content-Type": media.mime})

    async def read_log(self, request: web.Request) -> web.Response:
        query = _Query.model_validate(dict(request.query))
        return json_response({"items": self._standin.log(query.after)[: query.limit]})

    async def read_webhooks(self, request: web.Request) -> web.Response:
        query = _Query.model_validate(dict(request.query))
        attempts = self._standin.webhooks(query.after)[: query.limit]
        waiting = self._standin.deliveries.waiting()
        return json_response({"items": attempts, "waiting": waiting})

    async def read_faults(self, request: web.Request) -> web.Response:
        return json_response({"items": self._standin.faults.faults})

    async def add_faults(self, request: web.Request) -> web.Response:
        faults = _FAULTS.validate_json(await request.read())
        for fault in faults:
            self._standin.faults.add(fault)
        return json_response({"added": len(faults)}, 201)

    async def clear_faults(self, request: web.Request) -> web.Response:
        self._standin.clear_faults()
        return json_response({})

    async def reset(self, request: web.Request) -> web.Response:
        self._standin.reset()
        return json_response({})


def _is_local(request: web.Request) -> bool:
    try:
        return ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        return False


def _plain(content: Any) -> Any:
    if isinstance(content, BaseModel):
        return content.model_dump()
    raise TypeError(type(content).__name__)
