"""The life of a process: garbage, signals that stop it, the end of tasks, the file with its addresses."""

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

_GC_THRESHOLDS: Final = (10_000, 20, 20)
_CANCEL_SECONDS: Final = 1.0
"""For a task to end before it is cancelled again."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StopSignals:
    """SIGTERM and SIGINT: the first requests a graceful stop, the second forces an immediate one."""

    requested: asyncio.Event = field(default_factory=asyncio.Event)
    forced: asyncio.Event = field(default_factory=asyncio.Event)

    def install(self) -> None:
        """Handle both signals in the running event loop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._receive)

    def _receive(self) -> None:
        (self.forced if self.requested.is_set() else self.requested).set()


class Service(Protocol):
    """What listens, and can be stopped in order."""

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where it listens, by the name of the port."""

    async def stop(self, forced: asyncio.Event) -> None:
        """Take clients off in order. Once `forced` is set, nothing is waited for any more."""


async def run_until_stopped(
    opened: AbstractAsyncContextManager[Service], signals: StopSignals, ready_file: Path | None
) -> None:
    """Run a service until SIGTERM or SIGINT; the second of them forces an immediate stop.

    Args:
        opened: what starts the service, and closes it at the end.
        signals: how the process is told.
        ready_file: where to write its addresses, as JSON.
    """
    signals.install()
    async with opened as service:
        if ready_file:
            _write_ready_file(ready_file, service.addresses)
        _log.info("listening", **service.addresses)
        freeze_gc()
        await signals.requested.wait()
        _log.info("stopping")
        await service.stop(signals.forced)
    _log.info("stopped")


async def wait_unless(forced: asyncio.Event, seconds: float, *works: Awaitable[Any]) -> None:
    """Wait for the first of some works, for so many seconds at most, and not once a stop is forced.

    What is not done by then is cancelled.
    """
    tasks = [asyncio.ensure_future(work) for work in (*works, forced.wait())]
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


@asynccontextmanager
async def running_loop(
    loop: Callable[[asyncio.Event], Coroutine[Any, Any, None]], name: str
) -> AsyncIterator[None]:
    """Run a loop beside the block, and wait for its end.

    Args:
        loop: what runs until its event is set. It is cancelled, too; the event ends it where a library has
            lost the cancellation.
        name: of its task.
    """
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(loop(stop), name=name)
        try:
            yield
        finally:
            stop.set()
            task.cancel()


async def end_tasks(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks, and wait until all have ended, however they do.

    One that goes on is cancelled again. A library may lose a cancellation: before Python 3.12
    `asyncio.wait_for` does if what it waits for comes at the same moment, and psycopg_pool 3.3 waits by it.
    """
    while under_way := [task for task in tasks if not task.done()]:
        for task in under_way:
            task.cancel()
        await asyncio.wait(under_way, timeout=_CANCEL_SECONDS)


def exit_on_sigterm() -> None:
    """End by SIGTERM with exit code 143: of itself, process 1 of a container ignores that signal."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def postpone_gc() -> None:
    """Collect no garbage while the process starts: nearly all that is allocated then stays.

    Imports alone set off a hundred collections, which are a sixth of the time that a start takes.
    """
    gc.disable()


def freeze_gc() -> None:
    """Freeze what was allocated up to here, and collect garbage from now on, but less often.

    Every call makes a few hundred objects that reference counting frees; looking for cycles among them, and
    in all modules, took a sixth of the time of a busy process.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    gc.enable()


def _write_ready_file(path: Path, addresses: Mapping[str, str]) -> None:
    """Write the addresses as JSON, so that a reader sees all of the file or none."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(addresses), encoding="utf-8")
    draft.replace(path)
