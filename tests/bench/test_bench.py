"""The whole bench on its own stack: a cheap row for a moment."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local_stack.servers.binding import bind_command

ROOT = Path(__file__).parents[2]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    options = ["--rows", "idle", "--rounds", "1", "--seconds", "0.1", *arguments]
    return subprocess.Popen(
        bind_command([sys.executable, "-m", "bench", *options]),
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def left_behind(folder: Path) -> list[str]:
    """Find processes of the bench and what it put into its folder."""
    mark = f"TMPDIR={folder}".encode()
    found = [path.parent.name for path in Path("/proc").glob("[0-9]*/environ") if mark in read(path)]
    return found + [path.name for path in folder.iterdir()]


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_row_is_measured_beside_its_limit_and_nothing_is_left(tmp_path: Path) -> None:
    folder, report = tmp_path / "tmp", tmp_path / "report.json"
    folder.mkdir()
    bench = start(folder, "--json", str(report))
    output, _ = bench.communicate(timeout=100)

    assert bench.returncode == 0, output
    (row,) = json.loads(report.read_text())["rows"]
    assert (row["name"], row["limit"]["measure"]) == ("idle", "echo-1")
    assert row["figure"]["median"] > row["limit"]["median"] > 0
    assert row["cpu_microseconds"]["postgres"] >= 0
    assert "AwardPoints, 1 in flight" in output
    assert not left_behind(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_bench_ends_in_order_and_leaves_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    bench = start(tmp_path, "--seconds", "60")
    assert bench.stdout is not None
    assert "score service" in bench.stdout.readline()
    bench.send_signal(number)
    output, _ = bench.communicate(timeout=60)

    assert bench.returncode == 130, output
    assert "Stopped" in output
    assert not left_behind(tmp_path)
