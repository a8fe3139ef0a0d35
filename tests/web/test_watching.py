"""What is written of the metrics: the operators' table, the alerts and the dashboard name what a
hub shows and nothing else, and what the page asks the database stays cheap."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from hub.clock import new_id
from hub.store.health import MOST, read_backlog
from hub.store.schema import messages
from tests.databases import only_sqlite
from tests.promql import Shown, labels_of, names, read_page
from tests.running import running_hub
from tests.statements import heard_by

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "docker/prometheus/alerts.yaml"
DASHBOARD = ROOT / "docker/grafana/onethread.json"
PARTS = ("_bucket", "_count", "_sum")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """Each metric on the page of a real hub, with its labels and the values they take."""

    async def scrape() -> str:
        # It is asked for its messages, and nobody is there to answer.
        polled = {"kind": "telegram", "mode": "polling", "api_base": "http://127.0.0.1:9"}
        polled["bot_token"] = "7000000001:AAdemo-token_0000000000000000000000"
        folder = tmp_path_factory.mktemp("hub")
        async with running_hub(folder, channels={"tg": polled}) as house:
            await house.until(lambda: house.counted("poll_failures"))
            headers = {"Authorization": f"Bearer {house.token}"}
            async with house.session.get(f"{house.url}/metrics", headers=headers) as answer:
                return await answer.text()

    return read_page(asyncio.run(scrape()))


def test_the_operators_table_is_the_page(shown: Shown) -> None:
    text = (ROOT / "docs/operating.md").read_text("utf-8")
    table = text.partition("| metric | labels | says |")[2].partition("\n\n")[0]
    told = {
        name: set(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(r"^\| `(\w+)` \|([^|]*)\|", table, re.MULTILINE)
    }
    whole: dict[str, set[str]] = {}
    for name, labels in shown.items():
        if name.startswith("onethread_"):
            base = name
            for part in PARTS:
                if name.endswith(part) and name.removesuffix(part) + "_bucket" in shown:
                    base = name.removesuffix(part)
            whole[base] = set(labels) - {"le"}
    assert told == whole


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_alert_says_what_to_do_about_what_a_hub_shows(shown: Shown) -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules()) > 10
    for rule in rules():
        kept = labels_of(rule["expr"], shown)
        assert set(rule["annotations"]) == {"summary", "runbook"}
        assert rule["annotations"]["runbook"].rstrip().endswith(".")
        assert rule["labels"]["severity"] in ("critical", "warning")
        for name in re.findall(r"\bonethread_\w+", rule["annotations"]["runbook"]):
            assert name in shown or f"{name}_bucket" in shown, name
        labels = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        assert labels <= kept, rule["alert"]


def queries(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("expr"), str):
            yield node["expr"]
        for value in node.values():
            yield from queries(value)
    elif isinstance(node, list):
        for value in node:
            yield from queries(value)


def test_the_dashboard_shows_what_a_hub_shows(shown: Shown) -> None:
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    assert len(list(queries(dashboard))) > 20
    for expression in queries(dashboard):
        labels_of(expression, shown)
    drawn = set().union(*map(names, queries(dashboard)))
    undrawn = {name for name in shown if name.startswith("onethread_")} - drawn
    assert {name for name in undrawn if not name.endswith(PARTS)} <= {
        "onethread_build_info",  # names the processes to choose from
        "onethread_hook_items_dead_total",  # their letters are drawn
    }
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    taken = [cell for panel in dashboard["panels"] for cell in cells(panel["gridPos"])]
    assert len(set(taken)) == len(taken), "panels lie beside each other"


def cells(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    assert place["x"] + place["w"] <= 24
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("sum(rate(onethread_turns_total[5m])", "parenthesis"),
        ("rate(onethread_turns_total) > 0", "expected type matrix"),
        ("rates(onethread_turns_total[5m])", "unknown function"),
        ("onethread_turn_total", "no hub shows onethread_turn_total"),
        ('onethread_sends_total{status="sent"}', "has no status"),
        ('onethread_sends_total{state=~"sent|gone"}', "state is never sent|gone"),
        ("sum by (kind) (onethread_queue_items)", "there is no by"),
        ("increase(onethread_queue_items[5m])", "is no counter"),
        ("histogram_quantile(0.5, sum(onethread_turn_seconds_bucket))", "read from buckets"),
        ("sum(onethread_queue_items) / onethread_queue_items", "never match"),
        ("onethread_sends_total / onethread_hooks_total", "never match"),
    ],
)
def test_a_wrong_expression_is_noticed(shown: Shown, expression: str, said: str) -> None:
    with pytest.raises((ValueError, AssertionError), match=re.escape(said)):
        labels_of(expression, shown)


# What the page asks the database


@only_sqlite
async def test_no_look_at_what_waits_reads_a_whole_table(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as house:
        asked: list[tuple[str, Any]] = []

        def listen(_conn: Any, _cursor: Any, text: str, parameters: Any, *_: Any) -> None:
            if text.startswith("SELECT"):
                asked.append((text, parameters))

        with heard_by(listen):
            await house.hub.store.read(read_backlog, house.hub.clock.now())
        looks = [
            (text, p)
            for text, p in asked
            if re.search(r"LIMIT.*anon_1", text, re.S) and "count(" in text
        ]
        assert len(looks) == 7

        def plans(conn: sa.Connection) -> list[str]:
            found = []
            for text, parameters in looks:
                rows = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)
                found += [row[-1] for row in rows]
            return found

        lines = await house.hub.store.read(plans)
        reads = [one for one in lines if re.match(r"(SCAN|SEARCH) \w+ ?", one)]
        tables = [one for one in reads if re.search(r"(messages|timers|media|dead_letters)", one)]
        assert len(tables) == 8, lines
        assert [one for one in tables if " USING " not in one or "INDEX" not in one] == []


async def test_a_queue_is_counted_no_further_than_it_must(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as house:
        await house.writes("wa", "hello")
        await house.settled()
        [row, *_] = await house.rows(messages.c.direction == "in")
        copies = [
            {**row, "id": new_id(), "seq": n, "dedupe_key": f"k{n}", "handled_at": None}
            for n in range(100, 100 + MOST + 5)
        ]
        await house.hub.store.write(lambda conn: conn.execute(messages.insert(), copies).close())
        backlog = await house.hub.store.read(read_backlog, house.hub.clock.now())
        assert backlog.counts["unhandled"] == MOST
