"""What pgbench says."""

import pytest

from bench.load.pgbench import parse


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
