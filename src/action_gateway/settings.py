"""The settings of the gateway: environment variables, read once, all faults told at once.

Secrets are given as files and never shown. Variables with the prefix that are no settings are let pass,
because Kubernetes makes some of its own for every Service (`ACTION_GATEWAY_PORT`, for one named so).
"""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeVar
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import (
    AfterValidator,
    BeforeValidator,
    DirectoryPath,
    Field,
    FilePath,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from action_gateway.redis_access import RedisUrl, check_authorities, check_pair

PREFIX: Final = "ACTION_GATEWAY_"
_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_MAX_PORT = 65535
_MAX_SECRET_BYTES = 4096


class SetupError(Exception):
    """The gateway cannot start as it is set up. Every fault names its place and tells no secret."""

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


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _check_origin(origin: str) -> str:
    parts = urlsplit(origin)
    if parts.scheme not in {"http", "https"} or origin != f"{parts.scheme}://{parts.netloc}":
        raise ValueError("must be origins like https://play.example.org")
    return origin.lower()


def _check_network(network: str) -> str:
    try:
        ipaddress.ip_network(network)
    except ValueError:
        raise ValueError("must be addresses or networks like 10.0.0.0/8") from None
    return network


Dsn = Annotated[str, AfterValidator(_check_dsn)]
SecretFile = Annotated[SecretStr, BeforeValidator(_read_secret)]
Listen = Annotated[Address, NoDecode, BeforeValidator(Address.parse)]
Threshold = Annotated[Annotated[int, Field(ge=0)] | Literal["auto"] | None, BeforeValidator(_read_threshold)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
Origins = Annotated[
    tuple[Annotated[str, AfterValidator(_check_origin)], ...], NoDecode, BeforeValidator(_split)
]
Networks = Annotated[
    tuple[Annotated[str, AfterValidator(_check_network)], ...], NoDecode, BeforeValidator(_split)
]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Lifetime = Annotated[int, Field(ge=1, le=365 * 86_400)]


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


class OwnerSettings(LogSettings):
    """What `migrate` and `load-actions` want."""

    migration_dsn: Dsn = Field(description="PostgreSQL as the owner role, without password")
    migration_password: SecretFile | None = _secret_file("MIGRATION_PASSWORD_FILE", "file with its password")


class DatabaseSettings(LogSettings):
    """What `add-user` wants."""

    database_dsn: Dsn = Field(description="PostgreSQL as the runtime role, without password")
    database_password: SecretFile | None = _secret_file("DATABASE_PASSWORD_FILE", "file with its password")
    prepare_threshold: Threshold = Field(
        default="auto", description="runs before a statement is prepared, none, or auto: none behind a pooler"
    )
    database_connections: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=10, description="connections to PostgreSQL at most"
    )
    database_wait_seconds: Annotated[Seconds, Field(gt=0)] = Field(
        default=1.5, description="how long to wait for one before PostgreSQL counts as away"
    )
    password_workers: Annotated[int, Field(ge=1, le=64)] = Field(
        default=2, description="passwords hashed at once, at 19 MiB each"
    )
    password_queue: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=32, description="passwords that may wait for that; more get 503"
    )


class ServeSettings(DatabaseSettings):
    """What `serve` wants."""

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
        default="gateway:", description="first part of every key"
    )
    redis_timeout_seconds: Annotated[Seconds, Field(gt=0)] = Field(
        default=0.5, description="how long a count may take before Redis counts as away"
    )

    score_target: str = Field(
        default="dns:///localhost:50051",
        min_length=1,
        description="where the score service is, as gRPC names it",
    )
    score_server_name: str | None = Field(
        default=None, min_length=1, description="the name its certificate has, if not the one in the target"
    )
    score_certificate_file: FilePath = Field(description="certificate chain of this gateway, PEM")
    score_key_file: FilePath = Field(description="its private key, PEM")
    score_ca_file: FilePath = Field(description="authorities of the score service's certificate, PEM")
    score_timeout_seconds: Annotated[Seconds, Field(gt=0)] = Field(
        default=5, description="how long to ask the score service before a request is answered 503"
    )
    board_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:@-]{1,128}$")] = Field(
        default="main", description="the board that is shown, and paid to unless an action names another"
    )

    listen: Listen = Field(default=Address("127.0.0.1", 8080), description="the public HTTP port")
    admin_listen: Listen = Field(
        default=Address("127.0.0.1", 9091), description="plain HTTP: /livez /readyz /metrics"
    )
    ready_file: Path | None = Field(default=None, description="gets the bound addresses as JSON")
    trusted_proxies: Networks = Field(
        default=(), description="whose X-Forwarded-For and -Proto count, comma-separated"
    )
    allowed_origins: Origins = Field(
        default=(), description="other origins whose pages may call, comma-separated; the own one always may"
    )
    max_connections: Count = Field(default=20_000, description="open connections; more get 503")
    max_requests: Count = Field(
        default=128, description="requests under way, without streams, health and files; more get 429 at once"
    )
    head_seconds: Annotated[Seconds, Field(gt=0)] = Field(
        default=10, description="how long the head of a request may take to come"
    )
    max_sockets: Count = Field(default=10_000, description="open WebSockets and event streams")
    max_sockets_per_user: Count = Field(default=20, description="the same for one user")
    socket_auth_seconds: Seconds = Field(default=5, description="a WebSocket without a token is closed after")

    access_keys_dir: DirectoryPath = Field(description="*.pem Ed25519 keys of access tokens; the last signs")
    action_keys_dir: DirectoryPath = Field(description="*.pem Ed25519 keys of action tokens; the last signs")
    issuer: Annotated[str, Field(min_length=1, max_length=255)] = Field(
        default="laurel", description="`iss` of all tokens"
    )
    registration_enabled: bool = Field(default=True, description="anyone may register")
    access_token_seconds: Lifetime = Field(default=15 * 60, description="lifetime of an access token")
    refresh_token_seconds: Lifetime = Field(default=30 * 86_400, description="lifetime of a refresh token")
    refresh_grace_seconds: Seconds = Field(
        default=30, description="how long the token before the newest still gets the newest again"
    )
    action_token_seconds: Lifetime = Field(default=10 * 60, description="lifetime of an action token")
    attempts_per_token: Annotated[int, Field(ge=1, le=100)] = Field(
        default=5, description="answers that an action token allows"
    )
    starts_per_minute: Count = Field(default=30, description="actions started, by user")
    completes_per_minute: Count = Field(default=60, description="answers sent, by user")
    logins_per_minute: Count = Field(default=10, description="logins, by address and user name")
    registrations_per_minute: Count = Field(default=10, description="new users, by address")

    drain_seconds: Seconds = Field(default=5, description="not ready, but answering, before a stop")
    stop_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(
        default=20, description="how long open requests may go on at a stop"
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


_S = TypeVar("_S", bound=LogSettings)


def load(kind: type[_S]) -> _S:
    """Read settings from the environment. Raises SetupError with every fault, by variable."""
    try:
        return kind()
    except ValidationError as error:
        raise SetupError(list(_faults(error))) from None


def reveal(secret: SecretStr | None) -> str | None:
    """Give the text of a secret."""
    return None if secret is None else secret.get_secret_value()


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
