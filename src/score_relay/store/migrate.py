"""The migrations of the relay's schema."""

from pathlib import Path
from typing import Final

from service_runtime.postgres.migrations import Migration

MIGRATION: Final = Migration(
    application_name="score-relay migrate",
    revisions=Path(__file__).with_name("migrations"),
    lock_key=0x6C617572656C03,
    grant="GRANT SELECT ON relay.alembic_version TO relay_runtime",
)
