"""Two workers share the turns: both do some, and together they do each once. No time is held."""

from pathlib import Path

import pytest

from tests.benchmarks.workers import bench
from tests.servers import Redis

TURNS = 80


@pytest.mark.slow
def test_two_workers_share_the_turns(
    fresh_postgres: str, fresh_redis: Redis, tmp_path: Path
) -> None:
    with bench(tmp_path, fresh_postgres, fresh_redis.url) as scene:
        shared = scene.run(2, TURNS)
    assert shared.void == ""
    assert sum(shared.turns) == TURNS
    assert len(shared.turns) == 2
    assert min(shared.turns) >= TURNS / 5, shared.turns
