"""Twilio's limits, codes and segments, each row at the edge or just past it."""

from typing import Any

import pytest

from connectors.sandbox.segments import count_segments
from connectors.sandbox.twilio_rules import opt_out_word
from tests.sandbox.calls import RIMA, SENDER, Twilio

TO = {"To": f"+{RIMA}"}
FROM = {"From": SENDER}
OK = {**TO, **FROM}
URL = "https://cdn.example.test/a.png"
TABLE: list[tuple[str, Any, int | None]] = [
    ("body of 1600", {**OK, "Body": "অ" * 1600}, None),
    ("body of 1601", {**OK, "Body": "x" * 1601}, 21617),
    ("no body", OK, 21602),
    ("empty body", {**OK, "Body": ""}, 21602),
    ("no To", {**FROM, "Body": "x"}, 21604),
    ("no From", {**TO, "Body": "x"}, 21603),
    ("To without a plus", {**FROM, "To": RIMA, "Body": "x"}, 21211),
    ("To of letters", {**FROM, "To": "+88abc", "Body": "x"}, 21211),
    ("From of someone else", {**TO, "From": "+15559999", "Body": "x"}, 21606),
    ("From of an unknown WhatsApp sender", {**TO, "From": "whatsapp:+1555", "Body": "x"}, 63007),
    ("unknown messaging service", {**TO, "MessagingServiceSid": "MG1", "Body": "x"}, 21701),
    ("To on another channel", {**FROM, "To": f"whatsapp:+{RIMA}", "Body": "x"}, 21910),
    ("To is From", {**FROM, "To": SENDER, "Body": "x"}, 21266),
    ("ten media", [*OK.items(), *[("MediaUrl", URL)] * 10], None),
    ("eleven media", [*OK.items(), *[("MediaUrl", URL)] * 11], 21623),
    ("media that is no URL", {**OK, "MediaUrl": "a.png"}, 21620),
    ("callback that is no URL", {**OK, "Body": "x", "StatusCallback": "here"}, 21609),
    ("unknown content template", {**OK, "ContentSid": "HX1"}, 21655),
    ("validity of 36000", {**OK, "Body": "x", "ValidityPeriod": "36000"}, None),
    ("validity of 36001", {**OK, "Body": "x", "ValidityPeriod": "36001"}, 20001),
    ("test To, invalid", {**FROM, "To": "+15005550001", "Body": "x"}, 21211),
    ("test To, not mobile", {**FROM, "To": "+15005550009", "Body": "x"}, 21614),
    ("test To, blocklisted", {**FROM, "To": "+15005550004", "Body": "x"}, 21610),
    ("test From", {**TO, "From": "+15005550006", "Body": "x"}, None),
]


@pytest.mark.parametrize(("name", "form", "code"), TABLE, ids=[row[0] for row in TABLE])
async def test_limit(sms: Twilio, name: str, form: Any, code: int | None) -> None:
    answer = await sms.send(form)
    assert answer.content.get("code") == code
    assert answer.status == (201 if code is None else 400)
    if code is not None:
        assert set(answer.content) == {"code", "message", "more_info", "status"}
        assert sms.sandbox.log()[-1].code == code
        assert sms.sandbox.shown(RIMA) == []


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("x" * 160, 1),
        ("x" * 161, 2),
        ("x" * 306, 2),
        ("x" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("x" * 152 + "€" + "x" * 7, 2),
        ("x" * 152 + "€" + "x" * 152, 3),
        ("@£$ÆÇñà§¿", 1),
        ("ক" * 70, 1),
        ("ক" * 71, 2),
        ("ক" * 134, 2),
        ("ক" * 135, 3),
        ("ক" * 3000, 45),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("ক" * 66 + "😀" + "ক" * 66, 3),
        ("x" * 70 + "ç", 2),
        ("x" * 70 + "`", 2),
        ("x" * 70 + "’", 2),
        ("x" * 70 + "\t", 2),
    ],
)
async def test_segments(text: str, segments: int) -> None:
    assert count_segments(text) == segments


async def test_segments_are_told_in_the_answer(sms: Twilio) -> None:
    assert (await sms.say("x" * 161)).content["num_segments"] == "2"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("stop", "STOP"),
        (" Stopall ", "STOP"),
        ("OPTOUT", "STOP"),
        ("revoke", "STOP"),
        ("please stop", None),
        ("Unstop", "START"),
        ("yes", "START"),
        ("info", "HELP"),
        ("থামুন", None),
    ],
)
def test_opt_out_words(text: str, word: str | None) -> None:
    assert opt_out_word(text) == word
