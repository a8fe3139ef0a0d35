"""The updates a bot has not taken yet, for getUpdates."""

import asyncio
from collections.abc import Collection
from typing import Any

from connectors.sandbox.refusal import Refusal

LONGEST = 50.0


class Waiting:
    """The updates of one bot that wait for getUpdates, of which one may wait at a time."""

    def __init__(self) -> None:
        self.updates: list[dict[str, Any]] = []
        self._woken = asyncio.Event()
        self._pollers = 0

    def put(self, update: dict[str, Any]) -> None:
        self.updates.append(update)
        self._woken.set()

    async def take(self, offset: int, limit: int, seconds: float) -> list[dict[str, Any]]:
        """The updates from `offset` on; those before it are forgotten.

        Waits up to `seconds` for one. Raises `Refusal` 409 when another poller comes.
        """
        self._pollers += 1
        mine = self._pollers
        self._woken.set()
        self.updates = [one for one in self.updates if one["update_id"] >= offset]
        try:
            async with asyncio.timeout(min(seconds, LONGEST)):
                while not (ready := [u for u in self.updates if u["update_id"] >= offset]):
                    self._woken.clear()
                    await self._woken.wait()
                    if mine != self._pollers:
                        raise Refusal(
                            409,
                            "Conflict: terminated by other getUpdates request; "
                            "make sure that only one bot instance is running",
                        )
        except TimeoutError:
            return []
        return ready[:limit]


def is_allowed(kind: str, allowed: Collection[str]) -> bool:
    """Whether updates of the kind are told; some are not unless they are asked for."""
    if allowed:
        return kind in allowed
    return kind not in ("chat_member", "message_reaction", "message_reaction_count")
