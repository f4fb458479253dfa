"""The state folder and the claim on it."""

import stat
import sys
from pathlib import Path

import pytest

from local_stack.errors import StateInUseError
from local_stack.servers.binding import bind_command
from local_stack.servers.child import Child
from local_stack.state import StateFolder


def test_a_folder_is_claimed_by_one_stack_at_a_time(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "state")
    with folder.claim():
        with pytest.raises(StateInUseError, match="already runs"), folder.claim():
            pass
        with StateFolder(tmp_path / "other").claim():
            pass
    with folder.claim():
        pass


def test_a_claim_waits_for_the_children_of_a_stack_that_is_gone(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "state")
    with folder.claim() as keep_open:
        code = "import time; time.sleep(0.3); print('written')"
        child = Child.start(
            "child", bind_command([sys.executable, "-c", code]), tmp_path / "log", keep_open=[keep_open]
        )
    with folder.claim():
        assert child.log_path.read_text() == "written\n"
    child.finish()


def test_the_files_in_the_folder_are_private(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "state")
    with folder.claim():
        assert stat.S_IMODE(folder.path.stat().st_mode) & 0o066 == 0
        assert stat.S_IMODE(folder.folder("keys").stat().st_mode) == 0o700
        assert stat.S_IMODE(folder.new_log("service").stat().st_mode) == 0o600


def test_the_log_of_the_previous_start_is_kept(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    folder.new_log("service").write_text("first")
    assert folder.new_log("service").read_text() == ""
    assert (tmp_path / "logs" / "service.previous.log").read_text() == "first"
