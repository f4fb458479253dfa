"""The backing services: a PostgreSQL database and a Redis, of the stack or external, made ready."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

import psycopg
import redis
from psycopg.conninfo import make_conninfo

from local_stack.errors import ServerUnavailableError
from local_stack.provision import ROLES, derive_passwords, provision

_CONNECT_SECONDS = 10
_IDENTIFY = """
    SELECT system_identifier, database.oid
    FROM pg_control_system(), pg_database AS database
    WHERE datname = current_database()
"""


@dataclass(frozen=True, slots=True)
class Record:
    """A provisioned database: who it is, and for each role a DSN without password and the password."""

    identity: str
    """The same for every stack on this database, another for every other database."""
    dsns: Mapping[str, str]
    passwords: Mapping[str, str]

    @classmethod
    def prepare(cls, admin_url: str) -> Self:
        """Provision the database of an administrator's URL, or raise ServerUnavailableError."""
        try:
            with psycopg.connect(admin_url, connect_timeout=_CONNECT_SECONDS) as connection:
                # Without a password the server trusts every connection, and any will do.
                passwords = derive_passwords(connection.info.password or admin_url)
                provision(connection, passwords)
                return cls(
                    identity="-".join(map(str, connection.execute(_IDENTIFY).fetchone() or ())),
                    dsns={role: _dsn(connection.info, role) for role in ROLES},
                    passwords=passwords,
                )
        except psycopg.Error as error:
            reason = error.diag.message_primary or error
            message = f"The database of DATABASE_URL cannot be set up: {reason}"
            raise ServerUnavailableError(message) from error


@dataclass(frozen=True, slots=True)
class Cache:
    """A Redis or Valkey that answers: its URL without the password, and the password."""

    url: str
    password: str | None

    @classmethod
    def prepare(cls, url: str) -> Self:
        """Take the password out of a URL, or raise ServerUnavailableError where no server answers."""
        parts = urlsplit(url)
        for node in _node_urls(parts):
            if (failure := _ping(node)) is None:
                break
        else:
            raise ServerUnavailableError(f"The server of REDIS_URL cannot be used: {failure}") from failure
        login, _, address = parts.netloc.rpartition("@")
        user = login.partition(":")[0]
        bare = parts._replace(netloc=f"{user}@{address}" if user else address)
        return cls(urlunsplit(bare), unquote(parts.password) if parts.password else None)


def _node_urls(parts: SplitResult) -> list[str]:
    """List where each node of a cluster, or the one server, is asked whether it is there."""
    scheme, _, topology = parts.scheme.partition("+")
    if topology != "cluster":
        return [urlunsplit(parts)]
    login, at, hosts = parts.netloc.rpartition("@")
    return [f"{scheme}://{login}{at}{host}" for host in hosts.split(",")]


def _ping(url: str) -> Exception | None:
    try:
        with redis.Redis.from_url(url, socket_timeout=_CONNECT_SECONDS) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        return error
    return None


def _dsn(info: psycopg.ConnectionInfo, role: str) -> str:
    # What a URL leaves out comes from the environment or follows from the administrator's name, but the
    # roles must come to the very same database.
    return make_conninfo(**{**info.get_parameters(), "dbname": info.dbname, "user": role})
