"""What WhatsApp's error codes mean for a message, whether the send's answer or a later receipt
carries them (codes of the Cloud API, Graph v25.0)."""

from connectors.graph import Codes
from hub.errors import (
    Busy,
    MediaFailed,
    Misconfigured,
    NoSuchRecipient,
    OptedOut,
    Refused,
    Unreachable,
    WindowClosed,
)

CODES: Codes = {
    470: (WindowClosed, "more than 24 hours since the customer's last message"),
    131047: (WindowClosed, "more than 24 hours since the customer's last message"),
    131050: (OptedOut, "the customer stopped marketing messages from this number"),
    131049: (Refused, "WhatsApp chose not to deliver it, to keep the customer's inbox healthy"),
    130472: (Refused, "WhatsApp chose not to deliver it, the customer is part of an experiment"),
    131020: (NoSuchRecipient, "the group cannot be reached"),
    131021: (NoSuchRecipient, "the recipient is the sender"),
    131026: (NoSuchRecipient, "not on WhatsApp, or cannot receive this message"),
    131030: (NoSuchRecipient, "the number is not in the test account's list of recipients"),
    131041: (NoSuchRecipient, "the group cannot be reached"),
    131062: (Refused, "this message cannot be sent to a user id, only to a number"),
    137000: (Refused, "the customer's identity changed and was not acknowledged"),
    80007: (Busy, "the WhatsApp business account made too many calls"),
    130429: (Busy, "the number sends faster than its throughput allows"),
    131048: (Busy, "sending is slowed down, too many messages were reported as spam"),
    131056: (Busy, "too many messages to this customer in a short time"),
    131064: (Busy, "too many messages in a short time"),
    133016: (Busy, "too many registrations of the number"),
    131000: (Unreachable, "WhatsApp reports an unknown problem"),
    131016: (Unreachable, "WhatsApp's service is temporarily unavailable"),
    131057: (Unreachable, "the account is in maintenance"),
    133004: (Unreachable, "WhatsApp's server is temporarily unavailable"),
    131052: (MediaFailed, "WhatsApp could not download the attachment"),
    131053: (MediaFailed, "WhatsApp could not take the attachment"),
    132000: (Refused, "the template has another number of variables"),
    132001: (Refused, "the template does not exist in this language"),
    132005: (Refused, "the template with its values is too long"),
    132007: (Refused, "the template breaks a policy"),
    132008: (Refused, "a value of the template has a wrong format"),
    132012: (Refused, "a value of the template has a wrong format"),
    132015: (Refused, "the template is paused for low quality"),
    132016: (Refused, "the template is disabled for low quality"),
    132068: (Refused, "the template's flow is blocked"),
    132069: (Refused, "the template's flow is throttled"),
    131008: (Refused, "a required parameter is missing"),
    131009: (Refused, "a parameter has a wrong value"),
    131051: (Refused, "WhatsApp does not know this type of message"),
    131063: (Refused, "WhatsApp refuses this kind of request"),
    135000: (Refused, "WhatsApp refuses a parameter"),
    130497: (Misconfigured, "the account may not message customers in this country"),
    131005: (Misconfigured, "the access token lacks a permission"),
    131031: (Misconfigured, "the account is locked"),
    131037: (Misconfigured, "the number's display name is not approved"),
    131042: (Misconfigured, "the account has a payment problem"),
    131044: (Misconfigured, "the account has a payment problem"),
    131045: (Misconfigured, "the number is not registered rightly"),
    133010: (Misconfigured, "the number is not registered"),
}

PAIR_LIMIT = 131056
MEDIA_UPLOAD = 131053
MEDIA_ATTEMPTS = 3
"""How often an attachment that WhatsApp could not take is tried: its fetch may just have failed."""
