"""The gauges: what the parts of the gateway tell of themselves whenever the metrics are read."""

import asyncio
from datetime import datetime

from action_gateway.accounts.passwords import Passwords
from action_gateway.issuers.register import Register
from action_gateway.leaderboard.feeds import Feeds
from action_gateway.metrics import Metrics
from action_gateway.settings import ServeSettings
from action_gateway.store.store import Store
from score_client.client import ScoreClient


def follow_process(metrics: Metrics) -> None:
    """Report how much the process has to do."""
    loop = asyncio.get_running_loop()
    metrics.follow("gateway_tasks", "Tasks of the event loop.", lambda: len(asyncio.all_tasks(loop)))


def follow_feeds(feeds: Feeds, metrics: Metrics) -> None:
    """Report how many watches of the leaderboard the process holds."""
    metrics.follow(
        "gateway_leaderboard_feeds",
        "Watches of the leaderboard: one for all time, and one for each period that is followed.",
        lambda: feeds.count,
    )


def follow_issuers(register: Register, metrics: Metrics) -> None:
    """Report how many outside issuers there are, and whether their file is in use."""
    metrics.follow("gateway_ticket_issuers", "Outside issuers that are registered.", lambda: register.count)
    metrics.follow(
        "gateway_ticket_issuers_faulty",
        "1 while the file of outside issuers or a key set cannot be taken in, and older ones are in use.",
        lambda: register.is_faulty,
    )


def follow_certificates(score_client: ScoreClient, metrics: Metrics) -> None:
    """Report how long the certificate in use holds."""
    status = score_client.certificate_status
    metrics.follow(
        "gateway_certificate_not_before_timestamp_seconds",
        "When the certificate for the score service began.",
        lambda: datetime.timestamp(status().not_before),
    )
    metrics.follow(
        "gateway_certificate_not_after_timestamp_seconds",
        "When the certificate for the score service ends, or one that it rests on.",
        lambda: datetime.timestamp(status().not_after),
    )
    metrics.follow(
        "gateway_authority_not_after_timestamp_seconds",
        "When the authority ends that is needed of those that are trusted.",
        lambda: datetime.timestamp(status().authority_not_after),
    )
    metrics.follow(
        "gateway_certificate_faulty",
        "1 while the certificate files cannot be taken in, and older ones are in use.",
        lambda: status().fault is not None,
    )


def follow_use(store: Store, passwords: Passwords, settings: ServeSettings, metrics: Metrics) -> None:
    """Report how much there is of each thing that is bounded, and its bound."""
    follow = metrics.follow
    follow("gateway_requests_max", "Requests that may be in progress.", lambda: settings.max_requests)
    follow("gateway_sockets_max", "Sockets and event streams that may be open.", lambda: settings.max_sockets)
    follow("gateway_connections_max", "Connections that may be open.", lambda: settings.max_connections)
    follow(
        "gateway_passwords_under_way",
        "Passwords that are hashed, or wait for that.",
        lambda: passwords.under_way,
    )
    follow("gateway_passwords_max", "Passwords that may be hashed or wait.", lambda: passwords.capacity)
    follow(
        "gateway_database_connections",
        "Connections to PostgreSQL that are not idle.",
        lambda: store.pool_use.connections,
    )
    follow(
        "gateway_database_connections_max",
        "Connections to PostgreSQL that may be open.",
        lambda: store.pool_use.connections_max,
    )
    follow(
        "gateway_database_waiting",
        "Statements that wait for a connection to PostgreSQL.",
        lambda: store.pool_use.waiting,
    )
