"""Hints inside one process that there is something to look at.

Losing every hint loses nothing: each waiter also polls the store.
"""

import asyncio
from collections.abc import Callable
from typing import Literal

Topic = Literal["conversation", "address", "media", "change", "typing"]
Listener = Callable[[bytes], None]


class Bus:
    """Calls every listener of a topic, in this event loop, with the id that changed."""

    def __init__(self) -> None:
        self._listeners: dict[Topic, list[Listener]] = {}

    def listen(self, topic: Topic, listener: Listener) -> Callable[[], None]:
        """Add a listener, which must not raise or block; returns how to remove it."""
        listeners = self._listeners.setdefault(topic, [])
        listeners.append(listener)
        return lambda: listeners.remove(listener)

    def poke(self, topic: Topic, key: bytes = b"") -> None:
        for listener in tuple(self._listeners.get(topic, ())):
            listener(key)


class Signal:
    """A waiter on one topic: `wait` returns on a poke since the last wait, or after `seconds`."""

    def __init__(self, bus: Bus, topic: Topic) -> None:
        self._event = asyncio.Event()
        self.close = bus.listen(topic, lambda _key: self._event.set())

    async def wait(self, seconds: float) -> bool:
        """True when poked, False when only time passed."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
