"""One message of each hard sort on every channel that has a stand-in.

The stand-ins enforce the platforms' limits: they must accept every request, and what the
customer sees must be all of it.
"""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from connectors.sandbox import instagram, messenger, twilio, whatsapp
from connectors.sandbox.media import make_content
from connectors.sandbox.transcript import Item
from hub.clock import Clock
from tests import sorts
from tests.running import House, running_hub

SORTS = ("five", "twelve", "picture", "place", "long", "voice", "file", "template")
PERSON = "8801711000001"
META = {"access_token": "token-3", "app_secret": "secret-3", "verify_token": "verify-3"}
PAGE, ACCOUNT = "1048000001", "17841400000000042"


@dataclass(frozen=True)
class Line:
    """A channel: its name in the hub, its stand-in, and the settings on both sides."""

    channel: str
    sandbox: Any = None
    settings: dict[str, Any] | None = None
    account: dict[str, Any] | None = None


LINES = {
    "whatsapp": Line("wa"),
    "sms": Line("sms"),
    "messenger": Line(
        "fb", messenger.Sandbox, {"kind": "messenger", "page_id": PAGE}, {"page_id": PAGE}
    ),
    "instagram": Line(
        "ig",
        instagram.Sandbox,
        {"kind": "instagram", "account_id": ACCOUNT, "login": "instagram"},
        {"ig_id": ACCOUNT, "login": "instagram"},
    ),
    "instagram by Facebook": Line(
        "ig",
        instagram.Sandbox,
        {"kind": "instagram", "account_id": ACCOUNT, "login": "facebook"},
        {"ig_id": ACCOUNT, "login": "facebook"},
    ),
}


@pytest_asyncio.fixture
async def files() -> AsyncIterator[None]:
    """A server for the files that the dialog sends."""
    served = {
        "a.png": (make_content("image/png"), "image/png"),
        "v.ogg": (make_content("audio/ogg"), "audio/ogg"),
        "big.pdf": (make_content("application/pdf", 30 * 2**20), "application/pdf"),
    }

    async def serve(request: web.Request) -> web.Response:
        content, mime = served[request.match_info["name"]]
        return web.Response(body=content, headers={"Content-Type": mime})

    app = web.Application()
    app.router.add_get("/{name}", serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sorts.Files.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield
    await runner.cleanup()


@dataclass
class Talk:
    """One person and the business, over a channel."""

    house: House
    sandbox: Any
    person: str
    account: str

    async def writes(self, **said: Any) -> list[Item]:
        """What the person is shown after what she does."""
        before = len(self.sandbox.shown(self.person))
        await self.sandbox.customer_writes(self.person, account=self.account, wait=True, **said)
        await self.house.settled()
        shown = self.sandbox.shown(self.person)[before:]
        return [item for item in shown if item.direction == "out"]


@asynccontextmanager
async def open_line(folder: Path, line: Line) -> AsyncIterator[tuple[House, Any]]:
    """A hub that has the channel, and the channel's stand-in."""
    clock = Clock()
    boxes: dict[str, Any] = {"wa": whatsapp.Sandbox(), "sms": twilio.Sandbox()}
    if line.sandbox is not None:
        boxes[line.channel] = line.sandbox()
    sandbox = boxes[line.channel]
    async with AsyncExitStack() as stack:
        for box in boxes.values():
            box.now = lambda: clock.now() / 1e6
            await box.start()
            stack.push_async_callback(box.stop)
        settings = {**META, **line.settings, "api_base": sandbox.base_url} if line.settings else {}
        hub = running_hub(
            folder,
            clock=clock,
            sandboxes=boxes,
            accounts={"receipt_delay": 0.0},
            channels={line.channel: settings},
            dialogs={"modules": ["tests.sorts"], "default": "sorts"},
        )
        house = await stack.enter_async_context(hub)
        if line.account is not None:
            hook = {"hook_url": f"{house.url}/hooks/{line.channel}", "receipt_delay": 0.0}
            sandbox.add_account({**META, **line.account, **hook})
        yield house, sandbox


@pytest.mark.parametrize("name", LINES)
async def test_each_hard_sort_is_taken_and_shown_whole(
    tmp_path: Path, files: None, name: str
) -> None:
    wrong = {}
    async with open_line(tmp_path, LINES[name]) as (house, sandbox):
        account = next(iter(sandbox.accounts))
        for index, sort in enumerate(SORTS):
            try:
                await say_and_look(Talk(house, sandbox, f"{PERSON}{index}", account), sort)
            except AssertionError as error:
                wrong[sort] = str(error).partition("\n")[0]
        refused = [(call.path, call.status, call.code) for call in sandbox.log() if call.code]
    assert (wrong, refused) == ({}, [])


async def say_and_look(talk: Talk, sort: str) -> None:
    """Let the dialog say the sort, and look whether all of it is on the phone."""
    shown = await talk.writes(text=f"send {sort}")
    text = "\n".join(item.text for item in shown)
    media = [media for item in shown for media in item.media]
    said = sorts.message_of(sort)
    if sort in ("five", "twelve"):
        text = "\n".join([text, *(offer["title"] for offer in offers(shown))])
        missing = [button.title for button in said.buttons if button.title not in text]
        assert not missing, f"these are not offered: {missing}"
        await choose(talk, shown, said.buttons[-1].id, said.buttons[-1].title)
    elif sort == "place":
        places = [item.place for item in shown if item.place]
        told = str(places) if places else text
        for part in ("23.780573", "90.279239", "দোকান", "মিরপুর ১০, ঢাকা"):
            assert part in told, f"{part} is not shown"
    elif sort == "template":
        assert any(item.template for item in shown) or said.text in text, "no template shown"
    else:
        assert text or media, "nothing shown"
        assert bare(said.text) in bare(text), "the text is not whole"
        if said.media:
            assert media or said.media[0].source_url in text, "neither the file nor its link"


async def choose(talk: Talk, shown: list[Item], id: str, title: str) -> None:
    """Choose by a tap on what is offered, or by typing the number in Bangla digits."""
    item, kind = shown[-1], ""
    for kind in ("quick_reply", "button", "list_row"):
        offered = {"quick_reply": item.quick_replies, "button": item.buttons, "list_row": item.rows}
        found = [offer for offer in offered[kind] if offer["id"] == id]
        if found:
            break
    if found:
        tap = {"id": id, "title": found[0]["title"], "reply_to": item.external_id}
        answer = await talk.writes(**{kind: tap})
    else:
        assert re.search(rf"\d+\. {title}", item.text), "the last option is not numbered"
        number = id.partition("-")[2].translate(str.maketrans("0123456789", "০১২৩৪৫৬৭৮৯"))
        answer = await talk.writes(text=number)
    assert [item.text for item in answer] == [f"got {id}"], "the choice is not understood"


def offers(shown: list[Item]) -> list[dict[str, str]]:
    return [offer for item in shown for offer in item.quick_replies + item.buttons + item.rows]


def bare(text: str) -> str:
    """The text without spaces, which a cut may take away."""
    return re.sub(r"\s", "", text)
