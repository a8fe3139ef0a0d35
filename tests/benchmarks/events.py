"""A world of queues: what happens when work waits for places and each place takes its time.

Work is a generator. It yields a Place to take it, a number of seconds to let them pass, or a
Gathering to wait for its end.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Generator
from typing import Any

Work = Generator[Any, None, None]


class Place:
    """Something that at most `room` can have at once: a processor, a process, a slot."""

    def __init__(self, world: "World", room: int) -> None:
        self.world = world
        self.room = room
        self.free = room
        self.queue: deque[Work] = deque()
        self.busy = 0.0

    def leave(self) -> None:
        if self.queue:
            self.world.after(0.0, self.queue.popleft())
        else:
            self.free += 1


class Gathering:
    """What some work waits for until other work lets it go on."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.waiting: list[Work] = []
        self.is_over = False

    def end(self) -> None:
        self.is_over = True
        for work in self.waiting:
            self.world.after(0.0, work)


class World:
    def __init__(self) -> None:
        self.now = 0.0
        self._order = itertools.count()
        self._due: list[tuple[float, int, Work]] = []

    def after(self, seconds: float, work: Work) -> None:
        heapq.heappush(self._due, (self.now + seconds, next(self._order), work))

    def run(self, until: float) -> None:
        """Let time pass until then, or until nothing is left to happen."""
        while self._due and self._due[0][0] <= until:
            self.now, _, work = heapq.heappop(self._due)
            self._advance(work)

    def _advance(self, work: Work) -> None:
        for wanted in work:
            if isinstance(wanted, Place):
                if not wanted.free:
                    wanted.queue.append(work)
                    return
                wanted.free -= 1
            elif isinstance(wanted, Gathering):
                if not wanted.is_over:
                    wanted.waiting.append(work)
                    return
            else:
                self.after(wanted, work)
                return


def spend(seconds: float, *places: Place) -> Work:
    """Have all of `places` for so long, taken in their order."""
    for place in places:
        yield place
    yield seconds
    for place in places:
        place.busy += seconds
        place.leave()
