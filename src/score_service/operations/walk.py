"""The way along one board's ledger, row by row as the record has it.

Awards up to the cut may be deleted at any time. So a page is only taken if the board still has the cut that
it had when the walk began; otherwise the walk has to begin anew, there.
"""

from collections.abc import Iterable
from typing import Any, Final

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.findings import Fault, Progress
from score_service.domain.ledger.position import Position
from score_service.errors import BoardNotFoundError
from score_service.operations.bulk_reads import BulkReads
from score_service.operations.chain import Chain, LedgerStep
from score_service.operations.corrections import StandingAward
from score_service.reconcile.rebuild.retry_policy import RetryPolicy
from score_service.record.archive import Cut
from score_service.record.database import Database

_PAGE: Final = 1000


class BeyondCutError(Exception):
    """What is needed next was archived since the walk began."""


class Walk:
    """Follows the ledger.

    Every method raises `RecordUnavailableError`, and those that go on `BeyondCutError`.
    """

    def __init__(
        self,
        database: Database,
        retries: RetryPolicy,
        chain: Chain,
        cut: Cut | None,
        on_progress: Progress,
    ) -> None:
        """Take where it begins, and the cut that the board has."""
        self.board_id = chain.board_id
        self.findings = chain.findings
        self.chain = chain
        self.cut = cut
        self.start = chain.position
        self._reads = BulkReads(database, retries)
        self._on_progress = on_progress

    @property
    def is_from_cut(self) -> bool:
        """Whether it began at the cut."""
        return self.cut is not None and self.cut.revision == self.start.revision

    @property
    def known_periods(self) -> set[str]:
        """The periods that the ledger has up to here."""
        return {*self.chain.tallies.live, *self.chain.tallies.results}

    def add(self, fault: Fault, revision: int | None, user_id: str, period_id: str) -> None:
        """Note a fault of a standing."""
        self.findings.add(fault, revision, user_id, None if period_id == ALL_TIME else period_id)

    async def go_to_end(self) -> None:
        """Follow the ledger to where it ended when this was called."""
        (end,) = await self._reads.fetch_all("read_ledger_end", {"board_id": self.board_id})
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
        rows = await self._read_head()
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
            rows = await self._reads.fetch_all("read_ledger", parameters)
            bodies = (row["body"] for row in rows if row["kind"] == "reversal")
            await self.look_back({user for body in bodies if (user := chain.corrections.lacks_awards(body))})
            await self._require_cut()
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

    async def look_back(self, user_ids: Iterable[str]) -> None:
        """Read the awards so far of users of whom none was taken back before."""
        chain = self.chain
        last_awards = {user_id: chain.tallies.all_time.get(user_id) for user_id in user_ids}
        found: dict[str, dict[int, StandingAward]] = {user_id: {} for user_id in last_awards}
        parameters = {
            "board_id": self.board_id,
            "user_ids": [user_id for user_id, tally in last_awards.items() if tally],
            "revisions": [tally.award_revision for tally in last_awards.values() if tally],
        }
        if parameters["user_ids"]:
            self._require_awards()
            rows = await self._reads.fetch_all("verify_awards", parameters)
            for row in rows:
                periods = tuple(row["period_ids"] or ())
                award = StandingAward(row["award_id"], row["points"], periods)
                found[row["user_id"]][row["revision"]] = award
        for user_id, awards in found.items():
            chain.corrections.take_awards(user_id, awards)

    async def _require_cut(self) -> None:
        """Require that the board still has the cut that it had."""
        rows = await self._read_head()
        now = rows[0]["archived_revision"] if rows else 0
        if now != (self.cut.revision if self.cut else 0):
            raise BeyondCutError

    async def _read_head(self) -> list[dict[str, Any]]:
        return await self._reads.fetch_all("read_head", {"board_id": self.board_id})

    def _require_awards(self) -> None:
        """Require that what the record has of a user's awards up to the cut is enough.

        Of those who were corrected between the cut and its entry all of them have to be known. They are in
        the checkpoint, for a walk that begins there.
        """
        if self.cut and not self.is_from_cut and self.chain.revision < (self.cut.entry_revision or 0):
            raise BeyondCutError
