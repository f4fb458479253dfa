"""CPU and memory of processes, as the operating system accounts for them in /proc.

A server's time is that of its whole tree: PostgreSQL works in children, and a child that has ended counts
in its parent once the parent has waited for it.
"""

import os
import resource
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")
_PROC: Final = Path("/proc")
# Fields of /proc/<pid>/stat after the command's name, which may hold anything.
_PARENT, _TIMES = 1, slice(11, 15)
_IDLE: Final = slice(3, 5)
_COUNTED: Final = 8
"""Guests are counted in the fields before."""


@dataclass(frozen=True, slots=True)
class Process:
    """What /proc says of one process."""

    parent: int
    seconds: float
    """CPU of it and of the children it has waited for."""


def parse_process(stat: str) -> Process:
    """Read a line of /proc/<pid>/stat."""
    fields = stat.rpartition(")")[2].split()
    return Process(int(fields[_PARENT]), _TICK * sum(map(int, fields[_TIMES])))


def parse_machine(stat: str) -> float:
    """Read from /proc/stat how many seconds all CPUs together were busy, or taken away by a host."""
    fields = [int(field) for field in stat.splitlines()[0].split()[1:]][:_COUNTED]
    return _TICK * (sum(fields) - sum(fields[_IDLE]))


def tree_of(root: int, processes: Mapping[int, Process]) -> set[int]:
    """Find a process and all that descend from it."""
    tree: set[int] = set()
    found = {root} & processes.keys()
    while found:
        tree |= found
        found = {pid for pid, process in processes.items() if process.parent in tree} - tree
    return tree


def read_processes() -> dict[int, Process]:
    """Read all processes of the machine that can be seen."""
    processes = {}
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            try:
                processes[int(folder.name)] = parse_process((folder / "stat").read_text())
            except OSError:
                continue  # It has ended meanwhile.
    return processes


def read_children() -> float:
    """Return the seconds of CPU of all children of this process that have ended and were waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def read_memory(pid: int) -> float:
    """Return the bytes of memory that a process has resident."""
    pages = (_PROC / str(pid) / "statm").read_text().split()[1]
    return float(int(pages) * os.sysconf("SC_PAGE_SIZE"))


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds at one moment, by who used them, and of the whole machine."""

    by: Mapping[str, float]
    machine: float

    def since(self, before: "Usage") -> "Usage":
        """Return what was used since an earlier moment."""
        by = {name: seconds - before.by.get(name, 0.0) for name, seconds in self.by.items()}
        return Usage(by, self.machine - before.machine)

    @property
    def others(self) -> float:
        """Seconds that nobody named here has used."""
        return max(0.0, self.machine - sum(self.by.values()))


def assign(used: Mapping[str, float], rightly: Mapping[str, float]) -> dict[str, float]:
    """Take seconds from the load that others have used, such as a command that the load has run."""
    rest = {"load": used.get("load", 0.0) - sum(rightly.values())}
    return {**used, **rest, **{name: used.get(name, 0.0) + seconds for name, seconds in rightly.items()}}


def read_usage(trees: Mapping[str, int], single: Mapping[str, Iterable[int]]) -> Usage:
    """Read what the trees below some processes have used, and what some processes have by themselves."""
    processes = read_processes()
    by = {name: sum(processes[pid].seconds for pid in tree_of(pid, processes)) for name, pid in trees.items()}
    for name, pids in single.items():
        by[name] = sum(processes[pid].seconds for pid in pids if pid in processes)
    return Usage(by, parse_machine((_PROC / "stat").read_text()))
