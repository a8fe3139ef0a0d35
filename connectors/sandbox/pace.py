"""A provider's rate limit, counted on the stand-in's own clock."""

from collections.abc import Hashable


class Pace:
    """At most `burst` at once for each key, and one more every `every` seconds."""

    def __init__(self, every: float, burst: int) -> None:
        self._every, self._burst = every, burst
        self._due: dict[Hashable, float] = {}

    def take(self, key: Hashable, now: float) -> bool:
        """Whether one more is allowed at `now`, in seconds; if so it is counted."""
        due = max(self._due.get(key, now), now)
        # Half a millisecond of grace, so that sums of fractions do not refuse an exact pace.
        if due - now > (self._burst - 1) * self._every + 0.0005:
            return False
        self._due[key] = due + self._every
        return True

    def clear(self) -> None:
        self._due.clear()
