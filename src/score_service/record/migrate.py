"""Brings the schema of the record to the newest revision, as the owner role.

Several migrations may be started at once: one works, the others wait and find nothing to do.
"""

from functools import partial
from pathlib import Path
from typing import Final

import psycopg
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from score_service.settings import SetupError

_LOCK_KEY: Final = 0x6C617572656C01
"""Any number, but the same for every migration of the record."""


def upgrade_schema(dsn: str, password: str | None) -> None:
    """Apply every revision that the database does not have yet, in one transaction.

    Args:
        dsn: libpq connection string of the owner role.
        password: the role's password, if the DSN does not have it.

    Raises:
        SetupError: the schema is at a revision that this version does not have.
        psycopg.Error: the database is away, or does not let the role do this.
        sqlalchemy.exc.DBAPIError: a step failed; nothing is changed.
    """
    parameters = {"application_name": "score-service migrate", "target_session_attrs": "read-write"}
    conninfo = make_conninfo("", **{**parameters, **conninfo_to_dict(dsn, password=password)})
    # A pooler would give the names of prepared statements to the next session.
    connect = partial(psycopg.connect, conninfo, prepare_threshold=None)
    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise SetupError([f"the schema cannot be brought on: {error}"]) from error
        connection.execute(text("GRANT SELECT ON score.alembic_version TO score_runtime"))
