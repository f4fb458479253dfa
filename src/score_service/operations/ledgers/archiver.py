"""Archives awards up to a cut: proves them, keeps them in files, and has the record delete them.

Invariants:
- Nothing is archived that was not followed without a fault, nor before files of it were written and read.
- Each step may be interrupted, and the next run goes on with it. Two at once harm nothing: the record takes a
  checkpoint and an entry only from who took all reversals into account.
- Awards wait for none of it but for the one short transaction that sets the cut.

Memory is that of the check, see `verifier`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final

from score_service.domain.ledger.findings import Findings, Progress, ignore_progress
from score_service.domain.ledger.position import Position
from score_service.operations.cut_checkpoint import Seal, write_lines
from score_service.operations.ledgers.export import LedgerExporter
from score_service.operations.ledgers.files import Head, read_commits
from score_service.operations.verifier import Verifier
from score_service.operations.walk import BeyondCutError, Walk
from score_service.reconcile.rebuild.retry_policy import RetryPolicy
from score_service.record.archive import Archive, ArchiveProblem, CommitEnd
from score_service.record.database import Database
from score_service.record.ledger import Ledger
from score_service.record.standings import Standings

_PAGE: Final = 1000
_ATTEMPTS: Final = 5
"""Awards up to the cut may be taken back while its checkpoint is written: so often it is written anew."""
_ACTOR: Final = "score-service ledger archive"


class ArchiveRejectedError(Exception):
    """What was asked for may not be done, and was not."""

    def __init__(self, message: str, findings: Findings | None = None) -> None:
        """Take why, and what is wrong with the record."""
        super().__init__(message)
        self.findings = findings or Findings()


@dataclass(frozen=True, slots=True)
class PlannedCut:
    """Where a board may be cut."""

    end: CommitEnd
    awards: int
    """How many awards there are from the cut of now up to there."""


@dataclass(frozen=True, slots=True)
class ArchivedBoard:
    """What became of a board."""

    cut: Position | None
    """The new one; None where there was nothing to archive."""
    deleted: int
    """How many awards and commits were deleted."""
    forgotten: int
    """How many ids were."""


class LedgerArchiver:
    """Archives awards, as the owner of the record."""

    def __init__(
        self,
        database: Database,
        retries: RetryPolicy,
        *,
        rows_per_second: float,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        on_progress: Progress = ignore_progress,
    ) -> None:
        """Take the record, how many rows to delete in a second at most, and whom to tell how far it is."""
        self._archive = Archive(database)
        self._ledger = Ledger(database)
        self._verifier = Verifier(database, Standings(database), retries)
        self._exporter = LedgerExporter(database, retries)
        self._ask = retries.ask
        self._rows_per_second = rows_per_second
        self._sleep = sleep
        self._on_progress = on_progress

    async def plan(self, board_id: str, before: datetime) -> PlannedCut | None:
        """Return what `archive_board` would archive; None where that is nothing.

        Raises:
            ArchiveRejectedError: the role that logs in does not own the record.
            BoardNotFoundError, RecordUnavailableError: as `archive_board`.
        """
        end = await self._find_cut(board_id, before)
        if end is None:
            return None
        cut = await self._ask(self._archive.read_cut, board_id)
        after = cut.revision if cut else 0
        entries = await self._ask(self._archive.count_entries, board_id, after, end.revision)
        return PlannedCut(end, end.revision - after - sum(entries.values()))

    async def archive_board(
        self, board_id: str, folder: Path, before: datetime, forget_before: datetime | None = None
    ) -> ArchivedBoard:
        """Archive what was awarded before an instant, and delete all that is archived.

        Args:
            board_id: the board.
            folder: where the files of its ledger are, and those that are new are written.
            before: awards of later commits stay.
            forget_before: the ids of awards are forgotten that were archived before; none are if it is None.

        Raises:
            ArchiveRejectedError: the role that logs in does not own the record, it has faults, the files are
                not its ledger, or too much changes. Where ids were to be forgotten, all else may be done.
            BoardNotFoundError: nothing is recorded of the board.
            CheckpointError: the checkpoint of the last cut is not whole.
            LedgerFileError, OSError: the files cannot be written, or are not what was written.
            RecordUnavailableError: PostgreSQL is unavailable. What was done stays.
        """
        end = await self._find_cut(board_id, before)
        if end is not None:
            await self._archive_upto(board_id, folder, end)
        deleted = await self._delete(board_id)
        await self._discard_checkpoints(board_id)
        forgotten = await self._forget(board_id, forget_before) if forget_before else 0
        return ArchivedBoard(end.position if end else None, deleted, forgotten)

    async def _require_whole(self, board_id: str) -> None:
        """Require that nobody has planted an entry that says when awards were archived."""
        walk = await self._verifier.begin_walk(board_id, self._on_progress)
        try:
            await walk.go_to_end()
        except BeyondCutError as error:
            raise ArchiveRejectedError("another one archives the board") from error
        if walk.findings:
            raise ArchiveRejectedError("no id is forgotten while the record has faults", walk.findings)

    async def _find_cut(self, board_id: str, before: datetime) -> CommitEnd | None:
        await self._ledger.read_head(board_id)  # An unavailable record is not waited for at the start.
        if not await self._archive.may_archive():
            raise ArchiveRejectedError("the role that logs in does not own the record")
        return await self._ask(self._archive.find_cut, board_id, before)

    async def _archive_upto(self, board_id: str, folder: Path, end: CommitEnd) -> None:
        walk = await self._verifier.begin_walk(board_id, self._on_progress)
        try:
            await walk.go_to(end.position)
            if walk.findings:
                raise ArchiveRejectedError("the record has faults up to there", walk.findings)
            await self._keep(board_id, folder, end)
            await self._set_cut(walk, end)
        except BeyondCutError as error:
            raise ArchiveRejectedError("another one archives the board") from error

    async def _keep(self, board_id: str, folder: Path, end: CommitEnd) -> None:
        """Write files up to there, and read all of them back."""
        after = 0
        async for file in self._exporter.export_board(board_id, folder, end.position):
            after = file.last_revision
            self._on_progress("files", after, end.revision)
        cut = Head(end.revision, end.digest)
        if not await asyncio.to_thread(lambda: sum(head == cut for head in read_commits(folder, board_id))):
            raise ArchiveRejectedError(f"the files in {folder} are not those of the ledger at {end.position}")

    async def _set_cut(self, walk: Walk, end: CommitEnd) -> None:
        why = ""
        for _ in range(_ATTEMPTS):
            problem = await self._try_to_set_cut(walk, end)
            if problem is None or problem is ArchiveProblem.NOT_AFTER:  # Set before, or by another one.
                return
            why = _WHY[problem]
            if problem not in {ArchiveProblem.REVERSED, ArchiveProblem.NO_CHECKPOINT}:
                break
        raise ArchiveRejectedError(f"it cannot be cut at {end.position}: {why}")

    async def _try_to_set_cut(self, walk: Walk, end: CommitEnd) -> ArchiveProblem | None:
        """Write the checkpoint, and set the cut; return why that may not be."""
        board_id = walk.board_id
        late = await self._ask(self._archive.list_late_reversals, board_id, end.revision)
        users = iter(late.user_ids.difference(walk.chain.corrections.known_users))
        while some := list(islice(users, _PAGE)):
            await walk.look_back(some)
        await self._discard_checkpoints(board_id)
        seal, lines = Seal(), write_lines(walk.chain, late)
        while page := list(islice(lines, _PAGE)):
            is_written = await self._ask(
                self._archive.add_checkpoint_lines,
                board_id,
                end.revision,
                late.head_revision,
                seal.lines,
                page,
            )
            if not is_written:
                cut = await self._ask(self._archive.read_cut, board_id)
                is_after = cut is None or cut.revision < end.revision
                return ArchiveProblem.REVERSED if is_after else ArchiveProblem.NOT_AFTER
            for line in page:
                seal.add(line)
            self._on_progress("checkpoint", seal.lines, len(walk.chain.tallies.all_time))
        answer = await self._ask(
            self._archive.archive_awards,
            board_id,
            end,
            seal.write(walk.chain),
            late.head_revision,
            actor=_ACTOR,
        )
        return answer if isinstance(answer, ArchiveProblem) else None

    async def _discard_checkpoints(self, board_id: str) -> None:
        """Discard every checkpoint that is not the one of the cut: drafts, and those of earlier cuts."""
        while await self._ask(self._archive.discard_checkpoint, board_id, _PAGE):
            pass

    async def _delete(self, board_id: str) -> int:
        """Delete what is archived, and no more rows a second than was said."""
        clock = asyncio.get_running_loop().time
        deleted = revision = 0
        began = clock()
        cut = await self._ask(self._archive.read_cut, board_id)
        while page := await self._ask(self._archive.delete_archived, board_id, revision, _PAGE):
            revision = page.last_revision
            deleted += page.count
            self._on_progress("deleted", revision, cut.revision if cut else revision)
            await self._sleep(max(0.0, began + deleted / self._rows_per_second - clock()))
        return deleted

    async def _forget(self, board_id: str, before: datetime) -> int:
        """Forget the ids of what was archived before an instant, as far as the record can be believed."""
        revision = await self._ask(self._archive.find_cut_before, board_id, before)
        if revision:
            await self._require_whole(board_id)
        forgotten, after = 0, None
        while revision:
            page = await self._ask(self._archive.forget_award_ids, board_id, revision, after, _PAGE)
            if page is None:
                break
            after = page.last_award_id
            forgotten += page.count
        return forgotten


_WHY: Final = {
    ArchiveProblem.NO_COMMIT: "no commit ends there any more",
    ArchiveProblem.PERIOD_OPEN: "a period that is not final was opened before",
    ArchiveProblem.NO_CHECKPOINT: "another one archives the board",
    ArchiveProblem.REVERSED: "awards before it are being taken back",
}
