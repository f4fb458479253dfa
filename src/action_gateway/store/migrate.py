"""The migrations of the gateway's schema."""

from pathlib import Path
from typing import Final

from service_runtime.postgres.migrations import Migration

MIGRATION: Final = Migration(
    application_name="action-gateway migrate",
    revisions=Path(__file__).with_name("migrations"),
    lock_key=0x6C617572656C02,
    grant="GRANT SELECT ON gateway.alembic_version TO gateway_runtime",
)
