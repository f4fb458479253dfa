"""`python -m faults.launchers.skewed SECONDS PACKAGE ARGUMENTS…`: runs a service with a wrong wall clock.

Python's own clock is shifted before anything of the service is loaded, so that every reference to a clock is
to the wrong one. The monotonic clock stays right, as it does where the time of a machine is set.
"""

import datetime as dt
import sys
import time
from typing import Any

from faults.launchers.program import run_package

_right_time = time.time
_RightDatetime = dt.datetime


class _Kind(type):
    """Counts the dates that others have made as of this type."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _RightDatetime)


def _make_datetime(seconds: float) -> Any:
    class SkewedDatetime(_RightDatetime, metaclass=_Kind):
        """Reads the wrong clock, and makes other dates as usual."""

        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            return _RightDatetime(*args, **kwargs)

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return _RightDatetime.fromtimestamp(_right_time() + seconds, tz)

        @classmethod
        def utcnow(cls) -> Any:
            return cls.now(dt.UTC).replace(tzinfo=None)

    return SkewedDatetime


def skew(seconds: float) -> None:
    """Shift the wall clock of this process."""
    time.time = lambda: _right_time() + seconds
    time.time_ns = lambda: int((_right_time() + seconds) * 1_000_000_000)
    dt.datetime = _make_datetime(seconds)  # type: ignore[misc]


def main() -> None:
    """Shift the clock, and run the service."""
    seconds, package, *arguments = sys.argv[1:]
    skew(float(seconds))
    run_package(package, *arguments)


if __name__ == "__main__":
    main()
