"""The small parts that read what others say, and choose what is done."""

import random
import uuid
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.__main__ import THEMES, main
from bench.awards import Awards, user_id
from bench.http_connection import is_chunked, read_length, read_status
from bench.machine import find_filesystem, parse_cpu
from bench.pgbench import parse
from bench.theme import measures_of


def test_pgbench_is_understood() -> None:
    output = (
        "number of transactions actually processed: 8123\ntps = 4061.5 (without initial connection time)\n"
    )
    sample = parse(output)
    assert sample.count == 8123
    assert sample.seconds == pytest.approx(2)


def test_a_pgbench_that_says_something_else_is_told_whole() -> None:
    with pytest.raises(RuntimeError, match="no such thing"):
        parse("no such thing")


def test_the_file_system_of_a_folder_is_that_of_the_deepest_mount() -> None:
    mounts = "dev / ext4 rw 0 0\nnone /tmp tmpfs rw 0 0\nnone /tmp/deep/er xfs rw 0 0\n"
    assert find_filesystem(Path("/tmp/deep"), mounts) == "tmpfs"
    assert find_filesystem(Path("/var/tmp"), mounts) == "ext4"


def test_the_processor_is_found_by_its_name() -> None:
    assert parse_cpu("processor\t: 0\nmodel name\t: A: fast one\n") == "A: fast one"


def test_an_answer_is_read_by_its_head() -> None:
    head = b"HTTP/1.1 401 Unauthorized\r\nDate: x\r\ncontent-length: 17\r\n\r\n"
    assert (read_status(head), read_length(head)) == (401, 17)
    assert read_length(b"HTTP/1.1 204 No Content\r\n\r\n") == 0
    assert is_chunked(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert not is_chunked(head)


def test_awards_are_new_each_time_and_of_the_users_of_the_board() -> None:
    requests = Awards("main", users=3, draw=random.Random(1)).batch(50).requests
    ids = {uuid.UUID(request.award.award_id) for request in requests}
    assert len(ids) == 50
    assert {each.version for each in ids} == {4}
    assert {request.award.user_id for request in requests} == {user_id(n) for n in range(3)}


@pytest.mark.parametrize("users", [1_000, 100_000])
def test_user_ids_are_eight_to_twelve_characters_long(users: int) -> None:
    assert {8 <= len(user_id(n)) <= 12 for n in (0, users - 1)} == {True}


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
