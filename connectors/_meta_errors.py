"""What the error codes of Messenger's and Instagram's Send API mean (Graph API v25.0).

A pair is a code with its subcode. 551 says that she cannot be reached, not that the window has
closed; 1/1357046 may have been delivered.
"""

from connectors.graph import Codes
from hub.errors import (
    Blocked,
    Busy,
    MediaFailed,
    Misconfigured,
    NoSuchRecipient,
    OutcomeUnknown,
    Refused,
    WindowClosed,
)

CLOSED = (WindowClosed, "more than 24 hours since the customer's last message")
AWAY = (Blocked, "the customer blocked the account or cannot receive messages")
FREQUENT = (Refused, "the customer has had too many marketing messages")
RESTRICTED = (Misconfigured, "Meta restricts the account's messages")
UNFETCHED = (MediaFailed, "Meta could not fetch or take the attachment")

CODES: Codes = {
    (1, 1357046): (OutcomeUnknown, "Meta's answer was cut off, so it may have been delivered"),
    (4, 2018022): (Busy, "the app made too many calls"),
    (4, 2018354): FREQUENT,
    (9, 2018352): FREQUENT,
    (10, 1893063): RESTRICTED,
    (10, 2018065): CLOSED,
    (10, 2018278): CLOSED,
    (10, 2534022): CLOSED,
    (100, 2018001): (NoSuchRecipient, "the account has no customer of this id"),
    (100, 2534014): (NoSuchRecipient, "the account has no customer of this id"),
    (100, 2534001): (NoSuchRecipient, "the thread was archived or deleted"),
    (100, 2534029): RESTRICTED,
    (100, 2018007): UNFETCHED,
    (100, 2018047): UNFETCHED,
    (100, 2018109): (MediaFailed, "the attachment is too large"),
    (100, 2534025): (Refused, "the comment has been answered already"),
    (200, 1545041): AWAY,
    (200, 2534041): (
        Misconfigured,
        "the owner does not allow access to messages (Instagram's Connected tools)",
    ),
    (613, 2534040): (Busy, "too many calls"),
    551: AWAY,
    36000: (MediaFailed, "the image is too large"),
    80006: (Busy, "the account made too many calls"),
    2022: RESTRICTED,
    2534001: (NoSuchRecipient, "the thread was archived or deleted"),
    10904: (Misconfigured, "the Page's messages are switched off in its settings"),
}
