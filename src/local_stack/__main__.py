"""The command `python -m local_stack`."""

import os
import signal
import sys
from pathlib import Path

import click

from local_stack.errors import LocalStackError
from local_stack.servers.ports import free_port, require_free
from local_stack.stack import Options, Stack
from local_stack.state import StateFolder
from local_stack.terminal import Terminal, shown_path, shown_python

_PORT = click.IntRange(0, 65535)


@click.group()
def main() -> None:
    """Laurel on this machine, with everything it needs."""


@main.command()
@click.option(
    "--http-port", envvar="HTTP_PORT", type=_PORT, default=8080, help="For the page and the HTTP API."
)
@click.option("--grpc-port", envvar="GRPC_PORT", type=_PORT, default=50051, help="For the score service.")
@click.option(
    "--state-dir",
    envvar="STATE_DIR",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".laurel"),
    help="Where data, keys and logs are kept.",
)
def run(http_port: int, grpc_port: int, state_dir: Path) -> None:
    """Start everything; Ctrl-C stops it and keeps the data.

    Port 0 takes a free one. With DATABASE_URL (an administrator's) or REDIS_URL in the environment, these
    servers are used instead of embedded ones.
    """
    if http_port == grpc_port != 0:
        raise click.UsageError("HTTP_PORT and GRPC_PORT must differ.")
    options = Options(
        http_port,
        grpc_port or free_port(),
        os.environ.get("DATABASE_URL") or None,
        os.environ.get("REDIS_URL") or None,
    )
    terminal = Terminal()
    try:
        _run(options, StateFolder(state_dir.resolve()), terminal)
    except LocalStackError as error:
        terminal.complain(str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        terminal.complain(f"{error.strerror or error}: {error.filename or state_dir}")
        sys.exit(1)


def _run(options: Options, state: StateFolder, terminal: Terminal) -> None:
    with state.claim() as keep_open:
        for port, variable in ((options.http_port, "HTTP_PORT"), (options.grpc_port, "GRPC_PORT")):
            require_free(port, variable)
        stack = Stack(options, state, keep_open, terminal)
        _stop_on_signals(stack)
        try:
            stack.start()
            _show_addresses(stack, terminal)
            stack.watch()
        except KeyboardInterrupt:
            terminal.say("")
        finally:
            _stop(stack, terminal)


def _stop(stack: Stack, terminal: Terminal) -> None:
    try:
        with terminal.step("Stopping", done="Stopped; the data is kept"):
            stack.stop()
    finally:
        # Also where the terminal is gone and cannot be written to.
        stack.stop()


def _stop_on_signals(stack: Stack) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A signal that is ignored on purpose, as by nohup, stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: stack.interrupt())


def _show_addresses(stack: Stack, terminal: Terminal) -> None:
    state = shown_path(stack.state.path)
    addresses = {
        "Play": f"http://{stack.http_address}/",
        "Moderate": f"http://{stack.http_address}/admin",
        "HTTP API": f"http://{stack.http_address}/docs",
        "gRPC API": f"{stack.score_target.removeprefix('dns:///')}, mutual TLS with {state}/certificates",
        "Award points": f"{shown_python()} {shown_path(stack.award_example)}",
        "Issue a ticket": f"{shown_python()} {shown_path(stack.ticket_example)}",
        "Logs": f"{state}/logs",
    }
    terminal.show_addresses("Laurel is running. Ctrl-C stops it and keeps the data.", addresses)


if __name__ == "__main__":
    main(prog_name="local_stack")
