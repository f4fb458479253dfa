"""Reads what the files of ledgers have, which the record may have no rows of any more.

The format of the files is written down here a second time, on purpose. Files of a history that a restore has
lost may lie beside the others: each commit is found by its digest, and leads to the one before it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern
from typing import Final, NamedTuple, TypeAlias

from faults.model.ledger import Award, Commit

PATTERN: Final = "*.ledger"
_AWARD_FIELDS: Final = (11, 13)
"""Of a line. Other entries have fewer, and the record keeps these."""


class Key(NamedTuple):
    """Where a commit ends."""

    board_id: str
    revision: int
    digest: bytes


@dataclass(slots=True)
class FiledCommit:
    """A commit, with its awards."""

    before: Key
    awards: list[Award] = field(default_factory=list)


Filed: TypeAlias = dict[Key, FiledCommit]
"""The commits of files of all boards."""


def read_files(folder: Path) -> Filed:
    """Read all files in a folder and below it. What is in two of them is kept once."""
    filed: Filed = {}
    for path in sorted(folder.rglob(PATTERN)):
        for end, commit in _read_file(path):
            filed.setdefault(end, commit)
    return filed


def trace_back(filed: Filed, end: Key) -> tuple[list[Award], list[Commit]]:
    """Return the awards and the commits of a ledger up to the end of a commit, as far as files have them."""
    awards, commits = list[list[Award]](), list[Commit]()
    while commit := filed.get(end):
        awards.append(commit.awards)
        commits.append(Commit(commit.before.revision + 1, end.revision, end.digest))
        end = commit.before
    return [award for page in reversed(awards) for award in page], commits[::-1]


def _read_file(path: Path) -> Iterator[tuple[Key, FiledCommit]]:
    with path.open(encoding="utf-8") as lines:
        _, _, board_id, revision, digest = next(lines).rstrip("\n").split("\t")
        commit = FiledCommit(Key(board_id, int(revision), bytes.fromhex(digest)))
        for line in lines:
            fields = line.rstrip("\n").split("\t")
            if fields[0] == "#commit":
                end = Key(board_id, int(fields[1]), bytes.fromhex(fields[2]))
                yield end, commit
                commit = FiledCommit(end)
            elif len(fields) in _AWARD_FIELDS:
                commit.awards.append(_read_award(fields))


def _read_award(fields: Sequence[str]) -> Award:
    """Read a line, of which the last two fields may be missing."""
    occurred_at, periods = fields[11:] or ("", "")
    pairs = (pair.rpartition("=") for pair in periods.split(",") if pair)
    return Award(
        int(fields[0]),
        award_id=fields[1],
        user_id=fields[2],
        action_type=fields[3],
        action_id=fields[4],
        points=int(fields[5]),
        total_after=int(fields[6]),
        request_id=fields[7],
        caller=fields[8],
        trace_id=fields[9],
        awarded_at=int(fields[10]),
        occurred_at=int(occurred_at) if occurred_at else None,
        periods=tuple((intern(period_id), int(total)) for period_id, _, total in pairs),
    )
