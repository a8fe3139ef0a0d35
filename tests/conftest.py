"""Which tests come after the fast part: those of a whole hub, however quick each of them is."""

from pathlib import Path

import pytest

WHOLE_HUB = {
    "faults/test_fault_table.py",
    "faults/test_long_faults.py",
    "faults/test_poison.py",
    "hub/test_identity.py",
    "hub/test_known_senders.py",
    "hub/test_outcomes_kept.py",
    "hub/test_pacing.py",
    "hub/test_receipts.py",
    "hub/test_resolving.py",
    "hub/test_said_when_said.py",
    "hub/test_fetching.py",
    "hub/test_send_laws.py",
    "hub/test_signals.py",
    "hub/test_store.py",
    "hub/test_takeover.py",
    "hub/test_takeover_storm.py",
    "hub/test_turns.py",
    "web/test_api.py",
    "web/test_api_rules.py",
    "web/test_auth.py",
    "web/test_demo_paths.py",
    "web/test_foreign_items.py",
    "web/test_hooks.py",
    "web/test_live.py",
    "web/test_poisoned_hooks.py",
    "web/test_schema.py",
    "web/test_visitor.py",
    "web/test_visitor_identity.py",
    "web/test_visitor_order.py",
}
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.relative_to(HERE).as_posix() in WHOLE_HUB:
            item.add_marker(pytest.mark.slow)
