"""docs/scaling.md shows what the simulation says of the figures that are checked in, and the
simulation keeps to what must be so whatever the figures are."""

import json
from pathlib import Path

import pytest

from tests.benchmarks.costs import COSTS
from tests.benchmarks.simulation import Costs, House, burst, simulate
from tests.benchmarks.tables import parts

PAGE = Path(__file__).resolve().parents[2] / "docs/scaling.md"
FIXED = Costs(
    hook=1e-4, web_group=1e-3, step=1e-4, worker_group=1e-3, unit=5e-5, group=5e-4,
    sync=1e-3, others=1e-4, wal_bytes=16000.0,
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(300)  # eight seconds of one processor, which may be shared by many
def test_the_page_shows_what_the_simulation_says() -> None:
    text = PAGE.read_text("utf-8")
    for part in parts():
        assert part in text, (
            f"python -m tests.benchmarks simulate, and show in docs/scaling.md:\n{part}"
        )


def test_the_costs_that_are_fitted_give_back_what_was_measured() -> None:
    """A transaction costs 2 ms of the web and a message 1 ms beside, in this measurement."""
    loads = {str(rate): made_up(commits) for rate, commits in ((15, 9.0), (60, 4.0), (150, 1.0))}
    many = made_up(0.4)
    fitted = Costs.fit({"paced": loads, "full": many, "full_2": many, "sync": 0.0})
    assert fitted.web_group == pytest.approx(2e-3)
    assert fitted.hook * 4 == pytest.approx(1e-3)
    assert set(json.loads(COSTS.read_text())["full"]) >= set(many)


def made_up(commits: float) -> dict[str, float]:
    cpu = 1e-3 + 2e-3 * commits
    return {
        "web_commits": commits, "worker_commits": commits, "wal_bytes": 1.0, "others_cpu": 0.0,
        "redis_cpu": 0.0, "web_cpu": cpu, "worker_cpu": cpu, "postgres_cpu": cpu,
    }  # fmt: skip


def test_waiting_bounds_the_turns_by_what_is_done_at_once() -> None:
    one, two = (
        burst(FIXED, House(1, workers, postgres=8, waits=0.5, at_once=4), 80) for workers in (1, 2)
    )
    assert 7 < one < 8  # 4 at once, half a second each
    assert 14 < two < 16


def test_no_part_is_busier_than_whole_and_postgres_gets_full() -> None:
    small = simulate(FIXED, House(8, 8, postgres=1), 512)
    large = simulate(FIXED, House(8, 8, postgres=64), 512)
    assert small.limit == "PostgreSQL"
    assert 0.95 < small.postgres < 1.05
    assert large.rate > 2 * small.rate
    assert max(large.web, large.worker, large.slots, large.postgres) < 1.05
    # What a core does at most when each of a message's units shares its transaction with 63.
    assert small.rate < 1 / (7 * (FIXED.unit + FIXED.group / 64))
