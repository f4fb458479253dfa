"""The command that breaks a stack."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.stack.accounting import read_processes, tree_of

_ROOT = Path(__file__).parents[2]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "faults", *arguments]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=_ROOT, capture_output=True, text=True, check=False)


@contextmanager
def running(*arguments: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command(*arguments), cwd=_ROOT, stdout=output, stderr=subprocess.STDOUT, env=_environment()
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1"}


def await_text(log: Path, text: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while text not in log.read_text(errors="replace"):
        assert time.monotonic() < deadline, log.read_text(errors="replace")
        time.sleep(0.05)


_ENDLESS = """
import asyncio, sys
import faults.__main__, faults.nemesis.nemesis, faults.run
from faults.nemesis.injection import FaultKind, OneShot

class Endless(OneShot):
    async def inject(self):
        await asyncio.Event().wait()

faults.nemesis.nemesis._STEP_SECONDS = 1
faults.run.CATALOGUE = {"endless": FaultKind(Endless, ("valkey",))}
faults.__main__.main(sys.argv[1:])
"""


def test_a_folder_that_exists_is_wrong_usage(tmp_path: Path) -> None:
    result = run("--folder", str(tmp_path))
    assert result.returncode == 2
    assert "cannot be made" in result.stderr


def test_minutes_have_bounds() -> None:
    assert run("--minutes", "0").returncode == 2


def test_interrupted_it_ends_every_process_and_keeps_nothing(tmp_path: Path) -> None:
    log = tmp_path / "output"
    with running("--seed", "5", log=log) as process:
        await_text(log, "The stack runs.")
        below = tree_of(process.pid, read_processes()) - {process.pid}
        folder = re.search(r"Seed 5, 5 minutes, in (\S+)", log.read_text())
        process.send_signal(signal.SIGINT)
        code = process.wait(90)
    assert code == 130, log.read_text()
    assert len(below) >= 7
    assert not below & read_processes().keys()
    assert folder is not None
    assert not Path(folder[1]).exists()


def test_a_run_that_cannot_go_on_says_what_it_waited_for_and_keeps_its_logs(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    ended = subprocess.run(
        [sys.executable, "-c", _ENDLESS, "--minutes", "30", "--folder", str(folder)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    assert "Waited 1 s in vain for endless valkey to be injected." in ended.stderr
    assert "Traceback" not in ended.stderr
    assert (folder / "schedule.txt").read_text() == "endless valkey\n"
    assert (folder / "logs" / "score-1.log").exists()
