"""One mail as what it says: a message, a receipt, or an echo of our own."""

import hashlib
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from connectors._email_parts import Attachment, Letter, ids_in, mailboxes
from connectors._email_reports import is_automatic, read_report
from connectors._email_text import LONGEST, as_html, harmless, said, said_in_html, text_of_html
from hub.clock import DAY, HOUR, Micros
from hub.message import Alias, Inbound, Media, Message, Profile, ReplyTo
from hub.signal import Echo, OptOut, Parsed, Unreadable

STOP = frozenset({"stop", "unsubscribe", "বন্ধ", "আনসাবস্ক্রাইব"})


@dataclass(frozen=True, slots=True)
class Mailbox:
    """The channel's own address, the ids of our mails (`own`, whose first group is the
    correlation id), and whose Authentication-Results count."""

    address: str
    own: re.Pattern[str]
    trusted: str = ""


def read_letter(letter: Letter, box: Mailbox, received_at: Micros) -> list[Parsed]:
    """Everything one mail says."""
    at = sent_at(letter, received_at)
    if letter.report_type:
        return read_report(letter, box.address, box.own, at)
    key = (ids_in(letter.header("message-id")) or [""])[0]
    senders = mailboxes(letter.header("from"))
    if not senders:
        return [Unreadable(box.address, "a mail without a sender's address")]
    name, sender = senders[0]
    if sender == box.address:
        return read_own(letter, box, key, at)
    proven = is_authentic(letter, sender, box.trusted)
    inbound = Inbound(
        account=box.address,
        sender=sender,
        external_id=key,
        dedupe_key=key or digest(letter, sender),
        message=message_of(letter),
        sent_at=at,
        reply_to=answered(letter),
        aliases=(Alias("email", sender, verified=proven),),
        profile=Profile(name=name),
    )
    found: list[Parsed] = [inbound]
    asked = inbound.message.text.strip() or letter.header("subject").strip()
    if asked.casefold() in STOP:
        found.append(OptOut(box.address, sender, at, True, "marketing"))
    return found


def read_own(letter: Letter, box: Mailbox, key: str, at: Micros) -> list[Parsed]:
    """Our own mail come back, or one that somebody wrote from the mailbox by hand."""
    receivers = [address for _, address in mailboxes(letter.header("to"))]
    others = [address for address in receivers if address != box.address]
    if box.own.fullmatch(key) or not others or not key or is_automatic(letter):
        return []
    return [Echo(box.address, others[0], at, key, message_of(letter))]


def message_of(letter: Letter) -> Message:
    """Text and files; what the text leaves out (quotes, a signature, the layout) is in `html`."""
    if letter.text.strip():
        text = letter.reply.strip() or said(letter.text)
        full = letter.text.strip()
    else:
        text = letter.reply.strip() or said_in_html(letter.html)
        full = text_of_html(letter.html) if letter.html else ""
    shown = text if len(text) <= LONGEST else text[:LONGEST] + "…"
    html = harmless(letter.html) if letter.html else ""
    if not html and full != shown:
        html = as_html(full)
    message = Message.of(
        shown,
        media=tuple(media_of(one) for one in letter.attachments),
        subject=letter.header("subject"),
        html=html[: 10 * LONGEST],
        standby=is_automatic(letter),
    )
    if not message.text and not message.media and not message.subject:
        return message.model_copy(update={"kind": "unsupported"})
    if message.text and message.kind != "text" and len(message.media) > 1:
        # A letter with files is a letter.
        return message.model_copy(update={"kind": "text"})
    return message


def media_of(one: Attachment) -> Media:
    """The file by its digest, by which the hub asks for its bytes."""
    return Media(
        kind=one.kind,
        mime=one.mime,
        name=one.name,
        size=len(one.content),
        sha256=hashlib.sha256(one.content).hexdigest(),
        inline=one.inline,
        content_id=one.content_id,
    )


def answered(letter: Letter) -> ReplyTo | None:
    """The mail this one answers."""
    found = ids_in(letter.header("in-reply-to")) or ids_in(letter.header("references"))[-1:]
    return ReplyTo(external_id=found[-1]) if found else None


def sent_at(letter: Letter, received_at: Micros) -> Micros:
    """The sender's date where it can be believed, else when the mail came."""
    try:
        moment = parsedate_to_datetime(letter.header("date"))
        at = round(moment.timestamp() * 1_000_000)
    except (ValueError, TypeError, OverflowError, IndexError):
        return received_at
    return at if received_at - 7 * DAY <= at <= received_at + HOUR else received_at


def is_authentic(letter: Letter, sender: str, trusted: str) -> bool:
    """Did our own mail server find that the sender's domain vouches for this mail? Of SPF and
    DKIM only DMARC says that it was the domain of From."""
    if not trusted:
        return False
    domain = sender.rpartition("@")[2]
    for value in letter.headers.get("authentication-results", [])[:1]:
        server, _, results = value.partition(";")
        if server.split()[:1] != [trusted]:
            return False
        for result in results.split(";"):
            method = re.match(r"\s*dmarc\s*=\s*pass\b(.*)", result, re.I | re.S)
            if method and re.search(rf"header\.from=\"?{re.escape(domain)}\"?(?:\s|$)", method[1]):
                return True
    return False


def digest(letter: Letter, sender: str) -> str:
    """What tells a mail without an id from others."""
    parts = (sender, letter.header("date"), letter.header("subject"), letter.text, letter.html)
    return "sha256:" + hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()
