"""Child processes: what happens when they end, and when their parent does."""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest

from local_stack.errors import ServerFailedError
from local_stack.servers.account import Account
from local_stack.servers.binding import bind_command
from local_stack.servers.child import Child

_FOR_EVER = "import time\nprint('ready', flush=True)\nwhile True: time.sleep(1)"
_STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + _FOR_EVER

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")


def _python(code: str, folder: Path) -> Child:
    return Child.start("child", bind_command([sys.executable, "-c", code]), folder / "log")


def _has_printed(child: Child) -> bool:
    return child.log_path.stat().st_size > 0


def _is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    # A zombie has ended; reaping it is the task of its parent.
    return status.rpartition(")")[2].split()[0] != "Z"


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from local_stack.servers.binding import bind_command; from local_stack.servers.child import Child\n"
        f"command = bind_command([sys.executable, '-c', {_FOR_EVER!r}])\n"
        f"child = Child.start('inner', command, Path({str(tmp_path / 'inner')!r}))\n"
        "child.wait_until(lambda: child.log_path.stat().st_size > 0, 30)\n"
        "print(child.process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = _python(code, tmp_path)
    parent.wait_until(lambda: _has_printed(parent), 30)
    pid = int(parent.log_path.read_text())
    assert _is_alive(pid)

    parent.process.kill()

    deadline = time.monotonic() + 10
    while _is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _is_alive(pid)
    parent.stop()


def test_a_child_that_ends_too_early_is_reported_with_its_last_lines(tmp_path: Path) -> None:
    child = _python("print('no memory'); raise SystemExit(3)", tmp_path)
    with pytest.raises(ServerFailedError, match=r"child ended \(exit code 3\)(.|\n)*no memory"):
        child.wait_until(lambda: False, 30)


def test_a_child_that_is_not_ready_in_time_is_ended(tmp_path: Path) -> None:
    child = _python(_FOR_EVER, tmp_path)
    with pytest.raises(ServerFailedError, match="not ready after 0 seconds"):
        child.wait_until(lambda: False, 0)
    assert child.exit_code is not None


def test_the_signal_that_ended_a_child_is_named(tmp_path: Path) -> None:
    child = _python(_FOR_EVER, tmp_path)
    child.process.send_signal(signal.SIGKILL)
    with pytest.raises(ServerFailedError, match="signal SIGKILL"):
        child.finish()


def test_a_child_that_does_not_stop_when_asked_is_ended(tmp_path: Path) -> None:
    child = _python(_STUBBORN, tmp_path)
    child.wait_until(lambda: _has_printed(child), 30)
    child.stop(0.1)
    assert child.exit_code == -signal.SIGKILL


def test_stopping_twice_does_no_harm(tmp_path: Path) -> None:
    child = _python("pass", tmp_path)
    child.finish()
    child.stop()


def test_a_child_does_not_receive_the_ctrl_c_of_the_terminal(tmp_path: Path) -> None:
    child = _python("import os; print(os.getsid(0) == os.getpid())", tmp_path)
    child.finish()
    assert child.tail() == "True"


@as_root
@pytest.mark.parametrize(("mode", "capabilities"), [(0o711, 0), (0o700, 1)], ids=["open", "closed"])
def test_an_account_gets_a_capability_only_where_a_folder_is_closed_to_it(
    mode: int, capabilities: int
) -> None:
    # Not in pytest's own folders, which are closed to others.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(mode)
        account = Account.owning(folder / "data")
        assert account is not None
        command = bind_command(["/bin/cat", "/proc/self/status"], account=account, paths=[folder / "data"])
        child = Child.start("cat", command, folder / "log")
        child.finish()
        lines = child.log_path.read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert set(status["Uid"].split()) == {str(account.uid)}
    assert int(status["CapEff"], 16).bit_count() == capabilities


@as_root
def test_a_server_runs_as_the_owner_of_its_data(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    assert Account.owning(folder) == Account(65534, 65534)
