"""How a database is reached: a connection string of libpq, completed."""

from collections.abc import Mapping

from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo


def complete_conninfo(dsn: str, password: str | None, defaults: Mapping[str, str]) -> str:
    """Complete a connection string.

    A host that libpq takes from elsewhere (`PGHOST`, the service file) is written into it: psycopg resolves
    names by itself, and its errors name the host of the connection string alone (psycopg 3.3).

    Args:
        dsn: libpq connection string.
        password: the role's password, if the DSN does not have it.
        defaults: parameters that the DSN overrides.

    Raises:
        psycopg.ProgrammingError: the DSN is malformed.
    """
    given = {**defaults, **conninfo_to_dict(dsn, password=password)}
    if not given.keys() & {"host", "hostaddr", "service"}:
        given["host"] = _default_host()
    return make_conninfo("", **given)


def _default_host() -> str | None:
    (host,) = (option.val for option in pq.Conninfo.get_defaults() if option.keyword == b"host")
    return host.decode() if host else None
