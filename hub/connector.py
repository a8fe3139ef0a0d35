"""The contract between the hub and the code of one channel kind.

A connector translates and makes one provider call. It has no database, no retry, no splitting,
no HTTP serving. `connectors/<kind>.py` holds one `Connector` subclass (docs/connectors.md).
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import aiohttp
from pydantic import BaseModel, ConfigDict, JsonValue
from yarl import URL

from hub.clock import Micros
from hub.errors import NotReached, OutcomeUnknown
from hub.message import Inbound, Media, MediaKind, Outbound, Profile, Sent
from hub.signal import Parsed


@dataclass(frozen=True, slots=True)
class Hook:
    """One webhook request as it arrived.

    `url` is the public URL the provider called: the settings' public_url, raw path and raw
    query. `headers` is asked by lower-case names. `body` is untouched; signatures are over these
    bytes.
    """

    method: str
    url: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    received_at: Micros


@dataclass(frozen=True, slots=True)
class HookAnswer:
    body: bytes = b""
    content_type: str = "text/plain"
    status: int = 200


@dataclass(frozen=True, slots=True)
class ChannelRef:
    """The configured account a connector works for. `hook_url` is the public URL of its hook,
    `country` (ISO 3166 alpha-2) how a local number is read."""

    id: bytes
    name: str
    kind: str
    hook_url: str
    country: str = "BD"


class ChannelSettings(BaseModel):
    """What every channel may set. A connector's Settings extend it; unknown keys are refused.

    `rate`: messages a second to send at most, 0 for no limit, None for the connector's own.
    `vouches`: whether numbers seen here may join threads (False where sender ids can be forged).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    api_base: str = ""
    rate: float | None = None
    vouches: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """What a channel can carry. `compose` degrades and splits by it BEFORE storing.

    Lengths count characters (`text_unit` "chars"), UTF-8 bytes or UTF-16 units. Zero buttons or
    list rows means the channel has none. `window` is seconds after the customer's last message in
    which free text may be sent, None for always. `media` maps each kind that can be sent to its
    largest size in bytes; `captions` are the kinds that carry text. `pair_rate` is (messages,
    seconds, burst) to one customer. Titles and descriptions count characters even where the text
    counts bytes; ids count bytes. `mixed_buttons`: reply and url buttons may stand together, up to
    `buttons` in all. `subjects`: a message may have a subject line. `quick_replies`: chips under a
    text of any length, for more buttons than `buttons`, of the same lengths. `buttons_hide`: some
    of the channel's apps show neither, so that the text says them too. `segments`: the text is
    billed in SMS parts. `media_types`: the MIME types a kind is taken in, where not all are.
    `uploads`: attachments go as bytes, from `Outbound.files`. `answers`: (messages, seconds) that
    dialogs say at most to one customer, who may be a program.
    """

    text: int
    text_unit: str = "chars"
    caption: int = 0
    buttons: int = 0
    button_title: int = 20
    button_id: int = 256
    button_body: int = 1024
    list_rows: int = 0
    list_title: int = 24
    list_description: int = 72
    list_body: int = 1024
    url_buttons: int = 0
    mixed_buttons: bool = False
    quick_replies: int = 0
    buttons_hide: bool = False
    subjects: bool = False
    media: Mapping[MediaKind, int] = field(default_factory=dict)
    media_count: int = 1
    media_types: Mapping[MediaKind, frozenset[str]] = field(default_factory=dict)
    uploads: bool = False
    captions: frozenset[MediaKind] = frozenset()
    places: bool = False
    contacts: bool = False
    quotes: bool = False
    segments: bool = False
    templates: bool = False
    window: float | None = None
    rate: float | None = None
    pair_rate: tuple[int, float, int] | None = None
    answers: tuple[int, float] | None = None


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A provider's answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http:
    """One shared aiohttp session with the hub's rules: 10 s in all, no redirects, and transport
    errors told apart by whether the request may have reached the provider."""

    def __init__(self, session: aiohttp.ClientSession, timeout: float = 10.0) -> None:
        self.session = session
        self.timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=min(timeout, 5.0))

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        form: list[tuple[str, str]] | aiohttp.FormData | None = None,
    ) -> HttpReply:
        """Make one call. Raises NotReached (nothing was written) or OutcomeUnknown."""
        async with self.stream(method, url, headers=headers, body=body, form=form) as response:
            return HttpReply(response.status, response.headers, await response.read())

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        form: list[tuple[str, str]] | aiohttp.FormData | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """As `request`, with the body still to be read."""
        data: Any = body if form is None else form
        if isinstance(form, list):
            data = aiohttp.FormData(form)
        try:
            async with self.session.request(
                method,
                URL(url, encoded=True),
                headers=headers,
                data=data,
                timeout=self.timeout,
                allow_redirects=False,
                middlewares=(_call_once,),
            ) as response:
                yield response
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotReached(type(error).__name__) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise OutcomeUnknown(type(error).__name__) from None


async def _call_once(
    request: aiohttp.ClientRequest, call: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    # aiohttp repeats a GET whose connection broke, and there are gateways that send by GET.
    try:
        return await call(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise OutcomeUnknown(type(error).__name__) from None


POST = frozenset({"POST"})


class Connector(ABC):
    """The code of one channel kind, working for one channel."""

    Settings: ClassVar[type[ChannelSettings]]
    limits: ClassVar[Limits]
    hook_bytes: ClassVar[int] = 0
    """The largest hook in bytes, where one may be larger than `limits.hook_bytes`."""
    app: ClassVar[str] = ""
    """The provider's app ("meta") whose one hook URL serves channels of several kinds."""
    typing_lasts: ClassVar[float] = 20.0
    """Seconds that `Types.show_typing` shows for, at least."""

    def __init__(self, channel: ChannelRef, settings: Any, http: Http) -> None:
        self.channel = channel
        self.settings = settings
        self.http = http

    @classmethod
    @abstractmethod
    def account(cls, settings: Any) -> str:
        """The account's id at the provider, as `parse` gives it: with the kind it names the
        channel for good, whatever the settings call it."""

    def secrets(self) -> tuple[str, ...]:
        """What must never reach a log; the hub redacts it."""
        return ()

    @abstractmethod
    def check(self, hook: Hook) -> None:
        """Is the hook genuine? Signature over the RAW bytes. Raises HookRejected."""

    @abstractmethod
    def parse(self, hook: Hook) -> list[Parsed]:
        """Translate a genuine hook; pure. Every entry of a batch, each with its account, in the
        order they came. A bad item becomes `Unreadable`, an unknown kind a message of kind
        `unsupported`. Raises HookUnreadable when the whole body is garbage."""

    @property
    def methods(self) -> frozenset[str]:
        """The HTTP methods of hooks that bring something to store."""
        return POST

    def kind_of(self, hook: Hook) -> str:
        """The channel kind whose connector reads this genuine hook: its own, except where one
        URL of an app serves several kinds. Raises nothing."""
        return self.channel.kind

    def answer(self, hook: Hook) -> HookAnswer:
        """What a genuine hook is answered once its messages are durable."""
        return HookAnswer()

    @abstractmethod
    async def send(self, out: Outbound) -> Sent:
        """Make ONE provider call. Raises a SendFailed."""


# Rare abilities: a connector that has one also fits the Protocol.


@runtime_checkable
class FetchesMedia(Protocol):
    async def media_request(self, media: Media) -> tuple[str, dict[str, str]]:
        """Where to GET an inbound attachment and with which headers. The headers are sent to
        that host alone, never across a redirect to another. Raises a SendFailed."""
        ...


@runtime_checkable
class CarriesMedia(Protocol):
    def carried(self, hook: Hook) -> Iterable[tuple[str, bytes]]:
        """The attachments that came inside a genuine hook: the sha256 (in hex) that `parse` gave
        each of them, and its bytes. The hub stores them together with the messages."""
        ...


@runtime_checkable
class Reconciles(Protocol):
    async def look_up(self, out: Outbound, since: Micros) -> Sent | None:
        """Was this message, whose outcome is unknown, accepted after `since`? Raises a
        SendFailed when the provider cannot say."""
        ...


@dataclass(frozen=True, slots=True)
class Missed:
    """What a provider lists, oldest first. Not `is_whole`: there was more than could be read."""

    found: list[Parsed]
    is_whole: bool = True


Known = Callable[[list[str]], Awaitable[set[str]]]
"""Which of these dedupe keys the hub has already."""


@runtime_checkable
class CatchesUp(Protocol):
    @property
    def look_back(self) -> float:
        """Seconds to look back at most for messages whose hook was lost; 0 for never."""
        ...

    async def list_missed(self, since: Micros, until: Micros, known: Known) -> Missed:
        """What customers sent at or after `since` and before `until`, without what is `known`, as
        `parse` would give it and with the same dedupe keys. Raises a SendFailed."""
        ...


@runtime_checkable
class Types(Protocol):
    async def show_typing(self, to: Outbound) -> None:
        """Show that an answer is being written, where `to.reply_to` is the customer's last
        message. Best effort; raises a SendFailed."""
        ...


@runtime_checkable
class Identifies(Protocol):
    async def who_am_i(self) -> str:
        """Ask the provider who the credentials belong to: a short text for `check`. Raises a
        SendFailed."""
        ...


@runtime_checkable
class Introduces(Protocol):
    async def look_up_profile(self, sender: str) -> Profile:
        """Who a customer is whom no webhook names, as far as she lets it be known. Raises a
        SendFailed."""
        ...


Keep = Callable[[Hook], Awaitable[None]]
"""Stores what was fetched, as a hook that `parse` reads; returns once it is durable. Raises
StoreUnavailable: then the provider must not be told that it was taken."""


@runtime_checkable
class Polls(Protocol):
    @property
    def polls(self) -> bool:
        """Whether this channel is asked for its messages, rather than called."""
        ...

    async def poll(self, keep: Keep) -> None:
        """Wait for what customers send and hand each item to `keep`; only then tell the provider
        that it was taken. Runs until cancelled; the hub calls it again after an error, with a
        growing pause. Raises a SendFailed, or what `keep` raises."""
        ...


@runtime_checkable
class Subscribes(Protocol):
    async def subscribe(self) -> None:
        """Tell the provider where to call, if that is wanted; repeatable. Raises a SendFailed."""
        ...


@runtime_checkable
class Acknowledges(Protocol):
    async def acknowledge(self, inbound: Inbound) -> None:
        """Tell the provider, once a message is stored, that it has arrived, where the customer's
        app waits for that (a Telegram button's spinner). Best effort; raises a SendFailed."""
        ...


@runtime_checkable
class MarksRead(Protocol):
    async def mark_read(self, to: Outbound) -> None:
        """Show the customer that `to.reply_to`, and what came before it, was read. Best effort;
        raises a SendFailed."""
        ...


@runtime_checkable
class Expires(Protocol):
    async def expires_at(self) -> Micros | None:
        """When the credentials end, None for never. Raises a SendFailed."""
        ...


@dataclass(frozen=True, slots=True)
class ListedTemplate:
    """A template as the provider knows it. `status` is the provider's own word, lower case
    ("approved", "pending", "rejected", "paused"); `body` has the variables as `{{name}}`."""

    name: str
    language: str
    status: str
    quality: str = ""
    category: str = ""
    body: str = ""
    components: JsonValue = None


@runtime_checkable
class SyncsTemplates(Protocol):
    async def list_templates(self) -> list[ListedTemplate]:
        """All templates of this account. Raises a SendFailed."""
        ...
