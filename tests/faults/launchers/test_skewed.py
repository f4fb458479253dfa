"""A program that runs with a wrong clock."""

import json
import subprocess
import sys
import time
from pathlib import Path

_PROGRAM = """
import datetime, json, sys, time
from datetime import UTC
print(json.dumps({
    "time": time.time(),
    "time_ns": time.time_ns() / 1e9,
    "monotonic": time.monotonic(),
    "now": datetime.datetime.now(UTC).timestamp(),
    "made": datetime.datetime(2020, 1, 1, tzinfo=UTC).timestamp(),
    "is_date": isinstance(datetime.datetime(2020, 1, 1), datetime.datetime),
    "plain": isinstance(datetime.datetime.now(UTC) - datetime.timedelta(1), datetime.datetime),
    "arguments": sys.argv[1:],
}))
"""


def test_wall_clocks_are_wrong_and_the_monotonic_one_is_right(tmp_path: Path) -> None:
    (tmp_path / "clocks.py").write_text(_PROGRAM)
    before, monotonic = time.time(), time.monotonic()
    command = [sys.executable, "-W", "error", "-m", "faults.launchers.skewed", "-3600", "clocks", "serve"]
    root = Path(__file__).parents[3]
    output = subprocess.check_output(command, cwd=tmp_path, env={"PYTHONPATH": f"{root}:{tmp_path}"})
    clocks = json.loads(output)
    for name in ("time", "time_ns", "now"):
        assert before - 3600 <= clocks[name] <= time.time() - 3600
    assert monotonic <= clocks["monotonic"] <= time.monotonic()
    assert clocks["made"] == 1577836800
    assert clocks["is_date"]
    assert clocks["plain"]
    assert clocks["arguments"] == ["serve"]
