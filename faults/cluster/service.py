"""A replica of one of the two services, as a process that can be started in several ways."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from faults.cluster.member import Member
from local_stack.servers.binding import bind_command
from local_stack.servers.child import Child
from local_stack.services import is_ready

_ROOT: Final = Path(__file__).parents[2]


class Service(Member):
    """One replica.

    Attributes:
        package: `score_service` or `action_gateway`.
        address: Where it serves, as `host:port`.
        admin: Where it tells its health and its metrics.
        settings: Environment variables.
        launcher: The module that starts it, with arguments; by default the package itself.
    """

    def __init__(
        self, name: str, package: str, address: str, admin: str, settings: Mapping[str, str], log: Path
    ) -> None:
        super().__init__(name)
        self.package = package
        self.address = address
        self.admin = admin
        self.settings = dict(settings)
        self.launcher: Sequence[str] = ()
        self._log = log

    @property
    def log(self) -> str:
        """Everything it has printed, in all its lives."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Start it as it is set up now."""
        words = [*self.launcher, self.package, "serve"]
        self.child = start_python(self.name, words, self.settings, self._log)

    def looks_ready(self) -> bool:
        """Ask its `/readyz`."""
        return is_ready(self.admin)


def start_python(name: str, words: Sequence[str], settings: Mapping[str, str], log: Path) -> Child:
    """Start a package or a launcher, which finds this package as well."""
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **settings}
    return Child.start(name, bind_command([sys.executable, "-m", *words]), log, environment=environment)
