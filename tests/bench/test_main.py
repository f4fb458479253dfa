"""The command of the bench, and the rows that it chooses from."""

from dataclasses import replace

import pytest
from click.testing import CliRunner

from bench import __main__ as main_module
from bench.__main__ import THEMES, main
from bench.clients.node import NODE
from bench.ledgers.size import LedgerSize
from bench.ledgers.theme import make_ledger_theme
from bench.themes.theme import Theme, measures_of
from bench.themes.writes import WRITES


def test_every_name_of_a_row_is_one_and_every_limit_is_measured_in_the_same_theme() -> None:
    themes = (*THEMES, make_ledger_theme(LedgerSize()))
    names = [row.name for theme in themes for row in theme.rows]
    assert len(names) == len(set(names))
    for theme in themes:
        own = {row.measures[-1] for row in theme.rows}
        assert set(measures_of(theme.rows)) == own


def test_rows_are_chosen_by_theme_name_or_the_first_part_of_a_name() -> None:
    for rows, expected in [
        ("sql batch", {"sql", "batch", "batch-cpu"}),
        ("client", {"client-1", "client-32", "client-1000"}),
        ("ranks", {"lua", "member"}),
        ("rebuild", {"pages", "rebuild", "rebuild-awards"}),
        ("rebuild-10m", {"rebuild-10m", "rebuild-10m-awards", "rebuild-10m-reads"}),
    ]:
        output = CliRunner().invoke(main, ["--list", "--rows", rows]).output
        assert {line.split()[1] for line in output.splitlines()} == expected


def test_row_that_takes_long_is_measured_only_if_it_is_named() -> None:
    output = CliRunner().invoke(main, ["--list"]).output
    names = {line.split()[1] for line in output.splitlines()}
    assert "rebuild" in names
    assert not names & {"rebuild-10m", "ledger"}


def test_a_row_that_does_not_exist_is_wrong_usage() -> None:
    result = CliRunner().invoke(main, ["--rows", "batch,nothing"])
    assert result.exit_code == 2
    assert "nothing" in result.output


def test_a_ledger_that_the_disk_cannot_hold_is_rejected_before_anything_starts() -> None:
    size = {"LEDGER_AWARDS": "10000000000"}
    result = CliRunner().invoke(main, ["--rows", "ledger"], env=size)
    assert result.exit_code == 2
    assert "GiB" in result.output


def test_a_ledger_of_a_wrong_size_is_wrong_usage() -> None:
    result = CliRunner().invoke(main, ["--list"], env={"LEDGER_AWARDS": "many"})
    assert result.exit_code == 2
    assert "LEDGER_AWARDS" in result.output


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> Theme:
    """Return the theme of Node, which lacks something."""
    theme = replace(NODE, find_lack=lambda: "it needs Node")
    monkeypatch.setattr(main_module, "THEMES", (WRITES, theme))
    return theme


def test_what_lacks_something_is_not_listed(lacking: Theme) -> None:
    output = CliRunner().invoke(main, ["--list"]).output
    listed = {line.split()[1] for line in output.splitlines()}
    assert listed == {row.name for row in WRITES.rows}
    assert lacking.rows[0].name not in listed


@pytest.mark.usefixtures("lacking")
def test_what_lacks_something_is_left_out_with_the_reason_and_alone_it_is_wrong_usage() -> None:
    result = CliRunner().invoke(main, ["--rows", "node"])
    assert result.exit_code == 2
    assert "node is left out: it needs Node" in result.output
