"""Ledgers with corrections, made up, and what is answered of these."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

from tests.faults.synthetic import BOARD, WINS, Run, make_awards, make_ledger, project

from faults.model.corrections import Reversal, Visibility, read_corrections
from faults.model.fold import Fold, fold_at
from faults.model.history import AwardCall, Fed, Outcome, ReversalCall, Undone, VisibilityCall
from faults.model.ledger import Award, Commit, Entry, Head, Ledger, write_position
from faults.rules.record.ledger import add_up, digest_commit

AWARDS = make_awards(WINS)
ADA_LAST, ADA_FIRST, BEN_LAST = AWARDS[7], AWARDS[0], AWARDS[5]


def reverse(ledger: Ledger, award: Award, **changes: Any) -> Ledger:
    """Take an award back, in a commit of its own."""
    body = {
        "award_id": award.award_id,
        "award_revision": award.revision,
        "final_periods": [],
        "on_behalf_of": "",
        "points": award.points,
        "reason": "unearned",
        "reversal_id": id_of(award),
        "user_id": award.user_id,
    }
    return _add(ledger, "reversal", body, changes)


def show(ledger: Ledger, user_id: str, visibility: str, **changes: Any) -> Ledger:
    """Set who may see a user, in a commit of its own."""
    body = {"on_behalf_of": "", "reason": "unsure", "user_id": user_id, "visibility": visibility}
    return _add(ledger, "visibility", body, changes)


def id_of(award: Award) -> str:
    """Return the id of the reversal of an award."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"reversal {award.award_id}"))


def fold_all(ledger: Ledger) -> Fold:
    """Fold a ledger with its corrections."""
    (fold,) = fold_at(_steps(ledger), [ledger.revision])
    return fold


def _steps(ledger: Ledger) -> Sequence[Any]:
    return sorted([*ledger.awards, *read_corrections(ledger.entries)], key=attrgetter("revision"))


def _add(ledger: Ledger, kind: str, body: dict[str, Any], changes: dict[str, Any]) -> Ledger:
    """Add an entry that says what its user's standing became, but for what is to be wrong."""
    told = make_entry(ledger, kind, {**body, "standings": [["all_time", 0, 0]]})
    stand = fold_all(replace(ledger, entries=[*ledger.entries, told], head=Head(told.revision, b""))).find(
        body["user_id"]
    )
    total = [stand.row.total, stand.row.reached_revision] if stand else [0, 0]
    entry = make_entry(ledger, kind, {**body, "standings": [["all_time", *total]], **changes})
    digest = digest_commit(ledger.commits[-1].digest, [entry])
    added = replace(
        ledger,
        entries=[*ledger.entries, entry],
        commits=[*ledger.commits, Commit(entry.revision, entry.revision, digest)],
        head=Head(entry.revision, digest),
    )
    return replace(added, standings=add_up(_steps(added)))


def make_entry(ledger: Ledger, kind: str, body: dict[str, Any]) -> Entry:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    revision = ledger.revision + 1
    return Entry(
        revision, kind, "spiffe://test.local/backend", "", "", 1_700_000_001_000_000 + revision, text
    )


def run_of(ledger: Ledger) -> Run:
    """Make a run that ends with corrections, which were all asked for and answered."""
    run = Run()
    run.ledger = ledger
    run.events = [event for event in run.events if isinstance(event, AwardCall)]
    run.events += [call_for(one, ledger) for one in read_corrections(ledger.entries)]
    run.projections, run.samples = [project_all(ledger)], []
    return run


def call_for(one: Reversal | Visibility, ledger: Ledger) -> ReversalCall | VisibilityCall:
    """Make the call that made a correction, at the time of its revision."""
    at = float(one.revision)
    if isinstance(one, Visibility):
        return VisibilityCall(
            caller="backend-1",
            board_id=BOARD,
            user_id=one.user_id,
            visibility=one.visibility,
            began=at - 0.5,
            ended=at + 0.2,
            outcome=Outcome.MADE,
            revision=one.revision,
            position=position_at(ledger, one.revision),
        )
    undone = Undone(
        one.award_id,
        one.reversal_id,
        one.user_id,
        one.points,
        one.total,
        one.revision,
        position_at(ledger, one.revision),
    )
    return ReversalCall(
        caller="backend-1",
        board_id=BOARD,
        award_id=one.award_id,
        reversal_id=one.reversal_id,
        began=at - 0.5,
        ended=at + 0.2,
        outcome=Outcome.MADE,
        undone=undone,
    )


def position_at(ledger: Ledger, revision: int) -> str:
    """Return the position of an entry: its revision, and the mark of the commit that holds it."""
    commit = next(commit for commit in ledger.commits if commit.last_revision >= revision)
    return write_position(revision, commit.digest)


def feed_of(ledger: Ledger) -> list[Fed]:
    """Make all that a reader of the feed gets, each at the time of its revision."""
    told = {award.revision: ("award", award.award_id) for award in ledger.awards}
    for one in read_corrections(ledger.entries):
        is_reversal = isinstance(one, Reversal)
        subject = one.reversal_id if isinstance(one, Reversal) else f"{one.user_id} {one.visibility}"
        told[one.revision] = ("reversal" if is_reversal else "visibility", subject)
    return [
        Fed(
            reader="subscriber-1",
            board_id=BOARD,
            at=revision + 0.3,
            revision=revision,
            position=position_at(ledger, revision),
            kind=kind,
            subject=subject,
        )
        for revision, (kind, subject) in sorted(told.items())
    ]


def project_all(ledger: Ledger) -> Any:
    """Make what Redis must have at the end of a ledger with corrections."""
    fold = fold_all(ledger)
    projection = project(make_ledger(ledger.awards, [1, 2, 1, 1, 2, 1]))
    (period,) = projection.periods.values()
    totals = dict[str, str]()
    for user_id in fold.members():
        stand, version, flag = fold.find(user_id), fold.version(user_id), fold.flag(user_id)
        total, reached = (stand.row.total, stand.row.reached_revision) if stand else (0, 0)
        changed = f":{version}" if flag or version != reached else ""
        totals[user_id] = f"{total}:{reached}{changed}" + (f":{flag}" if flag else "")
    ranks = [
        (f"{2**53 - 1 - (row.reached_revision or 0):016}{row.user_id}", str(row.total))
        for row in fold.top(100)
    ]
    number, mark = position_at(ledger, ledger.revision).split("-")
    standings = replace(period, members=str(len(totals)), ranked=str(len(ranks)), ranks=ranks, totals=totals)
    header = projection.header._replace(revision=number, mark=mark) if projection.header else None
    return replace(projection, header=header, periods={"all_time": standings})
