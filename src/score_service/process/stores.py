"""Opens the two stores as the settings say."""

from contextlib import AbstractAsyncContextManager

from score_service.projection.projection import BULK_TIMEOUT, Projection, ProjectionSettings
from score_service.record.database import Database
from score_service.settings import ArchiveSettings, RecordSettings, StoreSettings


def open_database(settings: RecordSettings) -> AbstractAsyncContextManager[Database]:
    """Open PostgreSQL, whether or not it is available."""
    return Database.open(settings.pool)


def open_database_as_owner(settings: ArchiveSettings) -> AbstractAsyncContextManager[Database]:
    """Open PostgreSQL as the role that owns the record, whether or not it is available."""
    return Database.open(settings.owner_pool)


def open_projection(settings: StoreSettings) -> AbstractAsyncContextManager[Projection]:
    """Open Redis, whether or not it is available."""
    return Projection.open(ProjectionSettings(settings.redis_access, prefix=settings.redis_prefix))


def open_bulk_projection(settings: StoreSettings) -> AbstractAsyncContextManager[Projection]:
    """Open Redis for a command that does bulk work alone: no caller waits for any of its operations."""
    return Projection.open(
        ProjectionSettings(settings.redis_access, prefix=settings.redis_prefix, timeout=BULK_TIMEOUT)
    )
