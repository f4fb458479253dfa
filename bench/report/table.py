"""The report at the end: one table for a person, and the same with all rounds as JSON."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from bench.figures.row import SERVERS, Base, Line, sum_of
from bench.figures.spread import Spread

_PYTHON: Final = ("service", "gateway", "echo")
"""The Python servers share a column; a measure keeps one or two of them busy."""
_WIDE: Final = {"what": 170, "range": 122, "load": 100, "limit": 92}
"""How wide a terminal must be to show what can be done without."""


def make_table(lines: Sequence[Line], width: int) -> Table:
    """Lay out the rows for a terminal of so many columns."""
    return _lay_out([_cells(line) for line in lines], width)


def make_comparison(lines: Sequence[Line], width: int) -> Table:
    """Lay out the rows beside those of another revision; CPU is that of all servers."""
    return _lay_out([_compared(line) for line in lines], width)


def _lay_out(cells: Sequence[dict[str, str | Text]], width: int) -> Table:
    title = "Medians of all rounds; CPU in µs an operation"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 0))
    shown = [name for name in (cells[0] if cells else ()) if width >= _WIDE.get(name, 0)]
    for name in shown:
        is_text = name in {"row", "what", "met"}
        table.add_column(name, justify="left" if is_text else "right", no_wrap=name not in {"what", "target"})
    for row in cells:
        table.add_row(*(row[name] for name in shown))
    return table


def _compared(line: Line) -> dict[str, str | Text]:
    base = line.base
    return {
        "row": line.row.name,
        "what": line.row.title,
        "figure": f"{number(line.figure.median)} {line.row.unit}",
        "base": number(base.figure.median) if base else Text("missing", "yellow"),
        "of base": f"{base.ratio.median:.2f}" if base else "",
        "range": f"{base.ratio.least:.2f} - {base.ratio.most:.2f}" if base else "",
        "of limit": f"{line.ratio.median:.2f}" if line.ratio else "",
        "CPU": number(sum_of(line.cpu, (*SERVERS, "echo"))),
        "base CPU": number(sum_of(base.cpu, (*SERVERS, "echo"))) if base else "",
        "target": "\n".join(str(target) for target, _ in line.verdicts),
        "met": Text("\n").join(_verdict(is_met=is_met) for _, is_met in line.verdicts),
    }


def _cells(line: Line) -> dict[str, str | Text]:
    return {
        "row": line.row.name,
        "what": line.row.title,
        "figure": f"{number(line.figure.median)} {line.row.unit}",
        "range": f"{number(line.figure.least)} - {number(line.figure.most)}",
        "limit": number(line.limit.median) if line.limit else "",
        "ratio": f"{line.ratio.median:.2f}" if line.ratio else "",
        "service": number(sum_of(line.cpu, _PYTHON)),
        **{name: number(line.cpu.get(name, 0.0)) for name in ("postgres", "redis", "load")},
        "target": "\n".join(str(target) for target, _ in line.verdicts),
        "met": Text("\n").join(_verdict(is_met=is_met) for _, is_met in line.verdicts),
    }


def _verdict(*, is_met: bool | None) -> Text:
    if is_met is None:
        return Text("-", "dim")
    return Text("yes", "green") if is_met else Text("no", "bold red")


def number(figure: float) -> str:
    """Write a figure with three digits that count, or whole if it is large."""
    if math.isnan(figure):
        return "-"
    size = abs(figure)
    decimals = 0 if size >= 100 else 1 if size >= 10 else 2  # noqa: PLR2004 - Three digits in all.
    return f"{figure:,.{decimals}f}" if size else "0"


def make_report(lines: Sequence[Line], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return all figures, ready for JSON, after what the run was."""
    return {**about, "rows": [_report(line) for line in lines]}


def _report(line: Line) -> dict[str, Any]:
    return {
        "name": line.row.name,
        "title": line.row.title,
        "unit": line.row.unit,
        "figure": _spread(line.figure),
        "limit": {"measure": line.row.limit, **_spread(line.limit)} if line.limit else None,
        "ratio": _spread(line.ratio) if line.ratio else None,
        "cpu_microseconds": dict(line.cpu),
        "targets": [{"target": str(target), "met": is_met} for target, is_met in line.verdicts],
        **({"base": _report_base(line.base)} if line.base else {}),
    }


def _report_base(base: Base) -> dict[str, Any]:
    return {
        "figure": _spread(base.figure),
        "ratio": _spread(base.ratio),
        "cpu_microseconds": dict(base.cpu),
    }


def _spread(spread: Spread) -> dict[str, Any]:
    return {"median": _finite(spread.median), "rounds": [_finite(figure) for figure in spread.rounds]}


def _finite(figure: float) -> float | None:
    # JSON has no word for what is no number.
    return figure if math.isfinite(figure) else None
