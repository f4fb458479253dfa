"""Provisioning of a database: the roles and schemas that the services and their migrations expect."""

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

ROLES = ("score_owner", "score_runtime", "gateway_owner", "gateway_runtime")


def derive_passwords(admin_password: str) -> dict[str, str]:
    """Return the password of each role.

    They follow from the administrator's, so that two stacks on one server agree on them without sharing a
    file.
    """
    key = admin_password.encode()
    return {role: hmac.digest(key, role.encode(), hashlib.sha256).hex() for role in ROLES}


def create_database(admin_url: str, name: str) -> None:
    """Make an empty database unless it exists."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def provision(connection: psycopg.Connection, passwords: Mapping[str, str]) -> None:
    """Make or refresh roles and schemas in the transaction an administrator has open."""
    for role, password in passwords.items():
        # The server gets only what it keeps, for it may write statements to its log.
        verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
        connection.execute("SELECT set_config(%s, %s, true)", [f"laurel.{role}_password", verifier.decode()])
    connection.execute(Path(__file__).with_name("provision.sql").read_bytes())
