"""The kit itself: a sound connector passes, and each flaw is caught by the check meant for it."""

import hashlib
import hmac
import logging
from collections.abc import Callable
from typing import Any, ClassVar

import orjson
import pytest
from pydantic import SecretStr

from hub.connector import ChannelRef, ChannelSettings, Connector, Hook, Http, Limits
from hub.errors import Blocked, Busy, HookRejected, HookUnreadable, OutcomeUnknown, Unreachable
from hub.message import Inbound, Message, Outbound, Sent
from hub.signal import Parsed, Unreadable
from tests.connectors.kit import (
    CORRELATION,
    HOOK_URL,
    RECEIVED_AT,
    Case,
    Receives,
    Sends,
    connector_test,
    json_hook,
    ok,
    post,
    status,
    with_headers,
)

SECRET = "s3cret-of-toy"


class Toy(Connector):
    """The smallest sound connector; each flaw in `flaws` makes it unsound in one way."""

    class Settings(ChannelSettings):
        token: SecretStr

    limits: ClassVar[Limits] = Limits(text=100)
    flaws: frozenset[str] = frozenset()

    @classmethod
    def account(cls, settings: Any) -> str:
        return "toy"

    def secrets(self) -> tuple[str, ...]:
        return (SECRET,)

    def check(self, hook: Hook) -> None:
        signature = hook.headers.get("x-toy", "")
        if "unsigned" in self.flaws and not signature:
            return
        if "blind" in self.flaws and signature.isascii() and len(signature) == 64:
            return
        wanted = hmac.new(SECRET.encode(), hook.body, hashlib.sha256).hexdigest()
        if "type error" in self.flaws:
            genuine = hmac.compare_digest(signature, wanted)
        else:
            genuine = hmac.compare_digest(signature.encode(), wanted.encode())
        if not genuine:
            raise HookRejected(SECRET if "tells" in self.flaws else "wrong signature")

    def parse(self, hook: Hook) -> list[Parsed]:
        try:
            payload = orjson.loads(hook.body)
            items = payload["items"]
        except (ValueError, KeyError, TypeError):
            if "garbage" in self.flaws:
                raise
            raise HookUnreadable("no items") from None
        if "logs" in self.flaws:
            logging.getLogger("toy").debug("parsing with %s", SECRET)
        if not isinstance(items, list):
            return [Unreadable("toy", "items is no list")]
        found = [self.item(item, hook) for item in items]
        if "gives up" in self.flaws and any(isinstance(item, Unreadable) for item in found):
            return [item for item in found if isinstance(item, Unreadable)]
        return found

    def item(self, item: Any, hook: Hook) -> Parsed:
        match item:
            case {"id": str(key), "from": str(sender), "text": str(text)} if key and sender:
                pass
            case _ if "nulls" in self.flaws:
                key, sender, text = item["id"], item["from"], item["text"].strip()
            case _:
                return Unreadable("toy", "an item without id, from or text")
        if "key" in self.flaws:
            key += str(hook.received_at)
        return Inbound("toy", sender, key, key, Message.of(text), RECEIVED_AT)

    async def send(self, out: Outbound) -> Sent:
        body = orjson.dumps({"to": out.to.external_id, "text": out.message.text})
        headers = {"Content-Type": "application/json"}
        url = self.settings.api_base + "/push"
        reply = await self.http.request("POST", url, headers=headers, body=body)
        if "twice" in self.flaws:
            reply = await self.http.request("POST", url, headers=headers, body=body)
        if "says" in self.flaws and reply.status != 200:
            raise Unreachable(reply.body.decode())
        if reply.status == 429:
            wait = reply.headers.get("Retry-After")
            raise Busy(retry_in=float(wait) if wait and "hasty" not in self.flaws else None)
        if reply.status >= 500:
            raise Unreachable(str(reply.status))
        if reply.status != 200:
            raise Blocked(code=str(reply.status))
        try:
            return Sent(orjson.loads(reply.body)["id"])
        except (ValueError, KeyError, TypeError):
            if "trusting" in self.flaws:
                return Sent("")
            raise OutcomeUnknown("no id") from None


def maker(*flaws: str) -> Callable[[Http, str], Connector]:
    def make(http: Http, api_base: str) -> Connector:
        channel = ChannelRef(bytes(16), "toy", "toy", HOOK_URL)
        settings = Toy.Settings(kind="toy", api_base=api_base, token=SecretStr(SECRET))
        toy = Toy(channel, settings, http)
        toy.flaws = frozenset(flaws)
        return toy

    return make


def sign(hook: Hook) -> Hook:
    digest = hmac.new(SECRET.encode(), hook.body, hashlib.sha256).hexdigest()
    return with_headers(hook, {"x-toy": digest})


ITEMS = json_hook({"items": [{"id": "1", "from": "rima", "text": "hello"}]})
TWO = json_hook(
    {"items": [{"id": "1", "from": "rima", "text": "hello"}, {"id": "2", "from": "a", "text": "b"}]}
)
HELLO = Inbound("toy", "rima", "1", "1", Message.of("hello"), RECEIVED_AT)
OTHER = Inbound("toy", "a", "2", "2", Message.of("b"), RECEIVED_AT)
CASES: list[Case] = [
    Receives("text", ITEMS, [HELLO]),
    Receives("two", TWO, [HELLO, OTHER]),
    Sends(
        "text",
        Message.of("good morning"),
        to="rima",
        expect=post("/push", json={"to": "rima", "text": "good morning"}),
        reply=ok({"id": "9"}),
        sent="9",
    ),
    Sends("throttled", Message.of("x"), reply=status(429, retry_after=3), fails=Busy(retry_in=3)),
    Sends("blocked", Message.of("x"), reply=status(403), fails=Blocked(code="403")),
]

test_sound = connector_test(maker(), CASES, sign=sign)


def checks(flaw: str, cases: list[Case]) -> dict[str, Callable[[], Any]]:
    """Every check the kit would run on a connector with this flaw, by name."""
    parametrised: Any = connector_test(maker(flaw), cases, sign=sign)
    mark = parametrised.pytestmark[0]
    return dict(zip(mark.kwargs["ids"], mark.args[1], strict=True))


@pytest.mark.parametrize(
    ("flaw", "caught_by"),
    [
        ("unsigned", ["signature of text"]),
        ("blind", ["signature of text"]),
        ("type error", ["signature of text"]),
        ("tells", ["signature of text"]),
        ("nulls", ["odd fields in text"]),
        ("gives up", ["odd fields in two"]),
        ("key", ["receives text"]),
        ("hasty", ["sends throttled", "fault 429"]),
        ("twice", ["sends text"]),
        ("says", ["fault 500"]),
        ("trusting", ["fault 200 and nothing", "fault 200 in html", "fault 200 without an id"]),
        ("garbage", ["garbage b'{'"]),
        ("logs", ["receives text"]),
    ],
)
async def test_a_flaw_is_caught(flaw: str, caught_by: list[str]) -> None:
    flawed = checks(flaw, CASES)
    for name in caught_by:
        with pytest.raises((Exception, pytest.fail.Exception)):
            await flawed[name]()


@pytest.mark.parametrize(
    "case",
    [
        Receives("text", ITEMS, []),
        Sends("text", Message.of("hi"), expect=post("/push", json={}), reply=ok({"id": "9"})),
        Sends("text", Message.of("hi"), expect=post("/other"), reply=ok({"id": "9"}), sent="9"),
        Sends("text", Message.of("hi"), reply=ok({"id": "9"}), sent="8"),
        Sends("text", Message.of("hi"), reply=ok({"id": "9"}), fails=Blocked),
        Sends("text", Message.of("hi"), reply=status(403), fails=Blocked(code="404")),
        Sends("text", Message.of(CORRELATION), reply=status(403), sent="9"),
    ],
)
async def test_a_wrong_expectation_fails(case: Case) -> None:
    with pytest.raises(AssertionError):
        await next(iter(checks("", [case]).values()))()
