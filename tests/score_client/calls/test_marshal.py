"""Messages in and out. The client's and the watch's tests see the rest."""

from datetime import datetime, timedelta, timezone
from uuid import UUID

import pytest

from score_api.v1 import leaderboard_service_pb2 as boards
from score_api.v1 import score_service_pb2 as scores
from score_client import InvalidRequestError, ServiceFaultError, Source
from score_client.calls.marshal import (
    canonical_instant,
    canonical_uuid,
    decode_award,
    decode_standings_view,
    encode,
)


def test_every_field_at_fault_is_named() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        encode(scores.Award, "award.", board_id="main", user_id=5, points=2**63)

    assert set(caught.value.fields) == {"award.user_id", "award.points"}
    assert caught.value.reason == "INVALID_FIELD"


def test_none_leaves_a_field_unset() -> None:
    request = encode(boards.GetStandingRequest, board_id="main", user_id="ada", min_revision=None)

    assert not request.HasField("min_revision")


def test_a_uuid_is_written_in_its_canonical_form() -> None:
    text = "6d1f9c5e-6f3b-4d52-9a43-0d2c1f8f2f11"

    assert canonical_uuid("award_id", UUID(text.upper())) == text


def test_a_store_that_is_not_known_is_not_taken_for_the_record() -> None:
    message = boards.ListStandingsResponse()
    message.source = 99  # type: ignore[assignment]

    assert decode_standings_view(message).source is Source.CACHE


@pytest.mark.parametrize(
    "instant",
    [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-14))),
        datetime(2026, 11, 30),  # noqa: DTZ001 - it has no zone, on purpose
    ],
)
def test_an_instant_that_no_message_can_have_is_named(instant: datetime) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        canonical_instant("filter.recorded_from", instant)

    assert set(caught.value.fields) == {"filter.recorded_from"}


def test_an_award_without_an_id_is_a_fault_of_the_service() -> None:
    with pytest.raises(ServiceFaultError):
        decode_award(scores.AwardResult(revision=1))
