"""Settings from environment variables, read once, with all faults reported at once.

A service gives its classes a prefix by `settings_config`, and takes the groups of fields that it needs from
here. Secrets are given as files and never shown. Variables with the prefix that are no settings are ignored,
because Kubernetes makes some of its own for every Service (`SCORE_SERVICE_PORT`, for one named so).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    FilePath,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service_runtime.errors import SetupError
from service_runtime.postgres.pool import PoolSettings
from service_runtime.redis.access import RedisAccess, RedisUrl, check_authorities, check_pair

_ADDRESS: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_PORT_MAX: Final = 65535
_SECRET_BYTES_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. Port 0 takes a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: object) -> Self:
        """Parse `host:port` or `[v6]:port`. Raises ValueError."""
        match = _ADDRESS.fullmatch(str(text))
        if not match or int(match["port"]) > _PORT_MAX:
            raise ValueError("must be host:port")
        return cls(match["v6"] or match["host"], int(match["port"]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _read_secret(path: object) -> SecretStr:
    try:
        with Path(str(path)).open("rb") as file:
            secret = file.read(_SECRET_BYTES_MAX).decode().rstrip("\r\n")
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


def _check_prefix(prefix: str) -> str:
    # A brace would choose the slot of the key in a cluster.
    if not re.fullmatch(r"[A-Za-z0-9._:-]*", prefix):
        raise ValueError("must consist of letters, digits and . _ : -")
    return prefix


def _check_target(path: Path) -> Path:
    if path.is_dir() or not path.parent.is_dir():
        raise ValueError("must be a file in a folder that exists")
    return path


Dsn = Annotated[str, AfterValidator(_check_dsn)]
SecretFile = Annotated[SecretStr, BeforeValidator(_read_secret)]
"""Set to the path of a file; its value is what the file holds."""
Listen = Annotated[Address, NoDecode, BeforeValidator(Address.parse)]
Threshold = Annotated[Annotated[int, Field(ge=0)] | Literal["auto"] | None, BeforeValidator(_read_threshold)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
SecondsAboveZero = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
ReadyFile = Annotated[Path, AfterValidator(_check_target)]
"""A file that a service writes once it listens."""
KeyPrefix = Annotated[str, Field(max_length=64), AfterValidator(_check_prefix)]


def settings_config(prefix: str) -> SettingsConfigDict:
    """Make the configuration of a service's settings classes, whose variables begin with a prefix."""
    return SettingsConfigDict(
        env_prefix=prefix,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        arbitrary_types_allowed=True,
        defer_build=True,  # A command needs one of the classes of its service.
    )


class LogSettings(BaseSettings, defer_build=True):
    """What every command needs."""

    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="json, console, or auto: console on a terminal"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the lowest level that is logged"
    )


class MigrationFields(BaseModel, defer_build=True):
    """The database as the role that owns the schema."""

    migration_dsn: Dsn = Field(description="PostgreSQL as the owner role, without password")
    migration_password_file: SecretFile | None = Field(default=None, description="file with its password")

    @property
    def owner_pool(self) -> PoolSettings:
        """How PostgreSQL is reached as that role, by a command that is no migration."""
        return PoolSettings(self.migration_dsn, reveal(self.migration_password_file))


class DatabaseFields(BaseModel, defer_build=True):
    """The database as the role that serves."""

    database_dsn: Dsn = Field(description="PostgreSQL as the runtime role, without password")
    database_password_file: SecretFile | None = Field(default=None, description="file with its password")
    prepare_threshold: Threshold = Field(
        default="auto",
        description="executions before a statement is prepared, or none; auto: 5, but none behind a pooler",
    )
    database_connections: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=10, description="the most connections to PostgreSQL"
    )

    @property
    def pool(self) -> PoolSettings:
        """How PostgreSQL is reached."""
        return PoolSettings(
            self.database_dsn,
            reveal(self.database_password_file),
            prepare_threshold=self.prepare_threshold,
            connections_max=self.database_connections,
        )


class RedisFields(BaseModel, defer_build=True):
    """Redis or Valkey, in any topology."""

    redis_url: Annotated[RedisUrl, NoDecode, BeforeValidator(RedisUrl.parse)] = Field(
        description="Redis or Valkey, without password: redis[s]://HOST, unix://PATH, "
        "redis[s]+sentinel://HOST,…/SERVICE or redis[s]+cluster://HOST,…"
    )
    redis_password_file: SecretFile | None = Field(default=None, description="file with its password")
    redis_sentinel_password_file: SecretFile | None = Field(
        default=None, description="file with the password of the Sentinels"
    )
    redis_ca_file: Annotated[FilePath, AfterValidator(check_authorities)] | None = Field(
        default=None, description="certificate authorities to trust in addition to those of the system, PEM"
    )
    redis_certificate_file: FilePath | None = Field(
        default=None, description="client certificate chain for it, PEM, if it requires one"
    )
    redis_key_file: FilePath | None = Field(
        default=None, validate_default=True, description="private key of that certificate, PEM"
    )

    @property
    def redis_access(self) -> RedisAccess:
        """How Redis is reached."""
        return RedisAccess(
            self.redis_url,
            password=reveal(self.redis_password_file),
            sentinel_password=reveal(self.redis_sentinel_password_file),
            ca_file=self.redis_ca_file,
            certificate_file=self.redis_certificate_file,
            key_file=self.redis_key_file,
        )

    @field_validator("redis_sentinel_password_file")
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


_S = TypeVar("_S", bound=BaseSettings)


def load(kind: type[_S]) -> _S:
    """Read settings from the environment. Raises SetupError with every fault, by variable."""
    try:
        return kind()
    except ValidationError as error:
        raise SetupError(list(_faults(kind, error))) from None


def reveal(secret: SecretStr | None) -> str | None:
    """Return the text of a secret."""
    return None if secret is None else secret.get_secret_value()


def variable(kind: type[BaseSettings], field: str) -> str:
    """Return the name of a field's environment variable."""
    return f"{kind.model_config['env_prefix']}{field.upper()}"


def describe(kind: type[BaseSettings]) -> str:
    """List the settings of a command, as its help shows them."""
    lines = ["\b", "Settings, from the environment:"]
    for name, field in kind.model_fields.items():
        default = "" if field.default is None else f" [{field.default}]"
        fallback = " (required)" if field.is_required() else default
        lines.append(f"  {variable(kind, name)}{fallback}\n      {field.description}")
    return "\n".join(lines)


def _faults(kind: type[BaseSettings], error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        reason = "is not set" if fault["type"] == "missing" else fault["msg"].removeprefix("Value error, ")
        yield f"{variable(kind, str(fault['loc'][0]))}: {reason}"
