"""Upgrades a schema to its newest revision, as the owner role, by Alembic.

Revisions are numbers of four digits, so that a newer schema compares greater. Several migrations may be
started at once: one works, the others wait and find nothing to do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from service_runtime.errors import SetupError
from service_runtime.postgres.conninfo import complete_conninfo


@dataclass(frozen=True, slots=True)
class Migration:
    """A schema, and the revisions that lead to its newest form."""

    application_name: str
    revisions: Path
    """The folder of Alembic's environment."""
    lock_key: int
    """Any number, but the same for every migration of this schema and of no other."""
    grant: str
    """A statement that lets the runtime role read the revision."""

    def upgrade(self, dsn: str, password: str | None) -> None:
        """Apply every revision that the database does not have yet, in one transaction.

        Args:
            dsn: libpq connection string of the owner role.
            password: the role's password, if the DSN does not have it.

        Raises:
            SetupError: the schema is at a revision that this version does not have.
            psycopg.Error: the database is unavailable, does not let the role do this, or a step failed.
                Nothing is changed.
        """
        engine = create_engine(
            "postgresql+psycopg://", creator=partial(self._connect, dsn, password), poolclass=NullPool
        )
        config = Config()
        config.set_main_option("script_location", str(self.revisions))
        with _plain_errors(), engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": self.lock_key})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.execute(text(self.grant))

    def _connect(self, dsn: str, password: str | None) -> psycopg.Connection:
        own = {"application_name": self.application_name, "target_session_attrs": "read-write"}
        # A pooler would give the names of prepared statements to the next session.
        return psycopg.connect(complete_conninfo(dsn, password, own), prepare_threshold=None)


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except CommandError as error:
        raise SetupError([f"the schema cannot be upgraded: {error}"]) from error
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise error.orig from error
        raise
