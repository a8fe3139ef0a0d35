"""Webhooks made and signed by the test itself, for what no stand-in would send."""

import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson

from tests.running import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    CUSTOMER,
    SMS_NUMBER,
    WA_ACCOUNT,
    WA_SECRET,
    House,
)

WA_ID = CUSTOMER.removeprefix("+")


def text_item(key: str, text: str, sender: str = WA_ID) -> dict[str, Any]:
    """One WhatsApp message as it stands in a webhook."""
    return {
        "id": key,
        "from": sender,
        "timestamp": "1795176000",
        "type": "text",
        "text": {"body": text},
    }


def status_item(key: str, status: str, **more: Any) -> dict[str, Any]:
    return {"id": key, "status": status, "timestamp": "1795176001", "recipient_id": WA_ID, **more}


def wa_body(*, account: str = WA_ACCOUNT, **value: Any) -> bytes:
    """A WhatsApp webhook's body with one change: its `messages`, `statuses`, `contacts`..."""
    metadata = {"display_phone_number": "15550123", "phone_number_id": account}
    change = {"field": "messages", "value": {"metadata": metadata, **value}}
    entry = {"id": "102900000000888", "changes": [change]}
    return orjson.dumps({"object": "whatsapp_business_account", "entry": [entry]})


def wa_signature(body: bytes, secret: str = WA_SECRET) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={digest}"}


async def post_wa(
    house: House, body: bytes, headers: dict[str, str] | None = None, path: str = "/hooks/wa"
) -> int:
    """Post a WhatsApp webhook, rightly signed unless `headers` are given; its HTTP status."""
    signed = wa_signature(body) if headers is None else headers
    async with house.session.post(house.url + path, data=body, headers=signed) as answer:
        return answer.status


def sms_form(key: str, text: str, sender: str = CUSTOMER, **more: str) -> dict[str, str]:
    return {
        "MessageSid": key,
        "AccountSid": ACCOUNT_SID,
        "From": sender,
        "To": SMS_NUMBER,
        "Body": text,
        "NumMedia": "0",
        **more,
    }


def sms_signature(url: str, form: dict[str, str], token: str = AUTH_TOKEN) -> str:
    """Twilio's: HMAC-SHA1 over the URL and the sorted fields
    (https://www.twilio.com/docs/usage/webhooks/webhooks-security)."""
    signed = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(
        hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()
    ).decode()


async def post_sms(
    house: House, form: dict[str, str], *, query: str = "", signature: str | None = None
) -> int:
    """Post a Twilio webhook, rightly signed unless `signature` is given; its HTTP status."""
    url = f"{house.hub.settings.hub.public_url}/hooks/sms{query}"
    signed = sms_signature(url, form) if signature is None else signature
    async with house.session.post(
        url,
        data=urlencode(form).encode(),
        headers={
            "Content-Type": "application/x-www-form-urlencoded",
            **({"X-Twilio-Signature": signed} if signed else {}),
        },
        timeout=aiohttp.ClientTimeout(total=20),
    ) as answer:
        return answer.status
