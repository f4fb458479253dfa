"""What is seen while it runs: a bar on a terminal, else a line a theme.

The bar is drawn between two rounds, never during one: drawing takes CPU from the load.
"""

from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


@dataclass(slots=True)
class RoundsBar:
    """How many of all rounds are done."""

    console: Console
    total: int
    _progress: Progress = field(init=False)
    _task: TaskID = field(init=False)

    def __post_init__(self) -> None:
        """Make the bar; it is not shown yet."""
        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
        )
        self._progress = Progress(
            *columns,
            console=self.console,
            auto_refresh=False,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._task = self._progress.add_task("", total=self.total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, what: str) -> None:
        """Show what comes next."""
        self._progress.update(self._task, description=what, refresh=True)

    def advance(self, rounds: int = 1) -> None:
        """Count rounds that are done, or will not be."""
        self._progress.update(self._task, advance=rounds, refresh=True)
