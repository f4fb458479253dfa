"""Opens the two stores as the settings say."""

from contextlib import AbstractAsyncContextManager

from score_service.database import Database, DatabaseSettings
from score_service.projection import Projection, ProjectionSettings
from score_service.settings import RecordSettings, StoreSettings, reveal


def open_database(settings: RecordSettings) -> AbstractAsyncContextManager[Database]:
    """Open PostgreSQL, whether or not it is there."""
    return Database.open(
        DatabaseSettings(
            dsn=settings.database_dsn,
            password=reveal(settings.database_password),
            prepare_threshold=settings.prepare_threshold,
        )
    )


def open_projection(settings: StoreSettings) -> AbstractAsyncContextManager[Projection]:
    """Open Redis, whether or not it is there."""
    return Projection.open(
        ProjectionSettings(
            url=settings.redis_url,
            password=reveal(settings.redis_password),
            prefix=settings.redis_prefix,
        )
    )
