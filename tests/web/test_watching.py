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
from tests.running import running_hub
from tests.statements import heard_by

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "docker/prometheus/alerts.yaml"
DASHBOARD = ROOT / "docker/grafana/onethread.json"
Shown = dict[str, dict[str, set[str]]]
NAME = re.compile(r"\b(?:onethread|process)_\w+")
SELECTED = re.compile(r"\b((?:onethread|process)_\w+)\{([^}]*)\}")
SCRAPE_LABELS = {"instance", "job"}
PARTS = ("_bucket", "_count", "_sum")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """Each metric on the page of a real hub, with its labels and the values they take."""

    async def scrape() -> str:
        async with running_hub(tmp_path_factory.mktemp("hub")) as house:
            headers = {"Authorization": f"Bearer {house.token}"}
            async with house.session.get(f"{house.url}/metrics", headers=headers) as answer:
                return await answer.text()

    found: Shown = {}
    for line in asyncio.run(scrape()).splitlines():
        if line.startswith("#"):
            continue
        name, labels = re.match(r"(\w+)(?:\{(.*)\})? ", line).groups()  # type: ignore[union-attr]  # else it is no page
        series = found.setdefault(name, {})
        for label, value in re.findall(r'(\w+)="([^"]*)"', labels or ""):
            series.setdefault(label, set()).add(value)
    return found


def labels_of(name: str, shown: Shown) -> set[str]:
    assert name in shown, f"no hub shows {name}"
    return set(shown[name]) - {"le"}


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
        assert NAME.findall(rule["expr"]), rule["alert"]
        check_expression(rule["expr"], shown)
        assert set(rule["annotations"]) == {"summary", "runbook"}
        assert rule["annotations"]["runbook"].rstrip().endswith(".")
        assert rule["labels"]["severity"] in ("critical", "warning")
        for name in re.findall(r"\bonethread_\w+", rule["annotations"]["runbook"]):
            assert name in shown or f"{name}_bucket" in shown, name
        labels = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        grouped = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", rule["expr"]))))
        bare = " by " not in rule["expr"]
        kept = set().union(SCRAPE_LABELS, *(shown[name] for name in NAME.findall(rule["expr"])))
        assert labels <= (kept if bare else grouped), rule["alert"]


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
        check_expression(expression, shown)
    drawn = set(NAME.findall(" ".join(queries(dashboard))))
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


def check_expression(expression: str, shown: Shown) -> None:
    """Every metric is on the page and has the labels that are asked of it; brackets close."""
    for name in NAME.findall(expression):
        labels_of(name, shown)
    for name, matchers in SELECTED.findall(expression):
        asked = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", matchers))
        assert asked <= labels_of(name, shown) | SCRAPE_LABELS, expression
        for label, value in re.findall(r'(\w+)=~?"([^"$]*)"', matchers):
            assert set(value.split("|")) <= shown[name][label], expression
    for names in re.findall(r"by \(([^)]*)\)", expression):
        known_labels = set().union(*(shown[name] for name in NAME.findall(expression)))
        assert set(re.findall(r"\w+", names)) <= known_labels | SCRAPE_LABELS, expression
    for left, right in ("()", "{}", "[]"):
        assert expression.count(left) == expression.count(right), expression


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
        assert len(looks) == 6

        def plans(conn: sa.Connection) -> list[str]:
            found = []
            for text, parameters in looks:
                rows = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)
                found += [row[-1] for row in rows]
            return found

        lines = await house.hub.store.read(plans)
        reads = [one for one in lines if re.match(r"(SCAN|SEARCH) \w+ ?", one)]
        tables = [one for one in reads if re.search(r"(messages|timers|media|dead_letters)", one)]
        assert len(tables) == 7, lines
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
