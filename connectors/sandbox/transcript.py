"""What the customers' phones show: every message either way, with its newest status."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

_RANKS = {"accepted": 0, "sent": 1, "failed": 2, "undelivered": 2, "delivered": 3, "read": 4}


@dataclass(slots=True)
class Item:
    """One message on a phone; "in" was written by the customer, "out" reached her.

    `n` orders the items; `changed` is the same counter at the item's last change. `at` is in
    seconds UTC. `quick_replies` are chips that vanish with the next message, `edits` how often
    the text was changed. `by` is "provider" for what the provider said by itself, such as the
    answer to STOP. `correlation` is what the business asked to have echoed in receipts.
    """

    account: str
    phone: str
    direction: str
    external_id: str
    kind: str
    at: float
    text: str = ""
    status: str = "accepted"
    by: str = "business"
    header: str = ""
    footer: str = ""
    buttons: list[dict[str, str]] = field(default_factory=list)
    quick_replies: list[dict[str, str]] = field(default_factory=list)
    list_button: str | None = None
    rows: list[dict[str, str]] = field(default_factory=list)
    media: list[dict[str, Any]] = field(default_factory=list)
    choice: dict[str, Any] | None = None
    place: dict[str, Any] | None = None
    contacts: list[dict[str, Any]] = field(default_factory=list)
    reaction: dict[str, Any] | None = None
    template: dict[str, Any] | None = None
    reply_to: str | None = None
    error: int | None = None
    correlation: str | None = None
    edits: int = 0
    n: int = 0
    changed: int = 0


class Transcript:
    """All phones of one stand-in; `keep` bounds the number of items, None keeps all."""

    def __init__(self, keep: int | None = None) -> None:
        self._keep = keep
        self._count = 0
        self._order: deque[Item] = deque()
        self._by_id: dict[str, Item] = {}
        self._phones: dict[str, deque[Item]] = {}
        self._waiters: dict[str, set[asyncio.Event]] = {}

    def add(self, item: Item) -> Item:
        self._count += 1
        item.n = item.changed = self._count
        self._order.append(item)
        self._by_id[item.external_id] = item
        self._phones.setdefault(item.phone, deque()).append(item)
        if self._keep is not None and len(self._order) > self._keep:
            self._forget_oldest()
        self._wake(item.phone)
        return item

    def put(self, item: Item) -> Item:
        """Add a new item, or tell those who wait that a known one has changed."""
        if not item.n:
            return self.add(item)
        self._count += 1
        item.changed = self._count
        self._wake(item.phone)
        return item

    def mark(self, item: Item, status: str, error: int | None = None) -> None:
        """Move the item's status forward; an earlier status changes nothing."""
        if item.direction == "out" and _RANKS.get(status, 0) <= _RANKS.get(item.status, 0):
            return
        self._count += 1
        item.status, item.changed = status, self._count
        item.error = error if error is not None else item.error
        self._wake(item.phone)

    def find(self, external_id: str | None) -> Item | None:
        return self._by_id.get(external_id) if external_id else None

    def read(self, phone: str, account: str | None = None, after: int = 0) -> list[Item]:
        """The phone's items that came or changed after the counter value `after`."""
        return [
            item
            for item in self._phones.get(phone, ())
            if item.changed > after and (account is None or item.account == account)
        ]

    async def follow(
        self, phone: str, account: str | None, after: int, seconds: float
    ) -> list[Item]:
        """`read`, but waits up to `seconds` for something to return."""
        woken = asyncio.Event()
        waiters = self._waiters.setdefault(phone, set())
        waiters.add(woken)
        try:
            async with asyncio.timeout(seconds):
                while not (items := self.read(phone, account, after)):
                    woken.clear()
                    await woken.wait()
                return items
        except TimeoutError:
            return []
        finally:
            waiters.discard(woken)
            if not waiters:
                self._waiters.pop(phone, None)

    def clear(self) -> None:
        """Forget every item; the counter goes on, so that old cursors stay valid."""
        self._order.clear()
        self._by_id.clear()
        self._phones.clear()

    def _wake(self, phone: str) -> None:
        for woken in self._waiters.get(phone, ()):
            woken.set()

    def _forget_oldest(self) -> None:
        item = self._order.popleft()
        self._by_id.pop(item.external_id, None)
        items = self._phones[item.phone]
        items.popleft()
        if not items:
            del self._phones[item.phone]
