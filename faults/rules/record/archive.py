"""What must hold of the cuts of a ledger by themselves. Pure.

A ledger is judged with what was deleted, as its files have it: so all other rules hold as if nothing was.
"""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise

from faults.model.archive import Cut, read_cuts
from faults.model.corrections import Reversal, read_corrections
from faults.model.findings import Finding, Kind
from faults.model.ledger import Ledger


def check_archive(ledger: Ledger) -> Iterable[Finding]:
    """Find what is wrong in the cuts of a ledger, the ids it keeps, and what was taken back after them."""
    cuts = read_cuts(ledger.entries)
    for cut in cuts:
        yield from _check_cut(ledger, cut)
    for one, other in pairwise(cuts):
        if other.revision <= one.revision:
            yield Finding(Kind.CUT_WRONG, f"{ledger.board_id}: {other} after {one}")
    end = cuts[-1].revision if cuts else 0
    if ledger.cut != end:
        yield Finding(Kind.CUT_WRONG, f"{ledger.board_id}: {ledger.cut}, the last entry says {end}")
    yield from _check_ids(ledger)
    yield from _check_reversals(ledger, cuts)


def _check_cut(ledger: Ledger, cut: Cut) -> Iterable[Finding]:
    commits = bisect_left(ledger.commits, cut.revision, key=lambda commit: commit.last_revision) + 1
    end = ledger.commits[commits - 1] if commits <= len(ledger.commits) else None
    awards = sum(award.revision <= cut.revision for award in ledger.awards)
    due = end and Cut(cut.entry_revision, end.last_revision, end.digest.hex(), awards, commits)
    if cut != due or cut.revision >= cut.entry_revision:
        yield Finding(Kind.CUT_WRONG, f"{ledger.board_id}: {cut}, due is {due}")
    for period in ledger.periods:
        is_final = period.entry_revision is not None and period.entry_revision < cut.entry_revision
        if period.opened_revision <= cut.revision and not is_final:
            yield Finding(Kind.CUT_WRONG, f"{ledger.board_id}: {cut} in {period}")


def _check_ids(ledger: Ledger) -> Iterable[Finding]:
    due = {award.award_id: award.revision for award in ledger.deleted}
    for award_id, revision in due.items() ^ ledger.archived_ids.items():
        yield Finding(Kind.ID_LOST, f"{ledger.board_id}: {award_id}, revision {revision}")


def _check_reversals(ledger: Ledger, cuts: Iterable[Cut]) -> Iterable[Finding]:
    for one in read_corrections(ledger.entries):
        if isinstance(one, Reversal) and any(
            cut.entry_revision < one.revision and one.award_revision <= cut.revision for cut in cuts
        ):
            yield Finding(Kind.ARCHIVED_REVERSED, f"{ledger.board_id}: {one}")
