"""The tree of another revision, in a temporary folder, with an environment that its lock file describes."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local_stack.errors import LocalStackError
from local_stack.servers.binding import bind_command

ROOT: Final = Path(__file__).parents[2]
_LOCK: Final = Path("requirements", "run.txt")
_READY: Final = Path(".venv", "run.stamp")
"""What the Makefile of a tree makes: its environment, from its lock file."""


class RevisionError(LocalStackError):
    """A revision cannot be compared with."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Tree:
    """A checked-out revision that can be run."""

    folder: Path
    python: Path
    commit: str


def this_tree() -> Tree:
    """Return the tree of this program, with its environment."""
    return Tree(ROOT, Path(sys.executable), "")


def find_commit(revision: str, root: Path = ROOT) -> str:
    """Return the commit of a revision. Raises RevisionError if there is none."""
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found.returncode != 0:
        raise RevisionError(f"{revision!r} is no revision of {root}. {found.stderr.strip()}".strip())
    return found.stdout.strip()


@contextmanager
def checked_out(commit: str, root: Path = ROOT) -> Iterator[Tree]:
    """Check out a commit in a temporary folder, which is removed at the end.

    Where its lock file is the one of this tree, this environment is used; otherwise one is installed.

    Raises:
        RevisionError: The commit cannot be checked out, or its environment not be installed.
    """
    with tempfile.TemporaryDirectory(prefix="laurel-base-") as temporary:
        folder = Path(temporary, "tree")
        try:
            added = _git(root, "worktree", "add", "--detach", str(folder), commit)
            if added.returncode != 0:
                raise RevisionError(f"{commit} cannot be checked out: {added.stderr.strip()}")
            yield Tree(folder, _prepare(folder, root), commit)
        finally:
            _git(root, "worktree", "remove", "--force", str(folder))


def _prepare(folder: Path, root: Path) -> Path:
    if _read(folder / _LOCK) == _read(root / _LOCK):
        return Path(sys.executable)
    made = _run(["make", "-C", str(folder), str(_READY), f"PYTHON={sys.executable}"], may_be_killed=True)
    if made.returncode != 0:
        raise RevisionError(f"The environment of {folder} cannot be installed:\n{made.stderr.strip()}")
    return folder / ".venv" / "bin" / "python"


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return _run(["git", "-C", str(root), *arguments])


def _run(command: Sequence[str], *, may_be_killed: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, also when this program is interrupted, unless it may be killed then."""
    process = subprocess.Popen(
        bind_command(command),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Which Ctrl-C in a terminal does not reach.
    )
    try:
        output, errors = process.communicate()
    except BaseException:
        if may_be_killed:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)
