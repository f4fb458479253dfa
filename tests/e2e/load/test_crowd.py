"""Many watchers on real connections, some of which do not read."""

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import grpc
import pytest
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.score_service import (
    ScoreService,
    StartScoreService,
    Stubs,
    award_request,
    credentials_of,
    read_rejection,
)

from local_stack.certificates import CertificateFiles
from score_api.v1 import leaderboard_service_pb2 as leaderboard_pb
from score_api.v1 import score_service_pb2 as score_pb

USERS = [f"user-{number:03}-{'x' * 100}" for number in range(300)]
READING, STALLED, ROUNDS = 12, 6, 40
# Small windows, so that a reader who has stalled is soon felt.
OPTIONS = [("grpc.http2.bdp_probe", 0), ("grpc.use_local_subchannel_pool", 1)]


if TYPE_CHECKING:
    Watch: TypeAlias = grpc.aio.UnaryStreamCall[
        leaderboard_pb.WatchLeaderboardRequest, leaderboard_pb.WatchLeaderboardResponse
    ]


@dataclass(slots=True)
class Reader:
    """A watcher that adds up the changes it receives."""

    watch: "Watch"
    totals: dict[str, int] = field(default_factory=dict)
    revision: int = 0

    async def read(self) -> None:
        async for message in self.watch:
            self.revision = message.revision
            self.totals.update({row.user_id: row.total for row in message.update.scores})


def watch(stubs: Stubs) -> Reader:
    request = leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=10, all_scores=True)
    return Reader(stubs.leaderboard.WatchLeaderboard(request))


async def give_everyone(stubs: Stubs) -> int:
    """Give each user a point; return the revision."""
    requests = [award_request(user_id=user_id, points=1) for user_id in USERS]
    response = await stubs.score.BatchAwardPoints(score_pb.BatchAwardPointsRequest(requests=requests))
    return max(item.result.revision for item in response.items)


async def test_stalled_watchers_do_not_affect_others_and_are_evicted(
    start_score_service: StartScoreService, backend_certificate: CertificateFiles
) -> None:
    service = await start_score_service(stall_seconds=4, watch_tick_seconds=0.01)
    credentials = credentials_of(backend_certificate)
    async with (
        grpc.aio.secure_channel(service.target, credentials, options=OPTIONS) as channel,
        grpc.aio.secure_channel(service.target, credentials, options=OPTIONS) as other,
    ):
        stubs = Stubs.on(channel)
        await give_everyone(stubs)
        stalled = [watch(Stubs.on(other)) for _ in range(STALLED)]
        for one in stalled:
            await anext(aiter(one.watch))
        reading = [watch(stubs) for _ in range(READING)]
        tasks = [asyncio.create_task(one.read()) for one in reading]
        await eventually(partial(are_watching, service, READING + STALLED))

        for _ in range(ROUNDS):
            revision = await give_everyone(stubs)
            await eventually(partial(have_reached, reading, revision))
            check_bounds(service)

        assert all(one.totals == dict.fromkeys(USERS, ROUNDS + 1) for one in reading)
        await eventually(partial(are_watching, service, READING))
        for one in stalled:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await asyncio.wait_for(one.read(), 30)
            assert read_rejection(caught.value).reason == "WATCHER_EVICTED"
        assert not any(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def are_watching(service: ScoreService, count: int) -> bool:
    return service.running.parts.hubs.watchers == count


async def have_reached(readers: list[Reader], revision: int) -> bool:
    return all(reader.revision == revision for reader in readers)


def check_bounds(service: ScoreService) -> None:
    """Check that no watcher holds more than the newest frame and a standing a user."""
    (hub,) = service.running.parts.hubs._hubs.values()
    assert all(watcher.frame is hub.frame for watcher in hub.watchers)
    assert all(len(watcher._scores) <= len(USERS) for watcher in hub.watchers)
    assert hub._frames._hints._noted <= len(USERS)
