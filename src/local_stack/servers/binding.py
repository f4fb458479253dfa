"""Binding a command to this process: it cannot outlive it, and runs with no more rights than it needs.

`setpriv` of util-linux does both, in the new process and before the command starts.
"""

import shutil
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from local_stack.errors import MissingServerError
from local_stack.servers.account import Account

# Either lets a process enter folders; containers often have only the second, which also lets it write.
_CAPABILITIES = {"dac_read_search": 2, "dac_override": 1}


def bind_command(
    command: Sequence[str | Path],
    *,
    death_signal: signal.Signals = signal.SIGKILL,
    account: Account | None = None,
    paths: Iterable[Path] = (),
) -> list[str]:
    """Return the command so that its process cannot outlive the one that starts it.

    It gets `death_signal` as soon as the thread that started it ends, however that ended, and runs as the
    account. `paths` are the files and folders it needs: if the account cannot reach one of them, for example
    in a clone below root's home, the process keeps the capability to enter folders and no other.

    Only Linux can do this. Elsewhere the command is returned as it is, and a stack that is killed
    leaves its servers running.
    """
    words = [str(word) for word in command]
    if sys.platform != "linux":
        return words
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise MissingServerError("The program `setpriv` is missing: install the package util-linux.")
    options = ["--pdeathsig", death_signal.name.removeprefix("SIG")]
    if account is not None:
        options += [f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"]
        if not all(account.reaches(path) for path in paths):
            options += _keep_entering_folders()
    return [setpriv, *options, "--", *words]


def _keep_entering_folders() -> list[str]:
    held = _held_capabilities()
    capability = next((name for name, number in _CAPABILITIES.items() if held >> number & 1), None)
    if capability is None:
        return []
    # Without this bit access(2) ignores capabilities, and initdb asks it whether it may run postgres.
    options = ["--securebits=+no_setuid_fixup"]
    return options + [f"--{kind}=-all,+{capability}" for kind in ("inh-caps", "ambient-caps", "bounding-set")]


def _held_capabilities() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0
