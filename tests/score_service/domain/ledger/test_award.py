"""What asking for an award again means."""

import uuid

import pytest
from tests.fixtures.servers.stores import make_award

from score_service.domain.ledger.award import Award, RecordedAward, is_replay
from score_service.domain.ledger.position import Position
from score_service.errors import AwardConflictError


def record(award: Award) -> RecordedAward:
    return RecordedAward(
        award_id=award.award_id,
        revision=1,
        position=Position(1, "0" * 16),
        user_id=award.user_id,
        points=award.points,
        total=award.points,
        action_type=award.action_type,
        action_id=award.action_id,
        request_id=award.request_id,
    )


def test_same_request_again_is_no_replay() -> None:
    award = make_award()

    assert not is_replay(award, record(award))


def test_other_request_for_the_same_award_is_a_replay() -> None:
    award = make_award()

    assert is_replay(award._replace(request_id=str(uuid.uuid4())), record(award))


def test_other_caller_or_trace_alone_is_no_replay() -> None:
    award = make_award()

    assert not is_replay(award._replace(caller="spiffe://other/x", trace_id="1" * 32), record(award))


@pytest.mark.parametrize(
    "other", [{"user_id": "bob"}, {"points": 11}, {"action_type": "quiz"}, {"action_id": "puzzle_2"}]
)
def test_other_payload_is_a_conflict_also_with_the_same_request(other: dict[str, object]) -> None:
    award = make_award()
    asked = Award(**award._asdict() | other)

    with pytest.raises(AwardConflictError):
        is_replay(asked, record(award))
