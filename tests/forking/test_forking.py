"""A run that is forked is like one that was started: what it sees, how it ends, and with whom."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.forked_program import require_one_thread
from tests.fixtures.services.forking import ForkServer, ForkServers

from local_stack.servers.binding import bind_command

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")

ROOT = Path(__file__).parents[2]
PROGRAM = "tests.forking.program"
DESCRIBE = """
import ctypes, gc, json, os, resource, signal, sys, threading
from pathlib import Path

def named(number):
    handler = signal.getsignal(number)
    return getattr(handler, "__name__", str(handler))

death = ctypes.c_int()
ctypes.CDLL(None).prctl(2, ctypes.byref(death))
mask = os.umask(0)
os.umask(mask)
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps({
    "parent": os.getppid(),
    "leads": [os.getpid() == os.getsid(0), os.getpid() == os.getpgid(0)],
    "ends with its parent": death.value,
    "folder": os.getcwd(),
    "argv": sys.argv,
    "main": [__name__, sys.modules["__main__"].__spec__.name],
    "path": sys.path,
    "environment": dict(os.environ),
    "signals": {number.name: named(number) for number in signal.valid_signals() if hasattr(number, "name")},
    "masks": [status[name] for name in ("SigBlk", "SigIgn", "SigCgt", "CapEff", "Seccomp")],
    "umask": mask,
    "files": {number: os.readlink(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")
              if os.path.exists(f"/proc/self/fd/{number}")},
    "limits": [resource.getrlimit(resource.RLIMIT_NOFILE), os.getpriority(os.PRIO_PROCESS, 0)],
    "threads": threading.active_count(),
    "collects": [gc.isenabled(), gc.get_threshold()],
    "service": sorted({name.split(".")[0] for name in sys.modules} & {"score_service", "action_gateway"}),
    "buffering": [sys.stdout.line_buffering, sys.stdout.encoding, sys.stderr.encoding],
}))
"""
ENDS = {
    "": 0,
    "import sys; sys.exit(143)": 143,
    "raise ValueError": 1,
    "raise KeyboardInterrupt": -signal.SIGINT,
    "import os; os.kill(os.getpid(), 9)": -signal.SIGKILL,
    "import signal; signal.raise_signal(signal.SIGTERM)": -signal.SIGTERM,
}
OWNER = f"""
import pathlib, subprocess, sys, time
from tests.fixtures.services.forked_program import require_one_thread
from tests.fixtures.services.forking import ForkServers
servers = ForkServers(pathlib.Path(sys.argv[1]))
code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
run = servers.popen("score_service", ["{PROGRAM}", code], stdout=subprocess.PIPE, text=True)
print(run.stdout.readline().strip(), servers.pids()[0], flush=True)
time.sleep(600)
"""


@pytest.fixture
def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "ONE": "1", "ODD": "\udcff"}


def describe(process: "subprocess.Popen[str]") -> dict[str, Any]:
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    described: dict[str, Any] = json.loads(said)
    return described


def without(described: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in described.items() if name not in names}


def test_a_run_sees_what_a_started_process_sees(
    fork_servers: ForkServers, environment: dict[str, str], tmp_path: Path
) -> None:
    words = [PROGRAM, DESCRIBE, "two words"]
    options: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
        "cwd": str(tmp_path),
        "env": environment,
    }
    forked = describe(fork_servers.popen("score_service", words, **options))
    command = bind_command([sys.executable, "-m", *words])
    started = describe(subprocess.Popen(command, **options, start_new_session=True))

    assert forked["parent"] == os.getpid()
    assert forked["service"] == ["score_service"]
    assert forked["environment"] == environment
    assert forked["files"].keys() == started["files"].keys()
    assert without(forked, "files", "service") == without(started, "files", "service")


@pytest.mark.parametrize(("code", "expected"), ENDS.items())
def test_a_run_ends_as_a_started_process_does(fork_servers: ForkServers, code: str, expected: int) -> None:
    code = f"import atexit; atexit.register(print, 'bye')\n{code}"
    run = fork_servers.popen(
        "score_service", [PROGRAM, code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    said, errors = run.communicate(timeout=60)
    assert run.returncode == expected
    assert said == ("bye\n" if expected not in {-signal.SIGKILL, -signal.SIGTERM} else "")
    assert ("Traceback" in errors) == code.rpartition("\n")[2].startswith("raise")


@pytest.fixture
def owner(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Return a process with a fork server and a run, and the folder of both."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


async def test_runs_and_their_server_end_with_the_process_that_started_them(
    owner: "subprocess.Popen[str]",
) -> None:
    assert owner.stdout is not None
    processes = [Path(f"/proc/{pid}") for pid in owner.stdout.readline().split()]
    assert len(processes) == 2
    assert all(process.exists() for process in processes)
    owner.kill()

    async def all_are_gone() -> bool:
        return not any(is_alive(process) for process in processes)

    await eventually(all_are_gone)


def is_alive(process: Path) -> bool:
    """Return whether a process runs; one that nobody has waited for does not."""
    try:
        return "State:\tZ" not in (process / "status").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_process_with_several_threads_does_not_fork() -> None:
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="an import has started some"):
            require_one_thread()
    finally:
        end.set()
        thread.join()


def test_a_server_that_has_ended_is_told_with_its_last_words(tmp_path: Path) -> None:
    server = ForkServer("no_such_package", tmp_path)
    try:
        with pytest.raises(RuntimeError, match="KeyError: 'no_such_package'"):
            server.fork([PROGRAM, ""], "/", {}, [])
    finally:
        server.stop()
