"""Checks that the record is what it must be: the ledger's chain whole, and the standings its sum.

Invariants:
- It only reads, one short statement a page, so awards go on meanwhile and no snapshot is held.
- A page that PostgreSQL did not answer for is asked for again, so a check goes on where it was.
- A page of standings is compared with the ledger at the very position of the page: the walk goes on to it.
- Faults are found, never mended. Nothing here trusts the function that writes awards.

Memory grows with the users of a board, by about 250 bytes each, and not with its awards.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final

from score_service.domain.findings import Fault, Findings, Progress, ignore_progress
from score_service.domain.position import Position
from score_service.errors import BoardNotFoundError
from score_service.operations.chain import Chain, Commit, LedgerRow
from score_service.reconcile.patience import Patience
from score_service.record.database import BULK_SECONDS, Database
from score_service.record.standings import StandingPage, Standings

_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class VerifiedRecord:
    """What a board's record was found to be."""

    position: Position
    """Up to here the ledger was followed."""
    commits: int
    standings: int
    """How many were compared."""
    findings: Findings


class Verifier:
    """Follows the ledger of a board, and compares what it adds up to with the standings."""

    def __init__(self, database: Database, standings: Standings, patience: Patience) -> None:
        self._database = database
        self._standings = standings
        self._patience = patience

    async def find_boards(self) -> AsyncIterator[str]:
        """Name every board that anything is recorded of, also where its own row is gone.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        board_id: str | None = ""
        while board_id is not None:
            rows = await self._database.fetch_all("find_next_board", {"after_board_id": board_id})
            board_id = rows[0]["board_id"]
            if board_id is not None:
                yield board_id

    async def verify_board(self, board_id: str, on_progress: Progress = ignore_progress) -> VerifiedRecord:
        """Check a board's ledger from its start to its head, and its standings.

        A user whose first award is made while this runs may be left to the next time.

        Raises:
            BoardNotFoundError: nothing is recorded of the board.
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        findings = Findings()
        walk = _Walk(self._database, self._patience, board_id, findings, on_progress)
        await walk.go_to_end()
        compared = 0
        # Without its row a board has no position, and none of its standings can be read at one.
        with suppress(BoardNotFoundError):
            compared = await self._compare_standings(walk, on_progress)
        return VerifiedRecord(walk.position, walk.chain.commits, compared, findings)

    async def _compare_standings(self, walk: "_Walk", on_progress: Progress) -> int:
        known, compared, after = len(walk.chain.tallies), 0, ""
        ask, read_page = self._patience.ask, self._standings.read_page
        while page := await ask(read_page, walk.board_id, after, _PAGE):
            await walk.go_to(page.position)
            _compare_page(walk, page)
            compared += page.members
            after = page.last_user_id
            on_progress("standings", compared, known)
        for user_id, tally in islice(walk.chain.tallies.items(), known):
            if not tally.is_compared:
                walk.findings.add(Fault.STANDING_MISSING, tally.reached_revision, user_id)
        return compared


class _Walk:
    """The way along one board's ledger."""

    def __init__(
        self,
        database: Database,
        patience: Patience,
        board_id: str,
        findings: Findings,
        on_progress: Progress,
    ) -> None:
        self.board_id = board_id
        self.findings = findings
        self.chain = Chain(board_id, findings)
        self._database = database
        self._ask = patience.ask
        self._on_progress = on_progress

    @property
    def position(self) -> Position:
        """Of the last commit that was taken."""
        return Position.of(self.chain.committed, self.chain.digest)

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
            if self.position != position:
                self.findings.add(Fault.BOARD_WRONG)

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
            for row in rows:
                if row["has_award"]:
                    chain.take_award(LedgerRow._make(row[field] for field in LedgerRow._fields))
                if row["digest"] is not None:
                    chain.take_commit(Commit(row["first_revision"], row["revision"], row["digest"]))
            if not rows:
                chain.reach(upto_revision)
            self._on_progress("ledger", chain.revision, upto_revision)


def _compare_page(walk: _Walk, page: StandingPage) -> None:
    for line in page.lines.split("\n"):
        user_id, total, reached_revision = line.split(" ")
        tally = walk.chain.tallies.get(user_id)
        if tally is None:
            walk.findings.add(Fault.STANDING_SURPLUS, user_id=user_id)
            continue
        tally.is_compared = True
        if (tally.total, tally.reached_revision) != (int(total), int(reached_revision)):
            walk.findings.add(Fault.STANDING_WRONG, tally.reached_revision, user_id)
