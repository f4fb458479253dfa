"""A process in the file system of an image, with as little as the strictest of clusters leaves it.

It is process 1, has the image's user and environment, a root that is mounted read-only and no place to write
to, no capabilities and no way to get any. Of the world outside it sees the network, and files that were given
to it.
"""

import json
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.images.buildah import Image

from local_stack.servers.binding import bind_command
from local_stack.servers.child import Child

_FILES = "/mnt"
_START = """
root=$1 files=$2 user=$3
shift 3
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$files" "$root/mnt"
mount -o remount,bind,ro "$root/mnt"
exec setpriv --no-new-privs -- chroot --userspec="$user" --groups= "$root" "$@"
"""
# When the outer one of two process namespaces ends, nothing that is in either stays.
_APART = ("unshare", "--pid", "--fork", "--kill-child", "--", "unshare", "--pid", "--mount", "--fork", "--")
_READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Container:
    """A container that runs, or has run."""

    child: Child

    @classmethod
    def start(
        cls, image: Image, folder: Path, arguments: Sequence[str | Path], settings: Mapping[str, Any]
    ) -> Self:
        """Start what the image starts. Arguments and settings that are paths become files it can read."""
        files = folder / "files"
        files.mkdir(parents=True)
        group = int(image.config["User"].partition(":")[2])

        def give(name: str, value: object) -> str:
            return _give(value, files / name, group) if isinstance(value, Path) else str(value)

        environment = dict(variable.split("=", 1) for variable in image.config["Env"])
        environment |= {name: give(name, value) for name, value in settings.items()}
        words = [give(f"argument-{number}", word) for number, word in enumerate(arguments)]
        program = image.config["Entrypoint"] + (words or image.config["Cmd"])
        start = ("sh", "-euc", _START, "sh", str(image.root), str(files), image.config["User"], *program)
        command = bind_command([*_APART, *start])
        return cls(Child.start(image.name, command, folder / "output.log", environment=environment))

    @property
    def pid(self) -> int:
        """Its process 1, as this process sees it."""
        inner = _child_of(self.child.process.pid)
        return _child_of(inner)

    def events(self) -> list[dict[str, Any]]:
        """Return what it has logged. Every line is JSON."""
        return [json.loads(line) for line in self.output().splitlines()]

    def output(self) -> str:
        """Return all that it has printed."""
        return self.child.log_path.read_text(encoding="utf-8")

    def addresses(self) -> dict[str, str]:
        """Wait until it listens, and return where."""
        self.child.wait_until(lambda: bool(self._listening()), _READY_SECONDS)
        return {name: str(value) for name, value in self._listening()[0].items()}

    def status(self) -> dict[str, str]:
        """Return what the kernel tells of process 1."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines()
        return {name: " ".join(value.split()) for name, _, value in (line.partition(":") for line in lines)}

    def wait(self) -> int:
        """Wait for the end and return the exit code."""
        return self.child.process.wait(30)

    def stop(self) -> int:
        """Send SIGTERM to process 1, as Kubernetes does, wait, and return the exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it at once if it still runs."""
        self.child.process.kill()
        self.child.process.wait()

    def _listening(self) -> list[dict[str, Any]]:
        complete = self.output().rpartition("\n")[0].splitlines()
        return [event for event in map(json.loads, complete) if event["event"] == "listening"]


def _child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()[0])


def _give(source: Path, place: Path, group: int) -> str:
    """Copy a file or folder to where a group may read it, as `fsGroup` does."""
    if source.is_dir():
        shutil.copytree(source, place)
    else:
        shutil.copy(source, place)
    for path in (place, *place.rglob("*")):
        os.chown(path, 0, group)
        path.chmod(0o750 if path.is_dir() else 0o640)
    return f"{_FILES}/{place.name}"
