"""The statements of a revision, run one a call: Citus takes no several in one once it has tables."""

import re
from pathlib import Path
from typing import Final

from alembic import op

_STATEMENT: Final = re.compile(r"(?:--[^\n]*|\$\$.*?\$\$|'[^']*'|[^;'])*?;", re.DOTALL)
"""Up to a semicolon that is in no comment, no body of a function and no string."""


def run_statements(path: Path) -> None:
    """Run what a file has, in order."""
    for statement in _STATEMENT.findall(path.read_text(encoding="utf-8")):
        op.get_bind().exec_driver_sql(
            statement,
            execution_options={"no_parameters": True},  # So that a percent sign stands for itself.
        )
