"""Who works on and on: one handler for many keys, each key by one task at a time and some keys at
once; and looks for work that nobody was told of."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Never

import structlog

from hub.errors import StoreUnavailable

log = structlog.get_logger(__name__)


async def look_for_ever(
    what: str, look: Callable[[], Awaitable[object]], pause: Callable[[], Awaitable[object]]
) -> Never:
    """Look again and again while something is found, then pause. What goes wrong costs a pause and
    not the loop: the store is away, or the look itself is wrong."""
    while True:
        try:
            while await look():
                pass
        except StoreUnavailable as error:
            log.warning("look failed", what=what, error=str(error))
        except Exception as error:
            log.error("look failed", what=what, error=type(error).__name__, exc_info=True)
        await pause()


class Pool:
    """`poke(key)` has the handler run for the key, soon; pokes that come while it waits are one,
    and one that comes while it runs has it run again."""

    def __init__(self, name: str, handler: Callable[[bytes], Awaitable[None]], most: int) -> None:
        self._name = name
        self._handler = handler
        self._most = most
        self._waiting: deque[bytes] = deque()
        self._states: dict[bytes, bool] = {}  # waiting or running; True: run again
        self._running: dict[bytes, bool] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    @property
    def is_stopped(self) -> bool:
        """Whether nothing new is to be begun."""
        return self._stopped

    def __len__(self) -> int:
        """How many keys are in hand."""
        return len(self._states)

    def has_room(self, key: bytes) -> bool:
        """Whether the key would be handled at once, or is in hand already."""
        return key in self._states or len(self._states) < self._most

    def poke(self, key: bytes) -> None:
        if self._stopped:
            return
        if key in self._states:
            if key in self._running:
                self._states[key] = True
            return
        self._states[key] = False
        self._waiting.append(key)
        if len(self._tasks) < self._most:
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def poke_if_running(self, key: bytes) -> None:
        """Have the handler run again for a key that it runs for now."""
        if key in self._running:
            self.poke(key)

    def poke_later(self, key: bytes, seconds: float) -> None:
        asyncio.get_running_loop().call_later(max(seconds, 0.0), self.poke, key)

    async def stop(self, seconds: float) -> None:
        """Take nothing new, let what runs end for `seconds`, then cancel it."""
        self._stopped = True
        self._waiting.clear()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=2)

    async def _work(self) -> None:
        while self._waiting:
            key = self._waiting.popleft()
            self._running[key] = True
            try:
                await self._handler(key)
            except Exception as error:
                # The store is away or the handler is wrong: the sweeper finds the key again.
                log.error("work failed", pool=self._name, error=type(error).__name__, exc_info=True)
            finally:
                del self._running[key]
                again = self._states.pop(key)
            if again:
                self.poke(key)
        # At once, not by the callback: a poke in between would count on a task that has ended.
        if (own := asyncio.current_task()) is not None:
            self._tasks.discard(own)
