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
    "tests.fixtures.servers.postgres",
    "tests.fixtures.servers.pgbouncer",
    "tests.fixtures.services.forking",
    "tests.fixtures.services.processes",
    "tests.fixtures.network.proxy",
    "tests.fixtures.servers.redis",
    "tests.fixtures.servers.stores",
    "tests.fixtures.ledgers.correcting",
    "tests.fixtures.ledgers.archiving",
    "tests.fixtures.ledgers.periods",
    "tests.fixtures.servers.citus",
    "tests.fixtures.network.collector",
    "tests.fixtures.spans",
    "tests.fixtures.ledgers.boards",
    "tests.fixtures.servers.mortal_valkey",
    "tests.fixtures.servers.rejecting_redis",
    "tests.fixtures.servers.valkey_nodes",
    "tests.fixtures.servers.secure_stores",
    "tests.fixtures.services.score_service",
    "tests.fixtures.services.gateway",
    "tests.fixtures.clients.outside_issuers",
    "tests.fixtures.services.stack",
    "tests.fixtures.services.local_stack",
    "tests.fixtures.network.reverse_proxies",
    "tests.fixtures.clients.realtime",
    "tests.fixtures.clients.windows",
    "tests.fixtures.network.webhooks",
    "tests.fixtures.services.relay",
]
