"""Which tests come after the fast part: those of a whole hub, however quick each of them is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import Postgres, Redis

WHOLE_HUB = {
    "faults/test_fault_table.py",
    "faults/test_long_faults.py",
    "faults/test_mended.py",
    "faults/test_poison.py",
    "hub/test_albums.py",
    "hub/test_answer_limit.py",
    "hub/test_catch_up.py",
    "hub/test_drain.py",
    "hub/test_hard_email.py",
    "hub/test_hard_messages.py",
    "hub/test_held.py",
    "hub/test_hard_sorts.py",
    "hub/test_hard_telegram.py",
    "hub/test_hard_twilio.py",
    "hub/test_identity.py",
    "hub/test_known_senders.py",
    "hub/test_late_rates.py",
    "hub/test_media_out.py",
    "hub/test_move.py",
    "hub/test_names.py",
    "hub/test_outcomes_kept.py",
    "hub/test_pacing.py",
    "hub/test_postgres.py",
    "hub/test_postgres_waits.py",
    "hub/test_receipts.py",
    "hub/test_redis_bus.py",
    "hub/test_redis_rates.py",
    "hub/test_resolving.py",
    "hub/test_said_when_said.py",
    "hub/test_backup.py",
    "hub/test_dead.py",
    "hub/test_edits.py",
    "hub/test_fetching.py",
    "hub/test_send_laws.py",
    "hub/test_signals.py",
    "hub/test_standby.py",
    "hub/test_store.py",
    "hub/test_takeover.py",
    "hub/test_takeover_storm.py",
    "hub/test_template_sync.py",
    "hub/test_traces.py",
    "hub/test_turns.py",
    "hub/test_two_workers.py",
    "hub/test_upkeep.py",
    "journeys/test_mail.py",
    "journeys/test_meta_channels.py",
    "journeys/test_telegram.py",
    "web/test_api.py",
    "web/test_api_dead.py",
    "web/test_api_rules.py",
    "web/test_auth.py",
    "web/test_courtesy.py",
    "web/test_demo_paths.py",
    "web/test_foreign_items.py",
    "web/test_gateway_hooks.py",
    "web/test_hooks.py",
    "web/test_live.py",
    "web/test_metrics.py",
    "web/test_one_url.py",
    "web/test_poisoned_hooks.py",
    "web/test_previews.py",
    "web/test_ready.py",
    "web/test_schema.py",
    "web/test_visitor.py",
    "web/test_visitor_identity.py",
    "web/test_visitor_order.py",
    "web/test_watching.py",
}
HERE = Path(__file__).parent

# No test fails for the time it takes: a loaded machine makes any of them slow.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
FAST = "not slow"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even read what the fast part leaves out: that takes longer than many of its tests."""
    return True if config.option.markexpr == FAST and _is_whole_hub(collection_path) else None


def _is_whole_hub(path: Path) -> bool:
    return path.relative_to(HERE).as_posix() in WHOLE_HUB


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _is_whole_hub(item.path):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One cluster for all tests of this process."""
    server = Postgres().start()
    yield server
    server.close()


@pytest.fixture
def fresh_postgres(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty database of this test's own; the server is up, whatever came before."""
    _bring_back(postgres)
    url = postgres.create()
    yield url
    _bring_back(postgres)
    postgres.drop(url)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """One Redis for all tests of this process."""
    server = Redis().start()
    yield server
    server.close()


@pytest.fixture
def fresh_redis(redis_server: Redis) -> Redis:
    """Up and empty, whatever came before."""
    _bring_back(redis_server)
    redis_server.ask("FLUSHALL")
    return redis_server


def _bring_back(server: Postgres | Redis) -> None:
    server.thaw()
    if not server.is_running:
        server.start()
