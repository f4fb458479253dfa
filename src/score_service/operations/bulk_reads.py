"""Statements of commands: with the deadline of bulk work, and again where there was no answer."""

from collections.abc import Mapping
from typing import Any

from score_service.reconcile.rebuild.retry_policy import RetryPolicy
from score_service.record.database import BULK_SECONDS, Database


class BulkReads:
    """Reads the record for as long as the retry policy allows."""

    def __init__(self, database: Database, retries: RetryPolicy) -> None:
        self._fetch_all = database.fetch_all
        self._retries = retries

    async def fetch_all(self, statement: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
        """Run a statement that may be run twice, and return all rows.

        Raises:
            RecordUnavailableError: PostgreSQL has been unavailable all the time.
        """
        return await self._retries.ask(self._fetch_all, statement, parameters, BULK_SECONDS)
