"""The whole stack as a person runs it: one command, real processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from local_stack.binding import bind_command
from local_stack.child import Child
from local_stack.ports import HOST
from local_stack.postgres import PostgresServer
from local_stack.valkey import ValkeyServer

_START_SECONDS = 90.0
_END_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class RunningStack:
    """A stack and the folder it works in."""

    child: Child
    state_dir: Path

    @property
    def output(self) -> str:
        return self.child.log_path.read_text(encoding="utf-8")

    @property
    def http_url(self) -> str:
        address = json.loads((self.state_dir / "run" / "action_gateway.json").read_text())["http"]
        return f"http://{address}"

    def award_as_printed(self) -> str:
        """Run the command that the stack printed, and return what it says first."""
        [line] = [line for line in self.output.splitlines() if line.startswith("Award points")]
        command = line.removeprefix("Award points").strip()
        result = subprocess.run(command, shell=True, cwd="/", capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout.splitlines()[0]

    def pids(self) -> set[int]:
        """Return the processes of this stack that live, by the variable they all inherit."""
        mark = f"STATE_DIR={self.state_dir}\0".encode()
        return {int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if mark in _read(path)}

    def await_end(self) -> None:
        """Wait until no process is left."""
        deadline = time.monotonic() + _END_SECONDS
        while self.pids() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert self.pids() == set()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _launch(folder: Path, **variables: str) -> RunningStack:
    state_dir = folder / "state"
    folder.mkdir(exist_ok=True)
    settings = {"STATE_DIR": str(state_dir), "HTTP_PORT": "0", "GRPC_PORT": "0"}
    log_path = folder / f"output-{time.monotonic_ns()}"
    child = Child.start(
        "stack",
        bind_command([sys.executable, "-m", "local_stack", "run"], death_signal=signal.SIGTERM),
        log_path,
        stop_signal=signal.SIGINT,
        environment=os.environ | settings | variables,
    )
    return RunningStack(child, state_dir)


def _start(folder: Path, **variables: str) -> RunningStack:
    stack = _launch(folder, **variables)
    stack.child.wait_until(lambda: "Logs  " in stack.output, _START_SECONDS)
    return stack


def _refused(folder: Path, **variables: str) -> tuple[int, str]:
    stack = _launch(folder, **variables)
    return stack.child.process.wait(_START_SECONDS), stack.output


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    running = _start(tmp_path_factory.mktemp("stack"))
    yield running
    running.child.stop()


@pytest.mark.parametrize("path", ["/", "/docs", "/readyz"])
def test_the_printed_places_answer(stack: RunningStack, path: str) -> None:
    assert stack.http_url in stack.output
    with urllib.request.urlopen(stack.http_url + path, timeout=10) as response:
        assert response.status == 200


def test_nothing_in_the_output_is_secret(stack: RunningStack) -> None:
    secrets = [path.read_text() for path in (stack.state_dir / "passwords").iterdir()]
    secrets.append((stack.state_dir / "postgres" / "superuser-password").read_text())
    logs = [path.read_text(errors="replace") for path in (stack.state_dir / "logs").iterdir()]
    assert len(secrets) >= 6
    for text in [stack.output, *logs]:
        assert not any(secret in text for secret in secrets)


def test_a_second_start_on_the_same_folder_is_refused(stack: RunningStack) -> None:
    code, output = _refused(stack.state_dir.parent)
    assert code == 2
    assert f"A stack already runs on {stack.state_dir}" in output
    assert stack.child.exit_code is None


def test_two_stacks_run_side_by_side(stack: RunningStack, tmp_path: Path) -> None:
    other = _start(tmp_path)
    try:
        assert other.award_as_printed().startswith("+10 for ada: 10 points, rank 1")
        assert stack.award_as_printed().startswith("+10 for ada: 10 points, rank 1")
    finally:
        other.child.stop()
    assert stack.child.exit_code is None


def test_ctrl_c_stops_everything_and_the_next_start_has_the_data(tmp_path: Path) -> None:
    first = _start(tmp_path)
    assert first.award_as_printed().startswith("+10 for ada: 10 points")
    assert len(first.pids()) > 4
    first.child.stop(_END_SECONDS)
    assert first.child.exit_code == 0
    assert "the data is kept" in first.output
    first.await_end()

    second = _start(tmp_path)
    assert second.award_as_printed().startswith("+10 for ada: 20 points, rank 1, revision 2")
    second.child.stop(_END_SECONDS)


def test_a_stack_that_is_killed_leaves_no_process_and_loses_no_data(tmp_path: Path) -> None:
    first = _start(tmp_path)
    assert first.award_as_printed().startswith("+10 for ada: 10 points")
    first.child.process.kill()
    # The next start comes while the servers of the last one may still be writing.
    second = _start(tmp_path)
    assert second.award_as_printed().startswith("+10 for ada: 20 points, rank 1, revision 2")
    second.child.process.kill()
    second.await_end()
    first.child.stop()
    second.child.stop()


@pytest.mark.parametrize("moment", ["PostgreSQL  ", "Migrations  "])
def test_ctrl_c_during_the_start_leaves_no_process(tmp_path: Path, moment: str) -> None:
    stack = _launch(tmp_path)
    stack.child.wait_until(lambda: f"✓ {moment}" in stack.output, _START_SECONDS)
    stack.child.stop(_END_SECONDS)
    assert stack.child.exit_code == 0
    assert "Traceback" not in stack.output
    stack.await_end()


def test_a_service_that_dies_is_named_and_everything_stops(tmp_path: Path) -> None:
    stack = _start(tmp_path)
    [gateway] = [
        pid for pid in stack.pids() if b"\0action_gateway\0serve" in _read(Path(f"/proc/{pid}/cmdline"))
    ]
    os.kill(gateway, signal.SIGKILL)
    assert stack.child.process.wait(_END_SECONDS) == 1
    assert "action_gateway serve ended (signal SIGKILL). Its last words:\n{" in stack.output
    stack.await_end()


def test_a_stack_uses_the_servers_it_is_given(
    tmp_path: Path, postgres_server: PostgresServer, valkey_server: ValkeyServer
) -> None:
    name = f"given_{os.getpid()}"
    with psycopg.connect(postgres_server.admin_url(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    stack = _start(tmp_path, DATABASE_URL=postgres_server.admin_url(name), REDIS_URL=valkey_server.url())
    assert stack.award_as_printed().startswith("+10 for ada: 10 points, rank 1")
    stack.child.stop(_END_SECONDS)
    assert not (stack.state_dir / "postgres").exists()
    assert not (stack.state_dir / "valkey").exists()
    with psycopg.connect(postgres_server.admin_url(name)) as connection:
        assert connection.execute("SELECT points FROM score.award").fetchall() == [(10,)]


@pytest.mark.parametrize("variable", ["HTTP_PORT", "GRPC_PORT"])
def test_a_port_in_use_is_told_before_anything_starts(tmp_path: Path, variable: str) -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        code, output = _refused(tmp_path, **{variable: str(port)})
    assert code == 2
    assert f"Port {port} is in use. Choose another with {variable}=…" in output
    assert not (tmp_path / "state" / "postgres").exists()


@pytest.mark.parametrize(
    "variables",
    [{"HTTP_PORT": "eighty"}, {"GRPC_PORT": "65536"}, {"HTTP_PORT": "8123", "GRPC_PORT": "8123"}],
    ids=["no number", "too large", "the same"],
)
def test_ports_that_cannot_be_are_told(tmp_path: Path, variables: dict[str, str]) -> None:
    code, output = _refused(tmp_path, **variables)
    assert code == 2
    assert "Traceback" not in output
    assert "Error: " in output


def test_a_state_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    code, output = _refused(tmp_path)
    assert code == 2
    assert "Traceback" not in output
    assert "is a file" in output
