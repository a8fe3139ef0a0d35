"""An agent sends one message of each hard sort on every channel: the preview says what is sent,
the provider takes each part, and all of it is shown. A new channel is one more of `LINES`."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from connectors.sandbox import twilio, whatsapp
from connectors.sandbox.media import make_content
from hub.message import Message
from hub.store.schema import messages
from tests.hub.hosts import Server, serve
from tests.hub.test_hard_sorts import LINES, META, Line, bare
from tests.running import House, running_hub
from tests.sorts import CAPTION, LONG, options

HER = "8801711000077"
ALL = {**LINES, "webchat": Line("site")}
FILES = {
    "/a.png": (make_content("image/png"), "image/png"),
    "/v.ogg": (make_content("audio/ogg"), "audio/ogg"),
    "/big.pdf": (make_content("application/pdf", 30 * 2**20), "application/pdf"),
}
SORTS: dict[str, dict[str, Any]] = {
    "five": {"text": "কোনটা চান?", "buttons": 5},
    "twelve": {"text": "কোনটা চান?", "buttons": 12},
    "picture": {"text": CAPTION, "media": [{"kind": "image", "url": "/a.png"}]},
    "long": {"text": LONG},
    "voice": {"media": [{"kind": "voice", "url": "/v.ogg", "mime": "audio/ogg"}]},
    "file": {"media": [{"kind": "file", "url": "/big.pdf", "name": "bill.pdf"}]},
}


async def hand_out(request: web.Request) -> web.StreamResponse:
    content, mime = FILES[request.path]
    return web.Response(body=content, headers={"Content-Type": mime})


@pytest_asyncio.fixture
async def files() -> AsyncIterator[Server]:
    async with serve(hand_out) as server:
        yield server


def body_of(sort: str, files: Server) -> dict[str, Any]:
    body = dict(SORTS[sort])
    if "media" in body:
        body["media"] = [{**one, "url": files.url(one["url"])} for one in body["media"]]
    if "buttons" in body:
        given = options(body["buttons"])
        body["buttons"] = [{"id": one.id, "title": one.title} for one in given]
    return body


@pytest.mark.parametrize("name", ALL)
async def test_an_agents_hard_messages_are_previewed_taken_and_whole(
    tmp_path: Path, files: Server, name: str
) -> None:
    line = ALL[name]
    async with AsyncExitStack() as stack:
        boxes: dict[str, Any] = {"wa": whatsapp.Sandbox(), "sms": twilio.Sandbox()}
        if line.sandbox is not None:
            boxes[line.channel] = line.sandbox()
        for box in boxes.values():
            await box.start()
            stack.push_async_callback(box.stop)
        sandbox: Any = boxes.get(line.channel)
        channels = {}
        if line.settings is not None:
            channels[line.channel] = {**line.settings, **META, "api_base": sandbox.base_url}
        house = await stack.enter_async_context(
            running_hub(
                tmp_path,
                sandboxes=boxes,
                accounts={"receipt_delay": 0.0},
                channels=channels,
                dialogs={"modules": [], "default": ""},
            )
        )
        if line.account is not None:
            hook = {"hook_url": f"{house.url}/hooks/{line.channel}", "receipt_delay": 0.0}
            sandbox.add_account({**line.account, **META, **hook})
        await hear(house, sandbox)
        _, found = await house.api("GET", "/conversations")
        path = f"/conversations/{found['items'][0]['id']}"
        for sort in SORTS:
            body = body_of(sort, files)
            parts = await send(house, path, body)
            shown = shown_to(sandbox, len(parts)) if sandbox else parts
            check_whole(sort, body, shown)
        refused = [call for call in sandbox.log() if call.code] if sandbox else []
        assert refused == []


async def hear(house: House, sandbox: Any) -> None:
    """She writes first, so that she can be answered."""
    if sandbox is None:
        said = {"site": "site_demo"}
        async with house.session.post(f"{house.url}/chat/v1/session", json=said) as answer:
            token = (await answer.json())["token"]
        async with house.session.post(
            f"{house.url}/chat/v1/messages",
            json={"client_id": "1", "text": "hello"},
            headers={"Authorization": f"Bearer {token}"},
        ) as answer:
            assert answer.status < 300
        return
    account = next(iter(sandbox.accounts))
    await sandbox.customer_writes(HER, account=account, wait=True, text="hello")


async def send(house: House, path: str, body: dict[str, Any]) -> list[Message]:
    """Preview and send; the parts as they are stored, all of which have gone."""
    status, preview = await house.api("POST", f"{path}/preview", body)
    assert status == 200, preview
    status, sent = await house.api("POST", f"{path}/messages", body)
    assert status == 201, sent
    await house.settled()
    if not body.get("media"):  # how large a file is nobody asks for a preview
        assert [one["text"] for one in preview["parts"]] == [one["text"] for one in sent["items"]]
    rows = (await house.rows(messages.c.direction == "out"))[-len(sent["items"]) :]
    states = {(row["state"], row["error_reason"]) for row in rows}
    assert states <= {(state, None) for state in ("sent", "delivered", "read")}
    return [Message.model_validate({"text": r["text"], **(r["content"] or {})}) for r in rows]


def shown_to(sandbox: Any, count: int) -> list[Any]:
    return [item for item in sandbox.shown(HER) if item.direction == "out"][-count:]


def check_whole(sort: str, body: dict[str, Any], shown: list[Any]) -> None:
    text = bare("\n".join(item.text for item in shown))
    assert bare(body.get("text", "")) in text, f"{sort}: the text is not whole"
    told = text + bare(repr([(item.buttons, getattr(item, "rows", ())) for item in shown]))
    told += bare(repr([getattr(item, "quick_replies", ()) for item in shown]))
    for button in body.get("buttons", ()):
        assert bare(button["title"]) in told, f"{sort}: {button['id']} is not offered"
    for one in body.get("media", ()):
        assert any(item.media for item in shown) or bare(one["url"]) in text, f"{sort}: no file"
