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
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from tests.fixtures.valkey_nodes import ValkeyCluster

from local_stack.binding import bind_command
from local_stack.child import Child
from local_stack.ports import HOST
from local_stack.postgres import PostgresServer
from local_stack.provision import create_database
from local_stack.valkey import ValkeyServer

_START_SECONDS = 90.0
_END_SECONDS = 60.0


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

    def await_output(self, text: str) -> None:
        self.child.wait_until(lambda: text in self.output, _START_SECONDS)

    def run_as_printed(self, what: str = "Award points") -> str:
        """Run the command that the stack printed, and return what it says first."""
        [line] = [line for line in self.output.splitlines() if line.startswith(what)]
        command = line.removeprefix(what).strip()
        result = subprocess.run(command, shell=True, cwd="/", capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout.splitlines()[0]

    def verify(self) -> str:
        """Verify the boards, by the settings that the stack wrote; return what is said."""
        command = f"set -a; . {self.state_dir}/score-service.env; {sys.executable} -m score_service verify"
        result = subprocess.run(command, shell=True, cwd="/", capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def register(self, name: str) -> str:
        """Make an account, and return its id."""
        body = json.dumps({"username": name, "password": "correct horse battery"}).encode()
        request = urllib.request.Request(
            f"{self.http_url}/api/v1/auth/register", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return str(json.load(response)["user"]["userId"])

    def grant(self, name: str) -> str:
        """Make a player a moderator, by the settings that the stack wrote; return what is said."""
        program = f"{sys.executable} -m action_gateway grant {name} moderator"
        command = f"set -a; . {self.state_dir}/action-gateway.env; {program}"
        result = subprocess.run(command, shell=True, cwd="/", capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def pids(self, *words: str) -> set[int]:
        """Return the living processes of this stack that run with these words, by the lock they all hold."""
        lock = str(self.state_dir / "children.lock")
        command = "\0".join(words).encode()
        return {
            int(folder.name)
            for folder in Path("/proc").glob("[0-9]*")
            if lock in _open_files(folder) and command in _command(folder)
        }

    def kill(self, *words: str) -> None:
        """Kill the one process that runs with these words."""
        [pid] = self.pids(*words)
        os.kill(pid, signal.SIGKILL)

    def await_end(self) -> int:
        """Wait until no process is left, and return the exit code."""
        deadline = time.monotonic() + _END_SECONDS
        while (self.child.exit_code is None or self.pids()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert self.pids() == set(), self.output
        return self.child.process.wait()


@dataclass(frozen=True, slots=True)
class Launcher:
    """Launches stacks on one state folder."""

    folder: Path
    launched: list[RunningStack] = field(default_factory=list)

    def launch(self, **variables: str) -> RunningStack:
        state_dir = self.folder / "state"
        settings = {"STATE_DIR": str(state_dir), "HTTP_PORT": "0", "GRPC_PORT": "0"}
        child = Child.start(
            "stack",
            bind_command([sys.executable, "-m", "local_stack", "run"], death_signal=signal.SIGTERM),
            self.folder / f"output-{len(self.launched)}",
            stop_signal=signal.SIGINT,
            environment=os.environ | settings | variables,
        )
        self.launched.append(RunningStack(child, state_dir))
        return self.launched[-1]

    def start(self, **variables: str) -> RunningStack:
        """Launch a stack and wait until it has said everything."""
        stack = self.launch(**variables)
        stack.await_output("Logs  ")
        return stack

    def reject(self, **variables: str) -> tuple[int, str]:
        """Launch a stack that cannot start; return its exit code and output."""
        stack = self.launch(**variables)
        return stack.child.process.wait(_START_SECONDS), stack.output

    def stop(self) -> None:
        for stack in self.launched:
            stack.child.stop()


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path)
    yield launcher
    launcher.stop()


@pytest.fixture(scope="module")
def shared_launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path_factory.mktemp("stack"))
    yield launcher
    launcher.stop()


@pytest.fixture(scope="module")
def stack(shared_launcher: Launcher) -> RunningStack:
    return shared_launcher.start()


def _open_files(process: Path) -> Iterator[str]:
    with suppress(OSError):
        for path in (process / "fd").iterdir():
            # A process may close a file while its others are looked at.
            with suppress(OSError):
                yield str(path.readlink())


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("path", ["/", "/admin", "/docs", "/readyz"])
def test_the_printed_addresses_answer(stack: RunningStack, path: str) -> None:
    assert stack.http_url in stack.output
    with urllib.request.urlopen(stack.http_url + path, timeout=10) as response:
        assert response.status == 200


def test_a_player_is_made_a_moderator_by_the_settings_that_the_stack_wrote(stack: RunningStack) -> None:
    user_id = stack.register("grace")

    assert stack.grant("grace") == user_id


def test_nothing_in_output_and_logs_is_secret(stack: RunningStack) -> None:
    secrets = [path.read_text() for path in (stack.state_dir / "passwords").iterdir()]
    secrets.append((stack.state_dir / "postgres" / "superuser-password").read_text())
    logs = [path.read_text(errors="replace") for path in (stack.state_dir / "logs").iterdir()]
    assert len(secrets) == 6
    for text in [stack.output, *logs]:
        assert not any(secret in text for secret in secrets)


def test_a_second_start_on_the_same_folder_is_rejected(
    stack: RunningStack, shared_launcher: Launcher
) -> None:
    code, output = shared_launcher.reject()
    assert code == 2
    assert f"A stack already runs on {stack.state_dir}" in output
    assert stack.child.exit_code is None


def test_two_stacks_run_side_by_side(stack: RunningStack, launcher: Launcher) -> None:
    other = launcher.start()
    assert other.run_as_printed().startswith("+10 for ada: 10 points, rank 1")
    assert stack.run_as_printed().startswith("+10 for ada: 10 points, rank ")


def test_the_sample_issuer_gives_tickets_that_are_redeemed(stack: RunningStack) -> None:
    for total in (10, 20):
        said = stack.run_as_printed("Issue a ticket")
        assert said.startswith(f"+10 for sample:ada: {total} points, rank ")


def test_stopping_leaves_no_process_and_loses_no_data(launcher: Launcher) -> None:
    first = launcher.start()
    assert first.run_as_printed().startswith("+10 for ada: 10 points, rank 1, revision 2")
    assert len(first.pids()) >= 5
    os.kill(first.child.process.pid, signal.SIGINT)
    assert first.await_end() == 0
    assert "the data is kept" in first.output

    second = launcher.start()
    assert second.run_as_printed().startswith("+10 for ada: 20 points, rank 1, revision 3")
    os.kill(second.child.process.pid, signal.SIGKILL)

    # This start comes while the servers of the last one may still be writing.
    third = launcher.start()
    assert third.run_as_printed().startswith("+10 for ada: 30 points, rank 1, revision 4")
    assert third.verify().startswith("main: 4 entries (3 awards, 1 settings change) in 4 commits")
    os.kill(third.child.process.pid, signal.SIGKILL)
    third.await_end()


@pytest.mark.parametrize("moment", ["PostgreSQL", "Migrations"])
def test_ctrl_c_during_the_start_leaves_no_process(launcher: Launcher, moment: str) -> None:
    stack = launcher.launch()
    stack.await_output(f"✓ {moment}")
    os.kill(stack.child.process.pid, signal.SIGINT)
    assert stack.await_end() == 0
    assert "Traceback" not in stack.output


def test_a_server_that_dies_during_the_start_is_named(launcher: Launcher) -> None:
    stack = launcher.launch()
    stack.await_output("✓ Migrations")
    stack.kill("valkey-server 127.0.0.1")
    assert stack.await_end() == 1
    assert "Valkey ended (signal SIGKILL). Its last words:" in stack.output


def test_a_service_that_dies_is_named_and_everything_stops(launcher: Launcher) -> None:
    stack = launcher.start()
    stack.kill("action_gateway", "serve")
    assert stack.await_end() == 1
    assert "action_gateway serve ended (signal SIGKILL). Its last words:\n{" in stack.output


def test_a_stack_uses_the_servers_it_is_given(
    launcher: Launcher, postgres_server: PostgresServer, valkey_server: ValkeyServer
) -> None:
    create_database(postgres_server.admin_url(), "given")
    url = postgres_server.admin_url("given")
    stack = launcher.start(DATABASE_URL=url, REDIS_URL=valkey_server.url())
    assert stack.run_as_printed().startswith("+10 for ada: 10 points, rank 1")
    assert not (stack.state_dir / "postgres").exists()
    assert not (stack.state_dir / "valkey").exists()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT points FROM score.award").fetchall() == [(10,)]


def test_a_stack_uses_the_cluster_of_redis_that_it_is_given(
    launcher: Launcher, postgres_server: PostgresServer, valkey_cluster: ValkeyCluster
) -> None:
    create_database(postgres_server.admin_url(), "clustered")
    url = valkey_cluster.url(f":{valkey_cluster.nodes[0].password}")
    stack = launcher.start(DATABASE_URL=postgres_server.admin_url("clustered"), REDIS_URL=url)
    assert stack.run_as_printed().startswith("+10 for ada: 10 points, rank 1")
    assert not (stack.state_dir / "valkey").exists()


@pytest.mark.parametrize("variable", ["HTTP_PORT", "GRPC_PORT"])
def test_a_port_in_use_is_reported_before_anything_starts(launcher: Launcher, variable: str) -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        code, output = launcher.reject(**{variable: str(port)})
    assert code == 2
    assert f"Port {port} is in use. Choose another with {variable}=…" in output
    assert not (launcher.folder / "state" / "postgres").exists()


@pytest.mark.parametrize(
    "variables",
    [{"HTTP_PORT": "eighty"}, {"GRPC_PORT": "65536"}, {"HTTP_PORT": "8123", "GRPC_PORT": "8123"}],
    ids=["no number", "too large", "the same"],
)
def test_invalid_ports_are_reported(launcher: Launcher, variables: dict[str, str]) -> None:
    code, output = launcher.reject(**variables)
    assert code == 2
    assert "Traceback" not in output
    assert "Error: " in output


def test_a_state_folder_that_cannot_be_made_is_reported(launcher: Launcher) -> None:
    (launcher.folder / "state").write_text("a file")
    code, output = launcher.reject()
    assert code == 2
    assert "Traceback" not in output
    assert "is a file" in output
