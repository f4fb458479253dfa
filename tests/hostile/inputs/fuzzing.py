"""How much hostile input is drawn: always the same in an ordinary run, more and other with `HOSTILE=10`."""

import os
from typing import Final

from hypothesis import HealthCheck, settings

TIMES: Final = int(os.environ.get("HOSTILE", "0"))
"""So many times as much is drawn, and each time something else; 0 draws a little, always the same."""


def fuzzing(examples: int) -> settings:
    """Draw so many examples in an ordinary run."""
    return settings(
        max_examples=examples * max(1, TIMES),
        derandomize=not TIMES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
