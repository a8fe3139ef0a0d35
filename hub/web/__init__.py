"""The web floor: hooks, REST, live updates, visitors, pages. `create_app` mounts it all."""

from collections.abc import Callable
from functools import cache, partial

from aiohttp import web

from hub import __version__
from hub.settings import require_secret_key
from hub.web.api_channels import channels
from hub.web.api_conversations import conversations
from hub.web.api_customers import customers
from hub.web.api_dead import dead
from hub.web.api_messages import messages
from hub.web.api_session import session
from hub.web.api_templates import templates
from hub.web.assets import add_assets
from hub.web.feed import FEED, Feed, follow
from hub.web.health import add_health
from hub.web.hooks import add_hooks
from hub.web.live import add_live, live
from hub.web.media import add_media
from hub.web.metrics import add_metrics
from hub.web.openapi import Json, describe
from hub.web.pages import DOCUMENT, add_pages
from hub.web.problem import problems
from hub.web.sign import Signer
from hub.web.state import STATE, State
from hub.web.views import LINKS, MediaLinks
from hub.web.visitor import add_visitors

API = "/api/v1"
APIS = (conversations, messages, customers, channels, templates, session, dead, live)


def create_app(state: State) -> web.Application:
    """The whole web application. Raises SettingsError when no secret key is set."""
    signer = Signer(require_secret_key(state.settings), "media")
    app = web.Application(middlewares=[problems], client_max_size=state.settings.limits.hook_bytes)
    app[STATE] = state
    app[LINKS] = MediaLinks(signer, state.clock.now)
    app[FEED] = Feed(state.store, state.bus)
    operations = [operation for api in APIS for operation in api.operations]
    document: Callable[[], Json] = cache(partial(describe, operations, API, __version__))
    app[DOCUMENT] = document
    app.on_response_prepare.append(_harden)
    app.cleanup_ctx.append(follow)
    for api in APIS:
        api.mount(app, API)
    add_hooks(app)
    add_live(app)
    add_visitors(app)
    add_media(app)
    add_pages(app)
    add_health(app)
    add_metrics(app)
    add_assets(app)
    return app


async def _harden(request: web.Request, response: web.StreamResponse) -> None:
    """What every answer carries unless its page says otherwise."""
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "strict-origin-when-cross-origin")
    headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
