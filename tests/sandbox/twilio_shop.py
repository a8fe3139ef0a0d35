"""A WhatsApp sender at the Twilio stand-in, and the calls its business makes."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest_asyncio

from connectors.sandbox import twilio
from connectors.sandbox.transcript import Item
from tests.sandbox.calls import ACCOUNT_SID, RIMA, Answer, Twilio, answer_of
from tests.sandbox.hook import Clock, Hook

SHOP = "whatsapp:+15550100"
OTHER = "HX" + "0" * 32
YES = {"type": "QUICK_REPLY", "title": "{{2}}", "id": "{{3}}"}
ASK = {"twilio/quick-reply": {"body": "ঠিক আছে, {{1}}?", "actions": [YES]}}
SIZES = {
    "twilio/list-picker": {
        "body": "{{1}}",
        "button": "Choose",
        "items": [
            {"item": "{{2}}", "id": "s", "description": "{{3}}"},
            {"item": "Large", "id": "l"},
        ],
    }
}

FULL = {"1": "আপা", "2": "হ্যাঁ", "3": "yes"}


class Shop(Twilio):
    """Calls of a WhatsApp sender."""

    async def json(self, method: str, path: str, body: Any = None, **how: Any) -> Answer:
        url, data = self.sandbox.base_url + path, None if body is None else orjson.dumps(body)
        headers = {**self.headers(), "Content-Type": "application/json"}
        async with self.http.request(method, url, data=data, headers=headers, **how) as response:
            return await answer_of(response)

    async def create(self, types: Any, **more: Any) -> str:
        body = {"friendly_name": "x", "language": "bn", "types": types, **more}
        answer = await self.json("POST", "/v1/Content", body)
        assert answer.status == 201, answer.content
        return str(answer.content["sid"])

    async def send_content(self, sid: str, values: Any = None) -> Answer:
        form = {"ContentSid": sid}
        if values is not None:
            form["ContentVariables"] = orjson.dumps(values).decode()
        return await self.tell(**form)

    async def outcome(self, hook: Hook, sid: str) -> str | None:
        """The error that a content fails with on its way, None where it is delivered."""
        hook.deliveries.clear()
        answer = await self.send_content(sid)
        assert answer.status == 201, answer.content
        first, *_ = await hook.receipts(1)
        found = hook.deliveries[0].form.get("ErrorCode")
        assert first == ("failed" if found else "sent")
        await hook.receipts(1 if found else 3)
        return found

    async def tell(self, **form: str) -> Answer:
        callback = f"{self.sandbox.account(None).hook_url}?m=42"
        own = {"To": f"whatsapp:+{RIMA}", "From": SHOP, "StatusCallback": callback}
        return await self.send(own | form)

    @property
    def shown(self) -> Item:
        return self.sandbox.shown(RIMA)[-1]


@pytest_asyncio.fixture
async def shop(hook: Hook, clock: Clock, http: aiohttp.ClientSession) -> AsyncIterator[Shop]:
    sandbox = twilio.Sandbox(now=clock)
    await sandbox.start()
    facts = {"account_sid": ACCOUNT_SID, "auth_token": "token-2", "number": SHOP}
    sandbox.add_account(facts | {"hook_url": hook.url, "receipt_delay": 0, "first_retry": 0.01})
    yield Shop(sandbox, http)
    await sandbox.stop()
