"""The machine and the versions that figures were measured on and with."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final

import psycopg
from redis import Redis

from bench.stack.stack import DATABASE, Stack

_PACKAGES: Final = ("laurel", "grpcio", "protobuf", "psycopg", "redis", "hiredis", "uvicorn", "fastapi")


def count_cpus() -> int:
    """Return the number of CPUs of the machine."""
    return os.cpu_count() or 1


def describe_machine(folder: Path) -> dict[str, str | int | None]:
    """Return what the machine is, what it has for the bench, and what kind of file system the data lie on."""
    return {
        "cpu": parse_cpu(Path("/proc/cpuinfo").read_text(encoding="utf-8")),
        "cpus": count_cpus(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "memory_limit_bytes": find_memory_limit(
            Path("/proc/self/cgroup").read_text(), Path("/sys/fs/cgroup")
        ),
        "system": platform.platform(),
        "filesystem": find_filesystem(folder.resolve(), Path("/proc/mounts").read_text(encoding="utf-8")),
    }


def describe_versions(stack: Stack) -> dict[str, str]:
    """Return the versions of Python, the packages and the servers."""
    versions = {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}
    with psycopg.connect(stack.postgres.admin_url(DATABASE)) as connection:
        versions["postgresql"] = connection.info.parameter_status("server_version") or ""
    with Redis.from_url(stack.cache.url, password=stack.cache.password, decode_responses=True) as redis:
        server = redis.info("server")
    versions["valkey"] = str(server.get("valkey_version") or server["redis_version"])
    return versions


def parse_cpu(cpuinfo: str) -> str:
    """Find the name of the processor."""
    for line in cpuinfo.splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def find_memory_limit(cgroup: str, root: Path) -> int | None:
    """Find how much memory a cgroup may have, files that are cached included; None where nothing says so.

    Args:
        cgroup: what /proc says of the process. Only the unified hierarchy (version 2) is looked at.
        root: where that is mounted.
    """
    for line in cgroup.splitlines():
        if line.startswith("0::/"):
            folder = root / line.removeprefix("0::/")
            files = [
                place / "memory.max" for place in (folder, *folder.parents) if place.is_relative_to(root)
            ]
            limits = [path.read_text().strip() for path in files if path.exists()]
            return min((int(limit) for limit in limits if limit != "max"), default=None)
    return None


def find_filesystem(folder: Path, mounts: str) -> str:
    """Find the kind of file system of a folder: that of the deepest mount above it."""
    found, kind = "", ""
    for line in mounts.splitlines():
        _, place, type_, *_ = line.split()
        if folder.is_relative_to(place) and len(place) >= len(found):
            found, kind = place, type_
    return kind
