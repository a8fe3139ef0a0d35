"""A business account at a provider, as every stand-in knows it."""

from collections.abc import Collection
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Account(BaseModel):
    """A business account at the provider.

    `receipts` are the ones posted for an accepted message. `receipt_delay` is in seconds of
    real time: one number is the distance from each receipt to the next, a list gives each
    its own. `hook_timeout` is how long the provider waits for a webhook's answer, `first_retry`
    how long before it repeats one; both in seconds.
    """

    model_config = ConfigDict(extra="forbid")

    hook_url: str = ""
    receipts: tuple[Literal["sent", "delivered", "read"], ...] = ("sent", "delivered", "read")
    receipt_delay: float | tuple[float, ...] = 0.02
    hook_timeout: float = 15.0
    first_retry: float = 0.2

    @property
    def key(self) -> str:
        """The id by which the account is told apart here."""
        raise NotImplementedError

    @property
    def names(self) -> Collection[str]:
        """All ids under which a control call may mean the account."""
        return (self.key,)

    def delay(self, index: int) -> float:
        """Seconds from the acceptance of a message to its receipt number `index`."""
        if isinstance(self.receipt_delay, tuple):
            return self.receipt_delay[min(index, len(self.receipt_delay) - 1)]
        return index * self.receipt_delay
