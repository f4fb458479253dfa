"""What entries become on the wire."""

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from score_api.v1 import correction_service_pb2 as correction_pb
from score_api.v1 import ledger_service_pb2 as ledger_pb
from score_api.v1 import types_pb2 as types_pb
from score_service.domain.ledger.entry import ALL_KINDS, AwardEntry, Entry, EntryKind, FeedRequest, OtherEntry
from score_service.domain.ledger.position import Position
from score_service.errors import InvalidRequestError
from score_service.grpc_api.ledger_service import entry_messages
from score_service.grpc_api.ledger_service.entry_messages import (
    join_entries,
    read_feed_request,
    write_checkpoint,
    write_entry,
)

MARK = "0123456789abcdef"
RECORDED_AT = 1_764_514_769_123_456
AWARD = AwardEntry(
    7,
    MARK,
    "123e4567-e89b-12d3-a456-426614174000",
    "ada",
    10,
    25,
    "puzzle",
    "puzzle_1",
    "spiffe://laurel.local/gateway",
    "0af7651916cd43dd8448eb211c80319c",
    RECORDED_AT,
    -1,
    "day:2026-11-30 week:2026-W49",
)


def read(entry: Entry) -> ledger_pb.StreamEntriesResponse:
    return ledger_pb.StreamEntriesResponse.FromString(write_entry(entry, "main"))


def test_an_award_is_written_with_all_that_the_ledger_has() -> None:
    message = read(AWARD)

    assert (message.revision, message.position) == (7, f"7-{MARK}")
    award = message.award
    assert (award.award_id, award.revision, award.user_id) == (AWARD.award_id, 7, "ada")
    assert (award.points, award.total) == (10, 25)
    assert (award.action_type, award.action_id) == ("puzzle", "puzzle_1")
    assert (award.caller, award.trace_id) == (AWARD.caller, AWARD.trace_id)
    assert award.recorded_at.ToMicroseconds() == RECORDED_AT
    assert award.occurred_at.ToMicroseconds() == -1
    assert list(award.periods) == ["day:2026-11-30", "week:2026-W49"]
    assert not award.HasField("reversal")


def test_an_award_without_the_rest_has_nothing_in_its_place() -> None:
    award = read(AWARD._replace(occurred_at=None, periods="", trace_id="")).award

    assert not award.HasField("occurred_at")
    assert not award.periods
    assert award.trace_id == ""


def test_a_reversal_is_written_with_the_total_of_all_time() -> None:
    body = (
        '{"award_id":"123e4567-e89b-12d3-a456-426614174000","award_revision":7,"final_periods":["day:2026-11-29"],'
        '"on_behalf_of":"eve","points":10,"reason":"a \\u00fcble trick",'
        '"reversal_id":"223e4567-e89b-12d3-a456-426614174000",'
        '"standings":[["day:2026-11-30",3,2],["all_time",15,2]],"user_id":"ada"}'
    )
    actor = "spiffe://laurel.local/operator"
    message = read(OtherEntry(8, MARK, EntryKind.REVERSAL, actor, RECORDED_AT, body))

    reversal = message.reversal
    assert reversal.total == 15
    assert (reversal.reversal_id[:3], reversal.award_id[:3], reversal.award_revision) == ("223", "123", 7)
    assert (reversal.user_id, reversal.points, reversal.reason) == ("ada", 10, "a üble trick")
    assert (reversal.actor, reversal.on_behalf_of) == (actor, "eve")
    assert (reversal.revision, reversal.position) == (8, f"8-{MARK}")
    assert list(reversal.final_periods) == ["day:2026-11-29"]
    assert reversal.recorded_at.ToMicroseconds() == RECORDED_AT


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("visible", correction_pb.VISIBILITY_VISIBLE),
        ("hidden", correction_pb.VISIBILITY_HIDDEN),
        ("shadowed", correction_pb.VISIBILITY_SHADOWED),
    ],
)
def test_who_may_see_a_user_is_written(name: str, number: int) -> None:
    body = f'{{"on_behalf_of":"","reason":"cheats","standings":[],"user_id":"ada","visibility":"{name}"}}'
    message = read(OtherEntry(8, MARK, EntryKind.VISIBILITY, "operator", RECORDED_AT, body))

    change = message.visibility
    assert (change.user_id, change.visibility, change.reason, change.actor) == (
        "ada",
        number,
        "cheats",
        "operator",
    )


def test_a_final_period_is_written_with_its_digest() -> None:
    body = (
        '{"closed_revision":5,"closes_at":3000000,"digest":"'
        + "ab" * 32
        + '","ends_at":2000000,"entrants":2,'
        '"final_at":3000000,"kind":"day","period_id":"day:1970-01-01","starts_at":1000000,"time_zone":"UTC",'
        '"zone_data":"2026f"}'
    )
    message = read(OtherEntry(8, MARK, EntryKind.PERIOD_CLOSED, "score-service", RECORDED_AT, body))

    closed = message.period_closed
    assert (closed.period.id, closed.period.kind) == ("day:1970-01-01", types_pb.PERIOD_KIND_DAY)
    assert closed.period.state == types_pb.PERIOD_STATE_FINAL
    assert [t.seconds for t in (closed.period.starts_at, closed.period.ends_at, closed.period.closes_at)] == [
        1,
        2,
        3,
    ]
    assert (closed.period.entrants, closed.final_revision) == (2, 5)
    assert closed.digest == bytes.fromhex("ab" * 32)


def test_settings_are_written_as_a_board() -> None:
    body = (
        '{"grace_seconds":60,"keep":3,"late":"refuse","periods":["day"],"seasons":[],'
        '"time_zone":"Europe/Berlin"}'
    )
    message = read(OtherEntry(8, MARK, EntryKind.SETTINGS, "operator", RECORDED_AT, body))

    change = message.settings
    assert (change.board.board_id, change.board.time_zone, change.board.keep) == ("main", "Europe/Berlin", 3)
    assert (change.board.settings_revision, change.board.revision) == (8, 8)
    assert change.actor == "operator"


def test_a_cut_is_written_with_the_position_to_read_on_from() -> None:
    body = (
        '{"awards":40,"checkpoint":"'
        + "cd" * 32
        + '","commits":9,"digest":"'
        + "ab" * 32
        + '","lines":12,"revision":42}'
    )
    message = read(OtherEntry(99, MARK, EntryKind.ARCHIVED, "operator", RECORDED_AT, body))

    archived = message.archived
    assert (message.revision, message.position) == (99, f"99-{MARK}")
    assert (archived.archived_revision, archived.archived_position) == (42, "42-abababababababab")
    assert (archived.awards, archived.actor) == (40, "operator")
    assert archived.recorded_at.ToMicroseconds() == RECORDED_AT


def test_every_kind_of_entry_may_be_asked_for() -> None:
    kinds = [number for number in ledger_pb.EntryKind.values() if number]
    request = ledger_pb.StreamEntriesRequest(board_id="main", kinds=kinds)
    assert read_feed_request(request)[0].kinds == ALL_KINDS


def test_an_entry_of_a_later_version_has_a_position_alone() -> None:
    message = read(OtherEntry(8, MARK, None, "operator", RECORDED_AT, "{}"))

    assert message == ledger_pb.StreamEntriesResponse(revision=8, position=f"8-{MARK}")


def test_a_checkpoint_has_a_position_alone() -> None:
    message = ledger_pb.StreamEntriesResponse.FromString(write_checkpoint(Position(5, MARK)))

    assert message.WhichOneof("entry") == "checkpoint"
    assert (message.revision, message.position) == (5, f"5-{MARK}")


@given(st.lists(st.text(max_size=40_000), min_size=1, max_size=20), st.sampled_from([1, 1_000, 10**6]))
def test_entries_that_are_joined_are_what_they_were(names: list[str], fitting: int) -> None:
    entries = [
        ledger_pb.StreamEntriesResponse(visibility=ledger_pb.VisibilityChange(reason=name), revision=number)
        for number, name in enumerate(names, start=1)
    ]

    with patch.object(entry_messages, "_MESSAGE_BYTES", fitting):
        written = list(join_entries(entry.SerializeToString() for entry in entries))

    read = list[ledger_pb.StreamEntriesResponse]()
    for message in map(ledger_pb.StreamEntriesResponse.FromString, written):
        following = list(message.following)
        assert not following or len(message.SerializeToString()) <= fitting + 5 * len(following)
        del message.following[:]
        read += [message, *following]
    assert read == entries


def test_a_request_says_what_is_wanted() -> None:
    request = ledger_pb.StreamEntriesRequest(
        board_id="main",
        after_position=f"5-{MARK}",
        kinds=[ledger_pb.ENTRY_KIND_REVERSAL, ledger_pb.ENTRY_KIND_REVERSAL],
        entries_per_message=5000,
    )

    assert read_feed_request(request) == (
        FeedRequest("main", Position(5, MARK), frozenset({EntryKind.REVERSAL})),
        1000,
    )


def test_a_request_for_a_board_alone_is_for_all_of_it_one_by_one() -> None:
    request = ledger_pb.StreamEntriesRequest(board_id="main")

    assert read_feed_request(request) == (FeedRequest("main", Position.start("main"), ALL_KINDS), 1)


def test_every_fault_of_a_request_is_told() -> None:
    request = ledger_pb.StreamEntriesRequest(
        board_id="",
        after_position="5",
        kinds=[ledger_pb.ENTRY_KIND_UNSPECIFIED, ledger_pb.EntryKind.ValueType(99)],
        entries_per_message=-1,
    )

    with pytest.raises(InvalidRequestError) as caught:
        read_feed_request(request)

    assert set(caught.value.fields) == {
        "board_id",
        "after_position",
        "kinds[0]",
        "kinds[1]",
        "entries_per_message",
    }
