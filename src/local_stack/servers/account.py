"""The account under which the database servers run.

PostgreSQL refuses to run as root. When the stack runs as root, the servers run as an unprivileged account
that owns their data. The stack itself and the Python services stay what they are, because their interpreter
may lie in a folder that the account cannot enter.
"""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from local_stack.errors import MissingServerError

_CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """An unprivileged account of this machine."""

    uid: int
    gid: int

    @classmethod
    def owning(cls, folder: Path) -> Self | None:
        """Make the folder, if needed, for a server's data, and return the account to run that server as.

        It is None, which means this process's own account, unless this process runs as root.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() != 0:
            return None
        status = folder.stat()
        if status.st_uid != 0:
            return cls(status.st_uid, status.st_gid)
        account = cls._choose()
        account.own(folder)
        return account

    @classmethod
    def _choose(cls) -> Self:
        known = {entry.pw_name: entry for entry in pwd.getpwall()}
        for entry in (known[name] for name in _CANDIDATES if name in known):
            return cls(entry.pw_uid, entry.pw_gid)
        raise MissingServerError("PostgreSQL does not run as root, and this machine has no account `nobody`.")

    def own(self, path: Path) -> None:
        """Give a path to the account, so that it can read and write there."""
        os.chown(path, self.uid, self.gid)

    def reaches(self, path: Path) -> bool:
        """Return whether the account may enter every folder above the path."""
        return all(self._enters(folder) for folder in path.resolve().parents)

    def _enters(self, folder: Path) -> bool:
        status = folder.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)
