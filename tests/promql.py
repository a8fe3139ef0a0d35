"""Reads expressions of Prometheus with a parser of its language, and holds them against a page."""

import re
from collections.abc import Iterator
from typing import Any

import promql_parser as promql

Shown = dict[str, dict[str, set[str]]]
"""Metrics of a page, with their labels and the values these take."""

SCRAPE_LABELS = {"instance", "job"}
COUNTED = ("rate", "irate", "increase")
COUNTERS = ("_total", "_bucket", "_count", "_sum")


def parse(expression: str) -> Any:
    """Raises ValueError for what Prometheus would refuse. Grafana's own words are put in."""
    return promql.parse(expression.replace("$__rate_interval", "5m"))


def names(expression: str) -> set[str]:
    return {one.name for one in walk(parse(expression)) if isinstance(one, promql.VectorSelector)}


def walk(node: Any) -> Iterator[Any]:
    yield node
    for part in _parts(node):
        yield from walk(part)


def _parts(node: Any) -> list[Any]:
    match node:
        case promql.BinaryExpr():
            return [node.lhs, node.rhs]
        case promql.AggregateExpr():
            return [node.expr] if node.param is None else [node.param, node.expr]
        case promql.Call():
            return list(node.args)
        case promql.MatrixSelector():
            return [node.vector_selector]
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return [node.expr]
        case promql.VectorSelector() | promql.NumberLiteral() | promql.StringLiteral():
            return []
    raise AssertionError(f"no test knows {type(node).__name__}")


def labels_of(expression: str, shown: Shown) -> set[str]:
    """The labels of what an expression gives. Raises AssertionError for one that asks for a
    metric, a label or a value that the page does not have, for the rate of a gauge, or for two
    sides that never match."""
    tree = parse(expression)
    for node in walk(tree):
        if isinstance(node, promql.VectorSelector):
            _check_selector(node, shown)
        elif isinstance(node, promql.Call) and node.func.name in COUNTED:
            [counted] = (one.name for one in walk(node) if isinstance(one, promql.VectorSelector))
            assert counted.endswith(COUNTERS), f"{counted} is no counter"
    return _labels(tree, shown) or set()


def _check_selector(node: Any, shown: Shown) -> None:
    assert node.name in shown, f"no hub shows {node.name}"
    has = shown[node.name]
    for matcher in node.matchers.matchers:
        assert matcher.name in {*has, *SCRAPE_LABELS}, f"{node.name} has no {matcher.name}"
        if "$" not in matcher.value and matcher.name in has:
            values = matcher.value.split("|") if "Re" in str(matcher.op) else [matcher.value]
            assert set(values) <= has[matcher.name], f"{matcher.name} is never {matcher.value}"


def _labels(node: Any, shown: Shown) -> set[str] | None:
    """None of a number."""
    match node:
        case promql.VectorSelector():
            return {*shown[node.name], *SCRAPE_LABELS}
        case promql.AggregateExpr():
            inner = _labels(node.expr, shown) or set()
            if node.modifier is None:
                return set()
            assert node.modifier.type == promql.AggModifierType.By, "no test knows `without`"
            assert set(node.modifier.labels) <= inner, f"there is no {node.modifier}"
            return set(node.modifier.labels)
        case promql.Call() if node.func.name == "histogram_quantile":
            inner = _labels(node.args[1], shown) or set()
            assert "le" in inner, "a quantile is read from buckets"
            return inner - {"le"}
    found = [labels for part in _parts(node) if (labels := _labels(part, shown)) is not None]
    assert all(one == found[0] for one in found), "the two sides never match"
    return found[0] if found else None


def read_page(text: str) -> Shown:
    found: Shown = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, labels = re.match(r"(\w+)(?:\{(.*)\})? ", line).groups()  # type: ignore[union-attr]  # else it is no page
        series = found.setdefault(name, {})
        for label, value in re.findall(r'(\w+)="([^"]*)"', labels or ""):
            series.setdefault(label, set()).add(value)
    return found
