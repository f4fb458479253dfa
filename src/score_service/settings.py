"""The settings of the score service, by command."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, FilePath

from service_runtime import settings
from service_runtime.settings import (
    Address,
    DatabaseFields,
    KeyPrefix,
    Listen,
    MigrationFields,
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


class RecordSettings(DatabaseFields, LogSettings):
    """What every command needs that reads the record."""


class StoreSettings(RedisFields, RecordSettings):
    """What every command needs that compares the two stores: `verify` and `rebuild`."""

    redis_prefix: KeyPrefix = Field(default="laurel:", description="first part of every key")


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
    ready_file: Path | None = Field(default=None, description="gets the bound addresses as JSON")

    tls_reload_seconds: SecondsAboveZero = Field(
        default=10, description="how often the three files are looked at"
    )
    policy_file: FilePath = Field(description="who may do what, TOML")
    reflection: bool = Field(default=True, description="serve gRPC reflection")

    connection_age_seconds: SecondsAboveZero = Field(
        default=1800, description="a connection is closed at this age, so that callers find new servers"
    )
    connection_grace_seconds: Seconds = Field(
        default=60, description="how long its open calls may go on after that"
    )
    drain_seconds: Seconds = Field(default=5, description="not ready, but answering, before a stop")
    stop_seconds: Seconds = Field(default=20, description="how long open calls may go on at a stop")
    stall_seconds: SecondsAboveZero = Field(
        default=30, description="a stream whose message is not taken for so long is ended"
    )

    projector_seconds: SecondsAboveZero = Field(
        default=0.5, description="how often the projection is compared with the record"
    )
    audit_seconds: SecondsAboveZero = Field(
        default=300, description="about how long between two audits of all standings in Redis"
    )
    watch_tick_seconds: SecondsAboveZero = Field(
        default=0.05, description="between two updates of a watch, at least"
    )
    watch_poll_seconds: SecondsAboveZero = Field(
        default=1, description="how often a watched board is looked at where no hint comes"
    )
    watch_checkpoint_seconds: SecondsAboveZero = Field(
        default=15, description="between two messages of a watch, at most"
    )
    # More would not fit into one message, nor leave room for other calls.
    watch_resume_max: Annotated[int, Field(ge=0, le=20_000)] = Field(
        default=10_000, description="awards that a watcher may have missed and still be resumed"
    )
    award_batch_max: Annotated[int, Field(ge=1, le=1_000)] = Field(
        default=256, description="awards in one commit, at most"
    )
    awards_waiting_max: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=5_000, description="awards taken in and not yet answered, at most; more are refused at once"
    )
    calls_max: Annotated[int, Field(ge=1, le=5_000)] = Field(
        default=256, description="unary calls under way, awards and reads each; more are refused at once"
    )
    watchers_max: Annotated[int, Field(ge=1, le=9_000)] = Field(
        default=5_000, description="open watches, at most"
    )
    velocity_floor: Annotated[int, Field(ge=0, le=2**53)] = Field(
        default=1_000,
        description="points of a user in a while up to which nothing is out of the ordinary; 0 looks at none",
    )
    velocity_multiple: Annotated[float, Field(ge=1, le=1_000_000, allow_inf_nan=False)] = Field(
        default=10, description="the same, as a multiple of what users of the board typically get"
    )
    velocity_seconds: SecondsAboveZero = Field(default=60, description="how long the while is")
    velocity_users_max: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=20_000, description="users whose points are looked at, at most, at 0.4 KB each"
    )
