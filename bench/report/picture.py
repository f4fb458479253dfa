"""`python -m bench.report.picture FILE FOLDER`: draws the table of a JSON report, for light and dark pages.

Writes `bench-light.svg` and `bench-dark.svg` into the folder. They need nothing from elsewhere, and use the
fonts of whoever looks at them. Exit code 2: wrong usage, or the file is no report of the bench.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple
from xml.sax.saxutils import escape

import click

from bench.figures.row import SERVERS
from bench.report.table import number
from bench.session.session import BUSY

_WIDTH: Final = 1_060
_MARGIN: Final = 20
_LINE: Final = 20
_PADDING: Final = 6
_TOP: Final = 96
"""Above the first row: title, machine and the names of the columns."""
FONT: Final = "ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, sans-serif"
"""Whatever the system of the reader has."""


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours, each readable on the background."""

    name: str
    background: str
    text: str
    dim: str
    rule: str
    met: str
    missed: str


LIGHT: Final = Palette("light", "#ffffff", "#1f2328", "#59636e", "#d1d9e0", "#1a7f37", "#cf222e")
DARK: Final = Palette("dark", "#0d1117", "#f0f6fc", "#9198a1", "#3d444d", "#3fb950", "#f85149")


class _Column(NamedTuple):
    name: str
    x: int
    anchor: str


_WHAT: Final = _Column("", _MARGIN, "start")
_FIGURE: Final = _Column("median", 560, "end")
_UNIT: Final = _Column("", 566, "start")
_LIMIT: Final = _Column("of limit", 690, "end")
_BASE: Final = _Column("of base", 754, "end")
_CPU: Final = _Column("µs CPU", 822, "end")
_TARGET: Final = _Column("target", 842, "start")
_MET: Final = _Column("met", _WIDTH - _MARGIN, "end")
_COLUMNS: Final = (_FIGURE, _LIMIT, _BASE, _CPU, _TARGET, _MET)


def draw(report: Mapping[str, Any], palette: Palette) -> str:
    """Draw a report of the bench as SVG."""
    rows: Sequence[Mapping[str, Any]] = report["rows"]
    height = _TOP + sum(map(_height, rows)) + _MARGIN
    size = f'width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="{FONT}" font-size="13">',
        "<title>Figures of make bench</title>",
        f'<rect width="{_WIDTH}" height="{height}" rx="8" fill="{palette.background}"/>',
        _text(_WHAT, 34, "make bench", palette.text, 'font-size="16" font-weight="600"'),
        _text(_WHAT, 56, _describe(report), palette.dim),
        *(_text(column, 84, column.name, palette.dim) for column in _COLUMNS if _is_used(column, rows)),
    ]
    if warning := _warn(report):
        parts.append(_text(_MET, 34, warning, palette.missed))
    top = _TOP
    for row in rows:
        parts.append(
            f'<path d="M{_MARGIN} {top}H{_WIDTH - _MARGIN}" stroke="{palette.rule}" stroke-width="1"/>'
        )
        parts += _draw_row(row, top + _PADDING + _LINE - 6, palette)
        top += _height(row)
    return "\n".join([*parts, "</svg>", ""])


def _draw_row(row: Mapping[str, Any], y: int, palette: Palette) -> Iterator[str]:
    yield _text(_WHAT, y, f"{row['name']}: {row['title']}", palette.text)
    yield _text(_FIGURE, y, _figure(row["figure"]["median"]), palette.text, 'font-weight="600"')
    yield _text(_UNIT, y, row["unit"], palette.dim)
    if row["ratio"]:
        yield _text(_LIMIT, y, f"{row['ratio']['median']:.2f}", palette.text)
    if base := row.get("base"):
        yield _text(_BASE, y, f"{base['ratio']['median']:.2f}", palette.text)
    yield _text(_CPU, y, number(sum(row["cpu_microseconds"].get(name, 0.0) for name in SERVERS)), palette.dim)
    for place, target in enumerate(row["targets"]):
        below = y + place * _LINE
        yield _text(_TARGET, below, target["target"], palette.dim)
        met, colour = {
            True: ("yes", palette.met),
            False: ("no", palette.missed),
            None: ("-", palette.dim),
        }[target["met"]]
        yield _text(_MET, below, met, colour, 'font-weight="600"')


def _height(row: Mapping[str, Any]) -> int:
    return 2 * _PADDING + _LINE * max(1, len(row["targets"]))


def _is_used(column: _Column, rows: Sequence[Mapping[str, Any]]) -> bool:
    return column is not _BASE or any(row.get("base") for row in rows)


def _describe(report: Mapping[str, Any]) -> str:
    machine, versions = report["machine"], report["versions"]
    base = f"; base {report['base']['revision']}" if report.get("base") else ""
    return (
        f"{report['started_at'][:10]}, {machine['cpus']} CPUs ({machine['cpu']}), load generator included; "
        f"Python {versions['python']}, PostgreSQL {versions['postgresql']}, Valkey {versions['valkey']}{base}"
    )


def _warn(report: Mapping[str, Any]) -> str:
    share = report["others_share"]
    return f"Other work took up to {share:.0%} of the machine: read ratios only." if share > BUSY else ""


def _figure(median: float | None) -> str:
    return "-" if median is None else number(median)


def _text(column: _Column, y: int, text: str, colour: str, more: str = "") -> str:
    return (
        f'<text x="{column.x}" y="{y}" text-anchor="{column.anchor}" fill="{colour}" {more}>'
        f"{escape(text)}</text>"
    )


@click.command()
@click.argument("report", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(report: Path, folder: Path) -> None:
    """Draw the table of a JSON report of the bench into a folder."""
    try:
        read = json.loads(report.read_text(encoding="utf-8"))
        pictures = {palette.name: draw(read, palette) for palette in (LIGHT, DARK)}
    except (ValueError, KeyError, TypeError) as error:
        raise click.UsageError(f"{report} is no report of the bench: {error!r}") from error
    for name, picture in pictures.items():
        (folder / f"bench-{name}.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main(prog_name="bench.report.picture")
