"""The account under which the database servers run.

PostgreSQL refuses to run as root. When the stack runs as root, the servers run as an unprivileged account
that owns their data. The stack itself and the Python services stay what they are, because their interpreter
may lie in a folder that the account cannot enter.
"""

import os
import pwd
import shutil
import signal
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_CANDIDATES = ("postgres", "nobody")
_CAPABILITY_NUMBERS = {"dac_read_search": 2, "dac_override": 1}


@dataclass(frozen=True, slots=True)
class Account:
    """An unprivileged account of this machine."""

    uid: int
    gid: int

    @classmethod
    def for_servers(cls) -> "Account | None":
        """Return the account to drop to, or None if the stack does not run as root and keeps its own."""
        if os.geteuid() != 0:
            return None
        known = {entry.pw_name: entry for entry in pwd.getpwall()}
        entry = next(known[name] for name in _CANDIDATES if name in known)
        return cls(entry.pw_uid, entry.pw_gid)

    def own(self, path: Path) -> None:
        """Give a path to the account, so that it can write there."""
        os.chown(path, self.uid, self.gid)

    def reaches(self, path: Path) -> bool:
        """Tell whether the account may enter every folder above the path."""
        return all(self._enters(folder) for folder in path.resolve().parents)

    def _enters(self, folder: Path) -> bool:
        status = folder.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def bind_command(
    command: Sequence[str | Path],
    *,
    death_signal: signal.Signals = signal.SIGKILL,
    account: Account | None = None,
    paths: Iterable[Path] = (),
) -> list[str]:
    """Return the command so that its process cannot outlive the one that starts it.

    It gets `death_signal` as soon as the thread that started it ends, however that ended, and runs as the
    account. `paths` are the files and folders it needs: if the account cannot reach one of them, for
    example in a clone below root's home, the process keeps the right to enter folders and no other.

    Where `setpriv` does not exist (macOS) the command comes back as it is: there a stack that is killed the
    hard way leaves its servers behind.
    """
    words = [str(word) for word in command]
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return words
    options = ["--pdeathsig", death_signal.name.removeprefix("SIG")]
    if account is not None:
        options += [f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"]
        if not all(account.reaches(path) for path in paths):
            options += _keep_entering_folders()
    return [setpriv, *options, "--", *words]


def _keep_entering_folders() -> list[str]:
    capability = next(name for name in _CAPABILITY_NUMBERS if _may_grant(name))
    # Without this bit access(2) ignores capabilities, and initdb asks it whether it may run postgres.
    words = ["--securebits=+no_setuid_fixup"]
    return words + [f"--{kind}=-all,+{capability}" for kind in ("inh-caps", "ambient-caps", "bounding-set")]


def _may_grant(capability: str) -> bool:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:")).split()[1]
    return bool(int(effective, 16) >> _CAPABILITY_NUMBERS[capability] & 1)
