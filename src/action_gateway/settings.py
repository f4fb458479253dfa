"""The settings of the gateway, by command."""

import ipaddress
import re
from dataclasses import replace
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, DirectoryPath, Field, FilePath
from pydantic_settings import NoDecode

from service_runtime import settings
from service_runtime.postgres.pool import PoolSettings
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
    SecretFile,
    settings_config,
)


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


def _check_id(board_id: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:@-]+", board_id):
        raise ValueError("must consist of letters, digits and . _ : @ -")
    return board_id


def _check_origin(origin: str) -> str:
    """Spell an origin as browsers do (RFC 6454, 6.2)."""
    origin = origin.lower()
    parts = urlsplit(origin)
    if (
        parts.scheme not in _DEFAULT_PORTS
        or origin != f"{parts.scheme}://{parts.netloc}"
        or not origin.isascii()
    ):
        raise ValueError("must be origins like https://play.example.org, names in ASCII (xn--…)")
    return origin.removesuffix(_DEFAULT_PORTS[parts.scheme])


def _check_network(network: str) -> str:
    try:
        ipaddress.ip_network(network)
    except ValueError:
        raise ValueError("must be addresses or networks like 10.0.0.0/8") from None
    return network


Origins = Annotated[
    tuple[Annotated[str, AfterValidator(_check_origin)], ...], NoDecode, BeforeValidator(_split)
]
Networks = Annotated[
    tuple[Annotated[str, AfterValidator(_check_network)], ...], NoDecode, BeforeValidator(_split)
]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Lifetime = Annotated[int, Field(ge=1, le=365 * 86_400)]


class LogSettings(settings.LogSettings):
    """What every command needs."""

    model_config = settings_config("ACTION_GATEWAY_")


class OwnerSettings(MigrationFields, LogSettings):
    """What `migrate`, `load-actions`, `grant` and `revoke` need."""


class DatabaseSettings(DatabaseFields, LogSettings):
    """What `add-user` and `delete-user` need."""

    database_wait_seconds: SecondsAboveZero = Field(
        default=1.5, description="how long to wait for one before PostgreSQL counts as unavailable"
    )
    access_token_seconds: Lifetime = Field(default=15 * 60, description="lifetime of an access token")
    former_players: Literal["shown", "hidden"] = Field(
        default="shown",
        description="what becomes of the row of a player who leaves: shown without a name, or hidden",
    )
    freed_name_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        default=30, description="how long a name that was given up cannot be taken"
    )
    freed_name_key_file: SecretFile | None = Field(
        default=None,
        description="file with the key that hides such names; without one they can be taken at once",
    )

    @property
    def pool(self) -> PoolSettings:
        """How PostgreSQL is reached."""
        return replace(super().pool, wait_seconds=self.database_wait_seconds)


class ServeSettings(RedisFields, DatabaseSettings):
    """What `serve` needs."""

    password_workers: Annotated[int, Field(ge=1, le=64)] = Field(
        default=2, description="passwords hashed at once, at 19 MiB each"
    )
    password_queue: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=32, description="most passwords queued for hashing; more get 503"
    )

    redis_prefix: KeyPrefix = Field(
        default="gateway:", description="prefix of every key: letters, digits and . _ : -"
    )
    redis_timeout_seconds: SecondsAboveZero = Field(
        default=0.5, description="how long a count may take before Redis counts as unavailable"
    )

    score_target: str = Field(
        default="dns:///localhost:50051",
        min_length=1,
        description="gRPC target of the score service",
    )
    score_server_name: str | None = Field(
        default=None, min_length=1, description="name in its certificate, if it is not the one in the target"
    )
    score_certificate_file: FilePath = Field(description="certificate chain of this gateway, PEM")
    score_key_file: FilePath = Field(description="its private key, PEM")
    score_ca_file: FilePath = Field(description="authorities of the score service's certificate, PEM")
    score_timeout_seconds: SecondsAboveZero = Field(
        default=5, description="how long to try the score service before a request is answered with 503"
    )
    board_id: Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_check_id)] = Field(
        default="main",
        description="board that is shown, and that actions without one pay to: letters, digits and . _ : @ -",
    )

    listen: Listen = Field(default=Address("127.0.0.1", 8080), description="the public HTTP port")
    admin_listen: Listen = Field(
        default=Address("127.0.0.1", 9091), description="plain HTTP: /livez /readyz /metrics"
    )
    ready_file: ReadyFile | None = Field(
        default=None, description="file to which the bound addresses are written, as JSON"
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="networks whose X-Forwarded-For and -Proto headers are trusted, comma-separated",
    )
    allowed_origins: Origins = Field(
        default=(),
        description="more origins whose pages may connect, comma-separated; the own origin always may",
    )
    max_connections: Count = Field(default=20_000, description="most open connections; more get 503")
    max_requests: Count = Field(
        default=128, description="most requests under way, without streams, health and files; more get 429"
    )
    header_seconds: SecondsAboveZero = Field(
        default=10, description="how long the headers of a request may take to arrive"
    )
    keep_alive_seconds: Annotated[int, Field(ge=1, le=86_400)] = Field(
        default=620,
        description="how long a connection may wait for its next request; longer than proxies keep it",
    )
    max_sockets: Count = Field(default=10_000, description="most open WebSockets and event streams")
    max_sockets_per_user: Count = Field(default=20, description="the same for one user")
    socket_auth_seconds: Seconds = Field(
        default=5, description="how long a WebSocket may be open without a token"
    )

    access_keys_dir: DirectoryPath = Field(
        description="folder with *.pem Ed25519 keys of access tokens; the last one signs"
    )
    action_keys_dir: DirectoryPath = Field(
        description="folder with *.pem Ed25519 keys of action tokens and tickets; the last one signs"
    )
    issuer: Annotated[str, Field(min_length=1, max_length=255)] = Field(
        default="laurel", description="`iss` of all tokens"
    )
    registration_enabled: bool = Field(default=True, description="anyone may register")
    refresh_token_seconds: Lifetime = Field(default=30 * 86_400, description="lifetime of a refresh token")
    refresh_grace_seconds: Seconds = Field(
        default=30,
        description="how long the previous refresh token gets the newest one without its Idempotency-Key",
    )
    action_token_seconds: Lifetime = Field(default=10 * 60, description="lifetime of an action token")
    ticket_seconds: Annotated[int, Field(ge=1, le=60)] = Field(
        default=10, description="lifetime of a ticket; clocks may differ by 5 seconds more"
    )
    ticket_issuers_file: FilePath | None = Field(
        default=None,
        description="TOML file with the outside issuers, whose tickets are redeemed; without it, none are",
    )
    attempts_per_token: Annotated[int, Field(ge=1, le=100)] = Field(
        default=5, description="most answers with one action token"
    )
    starts_per_minute: Count = Field(default=30, description="actions started, by user")
    completes_per_minute: Count = Field(default=60, description="answers sent, by user")
    redeems_per_minute: Count = Field(default=60, description="tickets redeemed, by user and issuer")
    logins_per_minute: Count = Field(default=10, description="logins, by address and user name")
    registrations_per_minute: Count = Field(default=10, description="new users, by address")
    exports_per_minute: Count = Field(default=5, description="exports of an account, by user")
    surge_points_per_minute: Annotated[int, Field(ge=0, le=2**53 - 1)] = Field(
        default=1_000,
        description="points that this process pays a user in a minute without a suspicion; 0 disables it",
    )
    moderations_per_minute: Count = Field(default=300, description="calls of a moderator, by user")

    drain_seconds: Seconds = Field(
        default=5, description="how long to answer while not ready, before a shutdown"
    )
    stop_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(
        default=20, description="how long open requests may continue at a shutdown"
    )
