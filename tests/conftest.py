"""The fixtures of all tests, one plugin module a concern; a module comes after those it imports."""

from hypothesis import settings

# Each example has the time that a busy machine takes.
_CURRENT = settings.get_profile(settings.get_current_profile_name())
settings.register_profile("unhurried", _CURRENT, deadline=None)
settings.load_profile("unhurried")

pytest_plugins = [
    "tests.fixtures.order",
    "tests.fixtures.programs",
    "tests.fixtures.secrets",
    "tests.fixtures.certificates",
    "tests.fixtures.logs",
    "tests.fixtures.postgres",
    "tests.fixtures.pgbouncer",
    "tests.fixtures.forking",
    "tests.fixtures.processes",
    "tests.fixtures.proxy",
    "tests.fixtures.redis",
    "tests.fixtures.stores",
    "tests.fixtures.correcting",
    "tests.fixtures.archiving",
    "tests.fixtures.periods",
    "tests.fixtures.citus",
    "tests.fixtures.collector",
    "tests.fixtures.spans",
    "tests.fixtures.boards",
    "tests.fixtures.mortal_valkey",
    "tests.fixtures.rejecting_redis",
    "tests.fixtures.valkey_nodes",
    "tests.fixtures.secure_stores",
    "tests.fixtures.score_service",
    "tests.fixtures.gateway",
    "tests.fixtures.outside_issuers",
    "tests.fixtures.stack",
    "tests.fixtures.local_stack",
    "tests.fixtures.reverse_proxies",
    "tests.fixtures.realtime",
    "tests.fixtures.windows",
    "tests.fixtures.webhooks",
    "tests.fixtures.relay",
]
