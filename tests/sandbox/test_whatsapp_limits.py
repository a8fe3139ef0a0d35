"""WhatsApp's limits, each row at the edge or just past it."""

from collections.abc import Sequence
from typing import Any

import pytest

from connectors.sandbox.media import Media
from connectors.sandbox.refusal import Refusal
from connectors.sandbox.whatsapp_rules import MEGABYTE, check_message, check_upload
from tests.sandbox.calls import RIMA, WhatsApp, text

STORED = {
    id: Media(id, "1", "x", mime, content, float("inf"))
    for id, mime, content in (
        ("png", "image/png", b"x"),
        ("ogg", "audio/ogg; codecs=opus", b"x"),
        ("gif", "image/gif", b"x"),
        ("big", "image/jpeg", bytes(5 * MEGABYTE + 1)),
        ("webp", "image/webp", bytes(100 * 1024)),
        ("fat-webp", "image/webp", bytes(100 * 1024 + 1)),
        ("moving-webp", "image/webp", b"RIFF1234WEBPVP8X1234\x02".ljust(400 * 1024, b"\0")),
    )
}


def send(kind: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"messaging_product": "whatsapp", "to": RIMA, "type": kind, kind: content, **more}


def buttons(*pairs: tuple[str, str], body: str = "Which?", **more: Any) -> dict[str, Any]:
    offered = [{"type": "reply", "reply": {"id": id, "title": title}} for id, title in pairs]
    form = {"type": "button", "body": {"text": body}, "action": {"buttons": offered}, **more}
    return send("interactive", form)


def rows(count: int, **changes: Any) -> list[dict[str, Any]]:
    return [{"id": f"row-{n}", "title": f"Row {n}", **changes} for n in range(count)]


def sections(
    *parts: Sequence[Any], titles: bool = True, button: str = "Open", body: str = "Pick"
) -> dict[str, Any]:
    listed = []
    for index, part in enumerate(parts):
        section: dict[str, Any] = {"rows": list(part)}
        if titles:
            section["title"] = f"Part {index}"
        listed.append(section)
    action = {"button": button, "sections": listed}
    return send("interactive", {"type": "list", "body": {"text": body}, "action": action})


def card(name: str = "Rima", **part: str) -> dict[str, Any]:
    return {"name": {"formatted_name": name, **(part or {"first_name": name})}}


def template(*parameters: dict[str, Any]) -> dict[str, Any]:
    components = [{"type": "body", "parameters": list(parameters)}]
    return send("template", {"name": "t", "language": {"code": "bn"}, "components": components})


A, B, C, D = ("a", "A"), ("b", "B"), ("c", "C"), ("d", "D")
PLACE = {"latitude": 23.78, "longitude": 90.41}
TABLE: list[tuple[str, dict[str, Any], int | None]] = [
    ("text of 4096", text("অ" * 4096), None),
    ("text of 4097", text("x" * 4097), 100),
    ("empty text", text(""), 100),
    ("text that is no string", send("text", {"body": 5}), 100),
    ("no text object", {"messaging_product": "whatsapp", "to": RIMA, "type": "text"}, 131008),
    ("no messaging_product", {"to": RIMA, "text": {"body": "x"}}, 100),
    ("unknown type", send("poem", {}), 100),
    ("callback data of 512", text("x", biz_opaque_callback_data="x" * 512), None),
    ("callback data of 513", text("x", biz_opaque_callback_data="x" * 513), 131009),
    ("three buttons", buttons(A, B, C), None),
    ("no buttons", buttons(), 131009),
    ("four buttons", buttons(A, B, C, D), 131009),
    ("button title of 20", buttons(("a", "x" * 20)), None),
    ("button title of 21", buttons(("a", "x" * 21)), 131009),
    ("empty button title", buttons(("a", "")), 131009),
    ("same button titles", buttons(A, ("b", "A")), 131009),
    ("same button ids", buttons(A, ("a", "B")), 131009),
    ("button id of 256", buttons(("x" * 256, "A")), None),
    ("button id of 257", buttons(("x" * 257, "A")), 131009),
    ("button id with a space", buttons((" a", "A")), 131009),
    ("button body of 1024", buttons(A, body="x" * 1024), None),
    ("button body of 1025", buttons(A, body="x" * 1025), 131009),
    ("footer of 60", buttons(A, footer={"text": "x" * 60}), None),
    ("footer of 61", buttons(A, footer={"text": "x" * 61}), 131009),
    ("header of 60", buttons(A, header={"type": "text", "text": "x" * 60}), None),
    ("header of 61", buttons(A, header={"type": "text", "text": "x" * 61}), 131009),
    ("header picture", buttons(A, header={"type": "image", "image": {"id": "png"}}), None),
    ("ten rows in two sections", sections(rows(5), [{**r, "id": r["id"] + "b"} for r in rows(5)])
     , None),
    ("eleven rows in two sections",
     sections(rows(5), [{**r, "id": r["id"] + "b"} for r in rows(6)]), 131009),
    ("no rows", sections([]), 131009),
    ("eleven sections", sections(*[[{"id": str(n), "title": "x"}] for n in range(11)]), 131009),
    ("one section without a title", sections(rows(2), titles=False), None),
    ("two sections without titles",
     sections(rows(1), [{"id": "z", "title": "Z"}], titles=False), 131008),
    ("row title of 24", sections(rows(1, title="x" * 24)), None),
    ("row title of 25", sections(rows(1, title="x" * 25)), 131009),
    ("row description of 72", sections(rows(1, description="x" * 72)), None),
    ("row description of 73", sections(rows(1, description="x" * 73)), 131009),
    ("row id of 200", sections(rows(1, id="x" * 200)), None),
    ("row id of 201", sections(rows(1, id="x" * 201)), 131009),
    ("same row ids", sections(rows(2, id="x")), 131009),
    ("list button of 20", sections(rows(1), button="x" * 20), None),
    ("list button of 21", sections(rows(1), button="x" * 21), 131009),
    ("list body of 4096", sections(rows(1), body="x" * 4096), None),
    ("list body of 4097", sections(rows(1), body="x" * 4097), 131009),
    ("caption of 1024", send("image", {"id": "png", "caption": "x" * 1024}), None),
    ("caption of 1025", send("image", {"id": "png", "caption": "x" * 1025}), 100),
    ("audio with a caption", send("audio", {"id": "ogg", "caption": "x"}), 100),
    ("sticker with a caption", send("sticker", {"id": "webp", "caption": "x"}), 100),
    ("voice note", send("audio", {"id": "ogg", "voice": True}), None),
    ("neither id nor link", send("image", {}), 100),
    ("both id and link", send("image", {"id": "png", "link": "https://x.test/a.png"}), 100),
    ("link that is no URL", send("image", {"link": "a.png"}), 100),
    ("unknown media id", send("image", {"id": "nowhere"}), 100),
    ("gif as an image", send("image", {"id": "gif"}), 131053),
    ("gif as a document", send("document", {"id": "gif", "filename": "a.gif"}), None),
    ("image past 5 MB", send("image", {"id": "big"}), 131053),
    ("sticker of 100 KB", send("sticker", {"id": "webp"}), None),
    ("sticker past 100 KB", send("sticker", {"id": "fat-webp"}), 131053),
    ("moving sticker of 400 KB", send("sticker", {"id": "moving-webp"}), None),
    ("location", send("location", PLACE), None),
    ("location without longitude", send("location", {"latitude": 1}), 131008),
    ("location off the globe", send("location", {**PLACE, "latitude": 91}), 131009),
    ("257 contacts", send("contacts", [card()] * 257), None),
    ("258 contacts", send("contacts", [card()] * 258), 131009),
    ("contact without a name part", send("contacts", [card(prefix="Dr")]), 131008),
    ("reaction taken off", send("reaction", {"message_id": "wamid.x", "emoji": ""}), None),
    ("reaction to nothing", send("reaction", {"emoji": "👍"}), 131008),
    ("link button",
     send("interactive", {"type": "cta_url", "body": {"text": "x"}, "action": {
         "name": "cta_url", "parameters": {"display_text": "Go", "url": "https://x.test"}}}), None),
    ("link button of 21",
     send("interactive", {"type": "cta_url", "body": {"text": "x"}, "action": {
         "name": "cta_url", "parameters": {"display_text": "x" * 21, "url": "https://x.test"}}}),
     131009),
    ("template", template({"type": "text", "text": "Rima"}), None),
    ("template parameter with a new line", template({"type": "text", "text": "a\nb"}), 132012),
    ("template parameter with 5 spaces", template({"type": "text", "text": "a     b"}), 132012),
    ("template payload of 257", template({"type": "payload", "payload": "x" * 257}), 131009),
    ("template without a language", send("template", {"name": "t"}), 131008),
]  # fmt: skip


@pytest.mark.parametrize(("name", "body", "code"), TABLE, ids=[row[0] for row in TABLE])
def test_limit(name: str, body: dict[str, Any], code: int | None) -> None:
    found = None
    try:
        check_message(body, STORED.get)
    except Refusal as refusal:
        found = refusal.code
    assert found == code


@pytest.mark.parametrize(
    ("mime", "size", "kind"),
    [
        ("image/jpeg", 5 * MEGABYTE, "image"),
        ("image/jpeg", 5 * MEGABYTE + 1, None),
        ("video/mp4", 16 * MEGABYTE, "video"),
        ("video/mp4", 16 * MEGABYTE + 1, None),
        ("audio/ogg; codecs=opus", 16 * MEGABYTE + 1, None),
        ("image/webp", 500 * 1024, "sticker"),
        ("image/webp", 500 * 1024 + 1, None),
        ("application/pdf", 100 * MEGABYTE, "document"),
        ("application/pdf", 100 * MEGABYTE + 1, None),
        ("application/pdf", 0, None),
        ("nonsense", 1, None),
    ],
)
def test_upload_limit(mime: str, size: int, kind: str | None) -> None:
    if kind is None:
        with pytest.raises(Refusal):
            check_upload(mime, size)
    else:
        assert check_upload(mime, size) == kind


async def test_a_broken_limit_is_answered_as_meta_does(wa: WhatsApp) -> None:
    await wa.hears()
    answer = await wa.send(buttons(A, B, C, D))
    error = answer.content["error"]
    assert answer.status == 400
    assert (error["code"], error["type"]) == (131009, "OAuthException")
    assert "buttons count" in error["error_data"]["details"]
    assert error["fbtrace_id"]
    assert [call.code for call in wa.sandbox.log()] == [131009]
    assert len(wa.sandbox.shown(RIMA)) == 1
