"""Opens the two stores as the settings say."""

from contextlib import AbstractAsyncContextManager

from score_service.projection.projection import Projection, ProjectionSettings
from score_service.record.database import Database, DatabaseSettings
from score_service.redis_access import RedisAccess
from score_service.settings import RecordSettings, StoreSettings, reveal


def open_database(settings: RecordSettings) -> AbstractAsyncContextManager[Database]:
    """Open PostgreSQL, whether or not it is there."""
    return Database.open(
        DatabaseSettings(
            dsn=settings.database_dsn,
            password=reveal(settings.database_password),
            prepare_threshold=settings.prepare_threshold,
            pool_max=settings.database_connections,
        )
    )


def open_projection(settings: StoreSettings) -> AbstractAsyncContextManager[Projection]:
    """Open Redis, whether or not it is there."""
    return Projection.open(
        ProjectionSettings(
            redis=RedisAccess(
                settings.redis_url,
                password=reveal(settings.redis_password),
                sentinel_password=reveal(settings.redis_sentinel_password),
                ca_file=settings.redis_ca_file,
                certificate_file=settings.redis_certificate_file,
                key_file=settings.redis_key_file,
            ),
            prefix=settings.redis_prefix,
        )
    )
