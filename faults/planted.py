"""The program `python -m faults.planted NAME PACKAGE ARGUMENTS…`: runs another with a mistake, or `none`."""

import importlib
import runpy
import sys
from typing import Final

_MISTAKES: Final = {
    "score_service": "faults.score_mistakes",
    "action_gateway": "faults.gateway_mistakes",
}


def main() -> None:
    """Plant the mistake, and become the other program."""
    name, package = sys.argv[1:3]
    if name != "none":
        importlib.import_module(_MISTAKES[package]).MISTAKES[name]()
    sys.argv = sys.argv[2:]
    runpy.run_module(package, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
