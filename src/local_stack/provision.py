"""Provisioning of a database: the roles and schemas that the services and their migrations expect."""

import hashlib
import hmac
from importlib.resources import files

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

ROLES = ("score_owner", "score_runtime", "gateway_owner", "gateway_runtime")


def derive_passwords(admin_url: str) -> dict[str, str]:
    """Return the password of each role.

    They follow from the administrator's password (or from the URL, if it has none), so that two stacks on one
    server agree on them without sharing a file.
    """
    key = str(conninfo_to_dict(admin_url).get("password") or admin_url).encode()
    return {role: hmac.digest(key, role.encode(), hashlib.sha256).hex() for role in ROLES}


def create_database(admin_url: str, name: str) -> None:
    """Make an empty database unless it exists."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def provision(admin_url: str, passwords: dict[str, str]) -> None:
    """Make or refresh roles and schemas in the database of the URL."""
    statements = files("local_stack").joinpath("provision.sql").read_bytes()
    with psycopg.connect(admin_url) as connection:
        for role, password in passwords.items():
            connection.execute("SELECT set_config(%s, %s, true)", [f"laurel.{role}_password", password])
        connection.execute(statements)
