"""What the person at the terminal sees: one line a step, then where to look."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Terminal:
    """Writes to the terminal, or plain lines to whatever takes its place."""

    console: Console = field(default_factory=lambda: Console(highlight=False))

    @contextmanager
    def step(self, name: str, done: str | None = None) -> Iterator[None]:
        """Show what is going on and, once it is done (in the words of `done`), how long it took."""
        started = time.monotonic()
        with self.console.status(f"{name} …"):
            yield
        seconds = time.monotonic() - started
        self.console.print(Text.assemble(("✓ ", "green"), done or name, (f"  {seconds:.1f} s", "dim")))

    def show_addresses(self, title: str, addresses: Mapping[str, str]) -> None:
        """Show a heading and a line for each address, in one piece to copy."""
        width = max(map(len, addresses)) + 2
        self.console.print()
        self.console.print(Text(title, style="bold green"))
        self.console.print()
        for name, address in addresses.items():
            self.console.print(Text.assemble((name.ljust(width), "bold"), address), soft_wrap=True)
        self.console.print()

    def say(self, text: str) -> None:
        """Write a line."""
        self.console.print(Text(text))

    def complain(self, text: str) -> None:
        """Write what went wrong, to the error stream."""
        console = Console(stderr=True, highlight=False)
        console.print(Text.assemble(("✗ ", "bold red"), text), soft_wrap=True)


def shown_path(path: Path) -> str:
    """Return a path as a person would type it here: relative, if it lies below the current folder."""
    # Not resolved: the interpreter of a virtual environment is a link that must be called by its own name.
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def shown_python() -> str:
    """Return how to call this interpreter from here."""
    return shown_path(Path(sys.executable))
