"""The log of a stand-in: every call of the provider's API that came in, and what it answered."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol, TypeVar


@dataclass(slots=True)
class Call:
    """One call. `status` stays None while it is open and when it was never answered.

    `correlation` is what the caller asked to have echoed: WhatsApp's
    `biz_opaque_callback_data`, the query of Twilio's StatusCallback. `fault` is the fault
    that struck.
    """

    n: int
    at: float
    method: str
    path: str
    account: str | None = None
    to: str | None = None
    status: int | None = None
    code: int | None = None
    external_id: str | None = None
    correlation: str | None = None
    body: dict[str, Any] = field(default_factory=dict)
    fault: str | None = None


class CallLog:
    """The calls, oldest first; `keep` bounds their number, None keeps all."""

    def __init__(self, now: Callable[[], float], keep: int | None = None) -> None:
        self._now = now
        self._count = 0
        self._calls: deque[Call] = deque(maxlen=keep)

    def open(self, method: str, path: str) -> Call:
        self._count += 1
        call = Call(n=self._count, at=self._now(), method=method, path=path)
        self._calls.append(call)
        return call

    def read(self, after: int = 0) -> list[Call]:
        """The calls numbered above `after`."""
        return later_than(self._calls, after)

    def clear(self) -> None:
        """Forget the calls; the numbers go on, so that old cursors stay valid."""
        self._calls.clear()


class Numbered(Protocol):
    @property
    def n(self) -> int: ...


N = TypeVar("N", bound=Numbered)


def later_than(entries: deque[N], after: int) -> list[N]:
    """The entries numbered above `after`, of a log numbered without gaps."""
    if not entries:
        return []
    return list(islice(entries, max(0, after - entries[0].n + 1), None))
