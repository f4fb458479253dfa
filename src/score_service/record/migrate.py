"""The migrations of the record."""

from pathlib import Path
from typing import Final

from service_runtime.postgres.migrations import Migration

MIGRATION: Final = Migration(
    application_name="score-service migrate",
    revisions=Path(__file__).with_name("migrations"),
    lock_key=0x6C617572656C01,
    grant="GRANT SELECT ON score.alembic_version TO score_runtime",
)
