"""Ranks in answers to awards: possible ones and others."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.faults.synthetic import NO_RESTORES, USERS, board_of, call_for, fold_of, make_awards, make_ledger

from faults.model.findings import Finding, Kind
from faults.model.history import AwardCall
from faults.model.ledger import Ledger
from faults.rules.awards import check_awards
from faults.rules.ranks import check_ranks


def findings(ledger: Ledger, calls: list[AwardCall], changed: AwardCall | None = None) -> list[Finding]:
    board = board_of(ledger)
    list(check_awards(board, calls, NO_RESTORES))
    return list(check_ranks(board, [changed] if changed else calls, NO_RESTORES, 1.0))


def with_rank(call: AwardCall, rank: int | None) -> AwardCall:
    assert call.result
    return replace(call, result=call.result._replace(rank=rank))


@given(
    st.lists(st.tuples(st.sampled_from(USERS), st.integers(1, 4)), min_size=1, max_size=30),
    st.data(),
)
def test_rank_of_any_position_from_the_award_to_the_answer_is_possible(
    wins: list[tuple[str, int]], data: st.DataObject
) -> None:
    ledger = make_ledger(make_awards(wins))
    calls = [call_for(award, ledger) for award in ledger.awards]
    call = data.draw(st.sampled_from(calls))
    assert call.result
    assert call.result.revision
    seen = data.draw(st.integers(call.result.revision, len(wins)))
    late = replace(with_rank(call, fold_of(ledger, seen).rank(call.asked.user_id)), ended=seen + 0.2)

    assert findings(ledger, calls, late) == []


def test_rank_that_was_never_had_is_found() -> None:
    ledger = make_ledger(make_awards([("ada", 3), ("ben", 5), ("eve", 7), ("kim", 1)]))
    calls = [call_for(award, ledger) for award in ledger.awards]

    for rank, is_possible in ((1, False), (2, False), (3, False), (4, True), (5, False), (None, True)):
        found = findings(ledger, calls, with_rank(calls[3], rank))
        assert [finding.kind for finding in found] == ([] if is_possible else [Kind.RANK_WRONG])


def test_rank_of_before_the_award_or_after_the_answer_is_found() -> None:
    wins = [("ada", 3), ("ben", 5), ("ben", 1), ("ada", 9), ("eve", 99), ("ada", 1)]
    ledger = make_ledger(make_awards(wins))
    calls = [call_for(award, ledger) for award in ledger.awards]

    assert findings(ledger, calls, with_rank(calls[3], 1)) == []
    assert findings(ledger, calls, with_rank(calls[3], 2)), "eve had not passed yet"
    assert findings(ledger, calls, replace(with_rank(calls[3], 2), ended=5.1)) == []
