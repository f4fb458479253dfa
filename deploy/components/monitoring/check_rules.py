"""Checks the alerts: what promtool says of the rules, and what they do in `rules.test.yaml`.

`check_rules.py [PROMTOOL]`: Prometheus 2 and 3 evaluate ranges differently, so the promtool of each checks
the rules. It reads them without the envelope that Kubernetes wants, so they are unpacked beside a copy of
the tests.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import yaml

HERE: Final = Path(__file__).parent
_RULES: Final = HERE / "rules.yaml"
_TESTS: Final = HERE / "rules.test.yaml"


def check_rules(promtool: str) -> bool:
    """Run promtool, which tells what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        rules, tests = Path(folder, _RULES.name), Path(folder, _TESTS.name)
        rules.write_text(yaml.safe_dump(yaml.safe_load(_RULES.read_text())["spec"]), encoding="utf-8")
        shutil.copy(_TESTS, tests)
        commands = (("check", "rules", "--lint-fatal", rules), ("test", "rules", tests))
        return all(subprocess.call([promtool, *command]) == 0 for command in commands)


if __name__ == "__main__":
    sys.exit(not check_rules(*(sys.argv[1:] or ["promtool"])))
