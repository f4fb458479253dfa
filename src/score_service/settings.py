"""The settings of the score service, by command."""

from typing import Annotated

from pydantic import Field, FilePath

from service_runtime import settings
from service_runtime.settings import (
    Address,
    DatabaseFields,
    KeyPrefix,
    Listen,
    MigrationFields,
    ReadyFile,
    RedisFields,
    Seconds,
    SecondsAboveZero,
    settings_config,
)


class LogSettings(settings.LogSettings):
    """What every command needs."""

    model_config = settings_config("SCORE_SERVICE_")


class MigrateSettings(MigrationFields, LogSettings):
    """What `migrate` needs."""


class ArchiveSettings(MigrationFields, LogSettings):
    """What `ledger archive` needs: only the owner may delete awards."""


class RecordSettings(DatabaseFields, LogSettings):
    """What every command needs that reads the record."""


class StoreSettings(RedisFields, RecordSettings):
    """What every command needs that compares the two stores: `verify` and `rebuild`."""

    redis_prefix: KeyPrefix = Field(
        default="laurel:", description="prefix of every key: letters, digits and . _ : -"
    )


class CertificateSettings(LogSettings):
    """What `certs check` needs where no files are named."""

    tls_certificate_file: FilePath = Field(description="certificate chain of this server, PEM")
    tls_key_file: FilePath = Field(description="its private key, PEM")
    tls_ca_file: FilePath = Field(description="authorities of the callers' certificates, PEM")


class ServeSettings(CertificateSettings, StoreSettings):
    """What `serve` needs."""

    listen: Listen = Field(default=Address("127.0.0.1", 50051), description="gRPC with mTLS")
    admin_listen: Listen = Field(
        default=Address("127.0.0.1", 9090), description="plain HTTP: /livez /readyz /metrics"
    )
    ready_file: ReadyFile | None = Field(
        default=None, description="file to which the bound addresses are written, as JSON"
    )

    tls_reload_seconds: SecondsAboveZero = Field(
        default=10, description="how often the three files are checked for changes"
    )
    tls_activation_seconds: Seconds = Field(
        default=300,
        description="how long a renewed certificate is valid before it is used while the old one is valid, "
        "for callers whose clocks are behind",
    )
    policy_file: FilePath = Field(description="the policy file, TOML")
    reflection: bool = Field(default=True, description="serve gRPC reflection")

    connection_age_seconds: SecondsAboveZero = Field(
        default=1800, description="a connection is closed at this age, so that callers find new servers"
    )
    connection_grace_seconds: Seconds = Field(
        default=60, description="how long its open calls may continue after that"
    )
    drain_seconds: Seconds = Field(
        default=5, description="how long to answer while not ready, before a shutdown"
    )
    stop_seconds: Seconds = Field(default=20, description="how long open calls may continue at a shutdown")
    stall_seconds: SecondsAboveZero = Field(
        default=30, description="a stream whose message is not read for that long is evicted"
    )

    projector_seconds: SecondsAboveZero = Field(
        default=0.5, description="how often the projection is compared with the record"
    )
    audit_seconds: SecondsAboveZero = Field(
        default=300, description="approximate time between two audits of all standings in Redis"
    )
    closing_seconds: SecondsAboveZero = Field(
        default=1, description="how often to look for periods that are due to be made final"
    )
    watch_tick_seconds: SecondsAboveZero = Field(
        default=0.025, description="least time between updates of a watch; one after a pause is sent at once"
    )
    watch_poll_seconds: SecondsAboveZero = Field(
        default=1, description="how often a watched board is polled while there are no hints"
    )
    watch_checkpoint_seconds: SecondsAboveZero = Field(
        default=15, description="most time between two messages of a watch"
    )
    # More would not fit into one message, nor leave room for other calls.
    watch_resume_max: Annotated[int, Field(ge=0, le=20_000)] = Field(
        default=10_000, description="awards that a watcher may have missed and can still resume"
    )
    award_batch_max: Annotated[int, Field(ge=1, le=1_000)] = Field(
        default=256, description="most awards in one commit"
    )
    awards_waiting_max: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=5_000, description="most awards accepted and not yet answered; more are rejected"
    )
    calls_max: Annotated[int, Field(ge=1, le=5_000)] = Field(
        default=256, description="most unary calls under way, awards and reads each; more are rejected"
    )
    watchers_max: Annotated[int, Field(ge=1, le=9_000)] = Field(
        default=5_000, description="most open watches"
    )
    feed_poll_seconds: SecondsAboveZero = Field(
        default=0.05, description="how often the boards with feeds are polled, for entries without a hint"
    )
    feeds_max: Annotated[int, Field(ge=1, le=1_000)] = Field(
        default=100, description="most open feeds, at 1 MB each"
    )
    velocity_floor: Annotated[int, Field(ge=0, le=2**53)] = Field(
        default=1_000,
        description="points of a user within the window up to which nothing is unusual; 0 disables the check",
    )
    velocity_multiple: Annotated[float, Field(ge=1, le=1_000_000, allow_inf_nan=False)] = Field(
        default=10, description="the same, as a multiple of the typical points on the board"
    )
    velocity_seconds: SecondsAboveZero = Field(default=60, description="length of that window")
    velocity_users_max: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=20_000, description="most users whose points are tracked, at 0.4 KB each"
    )
