"""What the machine is."""

from pathlib import Path

from bench.stack.machine import find_filesystem, find_memory_limit, parse_cpu


def test_the_file_system_of_a_folder_is_that_of_the_deepest_mount() -> None:
    mounts = "dev / ext4 rw 0 0\nnone /tmp tmpfs rw 0 0\nnone /tmp/deep/er xfs rw 0 0\n"
    assert find_filesystem(Path("/tmp/deep"), mounts) == "tmpfs"
    assert find_filesystem(Path("/var/tmp"), mounts) == "ext4"


def test_the_processor_is_found_by_its_name() -> None:
    assert parse_cpu("processor\t: 0\nmodel name\t: A: fast one\n") == "A: fast one"


def test_memory_limit_is_the_least_of_a_cgroup_and_those_above_it(tmp_path: Path) -> None:
    inner = tmp_path / "user.slice" / "run.scope"
    inner.mkdir(parents=True)
    (inner / "memory.max").write_text("max\n")
    assert find_memory_limit("0::/user.slice/run.scope\n", tmp_path) is None
    (inner.parent / "memory.max").write_text("4294967296\n")
    assert find_memory_limit("1:cpu:/\n0::/user.slice/run.scope\n", tmp_path) == 2**32
    (inner / "memory.max").write_text("1000\n")
    assert find_memory_limit("0::/user.slice/run.scope\n", tmp_path) == 1000


def test_memory_limit_is_unknown_without_the_unified_hierarchy(tmp_path: Path) -> None:
    assert find_memory_limit("4:memory:/a\n", tmp_path) is None
