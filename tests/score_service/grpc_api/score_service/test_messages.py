"""Requests are read whole and rejected with every fault; answers say what the values say."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from score_api.v1 import score_service_pb2 as score_pb
from score_service.domain.ledger.award import AwardOutcome, RecordedAward
from score_service.domain.ledger.position import Position
from score_service.errors import InvalidRequestError
from score_service.grpc_api.score_service import messages

AWARD_ID = "0e8b3a52-6f0e-4a5e-9f3d-0c3a5f1f9a11"
REQUEST_ID = "7d1f4bb0-95c1-4a52-8f4e-2f1f6f0f7b22"
NEW_ID = str(uuid.UUID(int=7))
POSITION = Position(7, "00112233aabbccdd")
ID_RULE = "must be 1 to 128 characters of [A-Za-z0-9._:@-]"
ODD_IDS = ["", "a b", "a\x00b", "ä", "\u202e", "a" * 129, "😀", "a/b", "{a}", "a\n"]


def award(**changes: Any) -> score_pb.AwardPointsRequest:
    known: dict[str, Any] = {
        "award_id": AWARD_ID,
        "board_id": "main",
        "user_id": "ada",
        "points": 10,
        "action_type": "puzzle",
        "action_id": "puzzle_1",
    }
    return score_pb.AwardPointsRequest(award=score_pb.Award(**(known | changes)), request_id=REQUEST_ID)


def faults_of(read: Any, *arguments: Any) -> dict[str, str]:
    with pytest.raises(InvalidRequestError) as caught:
        read(*arguments)
    return caught.value.fields


def award_faults(request: score_pb.AwardPointsRequest) -> dict[str, str]:
    return faults_of(messages.read_award, request, "spiffe://a/b", "", lambda: NEW_ID)


def test_an_award_is_read_whole() -> None:
    read = messages.read_award(award(), "spiffe://a/b", "t" * 32, lambda: NEW_ID)
    assert (read.board_id, read.user_id, read.points) == ("main", "ada", 10)
    assert (read.award_id, read.request_id) == (AWARD_ID, REQUEST_ID)
    assert (read.action_type, read.action_id) == ("puzzle", "puzzle_1")
    assert (read.caller, read.trace_id) == ("spiffe://a/b", "t" * 32)


def test_an_award_without_request_id_gets_one_of_its_own() -> None:
    request = award()
    request.ClearField("request_id")
    assert messages.read_award(request, "spiffe://a/b", "", lambda: NEW_ID).request_id == NEW_ID


def test_an_award_id_may_be_written_in_capitals() -> None:
    read = messages.read_award(award(award_id=AWARD_ID.upper()), "spiffe://a/b", "", lambda: NEW_ID)
    assert read.award_id == AWARD_ID


def test_an_empty_request_names_every_field() -> None:
    assert award_faults(score_pb.AwardPointsRequest()) == {
        "award.award_id": "must be a UUID",
        "award.board_id": ID_RULE,
        "award.user_id": ID_RULE,
        "award.points": "must be 1 to 1000000",
        "award.action_type": ID_RULE,
        "award.action_id": ID_RULE,
    }


@pytest.mark.parametrize("field", ["board_id", "user_id", "action_type", "action_id"])
@pytest.mark.parametrize("text", ODD_IDS)
def test_an_id_with_other_characters_or_length_is_rejected(field: str, text: str) -> None:
    assert award_faults(award(**{field: text})) == {f"award.{field}": ID_RULE}


@pytest.mark.parametrize("points", [0, -1, 1_000_001, 2**63 - 1, -(2**63)])
def test_points_out_of_range_are_rejected(points: int) -> None:
    assert set(award_faults(award(points=points))) == {"award.points"}


@pytest.mark.parametrize("points", [1, 1_000_000])
def test_points_at_the_edge_of_the_range_are_taken(points: int) -> None:
    assert messages.read_award(award(points=points), "spiffe://a/b", "", lambda: NEW_ID).points == points


@pytest.mark.parametrize(
    "text", ["", "x", AWARD_ID[:-1], AWARD_ID + "0", AWARD_ID.replace("-", "_"), "0" * 36]
)
def test_what_is_no_uuid_is_rejected(text: str) -> None:
    assert award_faults(award(award_id=text)) == {"award.award_id": "must be a UUID"}
    if text:
        request = award()
        request.request_id = text
        assert award_faults(request) == {"request_id": "must be a UUID"}


def test_faults_do_not_repeat_what_was_sent() -> None:
    request = award(user_id="secret user", points=-7_777)
    assert not any("secret" in said or "7777" in said for said in award_faults(request).values())


def test_an_award_may_say_when_it_happened_to_the_microsecond() -> None:
    happened = Timestamp(seconds=1_796_040_000, nanos=123_456_789)
    read = messages.read_award(award(occurred_at=happened), "spiffe://a/b", "", lambda: NEW_ID)
    assert read.occurred_at == datetime(2026, 11, 30, 12, 0, 0, 123_456, tzinfo=UTC)
    assert messages.read_award(award(), "spiffe://a/b", "", lambda: NEW_ID).occurred_at is None


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(2**62, 0), (-(2**62), 0), (253_402_300_800, 0), (0, -1), (0, 1_000_000_000)]
)
def test_what_is_no_time_is_rejected(seconds: int, nanos: int) -> None:
    happened = Timestamp(seconds=seconds, nanos=nanos)
    assert award_faults(award(occurred_at=happened)) == {"award.occurred_at": "is no time"}


def test_an_award_is_named_by_board_and_id() -> None:
    request = score_pb.GetAwardRequest(board_id="main", award_id=AWARD_ID)
    assert messages.read_award_name(request) == ("main", AWARD_ID)
    assert set(faults_of(messages.read_award_name, score_pb.GetAwardRequest())) == {"board_id", "award_id"}


@pytest.mark.parametrize("rank", [None, 3])
def test_a_result_has_what_was_recorded(rank: int | None) -> None:
    recorded = RecordedAward(
        award_id=AWARD_ID,
        revision=6,
        position=POSITION,
        user_id="ada",
        points=10,
        total=30,
        action_type="puzzle",
        action_id="puzzle_1",
        request_id=REQUEST_ID,
    )
    written = messages.write_result(AwardOutcome(recorded, rank, replayed=True))
    assert (written.award_id, written.revision, written.position) == (AWARD_ID, 6, "7-00112233aabbccdd")
    assert (written.points, written.total, written.replayed) == (10, 30, True)
    assert (written.rank if written.HasField("rank") else None) == rank
