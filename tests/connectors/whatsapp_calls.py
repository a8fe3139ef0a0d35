"""Calls of the WhatsApp number under test to a provider on 127.0.0.1."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from connectors.whatsapp import WhatsApp
from hub.connector import (
    Http,
)
from hub.errors import (
    SendFailed,
)
from hub.message import (
    Address,
    Message,
    Outbound,
)
from tests.connectors.kit import (
    ok,
    status,
)
from tests.connectors.provider import Provider, Reply, running
from tests.connectors.whatsapp_number import NUMBER, RIMA, TOKEN, make

PATH = f"/v25.0/{NUMBER}/messages"
ACCEPTED = ok({"messaging_product": "whatsapp", "messages": [{"id": "wamid.out1"}]})
HEADERS = {"Authorization": f"Bearer {TOKEN}", "User-Agent": "onethread"}


def error(code: Any, http: int = 400, retry_after: Any = None, **more: Any) -> Reply:
    message = f"Malformed access token {TOKEN}"
    detail = {
        "message": message,
        "type": "OAuthException",
        "code": code,
        "fbtrace_id": "A1",
        **more,
    }
    return status(http, {"error": detail}, retry_after=retry_after)


async def with_number(
    reply: Reply, act: Callable[[WhatsApp], Awaitable[Any]]
) -> tuple[Provider, Any]:
    """What `act` gives, or the error it raises, with a number whose provider replies so."""
    async with running(reply) as provider, aiohttp.ClientSession() as session:
        number = make(Http(session), provider.url)
        assert isinstance(number, WhatsApp)
        try:
            return provider, await act(number)
        except SendFailed as failure:
            return provider, failure


def outbound(message: Message, attempt: int = 1, reply_to: str = "") -> Outbound:
    return Outbound(bytes(16), Address(NUMBER, RIMA), message, "m-42", attempt, reply_to)
