"""How often somebody may do something, counted in this process (GCRA)."""

import time

KEYS = 50_000


class Rate:
    """`count` in `seconds`, of which `burst` may come at once, for each key by itself."""

    def __init__(self, count: int, seconds: float, burst: int | None = None) -> None:
        self._step = seconds / count
        self._room = self._step * (burst or count)
        self._due: dict[str, float] = {}

    def take(self, key: str) -> float:
        """0 when it may be done now, else the seconds to wait."""
        now = time.monotonic()
        if len(self._due) > KEYS:
            self._due = {name: due for name, due in self._due.items() if due > now}
        due = max(self._due.get(key, 0.0), now) + self._step
        if due - now > self._room + 1e-9:
            return due - now - self._room
        self._due[key] = due
        return 0.0
