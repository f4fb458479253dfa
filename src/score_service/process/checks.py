"""What the service checks of its parts.

The record alone decides whether it is ready. The projection may be unavailable, also at the start: awards and
reads do without it, so taking the server out of balance would turn a missing rank into an outage.

What only a commit shows, a full disk or a lost standby, does not make it not ready: awards fail by themselves
then, and reads go on.
"""

from collections.abc import Mapping
from typing import Final

from score_service.projection.projection import Projection
from score_service.record.ledger import REQUIRED_SCHEMA, Ledger
from service_runtime.readiness import Check

RECORD: Final = "record"
PROJECTION: Final = "projection"


def checks_of(ledger: Ledger, projection: Projection) -> Mapping[str, Check]:
    """Make the checks of the two stores, by their names in reports and metrics."""

    async def check_record() -> str | None:
        schema = await ledger.read_schema()
        if fault := schema.find_fault(REQUIRED_SCHEMA, "score-service"):
            return fault
        silent = await ledger.find_silent_nodes()
        return f"may hide that a standby lacks an award: {', '.join(silent)}" if silent else None

    async def check_projection() -> str | None:
        return await projection.check()

    return {RECORD: check_record, PROJECTION: check_projection}
