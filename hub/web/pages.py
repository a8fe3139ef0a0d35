"""The hub's own few plain pages: login, home, API docs."""

import base64
import hashlib
from collections.abc import Callable
from html import escape
from urllib.parse import quote

from aiohttp import web

from hub.web.auth import (
    check_same_site,
    end_session,
    find_caller,
    find_secret,
    local_path,
    set_session,
)
from hub.web.openapi import STYLE, Json, render
from hub.web.problem import Problem
from hub.web.state import STATE

DOCUMENT: web.AppKey[Callable[[], Json]] = web.AppKey("openapi")
"""The OpenAPI document, made when it is first asked for."""

WORDS = {
    "en": {
        "login": "Log in",
        "token": "API token",
        "hint": "Make one with: onethread token create --name ME --role admin",
        "wrong": "This token is not valid.",
        "used": "This login link was used already or is too old.",
        "running": "The hub is running.",
        "docs": "API documentation",
        "out": "Log out",
        "next": "Next: add a channel to onethread.toml, run onethread check, and give the"
        " provider its hook URL:",
        "none": "No channel is configured yet.",
    },
    "bn": {
        "login": "লগ ইন",
        "token": "API টোকেন",
        "hint": "একটি বানাতে: onethread token create --name ME --role admin",
        "wrong": "টোকেনটি সঠিক নয়।",
        "used": "এই লগইন লিংকটি আগেই ব্যবহার হয়েছে বা পুরোনো হয়ে গেছে।",
        "running": "হাব চলছে।",
        "docs": "API ডকুমেন্টেশন",
        "out": "লগ আউট",
        "next": "এরপর: onethread.toml ফাইলে একটি চ্যানেল যোগ করুন, onethread check চালান, এবং"
        " প্রোভাইডারকে হুকের URL দিন:",
        "none": "এখনও কোনো চ্যানেল যোগ করা হয়নি।",
    },
}
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CSP = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)


def _page(html: str, *, status: int = 200) -> web.Response:
    headers = {"Content-Security-Policy": CSP, "Cache-Control": "no-store"}
    return web.Response(text=html, status=status, content_type="text/html", headers=headers)


def _language(request: web.Request) -> str:
    """Bangla if the browser prefers it to English."""
    for part in request.headers.get("Accept-Language", "").split(","):
        language = part.partition(";")[0].strip().lower()[:2]
        if language in WORDS:
            return language
    return "en"


def _frame(language: str, title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><main><h1>Onethread</h1>{body}</main></body></html>"
    )


def _login_page(request: web.Request, next_page: str, problem: str = "") -> web.Response:
    language = _language(request)
    words = WORDS[language]
    alert = f'<p role="alert">{escape(words[problem])}</p>' if problem else ""
    body = (
        f'{alert}<form method="post" action="/login">'
        f'<input type="hidden" name="next" value="{escape(next_page)}">'
        f'<p><label for="token">{words["token"]}</label><br>'
        '<input id="token" name="token" type="password" size="50" required autofocus'
        ' autocomplete="current-password"></p>'
        f"<p><button>{words['login']}</button></p></form><p><code>{escape(words['hint'])}</code></p>"
    )
    return _page(_frame(language, words["login"], body), status=401 if problem else 200)


def _logged_in(request: web.Request, secret: str, next_page: str) -> web.Response:
    # 303 and not an exception: the cookie must go with it.
    response = web.Response(status=303, headers={"Location": local_path(next_page)})
    set_session(request, response, secret)
    return response


async def show_login(request: web.Request) -> web.Response:
    """The login form, or, with `code`, the login itself."""
    next_page = local_path(request.query.get("next", "/"))
    code = request.query.get("code")
    if code is None:
        return _login_page(request, next_page)
    secret = request.app[STATE].login_codes.redeem(code)
    if secret is not None and await find_secret(request.app[STATE], secret):
        return _logged_in(request, secret, next_page)
    if await find_caller(request):
        return web.Response(status=303, headers={"Location": next_page})
    return _login_page(request, next_page, "used")


async def log_in(request: web.Request) -> web.Response:
    _refuse_foreign(request)
    form = await request.post()
    next_page, secret = str(form.get("next", "/")), str(form.get("token", "")).strip()
    if await find_secret(request.app[STATE], secret) is None:
        return _login_page(request, local_path(next_page), "wrong")
    return _logged_in(request, secret, next_page)


async def log_out(request: web.Request) -> web.Response:
    _refuse_foreign(request)
    response = web.Response(status=303, headers={"Location": "/login"})
    end_session(response)
    return response


def _refuse_foreign(request: web.Request) -> None:
    try:
        check_same_site(request)
    except Problem as problem:
        raise web.HTTPForbidden(text=problem.detail) from None


async def show_home(request: web.Request) -> web.Response:
    state = request.app[STATE]
    if state.demo:
        raise web.HTTPFound("/demo")
    if await find_caller(request) is None:
        raise web.HTTPFound("/login")
    language = _language(request)
    words = WORDS[language]
    hooks = "".join(
        f"<li>{escape(c.name)} ({escape(c.kind)}):"
        f" <code>{escape(state.settings.hub.public_url)}/hooks/{escape(c.name)}</code></li>"
        for c in state.channels.all
        if c.kind != "webchat"
    )
    body = (
        f"<p>{words['running']}</p><p><a href='/api/docs'>{words['docs']}</a></p>"
        f"<p>{words['next']}</p><ul>{hooks or '<li>' + words['none'] + '</li>'}</ul>"
        f"<form method='post' action='/logout'><button>{words['out']}</button></form>"
    )
    return _page(_frame(language, "Onethread", body))


async def show_docs(request: web.Request) -> web.Response:
    if await find_caller(request) is None:
        raise web.HTTPFound("/login?next=" + quote(request.path, safe=""))
    return _page(render(request.app[DOCUMENT]()))


async def show_document(request: web.Request) -> web.Response:
    return web.json_response(request.app[DOCUMENT]())


def add_pages(app: web.Application) -> None:
    app.router.add_get("/", show_home)
    app.router.add_get("/login", show_login)
    app.router.add_post("/login", log_in)
    app.router.add_post("/logout", log_out)
    app.router.add_get("/api/docs", show_docs)
    app.router.add_get("/api/v1/openapi.json", show_document)
