"""The run that is cut: a dialog with two steps and a question that may time out, and the provider
that posts the customer's two messages and the receipts of what she was sent."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from typing import Any

import aiohttp

from hub.chat import Chat, dialog
from tests.faults import hooks
from tests.faults.checker import Call
from tests.faults.dialogs import do_both

SAYS = ("hello", "two please")
SPOKEN = ("hello", "re hello", "How many?", "two please", "Thank you.")
"""Her thread when all is done, each message once."""

WAIT = 30.0


@dialog("cut")
async def cut(chat: Chat) -> None:
    await do_both(chat, chat.opening.text)
    await chat.say(f"re {chat.opening.text}")
    answer = await chat.ask("How many?", timeout=timedelta(hours=1))
    await do_both(chat, answer.text)
    await chat.say("Thank you.")


class Provider:
    """WhatsApp as one customer's hub sees it. Hooks in `answered` got a 200 and are not posted
    again; `told` hears of each that gets one. `after`: calls up to this one are older."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        standin: str,
        hub_url: str,
        line: hooks.Line,
        after: int,
        answered: Collection[str] = (),
        told: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self.answered = set(answered)
        self._session = session
        self._standin = standin
        self._hub_url = hub_url
        self._line = line
        self._after = after
        self._told = told

    async def plays(self, rested: Callable[[int], Awaitable[bool]]) -> None:
        """All that she and her provider do, from wherever it stands. `rested(count)`: so many
        messages were sent and the hub has nothing more to do."""
        await self._says(0)
        await until(lambda: rested(2))
        await self.reports()
        await self._says(1)
        await until(lambda: rested(3))
        await self.reports()

    async def repeats(self) -> None:
        """Delivers all once more, as a provider may."""
        self.answered.clear()
        await self._says(0)
        await self._says(1)
        await self.reports()

    async def reports(self) -> None:
        """The receipts of all calls that were accepted so far."""
        for call in await self.calls():
            if call.external_id:
                name = f"delivered {call.external_id}"
                await self._post(name, receipt_hook(self._line, call.external_id, call.row))

    async def calls(self) -> list[Call]:
        """The sends to her, as the stand-in took them."""
        url = f"{self._standin}/_sandbox/log"
        async with self._session.get(url, params={"after": self._after}) as answer:
            found = (await answer.json())["items"]
        return [
            Call.read("wa", call)
            for call in found
            if call["method"] == "POST" and call["to"] == self._line.digits
        ]

    async def _says(self, number: int) -> None:
        name = f"said {number}"
        wamid = hooks.external_id_of(self._line, name)
        await self._post(name, hooks.whatsapp_hook([(self._line, wamid, SAYS[number])]))

    async def _post(self, name: str, hook: hooks.Hook) -> None:
        if name in self.answered:
            return
        url = self._hub_url + hook.path
        async with self._session.post(url, data=hook.body, headers=hook.headers) as answer:
            assert answer.status == 200, answer.status
        self.answered.add(name)
        self._told(name)


def receipt_hook(line: hooks.Line, wamid: str, row: str) -> hooks.Hook:
    """Cloud API webhook that says `delivered` of one message."""
    status = {
        "id": wamid,
        "status": "delivered",
        "timestamp": str(int(time.time())),
        "recipient_id": line.digits,
        "biz_opaque_callback_data": row,
    }
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550123", "phone_number_id": hooks.WA_ACCOUNT},
        "statuses": [status],
    }
    entry = {"id": hooks.WA_WABA, "changes": [{"field": "messages", "value": value}]}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    digest = hmac.new(hooks.WA_SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={digest}"}
    return hooks.Hook("/hooks/wa", body, headers)


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = WAIT) -> None:
    end = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s")
        await asyncio.sleep(0.01)
