"""The forms of Twilio's webhooks, their signature, and its message resource.

Fields: twilio.com/docs/messaging/guides/webhook-request and twilio.com/docs/messaging/guides/
outbound-message-status-in-status-callbacks, 2026-11.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urldefrag, urlencode

import orjson

from connectors.sandbox.customer import Phone
from connectors.sandbox.deliveries import Post
from connectors.sandbox.media import Media
from connectors.sandbox.segments import count_segments
from connectors.sandbox.transcript import Item
from connectors.sandbox.twilio_account import Account
from connectors.sandbox.twilio_customer import CustomerMessage
from connectors.sandbox.twilio_rules import MESSAGES
from connectors.sandbox.twilio_templates import Content, Shown

VERSION = "2010-04-01"
_COUNTRIES = {"+1": "US", "+880": "BD"}
_STATUSES = {"accepted": "queued"}


@dataclass(slots=True)
class Record:
    """One message as the Messages resource shows it; `callback` is the send's StatusCallback,
    `body` what it said where the phone shows something else."""

    item: Item
    account_sid: str
    sender: str
    recipient: str
    service_sid: str | None = None
    callback: str = ""
    body: str | None = None

    def resource(self) -> dict[str, Any]:
        """The message in the API's JSON; dates are RFC 2822."""
        item = self.item
        date = format_datetime(datetime.fromtimestamp(item.at, UTC))
        uri = f"/{VERSION}/Accounts/{self.account_sid}/Messages/{item.external_id}"
        return {
            "account_sid": self.account_sid,
            "api_version": VERSION,
            "body": item.text if self.body is None else self.body,
            "date_created": date,
            "date_sent": None if item.status == "accepted" else date,
            "date_updated": date,
            "direction": "inbound" if item.direction == "in" else "outbound-api",
            "error_code": item.error,
            "error_message": None,
            "from": self.sender,
            "messaging_service_sid": self.service_sid,
            "num_media": str(len(item.media)),
            "num_segments": str(1 if item.media else count_segments(item.text)),
            "price": None,
            "price_unit": "USD",
            "sid": item.external_id,
            "status": _STATUSES.get(item.status, item.status),
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": self.recipient,
            "uri": f"{uri}.json",
        }


def new_sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


def sign(url: str, form: Mapping[str, str], auth_token: str) -> str:
    """X-Twilio-Signature: base64 of HMAC-SHA1 over the URL and the sorted names and values."""
    signed = url + "".join(name + form[name] for name in sorted(form))
    digest = hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def make_post(account: Account, item: Item, url: str, form: Mapping[str, str]) -> Post:
    """The signed webhook; a URL's fragment is neither signed nor sent."""
    url = urldefrag(url).url
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        "X-Twilio-Signature": sign(url, form, account.auth_token),
        "I-Twilio-Idempotency-Token": secrets.token_hex(16),
    }
    return Post(
        queue=f"{account.key}/{item.phone}",
        account=account.key,
        phone=item.phone,
        url=url,
        body=urlencode(form).encode(),
        headers=headers,
        kind="message",
        external_ids=(item.external_id,),
        retries=None if account.retry is True else int(account.retry),
        first_retry=account.first_retry,
        timeout=account.hook_timeout,
    )


def customer_address(account: Account, phone: str, known: Phone) -> str:
    """The `From` of a customer; on WhatsApp a username hides her number."""
    if not account.is_whatsapp:
        return f"+{phone}"
    if known.username and known.user_id:
        return f"whatsapp:{known.user_id}"
    return f"whatsapp:+{known.wa_id or phone}"


def show(item: Item, urls: list[str], place: dict[str, Any] | None) -> None:
    """Put a plain message's attachments and place on the phone."""
    if urls:
        item.kind = "media"
        item.media = [{"kind": "media", "mime": None, "url": url, "id": None} for url in urls]
    elif place is not None:
        item.kind, item.place = "location", place


def show_content(item: Item, content: Content, shown: Shown) -> None:
    """Put what a content shows on the phone."""
    show(item, shown.media, shown.place)
    item.text, item.buttons, item.rows = shown.text, shown.buttons, shown.rows
    item.list_button = shown.list_button
    if shown.buttons or shown.rows:
        item.kind = "interactive"
    if content.status == "approved":
        item.kind = "template"
        item.template = {"name": content.sid, "language": content.language}


def inbound_form(
    account: Account,
    item: Item,
    said: CustomerMessage,
    known: Phone,
    files: list[tuple[Media, str]],
    quoted: Record | None,
) -> dict[str, str]:
    """The webhook's form; blank values are part of it. `files` come with their URLs."""
    sender = customer_address(account, item.phone, known)
    form = {
        "ToCountry": _country(account.number),
        "ToState": "",
        "SmsMessageSid": item.external_id,
        "NumMedia": str(len(files)),
        "ToCity": "",
        "FromZip": "",
        "SmsSid": item.external_id,
        "FromState": "",
        "SmsStatus": "received",
        "FromCity": "",
        "Body": item.text,
        "FromCountry": _country(sender),
        "To": account.number,
        "ToZip": "",
        "NumSegments": str(1 if files else count_segments(item.text)),
        "MessageSid": item.external_id,
        "AccountSid": account.account_sid,
        "From": sender,
        "ApiVersion": VERSION,
    }
    for index, (media, url) in enumerate(files):
        form[f"MediaUrl{index}"] = url
        form[f"MediaContentType{index}"] = media.mime.partition(";")[0]
    if account.messaging_service_sid:
        form["MessagingServiceSid"] = account.messaging_service_sid
    if account.is_whatsapp:
        form = {name: form[name] for name in form if name[:4] != "From" or name == "From"}
        form.update(_whatsapp_extras(account, item, said, known, quoted))
    return {**form, **{name: str(value) for name, value in (said.raw or {}).items()}}


def _whatsapp_extras(
    account: Account, item: Item, said: CustomerMessage, known: Phone, quoted: Record | None
) -> dict[str, str]:
    extras = _who(item, known) | {"MessageType": _type_of(said, quoted)}
    if said.button is not None:
        extras.update(ButtonText=said.button.title, ButtonPayload=said.button.id)
    if said.list_row is not None:
        row = said.list_row
        extras.update(ListId=row.id, ListTitle=row.title, ListDescription=row.description or "")
    if said.location is not None:
        place = said.location
        extras.update(Latitude=str(place.latitude), Longitude=str(place.longitude))
        extras.update(Label=place.name or "", Address=place.address or "")
    if said.quotes:
        extras["OriginalRepliedMessageSid"] = said.quotes
        extras["OriginalRepliedMessageSender"] = quoted.sender if quoted else account.number
    if said.forwarded:
        extras["Forwarded"] = "true"
    if said.frequently_forwarded:
        extras["FrequentlyForwarded"] = "true"
    for name, value in (said.referral or {}).items():
        extras["Referral" + "".join(map(str.capitalize, name.split("_")))] = str(value)
    return extras


def _who(item: Item, known: Phone) -> dict[str, str]:
    """Who writes; a username hides her number."""
    who = {"ProfileName": known.name or item.phone}
    if not (known.username and known.user_id):
        who["WaId"] = known.wa_id or item.phone
    context = orjson.dumps({"type": "whatsapp", "data": {"context": who}}).decode()
    if known.user_id:
        who["ExternalUserId"] = f"whatsapp:{known.user_id}"
    return who | {"ChannelMetadata": context}


def _type_of(said: CustomerMessage, quoted: Record | None) -> str:
    """A tap under an approved template is a button, one under a message of the session not."""
    if said.button is not None:
        is_of_session = quoted is not None and quoted.item.template is None
        return "interactive" if is_of_session else "button"
    return {"list_row": "interactive", "voice": "audio"}.get(said.kind, said.kind)


def receipt_form(
    account: Account, record: Record, status: str, error: int | None, at: float
) -> dict[str, str]:
    """The status callback's form."""
    sid = record.item.external_id
    form = {
        "SmsSid": sid,
        "SmsStatus": status,
        "MessageStatus": status,
        "To": record.recipient,
        "MessageSid": sid,
        "AccountSid": record.account_sid,
        "From": record.sender,
        "ApiVersion": VERSION,
    }
    if record.service_sid:
        form["MessagingServiceSid"] = record.service_sid
    if error is not None:
        form["ErrorCode"] = str(error)
        form["ErrorMessage"] = MESSAGES.get(error, "The message was not delivered")
    if account.is_whatsapp:
        form |= {
            "ChannelPrefix": "whatsapp",
            "ChannelInstallSid": "XE" + hashlib.sha256(account.number.encode()).hexdigest()[:32],
            "ChannelToAddress": record.recipient,
            "StructuredMessage": "false",
        }
        if status in ("delivered", "read"):
            form["EventType"] = status.upper()
        if error is not None:
            form["ChannelStatusMessage"] = f"{status}: {form['ErrorMessage']}"
    elif status == "delivered":
        form["RawDlrDoneDate"] = datetime.fromtimestamp(at, UTC).strftime("%y%m%d%H%M")
    return form


def _country(number: str) -> str:
    return next((land for code, land in _COUNTRIES.items() if number.startswith(code)), "")
