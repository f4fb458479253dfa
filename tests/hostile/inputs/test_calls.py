"""Bytes on the port of the score service, from a caller whom the policy names."""

from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from hypothesis import given
from hypothesis import strategies as st
from tests.fixtures.certificates import GATEWAY_ID
from tests.fixtures.ledgers.corrections import plan_request, reversal_request, visibility_request
from tests.fixtures.services.score_service import Stubs, award_request
from tests.hostile.inputs.fuzzing import fuzzing
from tests.hostile.inputs.wire import SECONDS

from score_api.v1 import board_service_pb2 as board_pb
from score_api.v1 import correction_service_pb2 as correction_pb
from score_api.v1 import leaderboard_service_pb2 as leaderboard_pb
from score_api.v1 import ledger_service_pb2 as ledger_pb
from score_api.v1 import score_service_pb2 as score_pb
from score_api.v1 import types_pb2 as types_pb

METHODS: dict[str, Message] = {
    "/score_api.v1.ScoreService/AwardPoints": award_request(),
    "/score_api.v1.ScoreService/BatchAwardPoints": score_pb.BatchAwardPointsRequest(
        requests=[award_request()] * 2
    ),
    "/score_api.v1.ScoreService/GetAward": score_pb.GetAwardRequest(
        board_id="main", award_id=award_request().award.award_id
    ),
    "/score_api.v1.LeaderboardService/GetStanding": leaderboard_pb.GetStandingRequest(
        board_id="main", user_id="ada"
    ),
    "/score_api.v1.LeaderboardService/BatchGetStandings": leaderboard_pb.BatchGetStandingsRequest(
        board_id="main", user_ids=["ada", "bob"]
    ),
    "/score_api.v1.LeaderboardService/ListStandings": leaderboard_pb.ListStandingsRequest(
        board_id="main", page_size=3, page_token="MTAgNyBhZGE"
    ),
    "/score_api.v1.LeaderboardService/ListStandingsAround": leaderboard_pb.ListStandingsAroundRequest(
        board_id="main", user_id="ada", radius=2
    ),
    "/score_api.v1.LeaderboardService/WatchLeaderboard": leaderboard_pb.WatchLeaderboardRequest(
        board_id="main", top_n=3, after_position="1-00112233aabbccdd", user_ids=["ada"]
    ),
    "/score_api.v1.BoardService/GetBoard": board_pb.GetBoardRequest(board_id="main"),
    "/score_api.v1.BoardService/ListBoards": board_pb.ListBoardsRequest(page_size=2, page_token="bWFpbg"),
    "/score_api.v1.BoardService/UpdateBoard": board_pb.UpdateBoardRequest(
        board=board_pb.Board(
            board_id="main",
            time_zone="Europe/Berlin",
            periods=[types_pb.PERIOD_KIND_DAY],
            seasons=[
                board_pb.Season(
                    season_id="s",
                    starts_at=Timestamp(seconds=4_070_908_800),
                    ends_at=Timestamp(seconds=4_102_444_800),
                    review=Duration(seconds=60),
                )
            ],
            grace=Duration(seconds=60),
            late=board_pb.LATE_POLICY_REFUSE,
            keep=7,
        ),
        update_mask=FieldMask(paths=["time_zone", "periods", "seasons", "grace", "late", "keep"]),
    ),
    "/score_api.v1.BoardService/GetPeriod": board_pb.GetPeriodRequest(
        board_id="main", period="day", winners=3
    ),
    "/score_api.v1.BoardService/ListPeriods": board_pb.ListPeriodsRequest(
        board_id="main", kind=types_pb.PERIOD_KIND_DAY, winners=2, page_size=3, page_token="MTc5NiAx"
    ),
    "/score_api.v1.CorrectionService/ReverseAward": reversal_request(award_request().award.award_id),
    "/score_api.v1.CorrectionService/ReverseAwards": plan_request(
        filter=correction_pb.AwardFilter(
            caller=GATEWAY_ID,
            action_id="puzzle_1",
            action_type="puzzle",
            user_id="ada",
            recorded_from=Timestamp(seconds=1_000_000_000),
            recorded_until=Timestamp(seconds=4_000_000_000),
        ),
        reason="a reason",
        on_behalf_of="eve",
    ),
    "/score_api.v1.CorrectionService/SetUserVisibility": visibility_request(
        "ada", correction_pb.VISIBILITY_SHADOWED, on_behalf_of="eve"
    ),
    "/score_api.v1.LedgerService/ListAwards": ledger_pb.ListAwardsRequest(
        board_id="main", user_id="ada", page_size=2, page_token="NA"
    ),
    "/grpc.health.v1.Health/Check": health_pb2.HealthCheckRequest(service="score_api.v1.ScoreService"),
    "/grpc.health.v1.Health/Watch": health_pb2.HealthCheckRequest(service="nothing"),
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": reflection_pb2.ServerReflectionRequest(
        file_containing_symbol="score_api.v1.ScoreService"
    ),
}
ANSWERS = {
    StatusCode.OK,
    StatusCode.INVALID_ARGUMENT,
    StatusCode.NOT_FOUND,
    StatusCode.ALREADY_EXISTS,
    StatusCode.PERMISSION_DENIED,
    StatusCode.OUT_OF_RANGE,
    # Settings that would alter an open period, and a plan that does not hold.
    StatusCode.FAILED_PRECONDITION,
    # A least revision that the board has not reached.
    StatusCode.UNAVAILABLE,
}
STREAMS = ("Watch", "WatchLeaderboard", "ServerReflectionInfo")


def varint(value: int) -> bytes:
    """Write a number as protobuf does."""
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draw a method and a request that was right before something was done to its bytes."""
    method = draw(st.sampled_from(sorted(METHODS)))
    raw = METHODS[method].SerializeToString()
    place = draw(st.integers(0, len(raw)))
    number, kind = draw(st.integers(0, 20) | st.integers(0, 2**29 - 1)), draw(st.integers(0, 7))
    field = varint(number << 3 | kind)
    match draw(st.sampled_from(["cut", "replace", "insert", "field", "number", "length", "nest", "twice"])):
        case "cut":
            raw = raw[:place]
        case "replace":
            raw = raw[:place] + draw(st.binary(min_size=1, max_size=4)) + raw[place + 1 :]
        case "insert":
            raw = raw[:place] + draw(st.binary(min_size=1, max_size=4)) + raw[place:]
        case "field":
            raw += field + draw(st.binary(max_size=12))
        case "number":
            raw += varint(number << 3) + draw(
                st.sampled_from([b"\xff" * 11, b"\xff" * 9 + b"\x01", b"\x80" * 9])
            )
        case "length":
            raw += varint(number << 3 | 2) + varint(draw(st.integers(0, 2**64 - 1)))
        case "nest":
            raw += varint(number << 3 | 3) * draw(st.integers(1, 500))
        case "twice":
            raw += raw
    return method, raw


async def code_of(channel: Any, method: str, request: bytes) -> StatusCode:
    """Make any call with any bytes; of a stream, the first message counts."""
    try:
        if method.endswith(STREAMS):
            # Of a message that is written while the call is rejected, grpc.aio may report its own failure.
            stream = channel.stream_stream(method)(timeout=SECONDS)
            await stream.write(request)
            await stream.read()
            stream.cancel()
        else:
            await channel.unary_unary(method)(request, timeout=SECONDS)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return StatusCode.OK


@fuzzing(400)
@given(asked=calls())
async def test_no_message_of_a_call_gets_an_answer_outside_the_contract(
    gateway_stubs: Stubs, asked: tuple[str, bytes]
) -> None:
    assert await code_of(gateway_stubs.channel, *asked) in ANSWERS


async def test_every_method_answers_a_valid_request(gateway_stubs: Stubs) -> None:
    await gateway_stubs.score.AwardPoints(award_request(user_id="ada"))
    for method, request in METHODS.items():
        assert await code_of(gateway_stubs.channel, method, request.SerializeToString()) in {
            StatusCode.OK,
            StatusCode.NOT_FOUND,
        }


METADATA = st.lists(
    st.tuples(
        st.sampled_from(
            ["traceparent", "x-request-id", "authorization", "x-spiffe-id", "x-odd", "user-agent"]
        ),
        st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=200),
    ),
    max_size=4,
)


@fuzzing(60)
@given(metadata=METADATA)
async def test_no_metadata_changes_an_answer(gateway_stubs: Stubs, metadata: list[tuple[str, str]]) -> None:
    await gateway_stubs.score.AwardPoints(award_request(), metadata=metadata, timeout=SECONDS)
