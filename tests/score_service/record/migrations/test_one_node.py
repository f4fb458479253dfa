"""What is done to a board can be sent whole to the node that has it: each plan says so on one server, too.

PostgreSQL explains every statement that it runs here, also those inside of functions. A scan of a table with
boards must have the board itself among its own conditions: that is what a planner for several nodes goes by.
"""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.fixtures.ledgers.statements import COMMON, cases, fill_board
from tests.fixtures.servers.secure_stores import SecurePostgres

from local_stack.provision import create_database
from score_service.record.migrate import MIGRATION
from score_service.record.sql import load_statement

_DATABASE: Final = "laurel_one_node"


@pytest.fixture(scope="module")
def admin_dsn(secure_postgres: SecurePostgres) -> str:
    """Return a database of the PostgreSQL that can explain what runs inside of functions."""
    create_database(secure_postgres.admin_url, _DATABASE)
    dsn = make_conninfo(secure_postgres.admin_url, dbname=_DATABASE)
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE SCHEMA score")
    return dsn


@pytest.fixture(scope="module")
def explained(admin_dsn: str) -> str:
    """Return a database with a board that has everything, whose plans show the values of parameters."""
    MIGRATION.upgrade(admin_dsn, None)
    asyncio.run(fill_board(admin_dsn))
    with psycopg.connect(admin_dsn, autocommit=True) as connection:
        connection.execute(_SHOW_VALUES)
    return admin_dsn


_EXPLAIN_ALL: Final = """
LOAD 'auto_explain';
SET auto_explain.log_min_duration = 0;
SET auto_explain.log_nested_statements = on;
SET auto_explain.log_format = json;
SET client_min_messages = log;
SET plan_cache_mode = force_custom_plan;
"""
# Functions plan for the values that they are given, as they do on several nodes.
_SHOW_VALUES: Final = """
DO $$
DECLARE
    v_function regprocedure;
BEGIN
    FOR v_function IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = 'score'::regnamespace AND 'plan_cache_mode=force_generic_plan' = ANY (proconfig)
    LOOP
        EXECUTE format('ALTER FUNCTION %s RESET plan_cache_mode', v_function);
    END LOOP;
END
$$
"""


def _explain(dsn: str, statement: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
    """Run a statement and everything in it, undo it, and return the plans."""
    plans = list[dict[str, Any]]()

    def note(said: psycopg.errors.Diagnostic) -> None:
        _, found, plan = (said.message_primary or "").partition("plan:\n")
        if found:
            plans.append(json.loads(plan))

    with psycopg.connect(dsn) as connection:
        connection.execute(_EXPLAIN_ALL)
        connection.add_notice_handler(note)
        connection.execute(load_statement(statement), {**COMMON, **parameters})
        connection.rollback()
    return plans


def _walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _walk(child)


def _find_faults(plan: dict[str, Any]) -> Iterator[str]:
    """Return which scans do not name their board, and which rows are not written from a row of the board."""
    root = plan["Plan"]
    for node in _walk(root):
        what = f"{node['Node Type']} of {node.get('Relation Name')} in {plan['Query Text']}"
        if node["Node Type"] == "ModifyTable":
            below = [child.get("Relation Name") for part in node["Plans"] for child in _walk(part)]
            if node is not root:
                yield f"not a statement of its own: {what}"
            elif (
                node["Operation"] == "Insert" and node["Plans"][0]["Node Type"] != "Result" and not any(below)
            ):
                yield f"rows from nowhere: {what}"
        elif (
            node.get("Relation Name", "alembic_version") not in {"alembic_version", "default_settings"}
            and node.get("Schema", "score") == "score"
        ):
            conditions = " ".join(
                str(node.get(kind, "")) for kind in ("Index Cond", "Filter", "Recheck Cond")
            )
            if not re.search(r"\bboard_id = '(main|new)'::text", conditions):
                yield f"no board in '{conditions}': {what}"


@pytest.mark.parametrize(("statement", "parameters"), list(cases()))
def test_each_scan_that_a_statement_makes_names_its_board(
    explained: str, statement: str, parameters: Mapping[str, object]
) -> None:
    plans = _explain(explained, statement, parameters)

    assert plans
    assert [fault for plan in plans for fault in _find_faults(plan)] == []


def test_no_function_of_sql_reads_or_writes_a_table(explained: str) -> None:
    """A planner for several nodes does not see the parameters of these."""
    with psycopg.connect(explained) as connection:
        found = connection.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'score'::regnamespace"
            " AND prolang = (SELECT oid FROM pg_language WHERE lanname = 'sql')"
            " AND pg_get_functiondef(oid) ~ '(FROM|JOIN|INTO|UPDATE) score[.]'"
        ).fetchall()
    assert found == []
