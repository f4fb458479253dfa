"""Awards that are taken back, one by one and by a plan while awards go on, and users who are hidden."""

import asyncio
import itertools
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Final

import grpc

from bench.figures.row import Row, Sample, at_least, at_most, p99_ms, rate, value
from bench.load.awards import ACTION, Awards, user_id
from bench.load.boards import LARGE, ensure_board
from bench.load.load import Call, keep_in_flight, keep_pace
from bench.stack.stack import Stack
from bench.themes.calls import award_by_client
from bench.themes.theme import Measure, Theme
from bench.themes.writes import CALL_SIZE, award_batches
from score_api.v1 import correction_service_pb2 as corrections
from score_api.v1.correction_service_pb2_grpc import CorrectionServiceStub
from score_api.v1.score_service_pb2_grpc import ScoreServiceStub
from score_client import ScoreClient

_BOARD: Final = "bench-corrections"
_PLANNED: Final = 100_000
_FILLING: Final = 4
_AWARDS_A_SECOND: Final = 100
_PIECE_SECONDS: Final = 0.1
_REASON: Final = "bench"


@asynccontextmanager
async def _open(stack: Stack) -> AsyncIterator[Mapping[str, Measure]]:
    large = await ensure_board(stack, LARGE)
    async with stack.channel(stack.target) as channel:
        yield {
            "reversal": partial(_reverse_awards, channel),
            "hide": partial(keep_in_flight, _hide_and_show(channel, large), 1),
        }


async def _reverse_awards(channel: grpc.aio.Channel, seconds: float) -> Sample:
    """Take awards back one after the other. What it takes to make each of them does not count."""
    scores, stub, awards = ScoreServiceStub(channel), CorrectionServiceStub(channel), Awards(_BOARD)
    clock, latencies = time.perf_counter, list[float]()
    end = clock() + seconds
    while clock() < end:
        made = (await scores.AwardPoints(awards.request(), timeout=30)).result
        request = corrections.ReverseAwardRequest(
            board_id=_BOARD, award_id=made.award_id, reversal_id=str(uuid.uuid4()), reason=_REASON
        )
        began = clock()
        await stub.ReverseAward(request, timeout=30)
        latencies.append(clock() - began)
    return Sample(len(latencies), sum(latencies), latencies)


def _hide_and_show(channel: grpc.aio.Channel, board_id: str) -> Call:
    """Hide a user of a board, or show the one who was hidden last."""
    stub, draw, hidden = CorrectionServiceStub(channel), Random(1), list[str]()

    async def call() -> int:
        user = hidden.pop() if (is_shown := bool(hidden)) else user_id(draw.randrange(LARGE))
        request = corrections.SetUserVisibilityRequest(
            board_id=board_id,
            user_id=user,
            visibility=corrections.VISIBILITY_VISIBLE if is_shown else corrections.VISIBILITY_HIDDEN,
            reason=_REASON,
        )
        await stub.SetUserVisibility(request, timeout=30)
        if not is_shown:
            hidden.append(user)
        return 1

    return call


@asynccontextmanager
async def _open_plans(stack: Stack) -> AsyncIterator[Mapping[str, Measure]]:
    async with stack.channel(stack.target) as channel, stack.client(stack.target) as client:
        plans = Plans(channel, client)
        yield {"reversal-plan": plans.measure_plan, "reversal-apply": plans.measure_apply}


class Plans:
    """Boards of many awards, all of which are taken back by a plan."""

    def __init__(self, channel: grpc.aio.Channel, client: ScoreClient) -> None:
        self._channel = channel
        self._client = client
        self._stub = CorrectionServiceStub(channel)
        self._numbers: Iterator[int] = itertools.count()
        self._planned: tuple[str, str] = "", ""
        """The board of the last plan, and its token."""

    async def measure_plan(self, _seconds: float) -> Sample:
        """Plan to take all awards of a new board back."""
        board_id = await self._make_board()
        began = time.perf_counter()
        plan = await self._stub.ReverseAwards(self._request(board_id, validate_only=True), timeout=30)
        seconds = time.perf_counter() - began
        if plan.awards != _PLANNED:
            raise RuntimeError(f"The plan has {plan.awards} awards.")
        self._planned = board_id, plan.plan_token
        return Sample(_PLANNED, seconds, value=seconds)

    async def measure_apply(self, _seconds: float) -> Sample:
        """Apply the plan, and make awards on its board meanwhile, all of which must succeed."""
        board_id, token = self._planned
        award, latencies = award_by_client(self._client, board_id), list[float]()
        began = time.perf_counter()
        applying = asyncio.create_task(self._apply(board_id, token))
        while not applying.done():
            latencies += (await keep_pace(award, _AWARDS_A_SECOND, _PIECE_SECONDS)).latencies
        return Sample(_PLANNED, await applying - began, latencies)

    async def _apply(self, board_id: str, token: str) -> float:
        """Ask for it until all is done, and return when that was."""
        request = self._request(board_id, plan_token=token)
        while (answer := await self._stub.ReverseAwards(request, timeout=30)).reversed < answer.awards:
            pass
        return time.perf_counter()

    async def _make_board(self) -> str:
        board_id = f"bench-plan-{next(self._numbers)}"
        award = award_batches(self._channel, board_id)
        made = 0

        async def fill() -> None:
            nonlocal made
            while made < _PLANNED:
                made += CALL_SIZE
                await award()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(_FILLING):
                tasks.create_task(fill())
        return board_id

    def _request(
        self, board_id: str, *, validate_only: bool = False, plan_token: str = ""
    ) -> corrections.ReverseAwardsRequest:
        return corrections.ReverseAwardsRequest(
            board_id=board_id,
            filter=corrections.AwardFilter(action_id=ACTION["action_id"]),
            reason=_REASON,
            validate_only=validate_only,
            plan_token=plan_token,
        )


CORRECTIONS = Theme(
    "corrections",
    (
        Row("reversal", "ReverseAward, 1 in flight", "ms p99", p99_ms, targets=(at_most(20),)),
        Row(
            "hide",
            f"SetUserVisibility of a user of {LARGE:,}, 1 in flight",
            "ms p99",
            p99_ms,
            targets=(at_most(20),),
        ),
    ),
    _open,
)
REVERSAL_PLAN = Theme(
    "reversal-plan",
    (
        Row(
            "reversal-plan",
            f"ReverseAwards, a plan of {_PLANNED:,} awards",
            "seconds",
            value,
            targets=(at_most(5),),
        ),
        Row("reversal-apply", "that plan is applied", "awards/s", rate, targets=(at_least(5_000),)),
        Row(
            "reversal-awards",
            f"awards on that board meanwhile, {_AWARDS_A_SECOND}/s",
            "ms p99",
            p99_ms,
            measure="reversal-apply",
            targets=(at_most(100),),
        ),
    ),
    _open_plans,
    warms_up=False,
    is_long=True,
)
