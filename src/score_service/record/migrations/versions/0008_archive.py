"""Let old awards be archived and deleted."""

from pathlib import Path

from score_service.record.migrations.statements import run_statements

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Apply the step."""
    run_statements(Path(__file__).with_suffix(".sql"))
