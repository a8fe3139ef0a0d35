"""The web-chat connector: one frame in, identities by the sheet's vectors, origins."""

import base64
import hashlib
import hmac
from dataclasses import replace
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from connectors.webchat import WebChat, hmac_hex, seal
from hub.clock import SECOND, id_text, new_id
from hub.connector import ChannelRef, Hook, Http
from hub.message import (
    Address,
    Alias,
    Choice,
    Inbound,
    Message,
    Outbound,
    Profile,
    Referral,
    ReplyTo,
    Sent,
)
from hub.signal import ReadByCustomer, Typing, Unreadable
from tests.connectors.kit import RECEIVED_AT, Receives, connector_test, json_hook, with_headers

SECRET = "site-secret-demo"
JWT = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
    "eyJzdWIiOiJ1c2VyLTQyIiwiYXVkIjoic2l0ZV9kZW1vIiwiaWF0IjoxNzk1MTc2MDAwLCJleHAiOjE3OTUxNzYzMDB9."
    "HgwdWJNwWDA0Y1twuasAWpTc7KKTPvEqtgEskHKD-Ec"
)
MADE = 1_795_176_000
NOW = (MADE + 10) * SECOND


def make(http: Http, api_base: str = "", **settings: Any) -> WebChat:
    channel = ChannelRef(bytes(16), "site", "webchat", "https://hub.example/hooks/site")
    given = {"site": "site_demo", "identity": "optional", "identity_secret": SECRET, **settings}
    return WebChat(channel, WebChat.Settings.model_validate({"kind": "webchat", **given}), http)


def sign(hook: Hook) -> Hook:
    return with_headers(hook, {"x-onethread-frame": seal(hook.body)})


def frame(visitor: dict[str, Any] | None = None, **fields: Any) -> Hook:
    return json_hook({"visitor": {"id": "v_1", **(visitor or {})}, "frame": fields})


def says(text: str = "", **parts: Any) -> Inbound:
    extra = {name: parts.pop(name) for name in ("sender", "key") if name in parts}
    sender = extra.get("sender", "v_1")
    key = extra.get("key", f"{sender}:c1")
    message = parts.pop("message", None) or Message.of(text)
    profile = parts.pop("profile", Profile())
    return Inbound(
        "site_demo",
        sender,
        key,
        key,
        message,
        RECEIVED_AT,
        client_id="c1",
        profile=profile,
        **parts,
    )


FAMILY = "নমস্কার 👩‍👩‍👧 ক্ষ"
REFUSED: dict[str, dict[str, Any]] = {
    "nothing said": {"client_id": "c1", "text": " \x00\n"},
    "one too many": {"client_id": "c1", "text": "x" * 10_001},
    "no client id": {"text": "hi"},
    "a client id with a space": {"client_id": "a b", "text": "hi"},
    "a tap on nothing": {"client_id": "c1", "text": "hi", "action": {"id": ""}},
}
CASES = [
    Receives("text", frame(type="message", client_id="c1", text="hi"), [says("hi")]),
    Receives("joiners kept", frame(type="message", client_id="c1", text=FAMILY), [says(FAMILY)]),
    Receives(
        "cleaned",
        frame(type="message", client_id="c1", text="  a\r\nb\rc\x00\x07\td\x7f \n"),
        [says("a\nb\nc\td")],
    ),
    Receives(
        "html is text",
        frame(type="message", client_id="c1", text="<img src=x onerror=alert(1)>"),
        [says("<img src=x onerror=alert(1)>")],
    ),
    Receives(
        "a tap",
        frame(type="message", client_id="c1", text="Yes", action={"id": "b1"}),
        [says(message=Message.of("Yes", choice=Choice(type="button", id="b1", title="Yes")))],
    ),
    Receives(
        "a quote",
        frame(type="message", client_id="c1", text="this", reply_to="m1"),
        [says("this", reply_to=ReplyTo(external_id="m1"))],
    ),
    Receives(
        "10,000 code points",
        frame(type="message", client_id="c1", text="ক" * 10_000),
        [says("ক" * 10_000)],
    ),
    Receives(
        "a verified user",
        frame(
            {
                "id": "user:site_demo:42",
                "also": ["v_1"],
                "user_id": "42",
                "verified": True,
                "email": "a@b.example",
                "phone": "+8801711000001",
                "name": "Tania",
                "timezone": "Asia/Dhaka",
                "traits": {"page": "https://shop.example/"},
                "referral": {"source": "webchat", "utm": {"source": "ad"}},
            },
            type="message",
            client_id="c1",
            text="hi",
        ),
        [
            says(
                "hi",
                sender="user:site_demo:42",
                key="v_1:c1",
                also=("v_1",),
                referral=Referral(source="webchat", utm={"source": "ad"}),
                aliases=(
                    Alias("external", "site_demo:42", verified=True),
                    Alias("phone", "+8801711000001", verified=True),
                    Alias("email", "a@b.example", verified=False),
                ),
                profile=Profile(
                    name="Tania",
                    timezone="Asia/Dhaka",
                    traits={"page": "https://shop.example/"},
                ),
            )
        ],
    ),
    Receives(
        "a claim proves nothing",
        frame(
            {"user_id": "42", "phone": "+8801711000001"}, type="message", client_id="c1", text="hi"
        ),
        [says("hi", aliases=(Alias("external", "site_demo:42", verified=False),))],
    ),
    Receives("typing", frame(type="typing", on=True), [Typing("site_demo", "v_1", RECEIVED_AT)]),
    Receives(
        "read",
        frame(type="read", external_id="m9"),
        [ReadByCustomer("site_demo", "v_1", RECEIVED_AT, external_id="m9")],
    ),
    Receives("an unknown type", frame(type="dance"), []),
    *(
        Receives(name, frame(type="message", **said), [Unreadable("site_demo", "invalid_message")])
        for name, said in REFUSED.items()
    ),
]
test_webchat = connector_test(make, CASES, sign=sign)


async def test_send_answers_at_once_with_the_messages_own_id() -> None:
    id = new_id()
    site = make(Http(None))  # type: ignore[arg-type]  # there is no call to make
    out = Outbound(id, Address("site_demo", "v_1"), Message.of("hi"), "m-1")
    assert await site.send(out) == Sent(id_text(id))


def test_a_frame_of_another_visitor_cannot_be_forged_from_outside() -> None:
    site = make(Http(None))  # type: ignore[arg-type]  # makes no calls
    hook = site.frame_hook({"id": "v_1"}, {"type": "message", "client_id": "c", "text": "x"}, NOW)
    site.check(hook)
    forged = replace(hook, body=hook.body.replace(b"v_1", b"v_2"))
    with pytest.raises(Exception, match="not a frame"):
        site.check(forged)


def identify(**claims: Any) -> tuple[str, bool]:
    who = make(Http(None)).identify(claims, NOW)  # type: ignore[arg-type]  # makes no calls
    return who.user_id, who.verified


def jwt(payload: bytes | dict[str, Any], key: str = SECRET, alg: str = "HS256") -> str:
    head = orjson.dumps({"alg": alg, "typ": "JWT"})
    raw = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    parts = [base64.urlsafe_b64encode(p).rstrip(b"=") for p in (head, raw)]
    signature = hmac.digest(key.encode(), b".".join(parts), hashlib.sha256)
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


GOOD = {"sub": "user-42", "aud": "site_demo", "iat": MADE, "exp": MADE + 300}


def test_the_sheets_vectors() -> None:
    hashed = "bd33b55b93c776005f04740b23c7a6b44111d835aca27545c6e904e7bc451392"
    assert hmac_hex(SECRET, "user-42") == hashed
    assert identify(user_id="user-42", user_hash=hashed) == ("user-42", True)
    assert jwt(GOOD) == JWT
    assert identify(jwt=JWT) == ("user-42", True)


@pytest.mark.parametrize(
    ("user_id", "user_hash"),
    [
        ("user-42", hmac_hex("another-secret", "user-42")),
        ("user-42", hmac_hex(SECRET, "user-42").upper()),
        ("user-42", hmac_hex(SECRET, "a@b.example")),
        ("user-43", hmac_hex(SECRET, "user-42")),
        ("user-42", hmac_hex("", "user-42")),
        ("user-42", ""),
        ("user-42", None),
        ("user-42", ["x"]),
        ("user-42", "ü" * 64),
        ("", hmac_hex(SECRET, "")),
    ],
)
def test_a_wrong_hash_proves_nothing(user_id: str, user_hash: Any) -> None:
    assert identify(user_id=user_id, user_hash=user_hash) == (user_id, False)


@pytest.mark.parametrize(
    "token",
    [
        jwt(GOOD, alg="none"),
        jwt(GOOD, alg="RS256"),
        jwt(GOOD, alg="HS512"),
        JWT.rpartition(".")[0] + ".",
        JWT.rpartition(".")[0],
        JWT[:-2] + "AA",
        JWT + "=",
        JWT + ".x",
        jwt(GOOD, key="another-secret"),
        jwt(GOOD, key=""),
        jwt({**GOOD, "exp": MADE - 51}),
        jwt({**GOOD, "exp": MADE + 3 * 86400}),
        jwt({**GOOD, "exp": True}),
        jwt({**GOOD, "exp": "soon"}),
        jwt({**GOOD, "iat": MADE + 71}),
        jwt({**GOOD, "nbf": MADE + 71}),
        jwt({**GOOD, "aud": "another_site"}),
        jwt({**GOOD, "aud": ["another_site"]}),
        jwt({**GOOD, "sub": ""}),
        jwt({**GOOD, "sub": 42}),
        jwt({**GOOD, "sub": "x" * 256}),
        *(
            jwt({k: v for k, v in GOOD.items() if k != missing})
            for missing in ("exp", "aud", "sub")
        ),
        jwt(b'{"sub":"eve","sub":"user-42","aud":"site_demo","exp":%d}' % (MADE + 300)),
        jwt(b"[]"),
        jwt(b"\xff"),
        "x" * 9000,
        "...",
    ],
)
def test_a_wrong_token_proves_nothing(token: str) -> None:
    assert identify(jwt=token, user_id="user-42") == ("user-42", False)


@pytest.mark.parametrize(
    "payload",
    [
        {**GOOD, "exp": MADE - 49},
        {**GOOD, "iat": MADE + 69},
        {**GOOD, "aud": ["other", "site_demo"]},
        {**GOOD, "exp": MADE + 86400},
    ],
)
def test_a_minutes_skew_and_a_day_are_allowed(payload: dict[str, Any]) -> None:
    assert identify(jwt=jwt(payload)) == ("user-42", True)


def test_two_secrets_while_they_are_exchanged_and_none_when_identity_is_off() -> None:
    both = make(Http(None), identity_secret=["new-secret-1", SECRET])  # type: ignore[arg-type]
    assert both.identify({"jwt": JWT}, NOW).verified
    off = make(Http(None), identity="off")  # type: ignore[arg-type]  # makes no calls
    assert not off.identify({"jwt": JWT}, NOW).verified
    none = make(Http(None), identity_secret=[])  # type: ignore[arg-type]  # makes no calls
    assert not none.identify({"jwt": JWT}, NOW).verified


def test_a_phone_counts_only_when_signed_and_well_formed() -> None:
    site = make(Http(None))  # type: ignore[arg-type]  # makes no calls
    signed = jwt({**GOOD, "phone": "+8801711000001"})
    assert site.identify({"jwt": signed, "phone": "+15550000000"}, NOW).phone == "+8801711000001"
    assert site.identify({"jwt": jwt({**GOOD, "phone": "01711"})}, NOW).phone == ""
    hashed = {"user_id": "u", "user_hash": hmac_hex(SECRET, "u"), "phone": "+8801711000001"}
    assert site.identify(hashed, NOW).phone == ""


ORIGINS = ["https://shop.example", "https://*.example.com", "http://localhost:3000"]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://shop.example", True),
        ("HTTPS://SHOP.EXAMPLE", True),
        ("https://a.example.com", True),
        ("https://a.b.example.com", True),
        ("http://localhost:3000", True),
        ("https://example.com", False),
        ("https://evil-example.com", False),
        ("https://shop.example.evil.test", False),
        ("https://example.com.evil.test", False),
        ("http://shop.example", False),
        ("https://shop.example:8443", False),
        ("https://a.example.com:8443", False),
        ("http://a.example.com", False),
        ("https://.example.com", False),
        ("https://evil.test/.example.com", False),
        ("https://evil.test@a.example.com", False),
        ("http://localhost:3001", False),
        ("null", False),
        ("", False),
    ],
)
def test_origins(origin: str, allowed: bool) -> None:
    site = make(Http(None), allowed_origins=ORIGINS)  # type: ignore[arg-type]  # makes no calls
    assert site.allows_origin(origin) is allowed


def test_any_origin_but_the_nameless_one() -> None:
    site = make(Http(None), allowed_origins=["*"])  # type: ignore[arg-type]  # makes no calls
    assert site.allows_origin("https://anything.test")
    assert not site.allows_origin("null")


@pytest.mark.parametrize(
    "settings",
    [
        {"allowed_origins": ["shop.example"]},
        {"allowed_origins": ["https://shop.example/"]},
        {"allowed_origins": ["null"]},
        {"site": "a b"},
        {"identity_secret": ["short"]},
        {"identity_secret": ["secret-one", "secret-two", "secret-three"]},
        {"identity": "maybe"},
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make(Http(None), **settings)  # type: ignore[arg-type]  # makes no calls
