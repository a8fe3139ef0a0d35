"""A provider that must be told where to call is told, at once or as soon as it can be."""

from typing import Any

from aiohttp import ClientSession, web

from connectors.telegram import Telegram
from hub.channels import Channel, Channels
from hub.connector import ChannelRef, Http
from hub.subscribe import Subscribing
from tests.hub.hosts import serve

HOOK = "https://hub.example/hooks/tg"
TOKEN = "7000000001:AAdemo-token_0000000000000000000000"


def channel(session: ClientSession, api_base: str, **more: Any) -> Channel:
    settings = Telegram.Settings(
        kind="telegram", bot_token=TOKEN, secret_token="s3cret", api_base=api_base, **more
    )
    reference = ChannelRef(bytes(16), "tg", "telegram", HOOK)
    connector = Telegram(reference, settings, Http(session))
    return Channel(bytes(16), "tg", "telegram", "7000000001", settings, connector)


async def test_telegram_is_told_the_url_though_it_is_away_at_first() -> None:
    told: list[dict[str, Any]] = []

    async def provider(request: web.Request) -> web.Response:
        assert request.path == f"/bot{TOKEN}/setWebhook"
        told.append(await request.json())
        if len(told) < 3:
            return web.json_response({"ok": False, "error_code": 502}, status=502)
        return web.json_response({"ok": True, "result": True})

    async with serve(provider) as server, ClientSession() as session:
        await Subscribing(Channels([channel(session, server.url(""))]), pause=0.01).run()
    assert len(told) == 3
    assert told[-1]["url"] == HOOK
    assert told[-1]["secret_token"] == "s3cret"
    assert "message_reaction" in str(told[-1]["allowed_updates"])


async def test_nobody_is_told_where_that_is_not_wanted() -> None:
    async with ClientSession() as session:
        for more in ({"mode": "polling"}, {"set_webhook": False}):
            own = channel(session, "http://127.0.0.1:9", **more)
            await Subscribing(Channels([own]), pause=0.01).run()
