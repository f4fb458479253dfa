"""Checks that the record is what it must be: the ledger's chain whole, standings and results its sum.

Invariants:
- It only reads, one short statement a page, so awards go on meanwhile and no snapshot is held.
- A page that PostgreSQL did not answer for is asked for again, so a check goes on where it was.
- A page of standings is compared with the ledger at the very position of the page: the walk goes on to it.
- Faults are found, never mended. Nothing here trusts the functions that write the ledger.

Memory grows with the users of a board and of its periods that are not final, by about 250 bytes each, and
not with its awards, but for those of users of whom any was taken back.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.findings import Fault, Findings, Progress, ignore_progress
from score_service.domain.ledger.position import Position
from score_service.errors import BoardNotFoundError
from score_service.operations.bulk_reads import BulkReads
from score_service.operations.chain import Chain
from score_service.operations.corrections import ReversalRow, VisibilityRow
from score_service.operations.cut_checkpoint import CutReader
from score_service.operations.tallies import KEPT_RANKS, PeriodRow, Result
from score_service.operations.walk import BeyondCutError, Walk
from score_service.reconcile.rebuild.retry_policy import RetryPolicy
from score_service.record.archive import Archive
from score_service.record.database import Database
from score_service.record.standings import StandingPage, Standings

_PAGE: Final = 1000
_USERS_A_PAGE: Final = 20_000
"""Of those who are looked at for the few whose latest award was taken back."""

Key = TypeVar("Key", int, str)


@dataclass(frozen=True, slots=True)
class VerifiedRecord:
    """What a board's record was found to be."""

    chain: Chain
    """The ledger, as far as it was followed."""
    cut: Position | None
    """Where it was read from, if that was a cut: not where the caller had it read from, nor its start."""
    standings: int
    """How many were compared, of all time and of periods."""

    @property
    def position(self) -> Position:
        """Up to here the ledger was followed."""
        return self.chain.position

    @property
    def kinds(self) -> Mapping[str, int]:
        """How many entries of each kind the ledger has up to there."""
        return self.chain.kinds

    @property
    def commits(self) -> int:
        """How many commits it has up to there."""
        return self.chain.commits

    @property
    def findings(self) -> Findings:
        """All that is wrong."""
        return self.chain.findings


class Verifier:
    """Follows the ledger of a board, and compares what it adds up to with standings, periods and results."""

    def __init__(self, database: Database, standings: Standings, retries: RetryPolicy) -> None:
        self._database = database
        self._fetch_all = BulkReads(database, retries).fetch_all
        self._standings = standings
        self._retries = retries
        self._archive = Archive(database)
        self._cuts = CutReader(self._archive, retries)

    async def find_boards(self) -> AsyncIterator[str]:
        """Name every board that anything is recorded of, also where its own row is gone.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        board_id: str | None = ""
        while board_id is not None:
            # At the start an unavailable record is not waited for.
            fetch_all = self._fetch_all if board_id else self._database.fetch_all
            rows = await fetch_all("find_next_board", {"after_board_id": board_id})
            board_id = rows[0]["board_id"]
            if board_id is not None:
                yield board_id

    async def verify_board(
        self, board_id: str, on_progress: Progress = ignore_progress, chain: Chain | None = None
    ) -> VerifiedRecord:
        """Check a board's ledger up to its head, its standings, its periods and their results.

        The ledger is read from its start, or from the cut where awards are archived. If the board is cut
        meanwhile, it is read anew from there.

        A user whose first award is made while this runs may be left to the next time.

        Args:
            board_id: the board.
            on_progress: called again and again.
            chain: of the board, where it is to go on from there instead, unless that is before the cut.
                Faults are added to its own.

        Raises:
            BoardNotFoundError: nothing is recorded of the board.
            CheckpointError: the checkpoint of the cut is not whole.
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        while True:
            walk = await self.begin_walk(board_id, on_progress, chain)
            try:
                compared = await self._verify(walk, on_progress)
            except BeyondCutError:
                chain = None
                continue
            return VerifiedRecord(walk.chain, walk.start if walk.is_from_cut else None, compared)

    async def begin_walk(self, board_id: str, on_progress: Progress, chain: Chain | None = None) -> Walk:
        """Begin to follow a ledger, at its start or cut, or where the chain is.

        Raises:
            CheckpointError, RecordUnavailableError: as `verify_board`.
        """
        cut = await self._archive.read_cut(board_id)  # An unavailable record is not waited for at the start.
        if chain is None or (cut and chain.committed <= cut.revision):
            chain, cut = await self._cuts.begin(board_id)
        return Walk(self._database, self._retries, chain, cut, on_progress)

    async def _verify(self, walk: Walk, on_progress: Progress) -> int:
        """Go along the ledger and compare; return how many standings were."""
        await walk.go_to_end()
        compared = 0
        # Without its row a board has no position, and none of its standings can be read at one.
        with suppress(BoardNotFoundError):
            for period_id in (ALL_TIME, *walk.chain.tallies.live):
                compared += await self._compare_standings(walk, period_id, on_progress)
        await self._find_surplus(walk)
        await self._compare_periods(walk)
        await self._compare_corrections(walk)
        return compared

    async def _compare_standings(self, walk: Walk, period_id: str, on_progress: Progress) -> int:
        tallies = walk.chain.tallies
        known, compared, after = len(tallies.of(period_id)), 0, ""
        ask, read_page = self._retries.ask, self._standings.read_page
        what = "standings" if period_id == ALL_TIME else f"standings of {period_id}"
        while page := await ask(read_page, walk.board_id, after, _PAGE, period_id):
            await walk.go_to(page.position)
            _compare_page(walk, page, period_id)
            compared += page.members
            after = page.last_user_id
            on_progress(what, compared, known)
        missing = [
            (user_id, tally)
            for user_id, tally in islice(tallies.of(period_id).items(), known)
            if not tally.is_compared
        ]
        if missing and period_id != ALL_TIME:
            # A period that became final meanwhile has no standings to read any more.
            await walk.go_to_head()
        if period_id not in tallies.results:
            for user_id, tally in missing:
                walk.add(Fault.STANDING_MISSING, tally.changed_revision, user_id, period_id)
        return compared

    async def _find_surplus(self, walk: Walk) -> None:
        """Look for standings of periods that the ledger does not have."""
        rows = await self._fetch_all("list_standing_periods", {"board_id": walk.board_id})
        found = {row["period"] for row in rows} - {ALL_TIME}
        if found - walk.known_periods:
            await walk.go_to_head()
        for period_id in sorted(found - walk.known_periods):
            walk.findings.add(Fault.STANDING_SURPLUS, period_id=period_id)

    async def _compare_periods(self, walk: Walk) -> None:
        """Compare the rows of periods with the ledger at their position, and then their results."""
        rows = await self._fetch_all("verify_periods", {"board_id": walk.board_id})
        if rows[0]["head_revision"] is not None:
            await walk.go_to(Position.of(rows[0]["head_revision"], rows[0]["head_digest"]))
            if rows[0]["settings_revision"] != walk.chain.settings_revision:
                walk.findings.add(Fault.SETTINGS_WRONG)
        periods = [
            PeriodRow._make(row[field] for field in PeriodRow._fields)
            for row in rows
            if row["period_id"] is not None
        ]
        walk.chain.tallies.compare_rows(periods)
        for period in periods:
            if result := walk.chain.tallies.results.get(period.period_id):
                await self._compare_result(walk, period, result)

    async def _compare_corrections(self, walk: Walk) -> None:
        """Compare the rows of corrections, and which users' latest awards were taken back."""
        corrections, add = walk.chain.corrections, walk.findings.add
        reversals = self._read_differences(
            walk, "verify_reversals", 0, _PAGE, lambda: corrections.reversals, ReversalRow._fields
        )
        async for revision in reversals:
            add(Fault.REVERSAL_WRONG, revision)
        visibilities = self._read_differences(
            walk, "verify_visibilities", "", _PAGE, lambda: corrections.visibilities, VisibilityRow._fields
        )
        async for user_id in visibilities:
            add(Fault.VISIBILITY_WRONG, user_id=user_id)
        last_awards = self._read_differences(
            walk,
            "verify_last_awards",
            "",
            _USERS_A_PAGE,
            lambda: {user_id: (last,) for user_id, last in corrections.find_last_awards().items()},
            ("last_award_revision",),
        )
        async for user_id in last_awards:
            add(Fault.STANDING_WRONG, user_id=user_id)

    async def _read_differences(
        self,
        walk: Walk,
        statement: str,
        after: Key,
        limit: int,
        expect: Callable[[], Mapping[Key, tuple[object, ...]]],
        fields: Sequence[str],
    ) -> AsyncIterator[Key]:
        """Compare a table page by page with the ledger at the position of each; yield where they differ."""
        while True:
            parameters = {"board_id": walk.board_id, "after": after, "limit": limit}
            rows = await self._fetch_all(statement, parameters)
            if not rows or rows[0]["head_revision"] is None:
                return
            await walk.go_to(Position.of(rows[0]["head_revision"], rows[0]["head_digest"]))
            found = {
                row["key"]: tuple(tuple(row[f]) if isinstance(row[f], list) else row[f] for f in fields)
                for row in rows
                if row["key"] is not None
            }
            last = rows[0]["page_end"]
            expected = {
                key: tuple(value)
                for key, value in expect().items()
                if key > after and (last is None or key <= last)
            }
            for key in sorted(found.keys() | expected.keys()):
                if found.get(key) != expected.get(key):
                    yield key
            if last is None:
                return
            after = last

    async def _compare_result(self, walk: Walk, period: PeriodRow, result: Result) -> None:
        whole, top, rank = hashlib.sha256(), hashlib.sha256(), 0
        while True:
            parameters = {
                "board_id": walk.board_id,
                "number": period.number,
                "after_rank": rank,
                "limit": KEPT_RANKS,
            }
            (page,) = await self._fetch_all("read_result", parameters)
            if page["last_rank"] is None:
                break
            whole.update(page["lines"].encode())
            if rank == 0:
                top.update(page["lines"].encode())
            rank = page["last_rank"]
        # It may have been cut while it was read, which its row says by now.
        parameters = {"board_id": walk.board_id, "period_id": period.period_id}
        rows = await self._fetch_all("find_period", parameters)
        is_truncated = bool(rows) and rows[0]["is_truncated"]
        expected, found = (result.top_digest, top) if is_truncated else (result.digest, whole)
        if found.digest() != expected:
            walk.findings.add(Fault.RESULT_WRONG, period_id=period.period_id)


def _compare_page(walk: Walk, page: StandingPage, period_id: str) -> None:
    if period_id in walk.chain.tallies.results:  # It has become final since the page was read.
        return
    tallies = walk.chain.tallies.of(period_id)
    for line in page.lines.split("\n"):
        user_id, total, reached_revision, *version = line.split(" ")
        tally = tallies.get(user_id)
        if tally is None:
            walk.add(Fault.STANDING_SURPLUS, None, user_id, period_id)
            continue
        tally.is_compared = True
        found = int(total), int(reached_revision), int(version[0] if version else reached_revision)
        if found != (tally.total, tally.reached_revision, tally.changed_revision):
            walk.add(Fault.STANDING_WRONG, tally.changed_revision, user_id, period_id)
