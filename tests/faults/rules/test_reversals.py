"""Reversals of which the answers are wrong in one thing each."""

from dataclasses import replace
from math import inf
from typing import Any

from tests.faults.archived import archive
from tests.faults.corrected import ADA_LAST, BEN_LAST, position_at, reverse, run_of
from tests.faults.synthetic import Run, call_for

from faults.model.findings import Kind
from faults.model.history import AwardCall, Chosen, Event, Outcome, PlanCall, Restore, ReversalCall, Undone
from faults.model.ledger import Award, Head, write_position
from faults.rules.record.ledger import digest_commit

LEDGER = reverse(Run().ledger, ADA_LAST)


def run() -> Run:
    return run_of(LEDGER)


def undone_of(run: Run) -> Undone:
    (call,) = [event for event in run.events if isinstance(event, ReversalCall)]
    assert call.undone
    return call.undone


def kinds(*events: Event, **changes: Any) -> set[Kind]:
    """Judge a right run with more events, and changes to its one reversal."""
    one = run()
    if changes:
        one.change(0, ReversalCall, **changes)
    one.events += events
    return one.kinds()


def again(**changes: Any) -> ReversalCall:
    (call,) = [event for event in run().events if isinstance(event, ReversalCall)]
    return replace(call, began=10.0, ended=10.2, **changes)


def test_right_reversal_has_no_findings() -> None:
    assert run().check().describe() == []
    assert kinds(again()) == set()


def test_reversal_that_nobody_asked_for_is_found() -> None:
    assert kinds(reversal_id="another", outcome=Outcome.UNKNOWN, undone=None) == {Kind.REVERSAL_INVENTED}


def test_reversal_that_was_answered_and_is_not_there_is_found() -> None:
    lost = undone_of(run())._replace(award_id=BEN_LAST.award_id)

    assert kinds(again(award_id=BEN_LAST.award_id, undone=lost)) == {Kind.REVERSAL_LOST}


def test_answer_that_is_not_what_the_ledger_has_is_found() -> None:
    for wrong in ({"total": 8}, {"points": 2}, {"revision": 8}, {"position": "9-0123456789abcdef"}):
        assert kinds(undone=undone_of(run())._replace(**wrong)) == {Kind.REVERSAL_WRONG}


def test_rival_is_rejected_with_the_reversal_that_stands() -> None:
    rejected = {"outcome": Outcome.REJECTED, "reason": "AWARD_REVERSED"}

    assert kinds(again(reversal_id="another", **rejected)) == set()
    assert kinds(again(**rejected)) == {Kind.REVERSAL_WRONG}
    assert kinds(again(reversal_id="another")) == {Kind.REVERSAL_WRONG}


def test_award_that_was_answered_as_made_and_is_not_found_for_its_reversal_is_found() -> None:
    unknown = {"outcome": Outcome.REJECTED, "reason": "AWARD_NOT_FOUND", "undone": None}

    assert kinds(again(award_id="never made", **unknown)) == set()
    assert kinds(again(award_id=BEN_LAST.award_id, **unknown)) == {Kind.REVERSAL_REJECTED}


def repeat(award: Award, began: float, *, told: bool) -> AwardCall:
    call = call_for(award, Run().ledger, began=began, ended=began + 0.1)
    assert call.result
    return replace(call, result=call.result._replace(reversed=told, rank=None))


def test_award_is_answered_as_reversed_once_that_was_answered() -> None:
    assert kinds(repeat(ADA_LAST, 9.1, told=False), repeat(ADA_LAST, 9.1, told=True)) == set()
    assert kinds(repeat(ADA_LAST, 9.5, told=False)) == {Kind.REVERSAL_UNTOLD}
    assert kinds(repeat(BEN_LAST, 9.5, told=True)) == {Kind.REVERSAL_UNTOLD}


def plan(user_id: str, *, awards: int, reversals: int) -> PlanCall:
    return PlanCall(
        caller="backend-1",
        board_id="main",
        chosen=Chosen(user_id, "match-1", 8),
        awards=awards,
        reversals=reversals,
        note="unearned",
        began=10.0,
        ended=10.2,
        outcome=Outcome.MADE,
    )


def test_plan_takes_back_all_that_it_chose() -> None:
    ledger = Run().ledger
    for award in ledger.awards:
        ledger = reverse(ledger, award) if award.user_id == "ada" else ledger
    whole = run_of(ledger)
    whole.events = [event for event in whole.events if not isinstance(event, ReversalCall)]
    whole.events.append(plan("ada", awards=3, reversals=3))

    assert whole.kinds() == set()
    assert kinds(plan("ada", awards=3, reversals=3)) == {Kind.PLAN_UNFINISHED}
    assert kinds(plan("zoe", awards=3, reversals=2)) == {Kind.PLAN_UNFINISHED}


def test_reversal_that_was_answered_before_a_copy_and_is_gone_after_its_restore_is_found() -> None:
    one = run()
    one.restore([("ada", 1)], keep=8)
    one.change(0, Restore, copied=9.3)

    assert Kind.REVERSAL_NOT_COPIED in one.kinds()


def test_reversal_that_was_made_again_after_a_failover_is_answered_as_in_either_history() -> None:
    """The standby that took over did not have it, so a retry made the same entry at another time."""
    (entry,) = LEDGER.entries
    entry = entry._replace(entered_at=entry.entered_at - 1)
    digest = digest_commit(LEDGER.commits[-2].digest, [entry])
    former = replace(
        LEDGER,
        entries=[entry],
        commits=[*LEDGER.commits[:-1], LEDGER.commits[-1]._replace(digest=digest)],
        head=Head(entry.revision, digest),
    )
    unknown = write_position(entry.revision, b"another!")
    for position, found in (
        (position_at(LEDGER, 9), set()),
        (position_at(former, 9), set()),
        (unknown, {Kind.REVERSAL_WRONG}),
    ):
        one = run()
        one.former = [former]
        one.events.append(Restore(began=8.8, ended=9.1, former="", copied=inf))
        one.change(0, ReversalCall, undone=undone_of(one)._replace(position=position))
        assert one.kinds() == found


def rejected(award: Award) -> ReversalCall:
    return again(
        award_id=award.award_id,
        reversal_id="another",
        outcome=Outcome.REJECTED,
        undone=None,
        reason="HISTORY_ARCHIVED",
    )


def test_award_after_the_cut_that_is_not_taken_back_as_it_were_archived_is_found() -> None:
    for award, found in ((LEDGER.awards[2], set()), (BEN_LAST, {Kind.ARCHIVED_WRONG})):
        one = run_of(archive(LEDGER, 4))
        one.events.append(rejected(award))
        assert one.kinds() == found


def test_reversal_up_to_the_cut_is_at_its_own_position_or_at_that_of_the_cut() -> None:
    ledger = archive(reverse(LEDGER, BEN_LAST), 10)
    for position, found in (
        (position_at(ledger, 9), set()),
        (position_at(ledger, 10), set()),
        (position_at(ledger, 8), {Kind.REVERSAL_WRONG}),
    ):
        one = run_of(ledger)
        one.change(0, ReversalCall, undone=undone_of(run())._replace(position=position))
        assert one.kinds() == found


def test_plan_leaves_what_is_archived() -> None:
    for revision, found in ((8, set()), (5, {Kind.PLAN_UNFINISHED})):
        one = run_of(archive(LEDGER, revision))
        one.events.append(plan("ben", awards=1, reversals=1))
        assert one.kinds() == found
