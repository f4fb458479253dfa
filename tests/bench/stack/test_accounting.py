"""CPU by the accounts of the operating system."""

import os
import subprocess
import sys
import time

import pytest

from bench.stack.accounting import (
    Process,
    Usage,
    assign,
    parse_machine,
    parse_process,
    read_memory,
    read_processes,
    read_usage,
    tree_of,
)

TICKS = os.sysconf("SC_CLK_TCK")


def test_a_process_has_its_own_time_and_that_of_the_children_it_waited_for() -> None:
    stat = "42 (postgres: a) b) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 99"
    process = parse_process(stat)
    assert process.parent == 7
    assert process.seconds == pytest.approx(127 / TICKS)


def test_a_machine_is_not_busy_while_it_is_idle_or_waits_for_a_disk_and_guests_count_once() -> None:
    stat = "cpu  100 10 30 5000 700 1 2 4 50 60\ncpu0 1 2 3 4 5 6 7 8 9 10\n"
    assert parse_machine(stat) == pytest.approx(147 / TICKS)


def test_a_tree_has_all_descendants_and_nobody_else() -> None:
    processes = {pid: Process(parent, 0.0) for pid, parent in [(1, 0), (5, 1), (6, 5), (7, 6), (8, 1)]}
    assert tree_of(5, processes) == {5, 6, 7}
    assert tree_of(9, processes) == set()


def test_what_was_used_since_is_the_difference_also_of_what_began_meanwhile() -> None:
    before = Usage({"service": 1.0}, 10.0)
    used = Usage({"service": 1.5, "echo": 0.25}, 12.0).since(before)
    assert used == Usage({"service": 0.5, "echo": 0.25}, 2.0)
    assert used.others == 1.25


def test_what_a_command_has_used_is_taken_from_the_load_that_ran_it() -> None:
    assert assign({"load": 3.0, "service": 1.0}, {"service": 2.5}) == {"load": 0.5, "service": 3.5}
    assert assign({"load": 3.0, "redis": 1.0}, {}) == {"load": 3.0, "redis": 1.0}


def test_others_have_not_used_less_than_nothing() -> None:
    assert Usage({"service": 2.0}, 1.5).others == 0


def test_the_time_of_a_child_counts_while_it_lives_and_after_it_was_waited_for() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass\ninput()"
    child = subprocess.Popen([sys.executable, "-c", burn], stdin=subprocess.PIPE)
    before = parse_time(os.getpid())
    deadline = time.monotonic() + 30
    while read_usage({"child": child.pid}, {}).by["child"] < 0.29:
        assert time.monotonic() < deadline
    child.communicate(b"\n")
    assert parse_time(os.getpid()) - before >= 0.29


def parse_time(pid: int) -> float:
    return read_usage({}, {"load": [pid]}).by["load"]


def test_a_process_that_is_gone_has_used_nothing() -> None:
    assert read_usage({"gone": 2**30}, {"load": [2**30]}).by == {"gone": 0, "load": 0}


def test_this_process_is_found_with_its_parent_and_its_memory() -> None:
    assert read_processes()[os.getpid()].parent == os.getppid()
    assert read_memory(os.getpid()) > 2**20
