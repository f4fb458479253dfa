"""The ledger's digest chain, and what its awards add up to, worked out from the rows alone. Pure.

The functions that write to the ledger (migrations 0001 to 0004) write the same bytes. They are written down
once more here on purpose: a check of the record must not ask the code that made it.

Every field of a row is text without a tab or a newline, or a number. So as long as no revision is missing,
two different runs of rows never have the same text.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, Self

from score_service.domain.ledger.findings import Fault, Findings
from score_service.domain.ledger.position import Position
from score_service.operations.corrections import Corrections, StandingAward
from score_service.operations.tallies import Line, Tallies, read_counted


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
    occurred_at: str | None = None
    """The same, where the caller said when it happened."""
    period_totals: str | None = None
    """`period_id=total` of each period that it counts in, with commas between; None for none."""


class EntryRow(NamedTuple):
    """Another entry as the ledger has it. The fields stand in the order of the canonical text."""

    revision: int
    kind: str
    actor: str
    request_id: str | None
    trace_id: str
    entered_at: str
    """Microseconds since 1970, as text."""
    body: str


class Commit(NamedTuple):
    """A commit as the ledger has it."""

    first_revision: int
    last_revision: int
    digest: bytes


class LedgerStep(NamedTuple):
    """What the ledger has at a revision."""

    award: LedgerRow | None
    entry: EntryRow | None
    commit: Commit | None
    """The one that ends there."""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Take a row of `read_ledger.sql`."""
        return cls(
            LedgerRow._make(row[field] for field in LedgerRow._fields) if row["has_award"] else None,
            EntryRow._make(row[field] for field in EntryRow._fields) if row["has_entry"] else None,
            None if row["digest"] is None else Commit(row["first_revision"], row["revision"], row["digest"]),
        )


_ALWAYS: Final = LedgerRow._fields.index("awarded_at") + 1
"""Fields of every award. The others stand in the text only where one of them is there."""


def write_canonical(row: LedgerRow | EntryRow) -> bytes:
    """Write the canonical text of a row."""
    fields: tuple[object, ...] = row
    if isinstance(row, LedgerRow) and row[_ALWAYS:] == (None, None):
        fields = row[:_ALWAYS]
    return ("\t".join("" if field is None else str(field) for field in fields) + "\n").encode()


def read_standing_award(row: LedgerRow) -> StandingAward:
    """Return what has to be known of an award for it to be taken back."""
    periods = tuple(counted.period_id for counted in read_counted(row.period_totals))
    return StandingAward(row.award_id, row.points, periods)


def start_digest(board_id: str) -> bytes:
    """Return the digest of a board's empty ledger."""
    return hashlib.sha256(board_id.encode()).digest()


def digest_commit(before: bytes, rows: Iterable[LedgerRow | EntryRow]) -> bytes:
    """Return the digest of a commit from the digest before it and its rows in order."""
    digest = hashlib.sha256(before)
    for row in rows:
        digest.update(write_canonical(row))
    return digest.digest()


class Chain:
    """Follows the ledger of a board from its start, row by row and commit by commit.

    After a fault it goes on from what the ledger says, so that one fault is found once.
    """

    def __init__(self, board_id: str, findings: Findings) -> None:
        self.board_id = board_id
        self.findings = findings
        self.revision = 0
        """Of the last entry taken."""
        self.committed = 0
        """The last revision of the last commit taken."""
        self.commits = 0
        self.kinds = Counter[str]()
        """How many entries of each kind were taken; an award is one of kind `award`."""
        self.digest = start_digest(board_id)
        self.settings_revision = 0
        """Of the last entry with settings."""
        self.tallies = Tallies(findings)
        self.corrections = Corrections(self.tallies, findings)
        self._open = hashlib.sha256(self.digest)
        self._names_previous = False
        """Whether an award has named the one before: from then on all do."""
        self._seal: tuple[int, str] | None = None
        self._archived = 0
        """The last revision that an entry on the way here archives. A cut only moves forward."""

    @property
    def position(self) -> Position:
        """Of the last commit taken."""
        return Position.of(self.committed, self.digest)

    def take_award(self, row: LedgerRow, previous_revision: int | None = None) -> None:
        """Go on by one award.

        Args:
            row: what its digest is of.
            previous_revision: the award of its user that it names as the one before; None where it names
                none.
        """
        self.reach(row.revision - 1)
        self.revision = row.revision
        self.kinds["award"] += 1
        self._open.update(write_canonical(row))
        self._check_previous(row, previous_revision)
        self.tallies.count(row.revision, row.user_id, row.points, row.total_after)
        if row.period_totals is not None:
            self.tallies.count_in_periods(
                row.revision,
                row.user_id,
                row.points,
                read_counted(row.period_totals),
                time=int(row.awarded_at) if row.awarded_at.isdecimal() else None,
                is_dated=row.occurred_at is not None,
            )
        self.corrections.count(row.revision, row.user_id, read_standing_award(row))

    def _check_previous(self, row: LedgerRow, previous_revision: int | None) -> None:
        """Check that an award names the one of its user before it; the first ones of old ledgers do not."""
        tally = self.tallies.all_time.get(row.user_id)
        expected = tally.award_revision if tally else 0
        if previous_revision != (expected if self._names_previous else previous_revision and expected):
            self.findings.add(Fault.PREVIOUS_WRONG, row.revision, row.user_id)
        self._names_previous |= previous_revision is not None

    def take_entry(self, row: EntryRow) -> None:
        """Go on by one entry of another kind."""
        self.reach(row.revision - 1)
        self.revision = row.revision
        self.kinds[row.kind] += 1
        self._open.update(write_canonical(row))
        if row.kind == "settings":
            self.settings_revision = row.revision
        elif row.kind == "period_closed":
            self.tallies.finish(row.revision, row.body)
        elif row.kind == "reversal":
            self.corrections.reverse(row.revision, row.body)
        elif row.kind == "visibility":
            self.corrections.set_visibility(row.revision, row.body)
        elif row.kind == "archived":
            self._check_archived(row)

    def expect_seal(self, body: str) -> None:
        """Expect the entry to come, with this body, that seals the cut at which this begins."""
        self._seal = self.committed, body

    def _check_archived(self, row: EntryRow) -> None:
        """Check that an entry archives what is before it, and that what this began with is what it sealed."""
        revision = _read_archived_revision(row.body)
        if not self._archived < revision < row.revision:
            self.findings.add(Fault.ENTRY_WRONG, row.revision)
        else:
            self._archived = revision
        if self._seal and self._seal[0] == revision:
            if self._seal[1] != row.body:
                self.findings.add(Fault.CHECKPOINT_WRONG, row.revision)
            self._seal = None

    def take_commit(self, commit: Commit) -> None:
        """Check the commit that ends at the last row."""
        self.reach(commit.last_revision)
        if commit.first_revision != self.committed + 1:
            self.findings.add(Fault.COMMIT_NOT_NEXT, commit.last_revision)
        if commit.digest != self._open.digest():
            self.findings.add(Fault.DIGEST_WRONG, commit.last_revision)
        self.commits += 1
        self.committed, self.digest = commit.last_revision, commit.digest
        self._open = hashlib.sha256(commit.digest)

    def write_lines(self) -> Iterator[Line]:
        """Write all that it knows at the last commit, where it has to stand, for `read_lines` to take."""
        yield [
            "chain",
            self.board_id,
            self.committed,
            self.commits,
            self.kinds,
            self.digest.hex(),
            self.settings_revision,
            self._names_previous,
        ]
        yield from self.tallies.write_lines()
        yield from self.corrections.write_lines()

    @classmethod
    def read_lines(cls, lines: Iterator[Line], findings: Findings) -> Self:
        """Go on from where lines were written.

        Raises:
            ValueError, TypeError, LookupError: these are no such lines.
        """
        chain = cls.read_first_line(next(lines), findings)
        for line in lines:
            chain.read_line(line)
        return chain

    @classmethod
    def read_first_line(cls, line: Line, findings: Findings) -> Self:
        """Do what `read_lines` does, with the first line alone; `read_line` takes the others."""
        _, board_id, committed, commits, kinds, digest, settings_revision, names_previous = line
        chain = cls(board_id, findings)
        chain.revision = chain.committed = committed
        chain.commits, chain.settings_revision = commits, settings_revision
        chain.kinds.update(kinds)
        chain.digest = bytes.fromhex(digest)
        chain._open = hashlib.sha256(chain.digest)
        chain._names_previous = names_previous
        return chain

    def read_line(self, line: Line) -> None:
        """Take one of the lines after the first. Raises what `read_lines` does."""
        if not (self.tallies.read_line(line) or self.corrections.read_line(line)):
            raise ValueError(line[0])

    def reach(self, revision: int) -> None:
        """Take it that the ledger goes on after a revision, and note where rows before that are missing."""
        if self.revision < revision:
            self.findings.add(Fault.AWARD_MISSING, self.revision + 1)
            self.revision = revision

    def end(self, revision: int | None, digest: bytes | None) -> None:
        """Check that the ledger ends here with a commit, and that this is where the board's row says."""
        if self.committed < self.revision:
            self.findings.add(Fault.COMMIT_MISSING, self.revision)
        if (self.committed, self.digest) != (revision, digest):
            self.findings.add(Fault.BOARD_WRONG)
        if self._seal:
            self.findings.add(Fault.CHECKPOINT_WRONG, self._seal[0])
            self._seal = None


def _read_archived_revision(body: str) -> int:
    """Return the last revision that an entry archives; 0 where it does not say so."""
    try:
        revision = json.loads(body)["revision"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return 0
    return revision if type(revision) is int else 0
