"""The hooks a provider posts for a customer's message, signed by the test itself.

Written from the providers' documentation and from nothing of the hub or its stand-ins.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

WA_ACCOUNT, WA_WABA = "106500000000777", "102900000000888"
WA_SECRET, WA_TOKEN, WA_VERIFY = "wa-app-secret", "wa-access-token", "wa-verify-token"
SMS_NUMBER, SMS_ACCOUNT = "+15550100", "AC" + "0" * 32
SMS_SECRET = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Hook:
    path: str
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True)
class Line:
    """One way to reach a customer: `channel` is wa or sms, `number` is E.164."""

    channel: str
    number: str

    @property
    def digits(self) -> str:
        return self.number.removeprefix("+")


def hook_of(base_url: str, line: Line, external_id: str, text: str) -> Hook:
    """One message as its provider posts it."""
    if line.channel == "wa":
        return whatsapp_hook([(line, external_id, text)])
    return sms_hook(base_url, line, external_id, text)


def external_id_of(line: Line, name: str) -> str:
    """The provider's id of the message `name`, the same at every redelivery."""
    digest = hashlib.sha256(f"{line.number}/{name}".encode()).hexdigest()
    return f"wamid.{digest[:40]}" if line.channel == "wa" else f"SM{digest[:32]}"


def whatsapp_hook(said: Sequence[tuple[Line, str, str]]) -> Hook:
    """Cloud API webhook with one message for each (line, wamid, text)."""
    at = str(int(time.time()))
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550123", "phone_number_id": WA_ACCOUNT},
        "contacts": [
            {"profile": {"name": line.digits}, "wa_id": line.digits} for line, _, _ in said
        ],
        "messages": [
            {
                "from": line.digits,
                "id": wamid,
                "timestamp": at,
                "type": "text",
                "text": {"body": text},
            }
            for line, wamid, text in said
        ],
    }
    body = json.dumps(
        {
            "object": "whatsapp_business_account",
            "entry": [{"id": WA_WABA, "changes": [{"field": "messages", "value": value}]}],
        }
    ).encode()
    digest = hmac.new(WA_SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={digest}"}
    return Hook("/hooks/wa", body, headers)


def sms_hook(base_url: str, line: Line, sid: str, text: str) -> Hook:
    """Twilio's form, signed over the URL and the sorted fields."""
    form = {
        "MessageSid": sid,
        "SmsMessageSid": sid,
        "SmsSid": sid,
        "AccountSid": SMS_ACCOUNT,
        "From": line.number,
        "To": SMS_NUMBER,
        "Body": text,
        "NumMedia": "0",
        "NumSegments": "1",
        "SmsStatus": "received",
        "ApiVersion": "2010-04-01",
    }
    url = f"{base_url}/hooks/sms"
    signed = url + "".join(name + form[name] for name in sorted(form))
    digest = hmac.new(SMS_SECRET.encode(), signed.encode(), hashlib.sha1).digest()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": base64.b64encode(digest).decode(),
    }
    return Hook("/hooks/sms", urlencode(form).encode(), headers)
