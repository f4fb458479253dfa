"""The settings of the relay, by command."""

from typing import Annotated

from pydantic import Field, FilePath

from service_runtime import settings
from service_runtime.settings import (
    Address,
    DatabaseFields,
    Listen,
    MigrationFields,
    ReadyFile,
    Seconds,
    settings_config,
)


class LogSettings(settings.LogSettings):
    """What every command needs."""

    model_config = settings_config("SCORE_RELAY_")


class MigrateSettings(MigrationFields, LogSettings):
    """What `migrate` needs."""


class StoreSettings(DatabaseFields, LogSettings):
    """What every command needs that looks at the store."""


class ServeSettings(StoreSettings):
    """What `serve` needs."""

    receivers_file: FilePath = Field(description="the file of receivers, TOML")
    source: Annotated[str, Field(pattern=r"^[!-~]{1,256}$")] = Field(
        default="laurel", description="source of all events, a URI or a relative reference"
    )
    score_target: str = Field(
        default="dns:///localhost:50051", min_length=1, description="gRPC target of the score service"
    )
    score_server_name: str | None = Field(
        default=None, min_length=1, description="name in its certificate, if it is not the one in the target"
    )
    score_certificate_file: FilePath = Field(description="certificate chain of this relay, PEM")
    score_key_file: FilePath = Field(description="its private key, PEM")
    score_ca_file: FilePath = Field(description="authorities of the score service's certificate, PEM")
    admin_listen: Listen = Field(
        default=Address("127.0.0.1", 9092), description="plain HTTP: /livez /readyz /metrics"
    )
    ready_file: ReadyFile | None = Field(
        default=None, description="file to which the bound address is written, as JSON"
    )
    stop_seconds: Seconds = Field(
        default=15, description="how long attempts under way may continue at a shutdown"
    )
