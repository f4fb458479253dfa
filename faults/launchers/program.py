"""Runs a package as `python -m` does, after this process was changed."""

import runpy
import sys


def run_package(package: str, *arguments: str) -> None:
    """Run the package as the main program, with arguments of its own; it replaces the launcher."""
    sys.argv = [package, *arguments]
    runpy.run_module(package, run_name="__main__", alter_sys=True)
