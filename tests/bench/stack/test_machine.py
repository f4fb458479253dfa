"""What the machine is."""

from pathlib import Path

from bench.stack.machine import find_filesystem, parse_cpu


def test_the_file_system_of_a_folder_is_that_of_the_deepest_mount() -> None:
    mounts = "dev / ext4 rw 0 0\nnone /tmp tmpfs rw 0 0\nnone /tmp/deep/er xfs rw 0 0\n"
    assert find_filesystem(Path("/tmp/deep"), mounts) == "tmpfs"
    assert find_filesystem(Path("/var/tmp"), mounts) == "ext4"


def test_the_processor_is_found_by_its_name() -> None:
    assert parse_cpu("processor\t: 0\nmodel name\t: A: fast one\n") == "A: fast one"
