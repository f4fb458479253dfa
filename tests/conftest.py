"""The fixtures of all tests, one plugin module a concern."""

pytest_plugins = [
    "tests.fixtures.certificates",
    "tests.fixtures.postgres",
    "tests.fixtures.processes",
    "tests.fixtures.redis",
    "tests.fixtures.score_service",
    "tests.fixtures.stores",
]
