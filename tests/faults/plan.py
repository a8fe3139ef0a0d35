"""What goes wrong in a storm, and when: a pure function of the seed.

A plan has no end, so a shorter run of the same seed meets the beginning of the same plan. Faults
come in decks, each shuffled: every kind strikes once a deck at least.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal[
    "kill_web",
    "kill_worker",
    "database_restarted",
    "database_away",
    "redis_emptied",
    "redis_away",
    "worker_frozen",
    "disk_full",
]
ENDS = ("stop", "kill", "freeze")
"""How a server goes away: in order, by SIGKILL, or silent with its connections open."""

SCALED: dict[Kind, int] = {
    "kill_worker": 4,
    "kill_web": 1,
    "database_restarted": 1,
    "database_away": 1,
    "redis_emptied": 1,
    "redis_away": 1,
    "worker_frozen": 1,
    "disk_full": 1,
}
ALONE: dict[Kind, int] = {"kill_worker": 4, "database_away": 1, "worker_frozen": 1, "disk_full": 1}
WEATHER: Sequence[dict[str, Any]] = (
    {"do": "status", "status": 429, "retry_after": 0.2},
    {"do": "status", "status": 500},
    {"do": "hang"},
    {"do": "reset"},
    {"do": "accept_silent"},
    {"do": "accept_reset"},
    {"do": "receipt_first"},
    {"do": "reorder_receipts"},
    {"do": "duplicate_receipts"},
    {"do": "no_receipts"},
)
"""What the stand-ins do beside that."""
LASTING = frozenset({"database_away", "redis_away", "disk_full"})
LONG_AWAY = 60.0
LOCK_WAIT = 5.0
"""A hub waits so long for a locked SQLite file before it says that the database is away."""
CLOCK = 60


@dataclass(frozen=True)
class Fault:
    """`seconds` is how long what is away stays away; `calm` how long all is well before it.
    `target` is a number from which the process is chosen, `provider` and `times` say who answers
    slowly for a kill in the midst of a send, `weather` what each stand-in does meanwhile."""

    kind: Kind
    calm: float
    seconds: float
    target: int
    how: str
    provider: str
    times: int
    weather: tuple[dict[str, Any], ...]

    def __str__(self) -> str:
        weather = " ".join(str(one.get("status", one["do"])) for one in self.weather)
        return f"{self.kind} {self.target} {self.how} {self.seconds:.1f} s, weather {weather}"


def faults(seed: int, *, alone: bool, long: bool) -> Iterator[Fault]:
    """The faults of that seed, one after the other, without end. `alone`: one process on SQLite.
    `long`: servers are away for a minute once, and workers are killed more often."""
    rng = random.Random(f"plan {seed}")
    first = True
    while True:
        kinds = dict(ALONE if alone else SCALED)
        if long:
            kinds["kill_worker"] *= 3
        deck = [kind for kind, count in kinds.items() for _ in range(count)]
        rng.shuffle(deck)
        for kind in deck:
            seconds = rng.uniform(2.0, 4.0)
            if long:
                seconds = LONG_AWAY if first and kind.endswith("_away") else seconds * 2
            if alone:
                seconds += LOCK_WAIT
            yield Fault(
                kind=kind,
                calm=rng.uniform(0.3, 1.2),
                seconds=seconds if kind in LASTING else 0.0,
                target=rng.randrange(2),
                how=rng.choice(ENDS),
                provider=rng.choice(("wa", "wa", "sms")),
                times=rng.randint(2, 4),
                weather=tuple(rng.sample(WEATHER, 3)),
            )
        first = False


def clock_of(seed: int, names: Sequence[str]) -> tuple[str, int]:
    """Which process has its clock off, and by how many seconds."""
    rng = random.Random(f"clock {seed}")
    return rng.choice(names), rng.choice((-CLOCK, CLOCK))
