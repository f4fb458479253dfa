"""How Redis is reached: what the URL says, and what no URL may hold. Pure.

    redis[s]://[USER@]HOST[:PORT][/DB]                          one server
    unix://[USER@]/PATH[?db=DB]                                 the same, by a socket
    redis[s]+sentinel://[USER@]HOST[:PORT][,…]/SERVICE[/DB]     the primary that these Sentinels name
    redis[s]+cluster://[USER@]HOST[:PORT][,…]                   a cluster, found by any of these nodes

`rediss` is TLS, to Sentinels too. There is no query but the one above: passwords, certificates and all that
could weaken TLS stand elsewhere, or nowhere.
"""

import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import unquote

Topology = Literal["server", "sentinel", "cluster"]

_SCHEMES: Final[dict[str, Topology]] = {
    "redis": "server",
    "redis+sentinel": "sentinel",
    "redis+cluster": "cluster",
}
_SCHEMES_TOLD: Final = "must be a redis, rediss, unix, redis+sentinel or redis+cluster URL"
_PORTS: Final[dict[Topology, int]] = {"server": 6379, "sentinel": 26379, "cluster": 6379}
_URL = re.compile(
    r"(?P<kind>redis|unix)(?P<tls>s?)(?P<more>\+[a-z]+)?://"
    r"((?P<user>[^/?#@]*)@)?(?P<hosts>[^/?#@]*)(?P<path>[^?#]*)(\?(?P<query>[^#]*))?"
)
_HOST = re.compile(r"(\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(:(?P<port>[0-9]{1,5}))?")
_DATABASE = re.compile(r"[0-9]{1,5}")
_MAX_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """Where Redis is."""

    topology: Topology
    hosts: tuple[tuple[str, int], ...]
    """Names and ports; none where there is a socket."""
    socket: str = ""
    is_tls: bool = False
    username: str | None = None
    service: str = ""
    """What Sentinel calls the primary and its replicas."""
    database: int = 0

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read a URL. Raises ValueError, which repeats nothing of it: there may be a password in it."""
        match = _URL.fullmatch(str(text))
        if match is None:
            raise ValueError(_SCHEMES_TOLD)
        user, query, path = match["user"] or "", match["query"], match["path"]
        if ":" in user or "password=" in (query or ""):
            raise ValueError("must not hold a password; give it as a file")
        username = unquote(user) or None
        if match["kind"] == "unix":
            if match["tls"] or match["more"] or match["hosts"] or not path.strip("/"):
                raise ValueError("must name a socket, as in unix:///run/redis.sock")
            return cls("server", (), unquote(path), username=username, database=_read_query(query))
        topology = _SCHEMES.get(f"redis{match['more'] or ''}")
        if topology is None:
            raise ValueError(_SCHEMES_TOLD)
        if query is not None:
            raise ValueError("must have no query: what it could say has settings of its own")
        hosts = tuple(_read_host(host, _PORTS[topology]) for host in match["hosts"].split(","))
        if topology == "server" and len(hosts) > 1:
            raise ValueError("must name one host, unless it is a redis+sentinel or redis+cluster URL")
        service, database = _read_path(topology, path)
        return cls(topology, hosts, "", bool(match["tls"]), username, service, database)


@dataclass(frozen=True, slots=True)
class RedisAccess:
    """Where Redis is, and what it asks for."""

    url: RedisUrl
    password: str | None = None
    sentinel_password: str | None = None
    ca_file: Path | None = None
    """Authorities of the servers' certificates, which count besides those of the system."""
    certificate_file: Path | None = None
    key_file: Path | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def options(self) -> dict[str, Any]:
        """Name what every connection to a server needs, in the words of redis-py."""
        login = {"username": self.url.username, "password": self.password}
        return {**login, "db": self.url.database, **self._shared_options()}

    def sentinel_options(self) -> dict[str, Any]:
        """Name the same for a connection to a Sentinel."""
        return {"password": self.sentinel_password, "ssl": self.url.is_tls, **self._shared_options()}

    def _shared_options(self) -> dict[str, Any]:
        # It would send its name and version, by commands that an access list would have to allow.
        return {"driver_info": None, **self._tls_options()}

    def _tls_options(self) -> dict[str, Any]:
        """Name what TLS needs. Certificates and the names of hosts are always checked."""
        if not self.url.is_tls:
            return {}
        files = {
            "ssl_ca_certs": self.ca_file,
            "ssl_certfile": self.certificate_file,
            "ssl_keyfile": self.key_file,
        }
        return {
            "ssl_cert_reqs": "required",
            "ssl_check_hostname": True,
            "ssl_min_version": ssl.TLSVersion.TLSv1_2,
            **{name: str(file) for name, file in files.items() if file is not None},
        }


def check_authorities(file: Path) -> Path:
    """Make sure that a file holds certificates. Raises ValueError."""
    try:
        ssl.create_default_context(cafile=file)
    except OSError:
        raise ValueError("must be a file of certificates in PEM") from None
    return file


def check_pair(certificate_file: Path, key_file: Path) -> None:
    """Make sure that a key is the one of a certificate. Raises ValueError."""
    try:
        # A password is given so that OpenSSL does not ask for it at the terminal.
        ssl.create_default_context().load_cert_chain(certificate_file, key_file, password="")
    except OSError:
        raise ValueError("must be the key of the certificate, in PEM and not encrypted") from None


def _read_host(text: str, port: int) -> tuple[str, int]:
    match = _HOST.fullmatch(text)
    if not match or int(match["port"] or port) > _MAX_PORT:
        raise ValueError("must name each host as host, host:port or [v6]:port, with commas between")
    return match["v6"] or match["name"], int(match["port"] or port)


def _read_path(topology: Topology, path: str) -> tuple[str, int]:
    """Read the service and the database that a path names."""
    parts = path.removeprefix("/").split("/")
    if topology == "cluster":
        if path not in {"", "/", "/0"}:
            raise ValueError("must name no database: a cluster has one")
        return "", 0
    service = unquote(parts.pop(0)) if topology == "sentinel" else ""
    if topology == "sentinel" and not service:
        raise ValueError("must name the service that the Sentinels know, as in redis+sentinel://host/service")
    return service, _read_database("/".join(parts))


def _read_query(query: str | None) -> int:
    name, _, database = (query or "db=").partition("=")
    if name != "db":
        raise ValueError("must have no query but db=, the number of a database")
    return _read_database(database)


def _read_database(text: str) -> int:
    if text and not _DATABASE.fullmatch(text):
        raise ValueError("must name the database by its number")
    return int(text or 0)
