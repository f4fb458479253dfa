"""The fixtures of all tests, one plugin module a concern; a module comes after those it imports."""

pytest_plugins = [
    "tests.fixtures.secrets",
    "tests.fixtures.certificates",
    "tests.fixtures.logs",
    "tests.fixtures.postgres",
    "tests.fixtures.pgbouncer",
    "tests.fixtures.processes",
    "tests.fixtures.proxy",
    "tests.fixtures.redis",
    "tests.fixtures.stores",
    "tests.fixtures.collector",
    "tests.fixtures.spans",
    "tests.fixtures.boards",
    "tests.fixtures.mortal_valkey",
    "tests.fixtures.valkey_nodes",
    "tests.fixtures.secure_stores",
    "tests.fixtures.score_service",
    "tests.fixtures.gateway",
    "tests.fixtures.stack",
    "tests.fixtures.realtime",
]
