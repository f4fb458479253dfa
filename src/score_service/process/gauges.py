"""The gauges: the state of each part of the service whenever the metrics are read."""

import asyncio
from datetime import datetime

from score_service.boards.awards.scoring import Scoring
from score_service.certificates.tls import Certificates
from score_service.closing.archiver import Archiver
from score_service.closing.closer import Closer
from score_service.closing.loop import ClosingLoop
from score_service.feed.entry_feeds import EntryFeeds
from score_service.grpc_api.dispatcher import Dispatcher
from score_service.metrics import Metrics
from score_service.reconcile.auditor import AuditLoop
from score_service.reconcile.projector import Projector
from score_service.reconcile.rebuild.rebuilder import Rebuilder
from score_service.record.database import Database
from score_service.settings import ServeSettings
from score_service.stream.hubs import Hubs


def follow_process(metrics: Metrics) -> None:
    """Report how much the process has to do."""
    loop = asyncio.get_running_loop()
    metrics.follow("laurel_tasks", "Tasks of the event loop.", lambda: len(asyncio.all_tasks(loop)))


def follow_rebuilds(rebuilder: Rebuilder, metrics: Metrics) -> None:
    """Report how far rebuilds have come."""
    metrics.follow(
        "laurel_projection_rebuilds_under_way",
        "Boards that this process is rebuilding in the projection.",
        lambda: rebuilder.under_way,
    )
    metrics.follow(
        "laurel_projection_rebuild_standings",
        "Standings that rebuilds of this process have loaded into the projection.",
        lambda: rebuilder.loaded,
    )
    metrics.follow(
        "laurel_bulk_repeats",
        "Steps of rebuilds and audits that were asked again because a store did not answer in time.",
        lambda: rebuilder.retries.repeated,
    )


def follow_projection(projector: Projector, audits: AuditLoop, metrics: Metrics) -> None:
    """Report how well the projection follows the record."""
    metrics.follow(
        "laurel_projection_lag_revisions",
        "Revisions by which the projection furthest behind the record is behind.",
        lambda: projector.scanner.lag,
    )
    metrics.follow(
        "laurel_projection_stale_boards",
        "Boards whose projection was more than a second behind the record at the last scan.",
        lambda: projector.scanner.stale,
    )
    metrics.follow(
        "laurel_projection_scans",
        "Times that all boards of the projection were compared with the record.",
        lambda: projector.scanner.scans,
    )
    metrics.follow(
        "laurel_projection_rebuilds",
        "Boards that this process has rebuilt in the projection.",
        lambda: projector.repairs.rebuilt,
    )
    metrics.follow(
        "laurel_projection_rebuilds_given_up",
        "Rebuilds for nothing: another process was faster, or a store stepped back meanwhile.",
        lambda: projector.repairs.given_up,
    )
    metrics.follow(
        "laurel_drift_standings",
        "Standings that differed between Redis and the record in the last complete audit.",
        lambda: audits.drift,
    )
    metrics.follow(
        "laurel_audited_standings",
        "Standings compared in the last complete audit.",
        lambda: audits.audited,
    )
    metrics.follow(
        "laurel_audit_repairs",
        "Boards rebuilt after an audit, since the start.",
        lambda: audits.repairs,
    )


def follow_periods(archiver: Archiver, closer: Closer, loop: ClosingLoop, metrics: Metrics) -> None:
    """Report how periods become final."""
    metrics.follow(
        "laurel_open_periods",
        "Periods of all boards that somebody has points in and that are not final, as of the last count.",
        lambda: loop.unfinished,
    )
    metrics.follow(
        "laurel_period_close_due_seconds",
        "For how long the period has been due to be made final that is due for longest; 0 where none is.",
        lambda: loop.due_seconds,
    )
    metrics.follow(
        "laurel_periods_closed",
        "Periods that this process has made final.",
        lambda: closer.closed,
    )
    metrics.follow(
        "laurel_period_archived_standings",
        "Standings of periods that this process has archived, or found archived.",
        lambda: archiver.archived,
    )


def follow_certificates(certificates: Certificates, metrics: Metrics) -> None:
    """Report how long the certificate in use holds."""
    metrics.follow(
        "laurel_certificate_not_before_timestamp_seconds",
        "When the server's certificate began.",
        lambda: datetime.timestamp(certificates.not_before),
    )
    metrics.follow(
        "laurel_certificate_not_after_timestamp_seconds",
        "When the server's certificate ends, or one that it rests on.",
        lambda: datetime.timestamp(certificates.not_after),
    )
    metrics.follow(
        "laurel_authority_not_after_timestamp_seconds",
        "When the authority ends that is needed of those that are trusted.",
        lambda: datetime.timestamp(certificates.authority_not_after),
    )
    metrics.follow(
        "laurel_certificate_faulty",
        "1 while the certificate files cannot be taken in, and older ones are in use.",
        lambda: certificates.is_faulty,
    )


def follow_calls(dispatcher: Dispatcher, settings: ServeSettings, metrics: Metrics) -> None:
    """Report how many calls there are of how many that there may be."""
    metrics.follow(
        "laurel_calls_under_way",
        "Unary calls in flight, of the service where they are most.",
        lambda: max(admission.in_flight for admission in dispatcher.admissions.values()),
    )
    metrics.follow(
        "laurel_calls_max", "Unary calls of one service that may be in flight.", lambda: settings.calls_max
    )


def follow_work(scoring: Scoring, hubs: Hubs, settings: ServeSettings, metrics: Metrics) -> None:
    """Report how many awards and watches there are of how many that there may be."""
    metrics.follow("laurel_awards_waiting", "Awards taken in and not yet answered.", lambda: scoring.waiting)
    metrics.follow(
        "laurel_awards_waiting_max",
        "Awards that may be taken in and not yet answered.",
        lambda: settings.awards_waiting_max,
    )
    metrics.follow("laurel_watchers", "Open watches.", lambda: hubs.watchers)
    metrics.follow("laurel_watchers_max", "Watches that may be open.", lambda: settings.watchers_max)


def follow_feeds(feeds: EntryFeeds, settings: ServeSettings, metrics: Metrics) -> None:
    """Report how many feeds there are of how many that there may be, and what they were given."""
    metrics.follow("laurel_feeds", "Open feeds.", lambda: feeds.open)
    metrics.follow("laurel_feeds_max", "Feeds that may be open.", lambda: settings.feeds_max)
    metrics.follow("laurel_feed_entries", "Entries that feeds were given.", lambda: feeds.sent)


def follow_database(database: Database, metrics: Metrics) -> None:
    """Report how much of the pool of connections is taken."""
    metrics.follow(
        "laurel_database_connections",
        "Connections to PostgreSQL that are not idle.",
        lambda: database.use.connections,
    )
    metrics.follow(
        "laurel_database_connections_max",
        "Connections to PostgreSQL that may be open.",
        lambda: database.use.connections_max,
    )
    metrics.follow(
        "laurel_database_waiting",
        "Statements that wait for a connection to PostgreSQL.",
        lambda: database.use.waiting,
    )
