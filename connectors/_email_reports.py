"""Mail that no person wrote: automatic answers, bounces and receipts.

RFC 3834 (automatic responses), 3464 (delivery status), 8098 (disposition), 5965 (feedback).
"""

import re
from collections.abc import Iterator
from email.message import EmailMessage

from connectors._email_parts import Letter, ids_in, mailboxes, one_line
from hub.clock import Micros
from hub.message import Receipt, ReceiptError, ReceiptStatus
from hub.signal import OptOut, Parsed, Unreadable

ROBOTS = re.compile(r"^(?:mailer-daemon|postmaster|no-?reply|do-?not-?reply|bounces?)\b")
AWAY = re.compile(
    r"^(?:auto(?:matic|mated)?[ -]?(?:reply|response)\b|out of (?:the )?office\b|away from"
    r"|(?:স্বয়ংক্রিয়|স্বয়ংক্রিয়|অটো) ?(?:উত্তর|জবাব|রিপ্লাই)|ছুটিতে আছি|অফিসের বাইরে)",
    re.I,
)
GONE = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"})
FULL = frozenset({"5.2.2", "5.2.1"})
STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")


def is_automatic(letter: Letter) -> bool:
    """Was this written by a program? Then no program of ours may answer it."""
    if letter.header("auto-submitted").partition(";")[0].strip().lower() not in ("", "no"):
        return True
    if letter.header("precedence").lower() in ("bulk", "list", "junk", "auto_reply"):
        return True
    named = ("x-auto-response-suppress", "x-autoreply", "x-autorespond", "list-id",
             "list-unsubscribe", "x-autoresponder")  # fmt: skip
    if any(letter.header(name) for name in named):
        return True
    if letter.header("return-path").replace(" ", "") == "<>" or letter.report_type:
        return True
    senders = mailboxes(letter.header("from"))
    return bool(
        (senders and ROBOTS.match(senders[0][1])) or AWAY.match(letter.header("subject").strip())
    )


def read_report(letter: Letter, account: str, own: re.Pattern[str], at: Micros) -> list[Parsed]:
    """What a bounce or a receipt says of messages of ours, which `own` knows by their ids (its
    first group is the correlation id). One of no message of ours is `Unreadable`."""
    found: list[Parsed] = []
    about = named_messages(letter)
    mine = [(key, match[1]) for key in about if (match := own.fullmatch(key))]
    if letter.report_type == "feedback-report":
        found += complaints(letter, account, at)
    for key, correlation_id in mine[:1]:
        for status, error, who in results(letter):
            found.append(Receipt(account, key, status, at, correlation_id, error, who))
    if not found and not is_harmless(letter):
        found.append(Unreadable(account, "a report of no message of ours"))
    return found


def is_harmless(letter: Letter) -> bool:
    """Does it tell nothing that changes anything, such as a delay?"""
    fields = [f for part in letter.reports for f in blocks(part)]
    actions = {f.get("action", "").lower() for f in fields} - {""}
    return bool(actions) and actions <= {"delayed", "expanded"}


def named_messages(letter: Letter) -> list[str]:
    """The ids of the messages that a report may be about."""
    found: list[str] = []
    for part in letter.reports:
        for fields in blocks(part):
            for name in ("original-message-id", "message-id", "x-original-message-id"):
                found += ids_in(fields.get(name, ""))
    for name in ("in-reply-to", "references", "x-failed-message-id"):
        found += ids_in(letter.header(name))
    return list(dict.fromkeys(found))


def blocks(part: EmailMessage) -> Iterator[dict[str, str]]:
    """The groups of fields in a part: those of its sub-messages, or of its text."""
    payload = part.get_payload()
    if isinstance(payload, list):
        for inner in payload:
            if isinstance(inner, EmailMessage):
                yield {k.lower(): one_line(str(v)) for k, v in inner.items()}
                if inner.get_content_type() == "text/plain" and inner.get_payload():
                    yield from text_blocks(str(inner.get_payload()))
        return
    yield from text_blocks(str(payload))


def text_blocks(text: str) -> Iterator[dict[str, str]]:
    for block in re.split(r"\r?\n\s*\r?\n", text):
        lines = re.sub(r"\r?\n[ \t]+", " ", block).splitlines()
        pairs = [line.partition(":") for line in lines if ":" in line]
        if pairs:
            yield {name.strip().lower(): value.strip() for name, _, value in pairs}


def results(
    letter: Letter,
) -> Iterator[tuple[ReceiptStatus, ReceiptError | None, str]]:
    """What became of the message, for each recipient that is told."""
    for part in letter.reports:
        for fields in blocks(part):
            who = fields.get("final-recipient", "").rpartition(";")[2].strip().lower()
            action = fields.get("action", "").partition(" ")[0].lower()
            if action == "failed":
                yield "failed", failure(fields), who
            elif action in ("delivered", "relayed"):
                yield "delivered", None, who
            shown = fields.get("disposition", "").lower()
            if "displayed" in shown.rpartition(";")[2]:
                yield "read", None, who


def failure(fields: dict[str, str]) -> ReceiptError:
    match = STATUS.search(fields.get("status", "")) or STATUS.search(
        fields.get("diagnostic-code", "")
    )
    code = match[1] if match else ""
    if code in GONE:
        return ReceiptError(code, "no_such_recipient", f"there is no such mailbox ({code})")
    if code in FULL:
        return ReceiptError(code, "unreachable", f"the mailbox takes no mail now ({code})")
    if code.startswith("4."):
        return ReceiptError(code, "unreachable", f"the mail could not be delivered ({code})")
    return ReceiptError(code, "refused", f"the mail was refused{f' ({code})' if code else ''}")


def complaints(letter: Letter, account: str, at: Micros) -> Iterator[Parsed]:
    """Who called our mail spam wants none that she did not ask for."""
    for part in letter.reports:
        for fields in blocks(part):
            for name in ("original-rcpt-to", "removal-recipient"):
                for _, address in mailboxes(fields.get(name, "")):
                    yield OptOut(account, address, at, True, "marketing")
