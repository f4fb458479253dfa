"""`python -m bench.report.picture FILE FOLDER`: draws the table of a JSON report, for light and dark pages.

Writes `bench-light.svg` and `bench-dark.svg` into the folder, and `bench-narrow-light.svg` and
`bench-narrow-dark.svg` for phones, in which what a row says stands below each other. They need nothing from
elsewhere, and use the fonts of the reader. Exit code 2: wrong usage, or the file is no report of
the bench.
"""

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias
from xml.sax.saxutils import escape

import click

from bench.figures.row import SERVERS
from bench.report.table import number
from bench.session.session import BUSY

_WIDTH: Final = 1_060
_NARROW_WIDTH: Final = 400
"""Of a phone, so that letters have about the size there that they have in the text around."""
_NARROW_LETTERS: Final = 46
"""Of a line of that width, in any of the fonts."""
_MARGIN: Final = 20
_LINE: Final = 20
_BASELINE: Final = 14
"""Of a line, below its top."""
_PADDING: Final = 6
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
_NARROW_END: Final = _Column("", _NARROW_WIDTH - _MARGIN, "end")


class _Text(NamedTuple):
    column: _Column
    text: str
    colour: str
    is_bold: bool = False


_Lines: TypeAlias = Sequence[Sequence[_Text]]
"""Below each other; the texts of one stand beside each other."""


def draw(report: Mapping[str, Any], palette: Palette) -> str:
    """Draw a report of the bench as SVG: a table."""
    rows: Sequence[Mapping[str, Any]] = report["rows"]
    title = [_Text(_WHAT, "make bench", palette.text, is_bold=True)]
    if warning := _warn(report):
        title.append(_Text(_MET, warning, palette.missed))
    names = [_Text(column, column.name, palette.dim) for column in _COLUMNS if _is_used(column, rows)]
    top = (title, [_Text(_WHAT, _describe(report), palette.dim)], names)
    return _draw_all(_WIDTH, [top, *(_lay_out(row, palette) for row in rows)], palette)


def draw_narrow(report: Mapping[str, Any], palette: Palette) -> str:
    """Draw a report of the bench as SVG, for phones."""
    top = [[_Text(_WHAT, "make bench", palette.text, is_bold=True)]]
    top += _wrap(_describe(report), palette.dim)
    top += _wrap(_warn(report), palette.missed)
    return _draw_all(
        _NARROW_WIDTH, [top, *(_lay_out_narrow(row, palette) for row in report["rows"])], palette
    )


def _lay_out(row: Mapping[str, Any], palette: Palette) -> _Lines:
    line = [
        _Text(_WHAT, f"{row['name']}: {row['title']}", palette.text),
        _Text(_FIGURE, _figure(row["figure"]["median"]), palette.text, is_bold=True),
        _Text(_UNIT, row["unit"], palette.dim),
    ]
    if row["ratio"]:
        line.append(_Text(_LIMIT, f"{row['ratio']['median']:.2f}", palette.text))
    if base := row.get("base"):
        line.append(_Text(_BASE, f"{base['ratio']['median']:.2f}", palette.text))
    line.append(_Text(_CPU, _cpu(row), palette.dim))
    first, *others = _lay_out_targets(row, _TARGET, _MET, palette) or [[]]
    return [[*line, *first], *others]


def _lay_out_narrow(row: Mapping[str, Any], palette: Palette) -> _Lines:
    lines = _wrap(f"{row['name']}: {row['title']}", palette.text)
    figure = f"{_figure(row['figure']['median'])} {row['unit']}"
    lines.append(
        [
            _Text(_WHAT, figure, palette.text, is_bold=True),
            _Text(_NARROW_END, f"{_cpu(row)} µs CPU", palette.dim),
        ]
    )
    if row["ratio"]:
        lines.append([_Text(_WHAT, f"{row['ratio']['median']:.2f} of limit", palette.text)])
    if base := row.get("base"):
        lines.append([_Text(_WHAT, f"{base['ratio']['median']:.2f} of base", palette.text)])
    return lines + _lay_out_targets(row, _WHAT, _NARROW_END, palette)


def _lay_out_targets(
    row: Mapping[str, Any], what: _Column, met: _Column, palette: Palette
) -> list[list[_Text]]:
    verdicts = {True: ("yes", palette.met), False: ("no", palette.missed), None: ("-", palette.dim)}
    return [
        [_Text(what, target["target"], palette.dim), _Text(met, *verdicts[target["met"]], is_bold=True)]
        for target in row["targets"]
    ]


def _wrap(text: str, colour: str) -> list[list[_Text]]:
    return [[_Text(_WHAT, line, colour)] for line in textwrap.wrap(text, _NARROW_LETTERS)]


def _draw_all(width: int, blocks: Iterable[_Lines], palette: Palette) -> str:
    """Draw blocks of lines, with a rule between each two."""
    parts, top = list[str](), _MARGIN - _PADDING
    for block in blocks:
        if parts:
            parts.append(
                f'<path d="M{_MARGIN} {top}H{width - _MARGIN}" stroke="{palette.rule}" stroke-width="1"/>'
            )
        for place, line in enumerate(block):
            parts += _draw_line(line, top + _PADDING + place * _LINE + _BASELINE)
        top += 2 * _PADDING + _LINE * len(block)
    size = f'width="{width}" height="{top + _PADDING}" viewBox="0 0 {width} {top + _PADDING}"'
    frame = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="{FONT}" font-size="13">',
        "<title>Figures of make bench</title>",
        f'<rect width="100%" height="100%" rx="8" fill="{palette.background}"/>',
    ]
    return "\n".join([*frame, *parts, "</svg>", ""])


def _draw_line(line: Iterable[_Text], y: int) -> Iterator[str]:
    for text in line:
        weight = ' font-weight="600"' if text.is_bold else ""
        place = f'x="{text.column.x}" y="{y}" text-anchor="{text.column.anchor}"'
        yield f'<text {place} fill="{text.colour}"{weight}>{escape(text.text)}</text>'


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


def _cpu(row: Mapping[str, Any]) -> str:
    return number(sum(row["cpu_microseconds"].get(name, 0.0) for name in SERVERS))


@click.command()
@click.argument("report", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(report: Path, folder: Path) -> None:
    """Draw the table of a JSON report of the bench into a folder."""
    try:
        read = json.loads(report.read_text(encoding="utf-8"))
        pictures = {palette.name: draw(read, palette) for palette in (LIGHT, DARK)}
        pictures |= {f"narrow-{palette.name}": draw_narrow(read, palette) for palette in (LIGHT, DARK)}
    except (ValueError, KeyError, TypeError) as error:
        raise click.UsageError(f"{report} is no report of the bench: {error!r}") from error
    for name, picture in pictures.items():
        (folder / f"bench-{name}.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main(prog_name="bench.report.picture")
