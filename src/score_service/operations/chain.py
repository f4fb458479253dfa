"""The ledger's digest chain, and what its awards add up to, worked out from the rows alone. Pure.

The functions that record awards (migrations 0001 and 0002) write the same bytes. They are written down once
more here on purpose: a check of the record must not ask the code that made it.

Every field of a row is text without a tab or a newline, or a number. So as long as no revision is missing,
two different runs of rows never have the same text.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from score_service.domain.findings import Fault, Findings


class LedgerRow(NamedTuple):
    """An award as the ledger has it. The fields stand in the order of the canonical text."""

    revision: int
    award_id: str
    """Lower case, with hyphens; the same goes for `request_id`."""
    user_id: str
    action_type: str
    action_id: str
    points: int
    total_after: int
    request_id: str
    caller: str
    trace_id: str
    awarded_at: str
    """Microseconds since 1970. Text, because a forged time may be no number of them at all."""


class Commit(NamedTuple):
    """A commit as the ledger has it."""

    first_revision: int
    last_revision: int
    digest: bytes


@dataclass(slots=True)
class Tally:
    """What the awards of one user add up to."""

    total: int
    reached_revision: int
    is_compared: bool = False
    """Whether the user's standing was looked at."""


def write_canonical(row: LedgerRow) -> bytes:
    """Write the canonical text of a row."""
    return ("\t".join(map(str, row)) + "\n").encode()


def start_digest(board_id: str) -> bytes:
    """Return the digest of a board's empty ledger."""
    return hashlib.sha256(board_id.encode()).digest()


def digest_commit(before: bytes, rows: Iterable[LedgerRow]) -> bytes:
    """Return the digest of a commit from the digest before it and its rows in order."""
    digest = hashlib.sha256(before)
    for row in rows:
        digest.update(write_canonical(row))
    return digest.digest()


class Chain:
    """Follows the ledger of a board from its start, award by award and commit by commit.

    After a fault it goes on from what the ledger says, so that one fault is found once.
    """

    def __init__(self, board_id: str, findings: Findings) -> None:
        self.revision = 0
        """Of the last award taken."""
        self.committed = 0
        """The last revision of the last commit taken."""
        self.commits = 0
        self.digest = start_digest(board_id)
        self.tallies: dict[str, Tally] = {}
        """By user, in the order of their first awards."""
        self._findings = findings
        self._open = hashlib.sha256(self.digest)

    def take_award(self, row: LedgerRow) -> None:
        """Go on by one award."""
        self.reach(row.revision - 1)
        self.revision = row.revision
        self._open.update(write_canonical(row))
        tally = self.tallies.get(row.user_id)
        if row.total_after != row.points + (tally.total if tally else 0):
            self._findings.add(Fault.TOTAL_WRONG, row.revision, row.user_id)
        if tally:
            tally.total, tally.reached_revision = row.total_after, row.revision
        else:
            self.tallies[row.user_id] = Tally(row.total_after, row.revision)

    def take_commit(self, commit: Commit) -> None:
        """Check the commit that ends at the last award."""
        self.reach(commit.last_revision)
        if commit.first_revision != self.committed + 1:
            self._findings.add(Fault.COMMIT_NOT_NEXT, commit.last_revision)
        if commit.digest != self._open.digest():
            self._findings.add(Fault.DIGEST_WRONG, commit.last_revision)
        self.commits += 1
        self.committed, self.digest = commit.last_revision, commit.digest
        self._open = hashlib.sha256(commit.digest)

    def reach(self, revision: int) -> None:
        """Take it that the ledger goes on after a revision, and note where awards before that are missing."""
        if self.revision < revision:
            self._findings.add(Fault.AWARD_MISSING, self.revision + 1)
            self.revision = revision

    def end(self, revision: int | None, digest: bytes | None) -> None:
        """Check that the ledger ends here with a commit, and that this is where the board's row says."""
        if self.committed < self.revision:
            self._findings.add(Fault.COMMIT_MISSING, self.revision)
        if (self.committed, self.digest) != (revision, digest):
            self._findings.add(Fault.BOARD_WRONG)
