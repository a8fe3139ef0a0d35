"""How Telegram's ids stand in the hub.

A chat is `CHAT`, a topic of a forum `CHAT#TOPIC`, a customer of a connected business account
`CHAT@CONNECTION`. A message is `CHAT:MESSAGE`, since its number is unique in its chat alone; in
the business account's own chats `CHAT@CONNECTION:MESSAGE`. A tap is `tap:QUERY`.
"""

import base64
import hashlib
import re
from dataclasses import dataclass

MOST_DATA = 64
"""Bytes of a button's callback_data."""

TAP = "tap:"
ADDRESS = re.compile(r"(-?[0-9]{1,19})(?:#([0-9]{1,18}))?(?:@(.{1,200}))?", re.DOTALL)
MESSAGE = re.compile(r"-?[0-9]{1,19}(?:@.{1,200})?:([0-9]{1,18})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a message goes to or comes from."""

    chat: int
    topic: int | None = None
    business: str = ""

    @classmethod
    def of(cls, address: str) -> "Peer | None":
        """The chat of an address of ours; None for anything else."""
        found = ADDRESS.fullmatch(address)
        if found is None:
            return None
        return cls(int(found[1]), int(found[2]) if found[2] else None, found[3] or "")

    @property
    def address(self) -> str:
        topic = f"#{self.topic}" if self.topic else ""
        return f"{self.chat}{topic}{self._connection}"

    def message(self, message_id: int) -> str:
        return f"{self.chat}{self._connection}:{message_id}"

    @property
    def _connection(self) -> str:
        return f"@{self.business}" if self.business else ""


def message_number(external_id: str) -> int | None:
    """The number of a message in its chat; None where the id is not of a message."""
    found = MESSAGE.fullmatch(external_id)
    return int(found[1]) if found else None


def callback_data(button_id: str) -> str:
    """What a button brings back: its id, or a digest where the id has more than 64 bytes. Who
    taps is shown by the button's title too, by which the hub knows it among the last ones."""
    if len(button_id.encode()) <= MOST_DATA:
        return button_id
    digest = hashlib.sha256(button_id.encode()).digest()
    return "~" + base64.urlsafe_b64encode(digest).decode().rstrip("=")
