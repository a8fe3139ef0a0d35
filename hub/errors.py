"""Everything that can go wrong on purpose: one closed tree, with the retry decision in the type.

A connector raises a `SendFailed`; it never decides whether to retry. Texts of errors name ids,
settings and codes, never secrets or what a customer wrote.
"""

from typing import ClassVar, Literal

ErrorClass = Literal[
    "unreachable",
    "busy",
    "outcome_unknown",
    "window_closed",
    "opted_out",
    "blocked",
    "no_such_recipient",
    "moved",
    "refused",
    "media",
    "misconfigured",
    "no_consent",
    "quiet_hours",
    "frequency_cap",
    "expired",
    "earlier_part_failed",
]


class HubError(Exception):
    """The root of all errors of the hub."""


class SettingsError(HubError):
    """A setting is missing or wrong; the text begins with its full name."""


class HookRejected(HubError):
    """The webhook is not genuine (signature, verify token): answered 403, body not kept."""


class HookUnreadable(HubError):
    """A genuine webhook whose body cannot be read at all: kept as a dead letter, answered 200."""


class LeaseLost(HubError):
    """Another worker holds the conversation or address now; nothing of the unit was written."""


class StoreUnavailable(HubError):
    """The database cannot be reached or written; nothing was stored."""


class SpoolRefused(HubError):
    """The spool is full or its disk does not take the hook; nothing was kept."""


class SchemaTooNew(HubError):
    """The database was migrated by a newer release than this one."""


class MediaRefused(HubError):
    """An attachment that may not or cannot be fetched: too large, forbidden target, wrong type."""


class SendFailed(HubError):
    """A provider call did not end in acceptance.

    `retry_in` is the provider's wish in seconds, or None. `code` is the provider's own code.
    """

    error_class: ClassVar[ErrorClass]
    retried: ClassVar[bool] = False
    final: ClassVar[bool] = False
    pauses_channel: ClassVar[bool] = False

    def __init__(self, reason: str = "", *, code: str = "", retry_in: float | None = None) -> None:
        super().__init__(reason or type(self).__name__)
        self.reason = reason
        self.code = code
        self.retry_in = retry_in


class Retried(SendFailed):
    """The message was certainly not accepted; trying again later may help."""

    retried = True


class NotReached(Retried):
    """Nothing was written: connection refused, name not resolved."""

    error_class = "unreachable"


class Unreachable(Retried):
    """The provider answered that it cannot work now (5xx), or the handset is off."""

    error_class = "unreachable"


class Busy(Retried):
    """Too many requests; `retry_in` is the provider's time if it gave one."""

    error_class = "busy"


class OutcomeUnknown(SendFailed):
    """The request was written, and whether it was accepted is not known."""

    error_class = "outcome_unknown"


class Final(SendFailed):
    """Trying the same again cannot help."""

    final = True


class WindowClosed(Final):
    error_class = "window_closed"


class OptedOut(Final):
    error_class = "opted_out"


class Blocked(Final):
    error_class = "blocked"


class NoSuchRecipient(Final):
    error_class = "no_such_recipient"


class Moved(Final):
    """The customer is reached under `new_id` now."""

    error_class = "moved"

    def __init__(self, new_id: str, *, code: str = "") -> None:
        super().__init__("the recipient has a new id", code=code)
        self.new_id = new_id


class Refused(Final):
    """The provider refuses this content or request."""

    error_class = "refused"


class MediaFailed(Final):
    """The provider could not take the attachment."""

    error_class = "media"


class Misconfigured(SendFailed):
    """Credentials or account are wrong: the channel is paused and its queue kept."""

    error_class = "misconfigured"
    pauses_channel = True


class Expired(Final):
    """The retry horizon or the window ended before the provider accepted it."""

    error_class = "expired"


class EarlierPartFailed(Final):
    error_class = "earlier_part_failed"
