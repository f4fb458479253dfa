"""The settings of the score service: environment variables, read once, all faults told at once.

Secrets are given as files and never shown. Variables with the prefix that are no settings are let pass,
because Kubernetes makes some of its own for every Service (`SCORE_SERVICE_PORT`, for one named so).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    FilePath,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from score_service.redis_access import RedisUrl, check_authorities, check_pair

PREFIX: Final = "SCORE_SERVICE_"
_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_MAX_PORT = 65535
_MAX_SECRET_BYTES = 4096


class SetupError(Exception):
    """The service cannot start as it is set up. Every fault names its place and tells no secret."""

    def __init__(self, faults: Sequence[str]) -> None:
        """Take all faults found, one a line."""
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. Port 0 takes a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read `host:port` or `[v6]:port`. Raises ValueError."""
        match = _ADDRESS.fullmatch(str(text))
        if not match or int(match["port"]) > _MAX_PORT:
            raise ValueError("must be host:port")
        return cls(match["v6"] or match["host"], int(match["port"]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _read_secret(path: object) -> SecretStr:
    try:
        with Path(str(path)).open("rb") as file:
            secret = file.read(_MAX_SECRET_BYTES).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise ValueError("must be a readable text file") from None
    if not secret:
        raise ValueError("must be a file that is not empty")
    return SecretStr(secret)


def _check_dsn(dsn: str) -> str:
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        # The driver's message quotes the text, which may hold a password.
        raise ValueError("must be a libpq connection string") from None
    if "password" in parts:
        raise ValueError("must not hold a password; give it as a file")
    return dsn


def _read_threshold(value: object) -> object:
    word = str(value).lower()
    return {"none": None, "auto": "auto"}.get(word, value)


Dsn = Annotated[str, AfterValidator(_check_dsn)]
SecretFile = Annotated[SecretStr, BeforeValidator(_read_secret)]
Listen = Annotated[Address, NoDecode, BeforeValidator(Address.parse)]
Threshold = Annotated[Annotated[int, Field(ge=0)] | Literal["auto"] | None, BeforeValidator(_read_threshold)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


def _secret_file(name: str, description: str) -> SecretStr | None:
    field: SecretStr | None = Field(default=None, validation_alias=f"{PREFIX}{name}", description=description)
    return field


class LogSettings(BaseSettings):
    """What every command wants."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, arbitrary_types_allowed=True
    )

    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="json, console, or auto: console on a terminal"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="least level")


class MigrateSettings(LogSettings):
    """What `migrate` wants."""

    migration_dsn: Dsn = Field(description="PostgreSQL as the owner role, without password")
    migration_password: SecretFile | None = _secret_file("MIGRATION_PASSWORD_FILE", "file with its password")


class RecordSettings(LogSettings):
    """What every command wants that reads the record."""

    database_dsn: Dsn = Field(description="PostgreSQL as the runtime role, without password")
    database_password: SecretFile | None = _secret_file("DATABASE_PASSWORD_FILE", "file with its password")
    prepare_threshold: Threshold = Field(
        default="auto", description="runs before a statement is prepared, none, or auto: none behind a pooler"
    )
    database_connections: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=10, description="connections to PostgreSQL at most"
    )


class StoreSettings(RecordSettings):
    """What every command wants that compares the two stores: `verify` and `rebuild`."""

    redis_url: Annotated[RedisUrl, NoDecode, BeforeValidator(RedisUrl.parse)] = Field(
        description="Redis or Valkey, without password: redis[s]://HOST, unix://PATH, "
        "redis[s]+sentinel://HOST,…/SERVICE or redis[s]+cluster://HOST,…"
    )
    redis_password: SecretFile | None = _secret_file("REDIS_PASSWORD_FILE", "file with its password")
    redis_sentinel_password: SecretFile | None = _secret_file(
        "REDIS_SENTINEL_PASSWORD_FILE", "file with the password of the Sentinels"
    )
    redis_ca_file: Annotated[FilePath, AfterValidator(check_authorities)] | None = Field(
        default=None, description="authorities of its certificates besides those of the system, PEM"
    )
    redis_certificate_file: FilePath | None = Field(
        default=None, description="certificate chain to show it, PEM, where it asks for one"
    )
    redis_key_file: FilePath | None = Field(
        default=None, validate_default=True, description="the private key of that, PEM"
    )
    redis_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{0,64}$")] = Field(
        default="laurel:", description="first part of every key"
    )

    @field_validator("redis_sentinel_password")
    @classmethod
    def _is_for_sentinel(cls, password: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        url = info.data.get("redis_url")
        if password and url and url.topology != "sentinel":
            raise ValueError("is for a redis+sentinel URL")
        return password

    @field_validator("redis_ca_file", "redis_certificate_file", "redis_key_file")
    @classmethod
    def _is_for_tls(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        url = info.data.get("redis_url")
        if file and url and not url.is_tls:
            raise ValueError("is for a rediss URL")
        return file

    @field_validator("redis_key_file")
    @classmethod
    def _fits(cls, key_file: Path | None, info: ValidationInfo) -> Path | None:
        certificate_file = info.data.get("redis_certificate_file")
        if (key_file is None) != (certificate_file is None):
            raise ValueError("goes with the file of a certificate, and that with a key")
        if key_file and certificate_file:
            check_pair(certificate_file, key_file)
        return key_file


class CertificateSettings(LogSettings):
    """What `certs check` wants where no files are named."""

    tls_certificate_file: FilePath = Field(description="certificate chain of this server, PEM")
    tls_key_file: FilePath = Field(description="its private key, PEM")
    tls_ca_file: FilePath = Field(description="authorities of the callers' certificates, PEM")


class ServeSettings(CertificateSettings, StoreSettings):
    """What `serve` wants."""

    listen: Listen = Field(default=Address("127.0.0.1", 50051), description="gRPC with mTLS")
    admin_listen: Listen = Field(
        default=Address("127.0.0.1", 9090), description="plain HTTP: /livez /readyz /metrics"
    )
    ready_file: Path | None = Field(default=None, description="gets the bound addresses as JSON")

    tls_reload_seconds: Annotated[Seconds, Field(gt=0)] = Field(
        default=10, description="how often the three files are looked at"
    )
    policy_file: FilePath = Field(description="who may do what, TOML")
    reflection: bool = Field(default=True, description="serve gRPC reflection")

    connection_age_seconds: Annotated[Seconds, Field(gt=0)] = Field(
        default=1800, description="a connection is closed at this age, so that callers find new servers"
    )
    connection_grace_seconds: Seconds = Field(
        default=60, description="how long its open calls may go on after that"
    )
    drain_seconds: Seconds = Field(default=5, description="not ready, but answering, before a stop")
    stop_seconds: Seconds = Field(default=20, description="how long open calls may go on at a stop")
    stall_seconds: Annotated[Seconds, Field(gt=0)] = Field(
        default=30, description="a stream whose message is not taken for so long is ended"
    )

    projector_seconds: Annotated[Seconds, Field(gt=0)] = Field(
        default=0.5, description="how often the projection is compared with the record"
    )
    audit_seconds: Annotated[Seconds, Field(gt=0)] = Field(
        default=300, description="about how long between two audits of all standings in Redis"
    )
    watch_tick_seconds: Annotated[Seconds, Field(gt=0)] = Field(
        default=0.05, description="between two updates of a watch, at least"
    )
    watch_poll_seconds: Annotated[Seconds, Field(gt=0)] = Field(
        default=1, description="how often a watched board is looked at where no hint comes"
    )
    watch_checkpoint_seconds: Annotated[Seconds, Field(gt=0)] = Field(
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
    velocity_seconds: Annotated[Seconds, Field(gt=0)] = Field(default=60, description="how long the while is")
    velocity_users_max: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=20_000, description="users whose points are looked at, at most, at 0.4 KB each"
    )


_S = TypeVar("_S", bound=LogSettings)


def load(kind: type[_S]) -> _S:
    """Read settings from the environment. Raises SetupError with every fault, by variable."""
    try:
        return kind()
    except ValidationError as error:
        raise SetupError(list(_faults(error))) from None


def reveal(secret: SecretStr | None) -> str | None:
    """Give a secret to the library that needs it."""
    return secret.get_secret_value() if secret else None


def variable(kind: type[LogSettings], field: str) -> str:
    """Name the environment variable of a field."""
    alias = kind.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else PREFIX + field.upper()


def _faults(error: ValidationError) -> Iterator[str]:
    # A field with an alias is reported by the alias, which is the variable's whole name.
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        name = str(fault["loc"][0])
        place = name if name.startswith(PREFIX) else PREFIX + name.upper()
        said = "is not set" if fault["type"] == "missing" else fault["msg"].removeprefix("Value error, ")
        yield f"{place}: {said}"
