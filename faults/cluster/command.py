"""A command of the score service that an operator runs: it ends by itself, and may be run again and again."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Final

from faults.cluster.member import Member, until
from faults.cluster.service import start_python
from local_stack.errors import ServerFailedError
from local_stack.services import SCORE_SERVICE

ARCHIVED_DAYS: Final = 30
"""How old awards have to be at least, by the rule of the command."""
_ARCHIVED_SECONDS: Final = 5
AGED: Final = ("faults.launchers.skewed", str(ARCHIVED_DAYS * 86_400 - _ARCHIVED_SECONDS))
"""Has a clock that is so early that awards of some seconds ago are old enough."""
_RUN_SECONDS: Final = 120.0


class Command(Member):
    """One command, as a process that is started anew each time.

    Attributes:
        launcher: The module that starts it, with arguments; by default the package itself.
    """

    def __init__(self, name: str, arguments: Sequence[str], settings: Mapping[str, str], log: Path) -> None:
        super().__init__(name)
        self.launcher: Sequence[str] = ()
        self._arguments = arguments
        self._settings = settings
        self._log = log

    def start(self) -> None:
        """Start it, unless it runs."""
        if not self.is_running:
            words = [*self.launcher, SCORE_SERVICE, *self._arguments]
            self.child = start_python(self.name, words, self._settings, self._log)

    def looks_ready(self) -> bool:
        """Return True: nobody waits for it."""
        return True

    async def keep_running(self, pause: Callable[[], float], stopped: asyncio.Event) -> None:
        """Run it again and again until stopped, however it ends, with seconds of rest in between."""
        while not stopped.is_set():
            self.start()
            await until(lambda: not self.is_running or stopped.is_set(), inf)
            await asyncio.sleep(pause())

    async def complete(self) -> str:
        """Run it once, after a run that has not ended; return what it says unless it ends with code 0.

        Raises:
            ServerFailedError: it does not end.
        """
        await self._end()
        self.start()
        await self._end()
        if self.child is None or self.child.exit_code == 0:
            return ""
        return f"{self.name} ended with {self.child.exit_code}: {self.child.tail()}"

    async def _end(self) -> None:
        if not await self.until_ended(_RUN_SECONDS):
            raise ServerFailedError(f"{self.name} had not ended after {_RUN_SECONDS:.0f} s")
