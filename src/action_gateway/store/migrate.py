"""Brings the gateway's schema to the newest revision, as the owner role.

Revisions are numbers of four digits, so that a newer schema compares greater. Several migrations may be
started at once: one works, the others wait and find nothing to do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import psycopg
from alembic import command
from alembic.config import Config
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

_LOCK_KEY: Final = 0x6C617572656C02
"""Any number, but the same for every migration of this schema and of no other."""


def upgrade_schema(dsn: str, password: str | None) -> None:
    """Apply every revision that the database does not have yet, in one transaction.

    Args:
        dsn: libpq connection string of the owner role.
        password: the role's password, if the DSN does not have it.

    Raises:
        psycopg.Error: the database is away, does not let the role do this, or a step failed. Nothing is
            changed.
    """
    parameters = {"application_name": "action-gateway migrate", "target_session_attrs": "read-write"}
    conninfo = make_conninfo("", **{**parameters, **conninfo_to_dict(dsn, password=password)})
    # A pooler would give the names of prepared statements to the next session.
    connect = partial(psycopg.connect, conninfo, prepare_threshold=None)
    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    with _plain_errors(), engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.execute(text("GRANT SELECT ON gateway.alembic_version TO gateway_runtime"))


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise error.orig from error
        raise
