"""The parts of the service that keep and answer what it knows, put together."""

import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from score_service.access.surges import Surges
from score_service.access.velocity import Velocity
from score_service.boards.awards.scheduler import Scheduler
from score_service.boards.awards.scoring import Scoring
from score_service.boards.board_editor import BoardEditor
from score_service.boards.corrections.award_history import AwardHistory
from score_service.boards.corrections.corrector import Corrector
from score_service.boards.corrections.reversal_plans import ReversalPlans
from score_service.boards.standings.leaderboard import Leaderboard
from score_service.boards.standings.period_finder import PeriodFinder
from score_service.boards.standings.period_results import PeriodResults
from score_service.boards.standings.shared_reads import RecordReader
from score_service.closing.archiver import Archiver
from score_service.closing.closer import Closer
from score_service.closing.loop import ClosingLoop
from score_service.feed.entry_feeds import EntryFeeds, FeedSettings
from score_service.metrics import Metrics
from score_service.process.stores import open_database, open_projection
from score_service.projection.projection import Projection
from score_service.reconcile.auditor import AuditLoop, Auditor
from score_service.reconcile.projector import Projector
from score_service.reconcile.rebuild.rebuilder import Rebuilder
from score_service.reconcile.rebuild.retry_policy import RetryPolicy
from score_service.record.archive import Archive
from score_service.record.boards import BoardStore
from score_service.record.corrections import Corrections
from score_service.record.database import Database
from score_service.record.feed import EntryStore
from score_service.record.history import History
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from score_service.record.results import Results
from score_service.record.standings import Standings
from score_service.settings import ServeSettings
from score_service.stream.feeds import Feeds
from score_service.stream.hub import HubSettings
from score_service.stream.hubs import Hubs

_AUDIT_PAUSE_SECONDS: Final = 0.05
"""Between two pages of 500 standings, so that an audit takes a small part of either store."""


@dataclass(frozen=True, slots=True)
class Closing:
    """What makes periods final."""

    archiver: Archiver
    closer: Closer
    loop: ClosingLoop


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one process."""

    database: Database
    ledger: Ledger
    projection: Projection
    projector: Projector
    hubs: Hubs
    entry_feeds: EntryFeeds
    rebuilder: Rebuilder
    audits: AuditLoop
    closing: Closing
    scoring: Scoring
    leaderboard: Leaderboard
    boards: BoardStore
    editor: BoardEditor
    results: PeriodResults
    corrector: Corrector
    plans: ReversalPlans
    history: AwardHistory


async def open_parts(
    stack: AsyncExitStack, settings: ServeSettings, metrics: Metrics, now: Callable[[], datetime]
) -> Parts:
    """Open the stores, whether or not they are available, and begin to keep them equal; `stack` ends it.

    By the time of day that is given, periods are shown and callers may date awards back. Which periods awards
    count in, and when a period is final, is decided by the time of the ledger alone.
    """
    database = await stack.enter_async_context(open_database(settings))
    projection = await stack.enter_async_context(open_projection(settings))
    ledger, standings, reader = Ledger(database), Standings(database), RecordReader()
    retries = RetryPolicy()
    periods = PeriodStore(database)
    rebuilder = Rebuilder(ledger, standings, periods, projection, retries)
    entry_feeds = EntryFeeds(EntryStore(database), projection, feed_settings(settings))
    await stack.enter_async_context(entry_feeds.running())
    projector = Projector(ledger, projection, rebuilder, on_commit=entry_feeds.note)
    await stack.enter_async_context(projector.scanner.running(settings.projector_seconds))
    results = Results(database)
    finder = PeriodFinder(ledger, periods, reader, now)
    corrections = Corrections(database)
    feeds = Feeds(ledger, projection, projector, standings, results, corrections, reader, finder)
    hubs = Hubs(feeds, hub_settings(settings))
    await stack.enter_async_context(hubs.running())
    auditor = Auditor(ledger, standings, periods, projection, retries, pause=_AUDIT_PAUSE_SECONDS)
    audits = AuditLoop(ledger, auditor, rebuilder, jitter=random.random)
    await stack.enter_async_context(audits.running(settings.audit_seconds))
    scoring = _make_scoring(ledger, projector, Scheduler(periods, now), metrics, settings)
    leaderboard = Leaderboard(projection, projector, standings, results, reader, finder)
    boards, history = BoardStore(database), History(database)
    corrector = Corrector(corrections, projector, on_made=metrics.count_corrections)
    closing = _make_closing(boards, periods, projector)
    await stack.enter_async_context(closing.loop.running(settings.closing_seconds))
    return Parts(
        database=database,
        ledger=ledger,
        projection=projection,
        projector=projector,
        hubs=hubs,
        entry_feeds=entry_feeds,
        rebuilder=rebuilder,
        audits=audits,
        closing=closing,
        scoring=scoring,
        leaderboard=leaderboard,
        boards=boards,
        editor=BoardEditor(boards, periods, now),
        results=PeriodResults(boards, periods, results, leaderboard, corrections, reader),
        corrector=corrector,
        plans=ReversalPlans(boards, ledger, history, Archive(database), corrector),
        history=AwardHistory(history, boards),
    )


def hub_settings(settings: ServeSettings) -> HubSettings:
    """Return what the settings say of watches."""
    return HubSettings(
        tick_seconds=settings.watch_tick_seconds,
        poll_seconds=settings.watch_poll_seconds,
        checkpoint_seconds=settings.watch_checkpoint_seconds,
        resume_max=settings.watch_resume_max,
        watchers_max=settings.watchers_max,
    )


def feed_settings(settings: ServeSettings) -> FeedSettings:
    """Return what the settings say of feeds."""
    return FeedSettings(
        poll_seconds=settings.feed_poll_seconds,
        checkpoint_seconds=settings.watch_checkpoint_seconds,
        feeds_max=settings.feeds_max,
    )


def _make_closing(boards: BoardStore, periods: PeriodStore, projector: Projector) -> Closing:
    archiver = Archiver(periods)
    closer = Closer(boards, periods, archiver, projector)
    return Closing(archiver, closer, ClosingLoop(periods, closer, shuffle=random.shuffle))


def _make_scoring(
    ledger: Ledger, projector: Projector, scheduler: Scheduler, metrics: Metrics, settings: ServeSettings
) -> Scoring:
    return Scoring(
        ledger,
        projector,
        scheduler,
        on_outcomes=metrics.count_awards,
        on_made=_make_surges(metrics, settings).note if settings.velocity_floor else None,
        batch_max=settings.award_batch_max,
        waiting_max=settings.awards_waiting_max,
    )


def _make_surges(metrics: Metrics, settings: ServeSettings) -> Surges:
    velocity = Velocity(
        floor=settings.velocity_floor,
        multiple=settings.velocity_multiple,
        window=settings.velocity_seconds,
        users_max=settings.velocity_users_max,
    )
    return Surges(velocity, metrics.registry)
