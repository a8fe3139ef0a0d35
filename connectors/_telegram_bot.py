"""The Bot API through python-telegram-bot, over the hub's HTTP session.

Imported in a thread at first use, because the library takes 150 ms to import. Every answer that
is not a success becomes a SendFailed before the library sees it; what is read of a success is its
JSON, since the library refuses objects that lack a field it knows as required.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import orjson
from telegram import Bot
from telegram.request import BaseRequest, RequestData

from connectors._telegram_errors import failure
from connectors._telegram_fields import Object, read_object
from hub.connector import Http
from hub.errors import HookUnreadable, OutcomeUnknown, Refused, SendFailed

# It would log what is sent, what is answered, and the token within addresses.
logging.getLogger("telegram").setLevel(logging.CRITICAL + 1)


class Request(BaseRequest):
    """One call's transport. `result` is what Telegram answered, once it is a success."""

    def __init__(self, http: Http) -> None:
        super().__init__()
        self.http = http
        self.is_made = False
        self.result: Any = None

    @property
    def read_timeout(self) -> float | None:
        return self.http.timeout.total

    async def initialize(self) -> None:
        """Nothing to do: the hub owns the session."""

    async def shutdown(self) -> None:
        """Nothing to do: the hub owns the session."""

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        *_timeouts: Any,
        **_more_timeouts: Any,
    ) -> tuple[int, bytes]:
        self.is_made = True
        if request_data is not None and request_data.contains_files:
            reply = await self.http.request(method, url, form=multipart(request_data))
        else:
            body = orjson.dumps(request_data.parameters if request_data else {})
            headers = {"Content-Type": "application/json"}
            reply = await self.http.request(method, url, headers=headers, body=body)
        answer = object_of(reply.body)
        if not 200 <= reply.status < 300 or answer.get("ok") is False:
            raise failure(reply.status, answer, reply.headers.get("Retry-After", ""))
        if answer.get("ok") is not True:
            raise OutcomeUnknown(f"HTTP {reply.status} without a result")
        self.result = answer.get("result")
        return reply.status, reply.body


def multipart(data: RequestData) -> aiohttp.FormData:
    form = aiohttp.FormData(quote_fields=False)
    for name, value in data.json_parameters.items():
        form.add_field(name, value)
    for name, (filename, content, mime) in data.multipart_data.items():
        form.add_field(name, content, filename=filename, content_type=mime)
    return form


def object_of(body: bytes) -> Object:
    try:
        return read_object(body)
    except HookUnreadable:
        return {}


Call = Callable[[Bot], Awaitable[Any]]


async def call(http: Http, api_base: str, token: str, make: Call) -> Any:
    """Make one call of the Bot API and give its result as JSON. Raises a SendFailed."""
    request = Request(http)
    root = api_base.rstrip("/")
    try:
        await make(Bot(token, f"{root}/bot", f"{root}/file/bot", request, request))
    except Exception as error:
        raised = error.__cause__ if isinstance(error.__cause__, SendFailed) else error
        name = type(error).__name__
    else:
        return request.result
    if isinstance(raised, SendFailed):
        raise raised from None
    if not request.is_made:
        raise Refused(f"python-telegram-bot refuses the message ({name})")
    # It may not understand the answer to what was done all the same.
    return request.result
