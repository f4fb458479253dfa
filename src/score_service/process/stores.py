"""Opens the two stores as the settings say, and arms them where a test has asked for that."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from score_service.failpoints import Failpoint, Failpoints
from score_service.projection.generation import Generation
from score_service.projection.projection import Header, Projection, ProjectionSettings
from score_service.record.database import Database, DatabaseSettings
from score_service.record.ledger import Ledger
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


def arm(failpoints: Sequence[Failpoint], ledger: Ledger, projection: Projection) -> None:
    """Put failpoints around the steps that write."""
    armed, make_generation = Failpoints(failpoints), projection.make_generation

    def make_armed(board_id: str, seen: Header | None) -> Generation:
        generation = make_generation(board_id, seen)
        armed.put_around(generation, "load", after="mid_rebuild")
        armed.put_around(generation, "switch", before="before_switch")
        return generation

    armed.put_around(ledger, "record_awards", before="before_commit", after="after_commit")
    armed.put_around(projection, "apply_changes", after="after_apply")
    projection.make_generation = make_armed  # type: ignore[method-assign]  # For this process alone.
