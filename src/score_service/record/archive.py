"""The cut of a ledger: awards up to it are archived, and deleted page by page.

Awards are archived in this order, and a run that was interrupted is repeated and continues:
1. the lines of the checkpoint of the cut are written, page by page;
2. the cut is set, and its entry written to the ledger;
3. the awards up to it are deleted, page by page, and their ids kept;
4. what is not the checkpoint of the cut is discarded.

Invariants:
- An award up to the cut counts as archived from the second step on, whether or not its row is there.
- Each snapshot has an id in the awards or in the ids of deleted ones, until it is forgotten.
- Where an award was taken back after the first step had looked at it, the second does nothing.

It does not know what the lines say, nor whether the awards are in a file: that is for its caller to see to.
It needs the rights of the owner to write; the runtime role may only read.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from score_service.domain.ledger.changes import Changes
from score_service.domain.ledger.position import Position
from score_service.errors import BoardNotFoundError
from score_service.record.database import BULK_SECONDS, Database


@dataclass(frozen=True, slots=True)
class CommitEnd:
    """Where a commit ends."""

    revision: int
    digest: bytes

    @property
    def position(self) -> Position:
        """The same as others see it."""
        return Position.of(self.revision, self.digest)


@dataclass(frozen=True, slots=True)
class Cut:
    """The cut of a board, as its row has it, and what the ledger says of it."""

    revision: int
    digest: bytes | None
    """Of the commit that ends there; None where the record has lost it."""
    committed_at: datetime | None
    """When that was made; None likewise."""
    entry_revision: int | None
    """Of the newest entry that awards were archived with; None where the record has lost it."""
    body: str | None
    """Of that entry."""


@dataclass(frozen=True, slots=True)
class CheckpointLine:
    """A line of the checkpoint of a cut."""

    line: str
    """JSON, without the newline."""
    user_id: str | None = None
    """Where it says what this user has of all time."""
    standing_revision: int | None = None
    """Then the latest award of the user up to the cut that was not taken back; 0 if there is none."""


class ArchiveProblem(enum.Enum):
    """Why a cut may not be set. The values are those of migration 0008."""

    NOT_AFTER = "not_after"
    """The board has this cut or a later one: also where it was set before, and the answer lost."""
    NO_COMMIT = "no_commit"
    """No commit ends there with this digest."""
    PERIOD_OPEN = "period_open"
    """A period that is not final was opened up to there."""
    NO_CHECKPOINT = "no_checkpoint"
    """There are not as many lines of its checkpoint as the entry says."""
    REVERSED = "reversed"
    """An award up to there was taken back after the checkpoint was made."""


@dataclass(frozen=True, slots=True)
class DeletedPage:
    """Awards and commits that were deleted."""

    last_revision: int
    count: int


@dataclass(frozen=True, slots=True)
class ForgottenPage:
    """Ids of deleted awards that were looked at."""

    last_award_id: str
    count: int
    """How many of them were forgotten, 0 or more."""


@dataclass(frozen=True, slots=True)
class LateReversals:
    """What was taken back after a revision, and asks for more than the latest award of a user up to it."""

    head_revision: int
    """Where the ledger stood when this was so."""
    user_ids: frozenset[str]
    award_revisions: frozenset[int]
    """Of the awards: those up to the revision, and others."""


class Archive:
    """The store of the cut. Every method raises `RecordUnavailableError`."""

    def __init__(self, database: Database) -> None:
        self._fetch_all = database.fetch_all

    async def may_archive(self) -> bool:
        """Return whether the role that logs in may set cuts and delete, and not only read."""
        (row,) = await self._fetch_all("may_archive", {})
        return bool(row["may_archive"])

    async def read_cut(self, board_id: str) -> Cut | None:
        """Return the cut of a board; None if nothing of it is archived."""
        rows = await self._fetch_all("read_cut", {"board_id": board_id})
        return Cut(**rows[0]) if rows else None

    async def find_cut(self, board_id: str, before: datetime) -> CommitEnd | None:
        """Find where a board may be cut by an instant.

        Returns:
            The last commit that was made before it, and before the first award that counts in a period that
            is not final; None if there is no award between the cut that the board has and that.
        """
        rows = await self._fetch_all("find_cut", {"board_id": board_id, "before": before}, BULK_SECONDS)
        return CommitEnd(rows[0]["revision"], rows[0]["digest"]) if rows else None

    async def find_cut_before(self, board_id: str, before: datetime) -> int:
        """Return the revision of the cut that a board had before an instant; 0 if it had none."""
        rows = await self._fetch_all("find_cut_before", {"board_id": board_id, "before": before})
        return int(rows[0]["revision"]) if rows else 0

    async def count_entries(self, board_id: str, after_revision: int, upto_revision: int) -> dict[str, int]:
        """Count the entries after a revision and up to another one that are no awards, by their kinds."""
        parameters = {
            "board_id": board_id,
            "after_revision": after_revision,
            "upto_revision": upto_revision,
        }
        rows = await self._fetch_all("count_entries", parameters, BULK_SECONDS)
        return {row["kind"]: row["entries"] for row in rows}

    async def list_late_reversals(self, board_id: str, revision: int) -> LateReversals:
        """List the awards that were taken back by entries after a revision: those up to it.

        Others are with them, those of while a period was not final that was opened by then: for such a user
        it matters which award up to the revision counts in that period.

        Raises:
            BoardNotFoundError: nothing was ever recorded of the board.
        """
        parameters = {"board_id": board_id, "revision": revision}
        rows = await self._fetch_all("list_late_reversals", parameters, BULK_SECONDS)
        if not rows:
            raise BoardNotFoundError
        return LateReversals(
            rows[0]["head_revision"],
            frozenset(row["user_id"] for row in rows if row["user_id"] is not None),
            frozenset(row["award_revision"] for row in rows if row["award_revision"] is not None),
        )

    async def read_checkpoint_lines(
        self, board_id: str, revision: int, after_number: int, limit: int
    ) -> list[CheckpointLine]:
        """Read lines of the checkpoint of a cut, in order.

        Args:
            board_id: the board.
            revision: the cut.
            after_number: of the last line of the page before; 0 for the first page.
            limit: how many, at most.

        Returns:
            Lines that follow each other: none after one that is missing.
        """
        parameters = {
            "board_id": board_id,
            "revision": revision,
            "after_number": after_number,
            "limit": limit,
        }
        rows = await self._fetch_all("read_checkpoint_lines", parameters, BULK_SECONDS)
        return [
            CheckpointLine(row["line"], row["user_id"], row["standing_revision"])
            for number, row in enumerate(rows, after_number + 1)
            if row["number"] == number
        ]

    async def discard_checkpoint(self, board_id: str, limit: int) -> int:
        """Delete a page of lines of checkpoints that are not the one of the cut.

        Returns:
            How many were deleted; 0 where there are no more.
        """
        parameters = {"board_id": board_id, "limit": limit}
        (row,) = await self._fetch_all("discard_checkpoint", parameters, BULK_SECONDS)
        return int(row["discarded"])

    async def add_checkpoint_lines(
        self,
        board_id: str,
        revision: int,
        checked_revision: int,
        after_number: int,
        lines: Sequence[CheckpointLine],
    ) -> bool:
        """Write a page of the checkpoint of a cut that is to be.

        Args:
            board_id: the board.
            revision: the cut.
            checked_revision: up to where reversals were taken into account.
            after_number: how many lines there are before these; those that are there are replaced.
            lines: the page.

        Returns:
            False, and nothing is written, if the board has this cut or a later one, or an award up to it was
            taken back since.
        """
        parameters = {
            "board_id": board_id,
            "revision": revision,
            "checked_revision": checked_revision,
            "after_number": after_number,
            "lines": [line.line for line in lines],
            "user_ids": [line.user_id for line in lines],
            "standing_revisions": [line.standing_revision for line in lines],
        }
        (row,) = await self._fetch_all("add_checkpoint_lines", parameters, BULK_SECONDS)
        return bool(row["is_written"])

    async def archive_awards(
        self,
        board_id: str,
        cut: CommitEnd,
        body: str,
        checked_revision: int,
        *,
        actor: str,
        trace_id: str = "",
    ) -> Changes | ArchiveProblem:
        """Set the cut of a board, and write the entry that says so.

        Args:
            board_id: the board.
            cut: the end of a commit.
            body: of the entry. Its `lines` is how many lines the checkpoint has.
            checked_revision: see `add_checkpoint_lines`.
            actor: who does so.
            trace_id: 32 hex digits, or empty.

        Returns:
            The commit, which changes no standing; or why it may not be, and nothing is written.

        Raises:
            BoardNotFoundError: nothing was ever recorded of the board.
        """
        parameters = {
            "board_id": board_id,
            "revision": cut.revision,
            "digest": cut.digest,
            "body": body,
            "checked_revision": checked_revision,
            "actor": actor,
            "trace_id": trace_id,
        }
        (row,) = await self._fetch_all("archive_awards", parameters, BULK_SECONDS)
        if row["from_revision"] is None:
            raise BoardNotFoundError
        if row["problem"] is not None:
            return ArchiveProblem(row["problem"])
        before = Position.of(row["from_revision"], row["from_digest"])
        return Changes(board_id, before, Position.of(row["to_revision"], row["to_digest"]), ())

    async def delete_archived(self, board_id: str, after_revision: int, limit: int) -> DeletedPage | None:
        """Delete a page of the awards up to the cut, and of their commits.

        Args:
            board_id: the board.
            after_revision: the last one of the page before; 0 to begin with what is left.
            limit: how many awards, and how many commits, at most.

        Returns:
            None where there are no more.
        """
        parameters = {"board_id": board_id, "after_revision": after_revision, "limit": limit}
        (row,) = await self._fetch_all("delete_archived", parameters, BULK_SECONDS)
        return DeletedPage(row["last_revision"], row["deleted"]) if row["deleted"] else None

    async def forget_award_ids(
        self, board_id: str, revision: int, after_award_id: str | None, limit: int
    ) -> ForgottenPage | None:
        """Forget ids of deleted awards up to a revision: from then on they are as if they were never used.

        Args:
            board_id: the board.
            revision: a cut that the board has or had.
            after_award_id: the last one of the page before; None for the first page.
            limit: how many ids to look at, at most.

        Returns:
            None where there are no more.
        """
        parameters = {
            "board_id": board_id,
            "revision": revision,
            "after_award_id": after_award_id,
            "limit": limit,
        }
        (row,) = await self._fetch_all("forget_award_ids", parameters, BULK_SECONDS)
        return ForgottenPage(row["last_award_id"], row["forgotten"]) if row["last_award_id"] else None
