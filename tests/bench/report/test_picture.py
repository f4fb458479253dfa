"""The picture of the table."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from bench.figures.row import Base, Quantity, Row, at_least, at_most, make_line, rate
from bench.figures.spread import Spread
from bench.report.picture import DARK, LIGHT, Palette, draw, draw_narrow, main
from bench.report.table import make_report

ABOUT = {
    "others_share": 0.05,
    "started_at": "2026-11-30T12:00:00+00:00",
    "machine": {"cpus": 2, "cpu": "A <fast> one"},
    "versions": {"python": "3.11.7", "postgresql": "18.0", "valkey": "9.0"},
}
ROW = Row(
    "batch", "many & more", "awards/s", rate, targets=(at_least(10), at_most(1), at_least(2, Quantity.BASE))
)
BASE = Base(Spread.of([5.0]), Spread.of([2.0]), {})


def report(base: Base | None = None) -> dict[str, object]:
    line = make_line(ROW, Spread.of([12_345.0]), Spread.of([24_690.0]), {"service": 64.0, "load": 9.0}, base)
    return json.loads(json.dumps(make_report([line], ABOUT)))  # type: ignore[no-any-return]


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(picture).iter() if element.tag.endswith("text")]


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_it_shows_figures_ratio_cpu_and_each_target_with_its_verdict(palette: Palette) -> None:
    shown = texts(draw(report(), palette))
    for said in ("batch: many & more", "12,345", "awards/s", "0.50", "64.0", "≥ 10", "≤ 1", "≥ 2 of base"):
        assert said in shown
    assert shown[-5:] == ["yes", "≤ 1", "no", "≥ 2 of base", "-"]
    assert any("A <fast> one" in text for text in shown)
    assert "of base" not in shown


def test_it_shows_the_ratio_to_another_revision_where_there_is_one() -> None:
    shown = texts(draw(report(BASE), LIGHT))
    assert "of base" in shown
    assert "2.00" in shown
    assert shown[-1] == "yes"


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_every_text_has_the_contrast_that_wcag_asks_for(palette: Palette) -> None:
    for colour in (palette.text, palette.dim, palette.met, palette.missed):
        assert contrast(colour, palette.background) >= 4.5


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours, as WCAG 2.2 defines it."""
    darker, lighter = sorted(map(luminance, (first, second)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_it_says_so_if_the_machine_was_busy() -> None:
    assert not any("Other work" in text for text in texts(draw(report(), LIGHT)))
    busy = texts(draw({**report(), "others_share": 0.5}, LIGHT))
    assert "Other work took up to 50% of the machine: read ratios only." in busy


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_the_one_for_phones_says_the_same_in_lines_that_fit(palette: Palette) -> None:
    shown = texts(draw_narrow({**report(BASE), "others_share": 0.5}, palette))
    for said in (
        "12,345 awards/s",
        "64.0 µs CPU",
        "0.50 of limit",
        "2.00 of base",
        "≥ 10",
        "≤ 1",
        "≥ 2 of base",
    ):
        assert said in shown
    assert "batch: many & more" in shown
    assert max(map(len, shown)) <= 46
    assert "A <fast> one" in " ".join(shown)
    assert "Other work took up to 50% of the machine: read ratios only." in " ".join(shown)


@pytest.mark.parametrize("draw_it", [draw, draw_narrow])
def test_it_needs_nothing_from_elsewhere(draw_it: Callable[[Mapping[str, object], Palette], str]) -> None:
    picture = draw_it(report(), LIGHT)
    assert re.findall(r"https?://[^\"]+", picture) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"<(image|use|style|script|foreignObject)|@import|href|url\(", picture)


def test_the_command_writes_all(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(report()))
    result = CliRunner().invoke(main, [str(tmp_path / "report.json"), str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert LIGHT.background in (tmp_path / "bench-light.svg").read_text()
    assert DARK.background in (tmp_path / "bench-dark.svg").read_text()
    assert LIGHT.background in (tmp_path / "bench-narrow-light.svg").read_text()
    assert DARK.background in (tmp_path / "bench-narrow-dark.svg").read_text()


@pytest.mark.parametrize("content", ["{", "[]", '{"rows": [{}]}'])
def test_what_is_no_report_is_an_error_and_nothing_is_written(tmp_path: Path, content: str) -> None:
    (tmp_path / "report.json").write_text(content)
    result = CliRunner().invoke(main, [str(tmp_path / "report.json"), str(tmp_path)])
    assert result.exit_code == 2
    assert "is no report of the bench" in result.output
    assert not list(tmp_path.glob("*.svg"))
