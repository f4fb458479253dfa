"""`python -m faults.launchers.planted NAME PACKAGE ARGUMENTS…`: runs a service with a bug, or `none`."""

import importlib
import sys
from typing import Final

from faults.launchers.program import run_package

_MISTAKES: Final = {
    "score_service": "faults.launchers.score_mistakes",
    "action_gateway": "faults.launchers.gateway_mistakes",
}


def main() -> None:
    """Plant the bug, and run the service."""
    name, package, *arguments = sys.argv[1:]
    if name != "none":
        importlib.import_module(_MISTAKES[package]).MISTAKES[name]()
    run_package(package, *arguments)


if __name__ == "__main__":
    main()
