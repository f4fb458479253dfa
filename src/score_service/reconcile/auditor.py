"""Compares the projection with the record, page by page, and has the boards rebuilt that differ.

Invariants:
- Neither store is held still. A standing that both must know by now has to be the same in both; one that
  only one of them can know yet is left out.
- A difference counts once a second, fresh look has found it too: awards and rebuilds go on meanwhile.
- A page that a store did not answer for is asked for again, so an audit goes on where it was.
- The comparison runs in Redis and only reads. The one repair is to rebuild the board from the record.

A projection that is missing, broken, foreign or behind is the projector's to mend, and no drift. A period is
compared while it is not final; after that the projection must not have it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Self

import structlog

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.findings import Fault, Findings, Progress, ignore_progress
from score_service.domain.ledger.position import Position
from score_service.errors import BoardNotFoundError, ProjectionUnavailableError, RecordUnavailableError
from score_service.projection.projection import Projection
from score_service.projection.replies import Comparison
from score_service.reconcile.rebuild.census import Census
from score_service.reconcile.rebuild.rebuilder import Rebuilder
from score_service.reconcile.rebuild.retry_policy import RetryPolicy
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from score_service.record.standings import StandingPage, Standings
from service_runtime.lifecycle import running_loop
from service_runtime.telemetry.logs import error_fields

_PAGE: Final = 500
_LOOKS_MAX: Final = 20
"""How often a projection is looked at until it has come to where the record was read."""
_LOOK_SECONDS: Final = 0.1
_COUNTS_MAX: Final = 5
"""How often it is counted who is not ranked, until that does not change meanwhile."""

_GONE: Final = {Fault.PROJECTION_MISSING, Fault.PROJECTION_BROKEN, Fault.PROJECTION_FOREIGN}
"""Where one of these is found, there is nothing to compare."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class BoardAudit:
    """What a board's projection was found to be."""

    board_id: str
    position: Position | None = None
    """Where it stood at the last look; None where there was none."""
    counts: dict[str, int] = field(default_factory=dict)
    """How many members it had at a look: of all time, and of each period."""
    compared: int = 0
    """Standings that were looked at."""
    drift: int = 0
    """How many of them differ, and how many members or ranked there are too many."""
    findings: Findings = field(default_factory=Findings)

    @property
    def members(self) -> int:
        """Return how many members it had, those of periods included."""
        return sum(self.counts.values())

    @property
    def is_over(self) -> bool:
        """Return whether there is nothing that could be compared."""
        return not _GONE.isdisjoint(self.findings.counts)

    def add(self, fault: Fault, period_id: str, *, user_id: str | None = None, drift: int = 0) -> None:
        """Take note of a fault of a period, or of all time."""
        self.findings.add(fault, user_id=user_id, period_id=None if period_id == ALL_TIME else period_id)
        self.drift += drift


class Auditor:
    """Compares one board at a time."""

    def __init__(
        self,
        ledger: Ledger,
        standings: Standings,
        periods: PeriodStore,
        projection: Projection,
        retries: RetryPolicy,
        *,
        pause: float = 0.0,
    ) -> None:
        """Take how many seconds to rest between two pages, so that the load on both stores stays small."""
        self._ledger = ledger
        self._standings = standings
        self._periods = periods
        self._projection = projection
        self._ask = retries.ask
        self._census = Census(ledger, standings, retries)
        self._pause = pause

    async def audit_board(self, board_id: str, on_progress: Progress = ignore_progress) -> BoardAudit:
        """Compare all standings of a board, and how many there are, of all time and in each period.

        Raises:
            BoardNotFoundError: nothing was ever recorded of the board.
            ProjectionUnavailableError: Redis is unavailable.
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        audit = BoardAudit(board_id)
        await self._projection.read_header(board_id)  # An unavailable Redis is not waited for at the start.
        await self._audit_period(audit, ALL_TIME, on_progress)
        for period_id in () if audit.is_over else await self._list_live(board_id):
            if not audit.is_over:
                await self._audit_period(audit, period_id, on_progress)
        if not audit.is_over:
            await self._audit_surplus(audit)
        return audit

    async def _audit_period(self, audit: BoardAudit, period_id: str, on_progress: Progress) -> None:
        """Compare the standings of all time or of a period, until there is nothing to compare any more."""
        is_there, after = await self._compare_members(audit, period_id), ""
        while is_there and (page := await self._read_page(audit.board_id, after, period_id)):
            is_there = await self._compare_page(audit, after, page, period_id)
            audit.compared += page.members
            after = page.last_user_id
            on_progress("projection", audit.compared, audit.members)
            await asyncio.sleep(self._pause)

    async def _audit_surplus(self, audit: BoardAudit) -> None:
        """Find the periods that the projection must not have at its position."""
        header = await self._ask(self._projection.read_header, audit.board_id)
        for period_id, count in header.periods.items() if header else ():
            stored = await self._ask(self._periods.find, audit.board_id, period_id)
            final_at = stored.entry_revision if stored else 0
            if header and final_at is not None and final_at <= header.position.revision:
                audit.add(Fault.PERIOD_SURPLUS, period_id, drift=count.members)

    async def _list_live(self, board_id: str) -> list[str]:
        stored = await self._ask(self._periods.list_live, board_id)
        return [each.period.period_id for each in stored]

    async def _is_live(self, board_id: str, period_id: str) -> bool:
        """Return whether a period is not final, so that both stores must have it still."""
        return period_id == ALL_TIME or period_id in await self._list_live(board_id)

    async def _read_page(self, board_id: str, after: str, period_id: str) -> StandingPage | None:
        return await self._ask(self._standings.read_page, board_id, after, _PAGE, period_id)

    async def _compare_members(self, audit: BoardAudit, period_id: str) -> bool:
        """Compare how many members there are, and return whether there is a projection to go on with."""
        surplus = await self._count_surplus(audit, period_id)
        if surplus and any(surplus):
            surplus = await self._count_surplus(audit, period_id)
        if surplus and any(surplus) and await self._is_live(audit.board_id, period_id):
            # Those that are missing are found among the standings.
            audit.add(Fault.MEMBERS_WRONG, period_id, drift=max(*surplus, 0))
        return surplus is not None

    async def _count_surplus(self, audit: BoardAudit, period_id: str) -> tuple[int, int] | None:
        """Return how many members there are more than in the record, and how many more who are ranked.

        None if there is no such projection.
        """
        comparison, unranked = await self._look_and_count(audit, period_id)
        if comparison is None:
            return None
        here, count = comparison.position, comparison.count
        if not await self._ask(self._ledger.has_position, audit.board_id, here):
            audit.findings.add(Fault.PROJECTION_FOREIGN, here.revision)
            return None
        audit.counts[period_id] = count.members
        counted, members = await self._census.count_members(audit.board_id, period_id)
        members -= await self._census.count_newcomers(audit.board_id, here, counted, period_id)
        return count.members - members, 0 if unranked is None else count.ranked - (members - unranked)

    async def _look_and_count(
        self, audit: BoardAudit, period_id: str
    ) -> tuple[Comparison | None, int | None]:
        """Look at the projection, and count who is not ranked in the record at the same position.

        It is counted before and after. Where that differs, or the projection is not in between, as while
        users are hidden and shown all the time, it is None.
        """
        for _ in range(_COUNTS_MAX):
            before, unranked = await self._census.count_unranked(audit.board_id)
            comparison = await self._look(audit, 0, "", period_id)
            if comparison is None:
                return None, None
            after, unranked_after = await self._census.count_unranked(audit.board_id)
            count = unranked.get(period_id, 0)
            is_between = before.revision <= comparison.position.revision <= after.revision
            if is_between and count == unranked_after.get(period_id, 0):
                return comparison, count
            await asyncio.sleep(_LOOK_SECONDS)
        return comparison, None

    async def _compare_page(self, audit: BoardAudit, after: str, page: StandingPage, period_id: str) -> bool:
        """Compare a page of standings, and return whether there is something to go on with."""
        first = await self._look_until_ready(audit, page, period_id)
        if first is None or not first.differing:
            return first is not None
        fresh = await self._read_page(audit.board_id, after, period_id)
        second = await self._look_until_ready(audit, fresh, period_id) if fresh else None
        if second is None or not await self._is_live(audit.board_id, period_id):
            return False
        for user_id in sorted({*first.differing}.intersection(second.differing)):
            audit.add(Fault.PROJECTION_WRONG, period_id, user_id=user_id, drift=1)
        return True

    async def _look_until_ready(
        self, audit: BoardAudit, page: StandingPage, period_id: str
    ) -> Comparison | None:
        """Compare a page, and again until the projection has come to where the page was read.

        Where it does not come in time, that is found once, and not waited for on the pages that follow.
        """
        is_stuck = Fault.PROJECTION_BEHIND in audit.findings.counts
        comparison = await self._look(audit, page.position.revision, page.lines, period_id)
        for _ in range(0 if is_stuck else _LOOKS_MAX):
            if comparison is None or not comparison.unready:
                return comparison
            await asyncio.sleep(_LOOK_SECONDS)
            comparison = await self._look(audit, page.position.revision, page.lines, period_id)
        if comparison and comparison.unready and not is_stuck:
            audit.findings.add(Fault.PROJECTION_BEHIND, comparison.position.revision)
        return comparison

    async def _look(self, audit: BoardAudit, revision: int, lines: str, period_id: str) -> Comparison | None:
        compare, board_id = self._projection.compare_standings, audit.board_id
        for _ in range(_LOOKS_MAX):
            comparison = await self._ask(compare, board_id, revision, lines, period_id)
            if comparison:
                audit.position = comparison.position
                return comparison
            header = await self._ask(self._projection.read_header, board_id)
            if header is None or not header.is_whole:
                audit.position = None
                audit.findings.add(Fault.PROJECTION_BROKEN if header else Fault.PROJECTION_MISSING)
                return None
        raise ProjectionUnavailableError


class AuditLoop:
    """Goes round all boards, again and again."""

    def __init__(
        self, ledger: Ledger, auditor: Auditor, rebuilder: Rebuilder, *, jitter: Callable[[], float]
    ) -> None:
        """Take numbers from 0 to 1 that spread the rounds of several processes."""
        self._ledger = ledger
        self._auditor = auditor
        self._rebuilder = rebuilder
        self._jitter = jitter
        self.drift = 0
        """Differing standings that the last complete round found."""
        self.audited = 0
        """Standings that it compared."""
        self.repairs = 0
        """Boards rebuilt since the start."""

    @asynccontextmanager
    async def running(self, interval: float) -> AsyncIterator[Self]:
        """Make a round about every `interval` seconds, the first one after such a time."""
        async with running_loop(partial(self._run, interval), "auditor"):
            yield self

    async def _run(self, interval: float, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await asyncio.sleep(interval * (0.5 + self._jitter()))
            await self.make_round(stop)

    async def make_round(self, stop: asyncio.Event) -> None:
        """Audit every board once, and have rebuilt those that differ; the next round takes what fails."""
        audited, drift, is_complete = 0, 0, True
        with _logged():
            async for board_id in self._ledger.list_reachable_boards():
                if stop.is_set():
                    return
                audit = await self._audit_and_repair(board_id)
                if audit:
                    audited, drift = audited + audit.compared, drift + audit.drift
                is_complete = is_complete and audit is not None
            if is_complete:
                self.audited, self.drift = audited, drift

    async def _audit_and_repair(self, board_id: str) -> BoardAudit | None:
        """Return what was found; None if the board could not be audited, or not be repaired."""
        with _logged():
            audit = await self._auditor.audit_board(board_id)
            if audit.drift:
                found = [str(finding) for finding in audit.findings.kept]
                _log.error("projection_drifted", board_id=board_id, drift=audit.drift, found=found)
                self.repairs += await self._rebuilder.rebuild(board_id) is not None
            return audit
        return None


@contextmanager
def _logged() -> Iterator[None]:
    """Let the loop go on past what fails: one board must not keep the others from being audited."""
    try:
        yield
    except (BoardNotFoundError, ProjectionUnavailableError, RecordUnavailableError) as error:
        _log.warning("audit_interrupted", **error_fields(error))
    except Exception:  # noqa: BLE001 - Logged whole; the loop must not end.
        _log.exception("audit_failed")
