"""The metrics as docs/observability.md lists them, and what PromQL expressions ask of them."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

import promql_parser

ROOT: Final = Path(__file__).parents[3]
SERVICES: Final = {
    "Score service": "score-service",
    "Action gateway": "action-gateway",
    "Score relay": "score-relay",
}
"""The services by their headings."""
_OF_A_TARGET: Final = frozenset({"namespace", "pod", "job"})
"""Labels that a scrape adds; it adds more, which nothing here relies on."""
_PARTS: Final = re.compile(r"_(bucket|count|sum)$")
_Node = TypeVar("_Node", bound=promql_parser.Expr)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric with its labels."""

    name: str
    kind: str
    labels: frozenset[str]
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The values of labels whose values are listed."""


UP: Final = Metric("up", "gauge", frozenset())
"""What Prometheus says of every target by itself."""


@cache
def read_catalogue() -> Mapping[str, Mapping[str, Metric]]:
    """Read the documented metrics, by heading and name."""
    text = (ROOT / "docs/observability.md").read_text(encoding="utf-8")
    section = text.partition("\n## Metrics\n")[2].partition("\n## ")[0]
    parts = re.split(r"^### (.+)$", section, flags=re.MULTILINE)[1:]
    return {heading: _read_part(part) for heading, part in zip(parts[::2], parts[1::2], strict=True)}


def all_metrics() -> dict[str, Metric]:
    """Give every documented metric by name."""
    return {name: metric for part in read_catalogue().values() for name, metric in part.items()}


def _read_part(part: str) -> Mapping[str, Metric]:
    rows = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("| `")]
    values: dict[str, list[tuple[str, frozenset[str]]]] = {}
    of: list[str] = []
    for label, names, given in (row for row in rows if len(row) == 3):
        of = _codes(names) or of
        for name in of:
            values.setdefault(name, []).extend((code, frozenset(_codes(given))) for code in _codes(label))
    return {
        name: Metric(name, kind.strip(), frozenset(_codes(labels)), dict(values.get(name, ())))
        for names, kind, labels, _ in (row for row in rows if len(row) == 4)
        for name in _codes(names)
    }


def _codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def find_faults(expr: str, metrics: Mapping[str, Metric]) -> Iterator[str]:
    """Find what an expression asks for that the metrics do not have."""
    tree, labels = promql_parser.parse(expr), set(_OF_A_TARGET)
    for selector in _find(tree, promql_parser.VectorSelector):
        metric = _metric_of(str(selector.name), metrics)
        if metric is None:
            yield f"{selector.name}: no such metric"
            continue
        labels |= metric.labels
        for matcher in selector.matchers.matchers:
            yield from _find_mismatches(metric, matcher)
    for aggregation in _find(tree, promql_parser.AggregateExpr):
        grouped = set(aggregation.modifier.labels if aggregation.modifier else ())
        yield from (f"{label}: no label of these metrics" for label in grouped - labels - {"le"})


def find_labels(expr: str) -> frozenset[str]:
    """Find the labels that an expression groups by."""
    aggregations = _find(promql_parser.parse(expr), promql_parser.AggregateExpr)
    return frozenset(label for found in aggregations if found.modifier for label in found.modifier.labels)


def _metric_of(series: str, metrics: Mapping[str, Metric]) -> Metric | None:
    """Find the metric that a series belongs to. A histogram has series of three other names."""
    metric = metrics.get(series) or metrics.get(_PARTS.sub("", series))
    return metric if metric and (metric.kind == "histogram") == (metric.name != series) else None


def _find_mismatches(metric: Metric, matcher: promql_parser.Matcher) -> Iterator[str]:
    if matcher.name not in metric.labels | _OF_A_TARGET:
        yield f"{metric.name}: has no label {matcher.name}"
    known: Iterable[str] = metric.values.get(matcher.name, frozenset())
    if matcher.name == "job":
        known = SERVICES.values()
    if matcher.name == "namespace" or not known:
        return
    is_pattern = matcher.op in (promql_parser.MatchOp.Re, promql_parser.MatchOp.NotRe)
    for asked in matcher.value.split("|") if is_pattern else [matcher.value]:
        matches: Callable[[str], object] = re.compile(asked).fullmatch if is_pattern else asked.__eq__
        if not any(matches(value) for value in known):
            yield f"{metric.name}: {matcher.name} is never {asked}"


def _find(tree: promql_parser.Expr, kind: type[_Node]) -> list[_Node]:
    found: list[_Node] = []

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, kind):
            found.append(node)

    promql_parser.walk(tree, visit)
    return found
