"""Visitors' sessions: opening, refreshing, identifying, ending, and saying something in one.

A session has two secrets: a `token` for an hour, signed and not stored, and a `refresh` that is
kept as its hash. The site key only selects the channel.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any, Protocol, cast, runtime_checkable
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web
from pydantic import IPvAnyNetwork

from hub.channels import Channel
from hub.clock import DAY, HOUR, Micros, new_id
from hub.connector import Hook
from hub.signal import Unreadable
from hub.store.accept import StoredMessage
from hub.store.visitors import (
    Session,
    add_session,
    change_session,
    end_session,
    find_refreshed,
    find_session,
    find_thread,
    mark_read,
)
from hub.web.auth import is_own_origin
from hub.web.problem import Problem, unknown
from hub.web.rates import Rate
from hub.web.sign import Signer
from hub.web.state import State

TOKEN_LIFE = HOUR
SESSION_LIFE = 180 * DAY
TEXT_SHOWN = 500
MESSAGES = (10, 10.0, 5)
SESSIONS = (30, 60.0)
FAILURES = (5, 60.0)
TYPING = (1, 2.0, 2)
FRAMES = (60, 10.0)


class Identity(Protocol):
    @property
    def user_id(self) -> str: ...
    @property
    def email(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def phone(self) -> str: ...
    @property
    def verified(self) -> bool: ...


@runtime_checkable
class Site(Protocol):
    """What the web-chat connector offers beyond the common contract."""

    settings: Any

    def allows_origin(self, origin: str) -> bool: ...
    def identify(self, claims: Mapping[str, Any], now: Micros) -> Identity: ...
    def frame_hook(
        self, visitor: Mapping[str, Any], frame: Mapping[str, Any], at: Micros
    ) -> Hook: ...


class Opened:
    """A session with the secrets that its client is given once."""

    def __init__(self, session: Session, token: str, refresh: str) -> None:
        self.session = session
        self.token = token
        self.refresh = refresh


def limited(seconds: float) -> Problem:
    wait = str(max(1, round(seconds)))
    return Problem(429, "rate_limited", "Too fast.", headers={"Retry-After": wait})


class Visits:
    def __init__(self, state: State, secret_key: str) -> None:
        self._state = state
        self._signer = Signer(secret_key, "visitor")
        self._messages = Rate(*MESSAGES)
        self._sessions = Rate(*SESSIONS)
        self._failures = Rate(*FAILURES)
        self._typing = Rate(*TYPING)
        self.frames = Rate(*FRAMES)
        self._site_of = {c.id: c for c in state.channels.all if c.kind == "webchat"}

    def site(self, channel: Channel) -> Site:
        return cast(Site, channel.connector)

    def channel(self, site: str) -> Channel:
        """The channel of a site key. Raises Problem 404."""
        found = self._state.channels.by_account.get(("webchat", site))
        if found is None:
            raise unknown("site")
        return found

    def allows(self, request: web.Request, channel: Channel) -> bool:
        """May the page that makes this request use the chat? Programs have no origin."""
        origin = request.headers.get("Origin")
        if origin is None or is_own_origin(request, origin):
            return True
        return self.site(channel).allows_origin(origin)

    def allows_anywhere(self, request: web.Request) -> bool:
        return any(self.allows(request, channel) for channel in self._site_of.values())

    def _address(self, request: web.Request) -> str:
        return client_ip(request, self._state.settings.hub.proxies)

    async def open(self, request: web.Request, site: str, said: Mapping[str, Any]) -> Opened:
        """A session for this page: the one of `visitor_token` (a refresh), else a new visitor.
        Raises Problem 403, 404 or 429."""
        channel = self.channel(site)
        self.check_origin(request, channel)
        if wait := self._sessions.take(self._address(request)):
            raise limited(wait)
        now = self._state.clock.now()
        refresh = said.get("visitor_token")
        if refresh:
            kept = await self._state.store.read(find_refreshed, channel.id, _hash(refresh), now)
            if kept and kept.origin in ("", _origin(request)):
                later = now + SESSION_LIFE
                await self._state.store.write(change_session, kept.id, kept.context, later)
                return Opened(kept, self._token(kept, now), refresh)
        external_id = "v_" + secrets.token_hex(16)
        return await self._start(channel, external_id, _origin(request), _context(said))

    async def _start(
        self, channel: Channel, external_id: str, origin: str, context: dict[str, Any]
    ) -> Opened:
        now = self._state.clock.now()
        refresh = "r_" + secrets.token_urlsafe(32)
        session = Session(new_id(), channel.id, external_id, origin, context, 0, now + SESSION_LIFE)
        await self._state.store.write(add_session, session, _hash(refresh), now)
        return Opened(session, self._token(session, now), refresh)

    def _token(self, session: Session, now: Micros) -> str:
        return "v1." + self._signer.sign(session.id, now + TOKEN_LIFE)

    async def enter(self, request: web.Request, token: str) -> tuple[Channel, Session]:
        """The session of a token. Raises Problem 401, 403 or 404."""
        now = self._state.clock.now()
        session_id = self._signer.open(token.removeprefix("v1."), now)
        found: Session | None = None
        if session_id:
            found = await self._state.store.read(find_session, session_id, now)
        if found is None:
            raise Problem(401, "token_expired", "Open the session again.")
        channel = self._site_of.get(found.channel_id)
        if channel is None:
            raise unknown("site")
        self.check_origin(request, channel)
        origin = request.headers.get("Origin")
        if found.origin and origin and origin != found.origin:
            raise Problem(403, "origin_not_allowed", "The session is another page's.")
        return channel, found

    def check_origin(self, request: web.Request, channel: Channel) -> None:
        if not self.allows(request, channel):
            raise Problem(403, "origin_not_allowed", "This page may not use the chat.")

    async def identify(
        self, request: web.Request, channel: Channel, session: Session, claims: Mapping[str, Any]
    ) -> Session | Opened:
        """Who the visitor is. Proven: a new session as that user, which takes the anonymous
        chat along; for a session already hers, the same. Unproven: kept as a claim, or Problem
        401 where the site enforces proof or the session is another's. What is answered tells
        nothing of whether a user exists."""
        site = self.site(channel)
        who = site.identify(claims, self._state.clock.now())
        context = dict(session.context)
        known = bool(context.get("verified"))
        if not who.verified and (known or site.settings.identity == "enforced"):
            if wait := self._failures.take(self._address(request)):
                raise limited(wait)
            raise Problem(401, "identity_unverified", "The proof does not hold.")
        external_id = f"user:{site.settings.site}:{who.user_id}"
        context |= {"user_id": who.user_id, "email": who.email, "name": who.name}
        context |= {"phone": who.phone, "verified": who.verified}
        if not who.verified or external_id == session.external_id:
            if context != session.context:
                until = session.expires_at
                await self._state.store.write(change_session, session.id, context, until)
            return session._replace(context=context)
        if known:
            context.pop("also", None)
        else:
            context["also"] = [session.external_id]
        opened = await self._start(channel, external_id, session.origin, context)
        await self.end(session)
        return opened

    async def end(self, session: Session) -> None:
        await self._state.store.write(end_session, session.id, self._state.clock.now())

    async def say(
        self, channel: Channel, session: Session, frame: Mapping[str, Any]
    ) -> StoredMessage:
        """Store a `message` frame; a repeated client id gives the first one's id and seq.
        Raises Problem 400, 403 or 429, and StoreUnavailable."""
        if wait := self._messages.take(session.external_id):
            raise limited(wait)
        thread = await self._state.store.read(find_thread, channel.id, session.ids)
        if thread and thread.blocked:
            raise Problem(403, "blocked", "Messages are no longer accepted.")
        hook = self._hook(channel, session, frame, is_first=thread is None)
        channel.connector.check(hook)
        parsed = channel.connector.parse(hook)
        if not parsed or isinstance(parsed[0], Unreadable):
            raise Problem(400, "invalid_message", "The message is empty, too long or malformed.")
        accepted = await self._state.intake.accept(channel, parsed)
        stored = accepted.stored[0]
        if stored is None:
            raise unknown("site")
        return stored

    async def show_typing(
        self, channel: Channel, session: Session, frame: Mapping[str, Any]
    ) -> None:
        if not self._typing.take(session.external_id):
            await self._signal(channel, session, {"type": "typing", "on": frame.get("on") is True})

    async def read(self, channel: Channel, session: Session, up_to_seq: int) -> None:
        last = await self._state.store.write(mark_read, session, up_to_seq)
        if last:
            await self._signal(channel, session, {"type": "read", "external_id": last})

    async def _signal(self, channel: Channel, session: Session, frame: dict[str, Any]) -> None:
        hook = self._hook(channel, session, frame)
        channel.connector.check(hook)
        await self._state.intake.accept(channel, channel.connector.parse(hook))

    def _hook(
        self,
        channel: Channel,
        session: Session,
        frame: Mapping[str, Any],
        *,
        is_first: bool = False,
    ) -> Hook:
        known = session.context
        names = ("also", "user_id", "verified", "email", "phone", "name", "timezone", "traits")
        visitor = {"id": session.external_id} | {n: known[n] for n in names if known.get(n)}
        if is_first and known.get("referral"):
            visitor["referral"] = known["referral"]
        return self.site(channel).frame_hook(visitor, frame, self._state.clock.now())


def client_ip(request: web.Request, proxies: Sequence[IPvAnyNetwork]) -> str:
    """The visitor's address: the first one, from here outwards, that is no proxy of ours."""
    said = ",".join(request.headers.getall("X-Forwarded-For", ()))
    hops = [hop[:64] for hop in map(str.strip, said.split(",")) if hop]
    address = request.remote or ""
    while hops and _is_within(address, proxies):
        address = hops.pop()
    return address


def _is_within(address: str, proxies: Sequence[IPvAnyNetwork]) -> bool:
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in proxies)


def _origin(request: web.Request) -> str:
    return request.headers.get("Origin", "")[:255]


def _hash(refresh: object) -> bytes:
    return hashlib.sha256(str(refresh).encode("utf-8", "replace")).digest()


def _context(said: Mapping[str, Any]) -> dict[str, Any]:
    """What the page says of itself, cut to size; its URL without the query, which may hold
    secrets, but for the campaign's marks."""
    page, referrer = (_short(said.get(name)) for name in ("page", "referrer"))
    traits = {"locale": _short(said.get("locale"))[:35], "page": _bare(page)}
    traits["referrer"] = _bare(referrer)
    query = dict(parse_qsl(_split(page).query))
    utm = {name[4:]: value[:100] for name, value in query.items() if name.startswith("utm_")}
    context: dict[str, Any] = {"traits": {k: v for k, v in traits.items() if v}}
    if zone := _short(said.get("tz"))[:64]:
        context["timezone"] = zone
    if utm or "ref" in query:
        ref = query.get("ref", "")[:100]
        context["referral"] = {"source": "webchat", "ref": ref, "url": _bare(page), "utm": utm}
    return context


def _short(value: object) -> str:
    return value.strip()[:TEXT_SHOWN] if isinstance(value, str) else ""


def _split(url: str) -> Any:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _bare(url: str) -> str:
    parts = _split(url)
    if parts.scheme not in ("http", "https"):
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
