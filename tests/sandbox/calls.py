"""Calls of the providers' APIs as a client makes them, over HTTP."""

from dataclasses import dataclass
from typing import Any

import aiohttp

from connectors.sandbox import twilio, whatsapp

PHONE_NUMBER_ID = "106500000000777"
ACCOUNT_SID = "AC" + "0" * 32
SENDER = "+15550100"
RIMA = "8801700000001"


@dataclass(frozen=True)
class Answer:
    status: int
    content: dict[str, Any]
    headers: dict[str, str]

    @property
    def code(self) -> int | None:
        """The provider's error code; of either platform."""
        error = self.content.get("error", self.content)
        return error.get("code") if isinstance(error, dict) else None

    @property
    def id(self) -> str:
        """The id of the accepted message; of either platform."""
        if "messages" in self.content:
            return str(self.content["messages"][0]["id"])
        return str(self.content["sid"])


async def answer_of(response: aiohttp.ClientResponse) -> Answer:
    content = await response.json() if response.content_type == "application/json" else {}
    return Answer(response.status, content, dict(response.headers))


def text(body: str, **more: Any) -> dict[str, Any]:
    """A WhatsApp text send."""
    return {
        "messaging_product": "whatsapp",
        "to": RIMA,
        "type": "text",
        "text": {"body": body},
        **more,
    }


@dataclass
class WhatsApp:
    sandbox: whatsapp.Sandbox
    http: aiohttp.ClientSession

    async def send(self, body: dict[str, Any], token: str = "token-1", **how: Any) -> Answer:
        url = f"{self.sandbox.base_url}/v25.0/{PHONE_NUMBER_ID}/messages"
        headers = {"Authorization": f"Bearer {token}"}
        async with self.http.post(url, json=body, headers=headers, **how) as response:
            return await answer_of(response)

    async def say(self, words: str = "hi", to: str = RIMA, **how: Any) -> Answer:
        """Send a text."""
        return await self.send(text(words, to=to), **how)

    async def hears(self, words: str = "hello", number: str = RIMA) -> str:
        """Let the customer write, which opens her window; returns the message's id."""
        written = await self.sandbox.customer_writes(number, text=words, wait=True)
        return written.external_id


@dataclass
class Twilio:
    sandbox: twilio.Sandbox
    http: aiohttp.ClientSession

    @property
    def account_url(self) -> str:
        return f"{self.sandbox.base_url}/2010-04-01/Accounts/{ACCOUNT_SID}"

    def headers(self, token: str = "token-2") -> dict[str, str]:
        return {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, token)}

    async def send(self, form: Any, token: str = "token-2", **how: Any) -> Answer:
        url = f"{self.account_url}/Messages.json"
        async with self.http.post(url, data=form, headers=self.headers(token), **how) as response:
            return await answer_of(response)

    async def say(self, words: str = "hi", to: str = f"+{RIMA}", **how: Any) -> Answer:
        """Send a text whose receipts go to the account's hook."""
        callback = f"{self.sandbox.account(None).hook_url}?m=42"
        form = {"To": to, "From": SENDER, "Body": words, "StatusCallback": callback}
        return await self.send(form, **how)

    async def hears(self, words: str = "hello", number: str = RIMA) -> str:
        """Let the customer write; returns the message's id."""
        written = await self.sandbox.customer_writes(number, text=words, wait=True)
        return written.external_id

    async def get(self, path: str, **query: str) -> Answer:
        url = self.account_url + path
        async with self.http.get(url, headers=self.headers(), params=query) as response:
            return await answer_of(response)
