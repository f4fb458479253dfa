"""Commands that must succeed."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
_ENVIRONMENT = {"BUILDAH_ISOLATION": "chroot"}


def run(command: Sequence[str | Path]) -> str:
    """Run a command in the project's folder and return what it prints; fail with all of that if it fails."""
    # The make that runs the tests must not pass on its own options.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        command, cwd=ROOT, env=environment | _ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()
