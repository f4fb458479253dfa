"""The whole stack as a person runs it: one command, real processes."""

import os
import signal
import socket
import urllib.request

import psycopg
import pytest
from tests.fixtures.servers.valkey_nodes import ValkeyCluster
from tests.fixtures.services.local_stack import Launcher, RunningStack

from local_stack.provision import create_database
from local_stack.servers.ports import HOST
from local_stack.servers.postgres import PostgresServer
from local_stack.servers.valkey import ValkeyServer


@pytest.fixture(scope="module")
def stack(shared_launcher: Launcher) -> RunningStack:
    return shared_launcher.start()


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
