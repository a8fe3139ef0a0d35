"""The WhatsApp stand-in holds a template's send to what was approved, and lists the templates."""

from typing import Any

import pytest

from tests.sandbox.calls import PHONE_NUMBER_ID, RIMA, WhatsApp
from tests.sandbox.hook import Hook

SHIPPED = {
    "name": "shipped",
    "header": "Order {{no}}",
    "body": "{{who}}, it comes {{day}}.",
    "footer": "The shop",
    "buttons": [
        {"type": "URL", "text": "See it", "url": "https://shop.example/{{1}}"},
        {"type": "QUICK_REPLY", "text": "Help"},
    ],
}
PICTURE = {"name": "picture", "header_format": "IMAGE", "body": "Look"}
NAMES = {"no": "17", "who": "Rima", "day": "today"}


def named(*names: str) -> list[dict[str, str]]:
    return [{"type": "text", "parameter_name": name, "text": NAMES.get(name, "")} for name in names]


def part(kind: str, *parameters: Any) -> dict[str, Any]:
    return {"type": kind, "parameters": list(parameters)}


def button(index: int, sub_type: str, **parameter: str) -> dict[str, Any]:
    return {**part("button", parameter), "sub_type": sub_type, "index": str(index)}


HEADER, BODY = part("header", *named("no")), part("body", *named("day", "who"))
PAGE = button(0, "url", type="text", text="17")
HELP = button(1, "quick_reply", type="payload", payload="help:17")
LINK = {"type": "image", "image": {"link": "https://shop.example/1.jpg"}}


@pytest.fixture
def shop(wa: WhatsApp) -> WhatsApp:
    templates = [
        SHIPPED,
        PICTURE,
        *({"name": "t", "language": "bn", "body": "x", "status": s} for s in ("PAUSED",)),
        {"name": "gone", "body": "x", "status": "DISABLED"},
        {"name": "new", "body": "x", "status": "PENDING"},
    ]
    wa.sandbox.add_account({**wa.sandbox.account(None).model_dump(), "templates": templates})
    return wa


async def code(wa: WhatsApp, name: str, *components: Any, language: str = "en") -> int | None:
    template = {"name": name, "language": {"code": language}, "components": list(components)}
    answer = await wa.send(
        {"messaging_product": "whatsapp", "to": RIMA, "type": "template", "template": template}
    )
    return answer.code


async def test_a_whole_one_is_shown_whole(shop: WhatsApp) -> None:
    assert await code(shop, "shipped", HEADER, BODY, PAGE, HELP) is None
    shown = shop.sandbox.shown(RIMA)[-1]
    assert shown.text == "Order 17\n\nRima, it comes today.\n\nThe shop"
    assert shown.buttons == [
        {"id": "", "title": "See it", "url": "https://shop.example/17"},
        {"id": "help:17", "title": "Help"},
    ]
    assert await code(shop, "picture", part("header", LINK)) is None


@pytest.mark.parametrize(
    ("name", "components", "expected"),
    [
        ("shipped", (BODY, PAGE), 132000),
        ("shipped", (HEADER, part("body", *named("who")), PAGE), 132000),
        ("shipped", (HEADER, part("body", *named("who", "when")), PAGE), 131009),
        ("shipped", (HEADER, part("body", *({"type": "text", "text": "x"},) * 2), PAGE), 132012),
        ("shipped", (HEADER, BODY), 131008),
        ("shipped", (HEADER, BODY, button(0, "url", type="payload", payload="x")), 132012),
        ("shipped", (HEADER, BODY, PAGE, button(2, "url", type="text", text="x")), 132018),
        ("shipped", (HEADER, BODY, BODY, PAGE), 131009),
        ("shipped", (HEADER, BODY, PAGE, part("footer")), 131009),
        ("picture", (), 132012),
        ("picture", (part("header", *named("no")),), 132012),
        ("gone", (), 132016),
        ("new", (), 132001),
        ("none", (), 132001),
    ],
)
async def test_what_does_not_fit_is_refused(
    shop: WhatsApp, name: str, components: tuple[Any, ...], expected: int
) -> None:
    assert await code(shop, name, *components) == expected


async def test_a_paused_one_is_refused(shop: WhatsApp) -> None:
    assert await code(shop, "t", language="bn") == 132015


async def listed(wa: WhatsApp, query: str = "", token: str = "token-1") -> tuple[int, Any]:
    waba = wa.sandbox.account(None).waba_id
    url = f"{wa.sandbox.base_url}/v25.0/{waba}/message_templates{query}"
    headers = {"Authorization": f"Bearer {token}"}
    async with wa.http.get(url, headers=headers) as response:
        return response.status, await response.json()


async def test_the_list_has_pages(shop: WhatsApp) -> None:
    names: list[str] = []
    after = ""
    for _ in range(3):
        _, page = await listed(shop, f"?limit=2&fields=name,quality_score{after}")
        names += [one["name"] for one in page["data"]]
        assert all(set(one) == {"id", "name", "quality_score"} for one in page["data"])
        after = f"&after={page['paging']['cursors']['after']}".replace("=", "%3D")
        after = after.replace("&after%3D", "&after=")
    assert names == ["shipped", "picture", "t", "gone", "new"]
    assert "next" not in page["paging"]
    assert (await listed(shop, "?after=x"))[0] == 400
    assert (await listed(shop, token="token-2"))[0] == 401


async def test_news_of_a_template_go_to_the_hook(shop: WhatsApp, hook: Hook) -> None:
    url = f"{shop.sandbox.base_url}/_sandbox/accounts/{PHONE_NUMBER_ID}/templates"
    news = {"name": "new", "status": "APPROVED", "quality": "RED"}
    async with shop.http.post(url, json=news) as response:
        assert await response.json() == {"webhooks": 2}
    await hook.wait(2)
    fields = [one.json["entry"][0]["changes"][0] for one in hook.deliveries]
    assert [one["field"] for one in fields] == [
        "message_template_status_update",
        "message_template_quality_update",
    ]
    assert fields[0]["value"]["event"] == "APPROVED"
    assert fields[1]["value"]["new_quality_score"] == "RED"
    assert "metadata" not in fields[0]["value"]
    assert await code(shop, "new") is None
    async with shop.http.post(url, json={"name": "unknown"}) as response:
        assert response.status == 400
