"""Hints that there is something to look at, in one process; `redis_bus.py` carries them further.

Losing every hint loses nothing: each waiter also polls the store.
"""

import asyncio
from collections.abc import Callable
from typing import Literal, get_args

Wake = Literal["conversation", "address", "media"]
"""Work: one worker that hears of it is enough."""
Live = Literal["change", "typing", "held", "template", "channel"]
"""News: for whoever follows it, in every process. `held`: work on this key was wanted elsewhere
while a worker here has it. `template`: a provider judged one anew. `channel`: one is
paused, or goes on."""
Topic = Literal[Wake, Live]
Listener = Callable[[bytes], None]
Room = Callable[[bytes], bool]
"""Whether a listener can begin with this key now, without its waiting for others."""

WAKES: tuple[Wake, ...] = get_args(Wake)
LIVES: tuple[Live, ...] = get_args(Live)


def always(_key: bytes) -> bool:
    return True


class Bus:
    """Calls every listener of a topic, in this event loop, with the id that changed."""

    is_connected = True
    """Whether hints reach the other processes, where there are any."""

    def __init__(self) -> None:
        self._listeners: dict[Topic, list[tuple[Listener, Room]]] = {}

    def listen(self, topic: Topic, listener: Listener, room: Room = always) -> Callable[[], None]:
        """Add a listener, which must not raise or block; returns how to remove it. Work for
        which it has no `room` may go to another process."""
        listeners = self._listeners.setdefault(topic, [])
        entry = (listener, room)
        listeners.append(entry)

        def stop() -> None:
            if entry in listeners:
                listeners.remove(entry)

        return stop

    def poke(self, topic: Topic, key: bytes = b"") -> None:
        """Tell whoever listens; never waits and never raises."""
        self._tell(topic, key)

    def poke_others(self, topic: Live, key: bytes = b"") -> None:
        """Tell the other processes alone, where there are any; never waits and never raises."""

    def _tell(self, topic: Topic, key: bytes) -> None:
        for listener, _room in tuple(self._listeners.get(topic, ())):
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
