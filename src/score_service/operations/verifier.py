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
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

from score_service.domain.findings import Fault, Findings, Progress, ignore_progress
from score_service.domain.period import ALL_TIME
from score_service.domain.position import Position
from score_service.errors import BoardNotFoundError
from score_service.operations.chain import Chain, LedgerStep
from score_service.operations.corrections import ReversalRow, StandingAward, VisibilityRow
from score_service.operations.tallies import KEPT_RANKS, PeriodRow, Result
from score_service.reconcile.patience import Patience
from score_service.record.database import BULK_SECONDS, Database
from score_service.record.standings import StandingPage, Standings

_PAGE: Final = 1000

Key = TypeVar("Key", int, str)


@dataclass(frozen=True, slots=True)
class VerifiedRecord:
    """What a board's record was found to be."""

    position: Position
    """Up to here the ledger was followed."""
    kinds: Mapping[str, int]
    """How many entries of each kind the ledger has up to there."""
    commits: int
    standings: int
    """How many were compared, of all time and of periods."""
    findings: Findings


class Verifier:
    """Follows the ledger of a board, and compares what it adds up to with standings, periods and results."""

    def __init__(self, database: Database, standings: Standings, patience: Patience) -> None:
        self._database = database
        self._fetch_all = database.fetch_all
        self._standings = standings
        self._patience = patience

    async def find_boards(self) -> AsyncIterator[str]:
        """Name every board that anything is recorded of, also where its own row is gone.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        board_id: str | None = ""
        while board_id is not None:
            rows = await self._fetch_all("find_next_board", {"after_board_id": board_id})
            board_id = rows[0]["board_id"]
            if board_id is not None:
                yield board_id

    async def verify_board(
        self, board_id: str, on_progress: Progress = ignore_progress, chain: Chain | None = None
    ) -> VerifiedRecord:
        """Check a board's ledger from its start to its head, its standings, its periods and their results.

        A user whose first award is made while this runs may be left to the next time.

        Args:
            board_id: the board.
            on_progress: called again and again.
            chain: of the board, where it is to go on from there instead. It is taken on to the position that
                is returned. Faults are added to its own.

        Raises:
            BoardNotFoundError: nothing is recorded of the board.
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        chain = chain or Chain(board_id, Findings())
        walk = _Walk(self._database, self._patience, chain, on_progress)
        await walk.go_to_end()
        compared = 0
        # Without its row a board has no position, and none of its standings can be read at one.
        with suppress(BoardNotFoundError):
            for period_id in (ALL_TIME, *walk.chain.tallies.live):
                compared += await self._compare_standings(walk, period_id, on_progress)
        await self._find_surplus(walk)
        await self._compare_periods(walk)
        await self._compare_corrections(walk)
        return VerifiedRecord(chain.position, chain.kinds, chain.commits, compared, chain.findings)

    async def _compare_standings(self, walk: "_Walk", period_id: str, on_progress: Progress) -> int:
        tallies = walk.chain.tallies
        known, compared, after = len(tallies.of(period_id)), 0, ""
        ask, read_page = self._patience.ask, self._standings.read_page
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

    async def _find_surplus(self, walk: "_Walk") -> None:
        """Look for standings of periods that the ledger does not have."""
        rows = await self._fetch_all("list_standing_periods", {"board_id": walk.board_id})
        found = {row["period"] for row in rows} - {ALL_TIME}
        if found - walk.known_periods:
            await walk.go_to_head()
        for period_id in sorted(found - walk.known_periods):
            walk.findings.add(Fault.STANDING_SURPLUS, period_id=period_id)

    async def _compare_periods(self, walk: "_Walk") -> None:
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

    async def _compare_corrections(self, walk: "_Walk") -> None:
        """Compare the rows of corrections, and which users' latest awards were taken back."""
        corrections, add = walk.chain.corrections, walk.findings.add
        reversals = self._read_differences(
            walk, "verify_reversals", 0, lambda: corrections.reversals, ReversalRow._fields
        )
        async for revision in reversals:
            add(Fault.REVERSAL_WRONG, revision)
        visibilities = self._read_differences(
            walk, "verify_visibilities", "", lambda: corrections.visibilities, VisibilityRow._fields
        )
        async for user_id in visibilities:
            add(Fault.VISIBILITY_WRONG, user_id=user_id)
        last_awards = self._read_differences(
            walk,
            "verify_last_awards",
            "",
            lambda: {user_id: (last,) for user_id, last in corrections.find_last_awards().items()},
            ("last_award_revision",),
        )
        async for user_id in last_awards:
            add(Fault.STANDING_WRONG, user_id=user_id)

    async def _read_differences(
        self,
        walk: "_Walk",
        statement: str,
        after: Key,
        expect: Callable[[], Mapping[Key, tuple[object, ...]]],
        fields: Sequence[str],
    ) -> AsyncIterator[Key]:
        """Compare a table page by page with the ledger at the position of each; yield where they differ."""
        while True:
            parameters = {"board_id": walk.board_id, "after": after, "limit": _PAGE}
            rows = await self._patience.ask(self._fetch_all, statement, parameters, BULK_SECONDS)
            if not rows or rows[0]["head_revision"] is None:
                return
            await walk.go_to(Position.of(rows[0]["head_revision"], rows[0]["head_digest"]))
            found = {
                row["key"]: tuple(tuple(row[f]) if isinstance(row[f], list) else row[f] for f in fields)
                for row in rows
                if row["key"] is not None
            }
            last = max(found) if len(found) == _PAGE else None
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

    async def _compare_result(self, walk: "_Walk", period: PeriodRow, result: Result) -> None:
        whole, top, rank = hashlib.sha256(), hashlib.sha256(), 0
        while True:
            parameters = {
                "board_id": walk.board_id,
                "number": period.number,
                "after_rank": rank,
                "limit": KEPT_RANKS,
            }
            (page,) = await self._patience.ask(self._fetch_all, "read_result", parameters, BULK_SECONDS)
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


class _Walk:
    """The way along one board's ledger."""

    def __init__(
        self,
        database: Database,
        patience: Patience,
        chain: Chain,
        on_progress: Progress,
    ) -> None:
        self.board_id = chain.board_id
        self.findings = chain.findings
        self.chain = chain
        self._database = database
        self._ask = patience.ask
        self._on_progress = on_progress

    @property
    def known_periods(self) -> set[str]:
        """The periods that the ledger has up to here."""
        return {*self.chain.tallies.live, *self.chain.tallies.results}

    def add(self, fault: Fault, revision: int | None, user_id: str, period_id: str) -> None:
        """Note a fault of a standing."""
        self.findings.add(fault, revision, user_id, None if period_id == ALL_TIME else period_id)

    async def go_to_end(self) -> None:
        """Follow the ledger to where it ended when this was called."""
        (end,) = await self._database.fetch_all("read_ledger_end", {"board_id": self.board_id})
        if not end["is_known"]:
            raise BoardNotFoundError
        await self._go_on(end["last_revision"])
        self.chain.end(end["revision"], end["digest"])

    async def go_to(self, position: Position) -> None:
        """Follow it on to a position that the board's row has had meanwhile."""
        if position.revision > self.chain.revision:
            await self._go_on(position.revision)
            if self.chain.position != position:
                self.findings.add(Fault.BOARD_WRONG)

    async def go_to_head(self) -> None:
        """Follow it on to where the board's row says that it stands now."""
        rows = await self._database.fetch_all("read_head", {"board_id": self.board_id})
        if rows:
            await self.go_to(Position.of(rows[0]["revision"], rows[0]["digest"]))

    async def _go_on(self, upto_revision: int) -> None:
        chain = self.chain
        while chain.revision < upto_revision:
            parameters = {
                "board_id": self.board_id,
                "after_revision": chain.revision,
                "upto_revision": upto_revision,
                "limit": _PAGE,
            }
            rows = await self._ask(self._database.fetch_all, "read_ledger", parameters, BULK_SECONDS)
            await self._look_back(row["body"] for row in rows if row["kind"] == "reversal")
            for row in rows:
                award, entry, commit = LedgerStep.of(row)
                if award:
                    chain.take_award(award, row["previous_revision"])
                if entry:
                    chain.take_entry(entry)
                if commit:
                    chain.take_commit(commit)
            if not rows:
                chain.reach(upto_revision)
            self._on_progress("ledger", chain.revision, upto_revision)

    async def _look_back(self, bodies: Iterable[str]) -> None:
        """Read the awards so far of the users of whom one was taken back for the first time."""
        chain = self.chain
        users = {user_id for body in bodies if (user_id := chain.corrections.lacks_awards(body))}
        last_awards = {user_id: chain.tallies.all_time.get(user_id) for user_id in users}
        found: dict[str, dict[int, StandingAward]] = {user_id: {} for user_id in users}
        parameters = {
            "board_id": self.board_id,
            "user_ids": [user_id for user_id, tally in last_awards.items() if tally],
            "revisions": [tally.award_revision for tally in last_awards.values() if tally],
        }
        if parameters["user_ids"]:
            rows = await self._ask(self._database.fetch_all, "verify_awards", parameters, BULK_SECONDS)
            for row in rows:
                periods = tuple(row["period_ids"] or ())
                award = StandingAward(row["award_id"], row["points"], periods)
                found[row["user_id"]][row["revision"]] = award
        for user_id, awards in found.items():
            chain.corrections.take_awards(user_id, awards)


def _compare_page(walk: _Walk, page: StandingPage, period_id: str) -> None:
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
