"""What must hold of a ledger by itself. Pure.

The way in which digests follow each other is written down here a second time, on purpose; so is the canonical
text of awards and entries, in the model. After a finding, a ledger is taken as it says, so that one fault is
found once.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from heapq import merge
from operator import attrgetter

from faults.model.corrections import Reversal, Step, read_corrections
from faults.model.findings import Finding, Kind
from faults.model.fold import Fold
from faults.model.ledger import Award, Entry, Head, Ledger, Total, start_digest
from faults.rules.record.corrections import check_corrections


def check_ledger(ledger: Ledger) -> Iterable[Finding]:
    """Find what is wrong in a ledger, its commits and its standings."""
    yield from _check_revisions(ledger)
    steps = list(merge(ledger.awards, read_corrections(ledger.entries), key=attrgetter("revision")))
    yield from _check_awards(ledger, steps)
    yield from check_corrections(ledger, steps)
    yield from _check_commits(ledger)
    yield from _check_standings(ledger, steps)
    end = ledger.commits[-1] if ledger.commits else None
    head = Head(end.last_revision, end.digest) if end else Head(0, start_digest(ledger.board_id))
    if ledger.head != head:
        yield Finding(Kind.HEAD_WRONG, f"{ledger.board_id}: {ledger.head} where the commits end at {head}")


def _check_revisions(ledger: Ledger) -> Iterable[Finding]:
    revision = 0
    for row in _rows(ledger):
        if row.revision != revision + 1:
            yield Finding(Kind.REVISION_MISSING, f"{ledger.board_id}: {row} after revision {revision}")
        revision = row.revision


def _check_awards(ledger: Ledger, steps: Sequence[Step]) -> Iterable[Finding]:
    known, totals = set[str](), defaultdict[str, int](int)
    for step in steps:
        match step:
            case Award():
                where = f"{ledger.board_id}: {step}"
                if step.award_id in known:
                    yield Finding(Kind.AWARD_DOUBLED, where)
                total = totals[step.user_id] + step.points
                if step.total_after != total:
                    yield Finding(Kind.TOTAL_WRONG, f"{where} where the sum is {total}")
                known.add(step.award_id)
                totals[step.user_id] = step.total_after
            case Reversal():
                totals[step.user_id] = step.total


def _check_commits(ledger: Ledger) -> Iterable[Finding]:
    rows, start, digest, revision = list(_rows(ledger)), 0, start_digest(ledger.board_id), 0
    for commit in ledger.commits:
        end = start
        while end < len(rows) and rows[end].revision <= commit.last_revision:
            end += 1
        where = f"{ledger.board_id}: {commit.first_revision} to {commit.last_revision}"
        if commit.first_revision != revision + 1 or commit.last_revision < commit.first_revision:
            yield Finding(Kind.COMMIT_WRONG, f"{where} after revision {revision}")
        if commit.digest != digest_commit(digest, rows[start:end]):
            yield Finding(Kind.DIGEST_WRONG, where)
        start, digest, revision = end, commit.digest, commit.last_revision
    if start < len(rows):
        yield Finding(Kind.COMMIT_WRONG, f"{ledger.board_id}: none covers {rows[start]}")


def _check_standings(ledger: Ledger, steps: Sequence[Step]) -> Iterable[Finding]:
    totals = add_up(steps)
    for user_id in totals.keys() | ledger.standings.keys():
        stands, is_due = ledger.standings.get(user_id), totals.get(user_id)
        if stands != is_due:
            yield Finding(Kind.STANDING_WRONG, f"{ledger.board_id}, {user_id}: {stands}, due is {is_due}")


def add_up(steps: Iterable[Step]) -> dict[str, Total]:
    """Return what everybody has who ever had points: who has none left has reached nothing."""
    fold = Fold()
    for step in steps:
        fold.take(step)
    stands = ((user_id, fold.find(user_id)) for user_id in fold.members())
    return {
        user_id: Total(stand.row.total, stand.row.reached_revision or 0) if stand else Total(0, 0)
        for user_id, stand in stands
    }


def _rows(ledger: Ledger) -> Iterable[Award | Entry]:
    """Return awards and entries in the order of their revisions."""
    return merge(ledger.awards, ledger.entries, key=attrgetter("revision"))


def digest_commit(before: bytes, rows: Iterable[Award | Entry]) -> bytes:
    """Return the digest of a commit from the digest before it and its awards and entries."""
    text = "".join(row.write() for row in rows)
    return hashlib.sha256(before + text.encode()).digest()
