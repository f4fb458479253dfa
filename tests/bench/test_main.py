"""The command of the bench, and the rows that it chooses from."""

from click.testing import CliRunner

from bench.__main__ import THEMES, main
from bench.themes.theme import measures_of


def test_every_name_of_a_row_is_one_and_every_limit_is_measured_in_the_same_theme() -> None:
    names = [row.name for theme in THEMES for row in theme.rows]
    assert len(names) == len(set(names))
    for theme in THEMES:
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
    assert "rebuild-10m" not in names


def test_a_row_that_does_not_exist_is_wrong_usage() -> None:
    result = CliRunner().invoke(main, ["--rows", "batch,nothing"])
    assert result.exit_code == 2
    assert "nothing" in result.output
