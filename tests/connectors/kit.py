"""Runs a connector through a table of cases, and adds the checks that people forget.

The whole test file of a channel:

    def make(http: Http, api_base: str) -> Line:
        channel = ChannelRef(bytes(16), "line", "line", HOOK_URL)
        return Line(channel, Line.Settings(kind="line", api_base=api_base, token="t0k3n"), http)

    def sign(hook: Hook) -> Hook:            # the hook with the headers that make it genuine
        return with_headers(hook, {"x-line-signature": hmac_hex(b"s3cret", hook.body)})

    CASES = [
        Receives("text", json_hook("line/text.json"), [Inbound(...)]),
        Receives("form", form_hook({"From": "+88017", "Body": "hi"}), [Inbound(...)]),
        Sends("text", Message(text="hi"), to="U1", expect=post("/v2/push", json={...}),
              reply=ok({"id": "9"}), sent="9"),
        Sends("throttled", Message(text="x"), reply=status(429, retry_after=3),
              fails=Busy(retry_in=3)),
    ]
    test_line = connector_test(make, CASES, sign=sign)

`api_base` is the URL of a real server on 127.0.0.1 that plays the provider. For every Receives
the runner checks: translation, redelivery (equal results, equal dedupe_keys), that raws are
JSON, missing, wrong and foreign signatures, and each field of the payload in turn nulled,
removed and of a wrong type: nothing is raised, and no sibling of its list is lost. For the
connector: garbage bodies with a good signature, and (by the first Sends that is `sent`) 500, 429
with Retry-After, refused connection, time-out, reset, and a 2xx that says nothing. In all of them
no secret and no message text may reach a log record or an error. `fails` compares the type, and
`retry_in`, `code` and `new_id` where given.
"""

import logging
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson
import pytest

from hub.connector import Connector, Hook, Http
from hub.errors import (
    Busy,
    HookRejected,
    HookUnreadable,
    NotReached,
    OutcomeUnknown,
    SendFailed,
    Unreachable,
)
from hub.message import Address, Message, Outbound
from hub.signal import Unreadable
from tests.connectors.oddities import (
    GARBAGE,
    assert_well_formed,
    dedupe_keys,
    identities,
    odd_bodies,
    siblings,
)
from tests.connectors.provider import Behaviour, Reply, Request, closed_port, running

PAYLOADS = Path(__file__).parent / "payloads"
HOOK_URL = "https://hub.example/hooks/it"
RECEIVED_AT = 1_795_176_010_000_000
CORRELATION = "m-42"

MakeConnector = Callable[[Http, str], Connector]
Sign = Callable[[Hook], Hook]


class Anything:
    """Equal to everything: for the parts of an expected value a case does not speak of."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "ANY"


ANY: Any = Anything()


@dataclass(frozen=True)
class Expected:
    """The request a send must make. Only what is given is compared; `form` as sorted pairs."""

    method: str
    path: str
    json: Any = None
    form: Mapping[str, str] | Sequence[tuple[str, str]] | None = None
    query: str = ""
    headers: Mapping[str, str] | None = None

    def compare(self, request: Request) -> None:
        assert (request.method, request.path, request.query) == (
            self.method,
            self.path,
            self.query,
        )
        if self.json is not None:
            assert request.json == self.json
            assert request.headers["content-type"].startswith("application/json")
        if self.form is not None:
            pairs = self.form.items() if isinstance(self.form, Mapping) else self.form
            assert sorted(request.form) == sorted(pairs)
        for name, value in (self.headers or {}).items():
            assert request.headers.get(name.lower()) == value


def post(path: str, **parts: Any) -> Expected:
    return Expected("POST", path, **parts)


def get(path: str, **parts: Any) -> Expected:
    return Expected("GET", path, **parts)


def ok(json: Any = None) -> Reply:
    return status(200, json)


def status(code: int, json: Any = None, *, retry_after: float | str | None = None) -> Reply:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    if json is None:
        return Reply(code, b"", headers)
    return Reply(code, orjson.dumps(json), headers | {"Content-Type": "application/json"})


def json_hook(payload: Any, *, headers: Mapping[str, str] | None = None) -> Hook:
    """A POST with a JSON body: a path below payloads/, or the payload itself."""
    body = (PAYLOADS / payload).read_bytes() if isinstance(payload, str) else orjson.dumps(payload)
    named = {"content-type": "application/json"} | dict(headers or {})
    return Hook("POST", HOOK_URL, "", named, body, RECEIVED_AT)


def form_hook(fields: Mapping[str, str] | Sequence[tuple[str, str]], *, query: str = "") -> Hook:
    """A POST with a form body."""
    url = HOOK_URL + (f"?{query}" if query else "")
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return Hook("POST", url, query, headers, urlencode(fields).encode(), RECEIVED_AT)


def with_headers(hook: Hook, headers: Mapping[str, str]) -> Hook:
    return replace(hook, headers={**hook.headers, **headers})


@dataclass(frozen=True)
class Receives:
    """A hook, unsigned, and what `parse` must make of it."""

    name: str
    hook: Hook
    expected: list[Any]


@dataclass(frozen=True)
class Sends:
    """A message, the request `send` must make, the provider's reply and the outcome.

    `fails` is the error to expect, as a class or as an instance to compare with.
    """

    name: str
    message: Message
    expect: Any = ANY
    reply: Reply = field(default_factory=Reply)
    sent: str | None = None
    fails: SendFailed | type[SendFailed] | None = None
    to: str = "8801700000001"
    reply_to: str = ""
    account: str = "account"

    def outbound(self) -> Outbound:
        address = Address(self.account, self.to)
        return Outbound(bytes(16), address, self.message, CORRELATION, reply_to=self.reply_to)


Case = Receives | Sends


def connector_test(
    make: MakeConnector, cases: Sequence[Case], *, sign: Sign, signs_body: bool = True
) -> Callable[..., Awaitable[None]]:
    """One parametrised test of all cases and all added checks. `signs_body` False is for
    channels that are trusted by a token, which cannot tell a changed body."""
    runner = Runner(make, sign, signs_body)
    checks = [check for case in cases for check in runner.checks_of(case)]
    if any(isinstance(case, Receives) for case in cases):
        checks += runner.garbage_checks()
    accepted = next((c for c in cases if isinstance(c, Sends) and c.sent is not None), None)
    if accepted:
        checks += runner.fault_checks(accepted)

    @pytest.mark.parametrize("check", [c for _, c in checks], ids=[n for n, _ in checks])
    async def test(check: Callable[[], Awaitable[None]]) -> None:
        await check()

    return test


Check = tuple[str, Callable[[], Awaitable[None]]]


class Runner:
    def __init__(self, make: MakeConnector, sign: Sign, signs_body: bool) -> None:
        self.make = make
        self.sign = sign
        self.signs_body = signs_body

    def checks_of(self, case: Case) -> list[Check]:
        if isinstance(case, Sends):
            return [(f"sends {case.name}", partial(self.sends, case))]
        return [
            (f"receives {case.name}", partial(self.receives, case)),
            (f"signature of {case.name}", partial(self.signature, case)),
            (f"odd fields in {case.name}", partial(self.odd_fields, case)),
        ]

    def garbage_checks(self) -> list[Check]:
        return [(f"garbage {body[:12]!r}", partial(self.garbage, body)) for body in GARBAGE]

    def fault_checks(self, case: Sends) -> list[Check]:
        said = f"no {self.secrets()} {case.message.text}".encode()
        faults: list[tuple[str, Behaviour, SendFailed]] = [
            ("500", Reply(500, said), Unreachable()),
            ("503 in html", Reply(503, b"<html>busy</html>"), Unreachable()),
            ("429", Reply(429, said, {"Retry-After": "7"}), Busy(retry_in=7)),
            ("429 without a time", Reply(429), Busy()),
            ("time-out", "hang", OutcomeUnknown()),
            ("reset", "reset", OutcomeUnknown()),
            ("200 and nothing", Reply(200), OutcomeUnknown()),
            ("200 in html", Reply(200, b"<html>hi</html>"), OutcomeUnknown()),
            ("200 without an id", Reply(200, b"{}"), OutcomeUnknown()),
            ("200 of another shape", Reply(200, b"[null]"), OutcomeUnknown()),
        ]
        return [
            *((f"fault {name}", partial(self.fault, case, b, e)) for name, b, e in faults),
            ("fault refused", partial(self.refused, case)),
        ]

    def secrets(self) -> tuple[str, ...]:
        return self.offline().secrets()

    def offline(self) -> Connector:
        """For parse and check, which make no calls: there is no session to make them with."""
        return self.make(Http(None), "http://127.0.0.1:9")  # type: ignore[arg-type]

    @contextmanager
    def discreet(self, *said: str) -> Iterator[None]:
        """Fail if a secret, or what was said, reaches a log record or an error's text."""
        connector = self.offline()
        assert connector.secrets(), "a channel without secrets is not checked by anything"
        hidden = [*connector.secrets(), *(text for text in said if len(text) > 3)]
        written: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: written.append(describe(record))  # type: ignore[method-assign]
        root = logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            yield
        except Exception as error:
            written.append("".join(traceback.format_exception(error)) + repr(vars(error)))
            raise
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
            written.append(repr(connector.settings) + str(connector.settings))
            found = [text for text in hidden if any(text in line for line in written)]
            assert not found, f"leaked into a log, an error or the settings' repr: {found}"

    async def receives(self, case: Receives) -> None:
        connector = self.offline()
        hook = self.sign(case.hook)
        with self.discreet():
            connector.check(hook)
            items = connector.parse(hook)
        assert items == case.expected
        for item in items:
            assert_well_formed(item)
        assert connector.answer(hook).status == 200
        again = self.offline().parse(replace(hook, received_at=RECEIVED_AT + 3_600_000_000))
        assert dedupe_keys(again) == dedupe_keys(items)
        assert connector.parse(hook) == items

    async def signature(self, case: Receives) -> None:
        hook = self.sign(case.hook)
        added = {k: v for k, v in hook.headers.items() if case.hook.headers.get(k) != v}
        forged = [case.hook]
        for name, value in added.items():
            middle = len(value) // 2
            other = "0" if value[middle] != "0" else "1"
            changed = value[:middle] + other + value[middle + 1 :]
            for wrong in (changed, "", value[:-1], value + "0", "ü" + value[1:]):
                if wrong != value:
                    forged.append(with_headers(hook, {name: wrong}))
        if self.signs_body:
            forged.append(replace(hook, body=hook.body + b"0"))
            forged.append(replace(hook, body=b""))
        connector = self.offline()
        for fake in forged:
            with pytest.raises(HookRejected), self.discreet():
                connector.check(fake)

    async def odd_fields(self, case: Receives) -> None:
        connector = self.offline()
        for place, body in odd_bodies(case.hook):
            hook = replace(case.hook, body=body)
            try:
                items = connector.parse(hook)
            except HookUnreadable:
                assert place.count(".") < 1, f"{place} alone made the whole hook unreadable"
                continue
            except Exception as error:
                raise AssertionError(f"odd {place} raised {error!r}") from error
            for item in items:
                assert_well_formed(item)
            if alone := siblings(case.hook, place):
                others = connector.parse(replace(case.hook, body=alone))
                lost = identities(others) - identities(items)
                assert not lost, f"odd {place} lost {lost}"

    async def garbage(self, body: bytes) -> None:
        connector = self.offline()
        hook = self.sign(Hook("POST", HOOK_URL, "", {}, body, RECEIVED_AT))
        connector.check(hook)
        try:
            items = connector.parse(hook)
        except HookUnreadable:
            return
        assert items, "garbage was dropped without a trace"
        assert all(isinstance(item, Unreadable) for item in items)

    async def sends(self, case: Sends) -> None:
        async with running(case.reply) as provider:
            sent, error = await self.send(case, provider.url)
        assert len(provider.requests) == 1, "send makes exactly one provider call"
        if case.expect is not ANY:
            case.expect.compare(provider.requests[0])
        if case.fails is None:
            assert error is None
            assert sent == case.sent
        else:
            assert_same_failure(error, case.fails)

    async def fault(self, case: Sends, behaviour: Behaviour, expected: SendFailed) -> None:
        async with running(behaviour) as provider:
            patience = 0.5 if behaviour == "hang" else 10.0
            _, error = await self.send(case, provider.url, patience)
        assert len(provider.requests) == 1
        assert_same_failure(error, expected)

    async def refused(self, case: Sends) -> None:
        with closed_port() as url:
            _, error = await self.send(case, url)
        assert_same_failure(error, NotReached())

    async def send(
        self, case: Sends, url: str, patience: float = 10.0
    ) -> tuple[str | None, SendFailed | None]:
        async with aiohttp.ClientSession() as session:
            connector = self.make(Http(session, patience), url)
            try:
                with self.discreet(case.message.text):
                    return (await connector.send(case.outbound())).external_id, None
            except SendFailed as error:
                return None, error


def describe(record: logging.LogRecord) -> str:
    trace = "".join(traceback.format_exception(record.exc_info[1])) if record.exc_info else ""
    return f"{record.getMessage()} {trace}"


def assert_same_failure(error: SendFailed | None, expected: SendFailed | type[SendFailed]) -> None:
    """The same type, and the same of what the expected one gives."""
    if isinstance(expected, type):
        assert type(error) is expected
        return
    assert type(error) is type(expected), error
    assert error.retry_in == expected.retry_in
    assert not expected.code or error.code == expected.code
    assert getattr(error, "new_id", None) == getattr(expected, "new_id", None)
