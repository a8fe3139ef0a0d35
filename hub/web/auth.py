"""Who is calling: an API token in `Authorization: Bearer`, or in the session cookie.

A browser sends the cookie by itself, so requests that change something must then also carry the
header `X-Onethread-CSRF` and come from a page of ours.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from hub.store.tokens import PREFIX, ROLES, Role, Token, find_token, hash_secret
from hub.web.problem import Problem
from hub.web.state import STATE, State

COOKIE = "onethread_session"
CSRF_HEADER = "X-Onethread-CSRF"
COOKIE_SECONDS = 30 * 24 * 3600
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of the token of this request. `cookie`: a browser's session."""

    id: bytes
    name: str
    role: Role
    cookie: bool


NOBODY = Caller(b"", "", "agent", False)


async def find_caller(request: web.Request) -> Caller | None:
    """Whose token the request carries; None without a valid one. Bearer wins over the cookie."""
    if (secret := _bearer(request)) is not None:
        return await find_secret(request.app[STATE], secret)
    if cookie := request.cookies.get(COOKIE):
        return await find_secret(request.app[STATE], cookie, cookie=True)
    return None


def _bearer(request: web.Request) -> str | None:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


async def find_secret(state: State, secret: str, *, cookie: bool = False) -> Caller | None:
    """Whose token this is; None for one that is not valid or is nobody's."""
    token = await _find_token(state, secret)
    if token is None or token.role == "metrics":
        return None
    return Caller(token.id, token.name, token.role, cookie)


async def _find_token(state: State, secret: str) -> Token | None:
    if not secret.startswith(PREFIX) or len(secret) > 100:
        return None
    return await state.store.read(find_token, hash_secret(secret))


async def require_watcher(request: web.Request) -> None:
    """Raises Problem 401 or 403 but for an admin and for a token that is for the metrics."""
    secret = _bearer(request)
    token = await _find_token(request.app[STATE], secret) if secret is not None else None
    if token is None or token.role != "metrics":
        await require_caller(request, "admin")


async def require_caller(request: web.Request, role: Role = "agent") -> Caller:
    """The caller, if at least of this role. Raises Problem 401 or 403."""
    caller = await find_caller(request)
    if caller is None:
        challenge = {"WWW-Authenticate": 'Bearer realm="onethread"'}
        raise Problem(401, "unauthorized", "Send a valid API token.", headers=challenge)
    if caller.cookie and request.method not in SAFE_METHODS:
        check_same_site(request)
        if not request.headers.get(CSRF_HEADER):
            raise Problem(403, "csrf", f"Send the header {CSRF_HEADER}.")
    if ROLES.index(caller.role) < ROLES.index(role):
        raise Problem(403, "forbidden", f"This needs the role {role}.")
    return caller


def check_same_site(request: web.Request) -> None:
    """Raises Problem 403 when a page of another site made the request."""
    origin = request.headers.get("Origin")
    fetched = request.headers.get("Sec-Fetch-Site", "same-origin")
    if (origin is not None and not is_own_origin(request, origin)) or (
        origin is None and fetched not in ("same-origin", "none")
    ):
        raise Problem(403, "foreign_origin", "This was sent by a page of another site.")


def is_own_origin(request: web.Request, origin: str) -> bool:
    """Is it the hub's public URL, or the host this very request was sent to?"""
    public = urlsplit(request.app[STATE].settings.hub.public_url)
    return origin == f"{public.scheme}://{public.netloc}" or origin in (
        f"http://{request.host}",
        f"https://{request.host}",
    )


def set_session(request: web.Request, response: web.StreamResponse, secret: str) -> None:
    response.set_cookie(
        COOKIE,
        secret,
        max_age=COOKIE_SECONDS,
        path="/",
        httponly=True,
        samesite="Lax",
        secure=request.app[STATE].settings.hub.public_url.startswith("https:"),
    )


def end_session(response: web.StreamResponse) -> None:
    response.del_cookie(COOKIE, path="/")


def local_path(path: str) -> str:
    """`path` if it leads to a page of ours, else `/`: a login must not become a redirect to
    anywhere. Browsers read a backslash as a slash and drop tabs and line ends."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if plain and path.isascii() and path.isprintable() and "\\" not in path else "/"
