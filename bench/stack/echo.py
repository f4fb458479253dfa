"""A bare `grpc.aio` server with mutual TLS: the most that Python gives for calls of these sizes.

It has the contract of the score service and answers every call at once with a fixed message, does not look
at the caller and keeps nothing. Each award is told to all watchers at once.

It is a program: `python -m bench.stack.echo READY_FILE CA CERTIFICATE KEY`.
"""
# ruff: noqa: ARG002, N802 - The contract names the methods and their arguments.

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from score_api.v1 import leaderboard_service_pb2 as boards
from score_api.v1 import score_service_pb2 as scores
from score_api.v1.leaderboard_service_pb2_grpc import (
    LeaderboardServiceServicer,
    add_LeaderboardServiceServicer_to_server,
)
from score_api.v1.score_service_pb2_grpc import ScoreServiceServicer, add_ScoreServiceServicer_to_server
from score_api.v1.types_pb2 import SOURCE_CACHE, Standing

_NAME = scores.DESCRIPTOR.services_by_name["ScoreService"].full_name
_POSITION = "123456-0123456789abcdef"
_RESULT = scores.AwardResult(
    award_id="00000000-0000-4000-8000-000000000000",
    revision=123_456,
    position=_POSITION,
    points=10,
    total=123_450,
    rank=500,
)
_TOP = [Standing(user_id=f"player-{n:04}", total=9999 - n, rank=n, reached_revision=n) for n in range(1, 11)]


class _Scores(ScoreServiceServicer):
    """Answers each award with the same result, and a revision that counts."""

    def __init__(self, watched: "_Watched") -> None:
        self._watched = watched

    async def AwardPoints(
        self, request: scores.AwardPointsRequest, context: object
    ) -> scores.AwardPointsResponse:
        """Answer at once."""
        return scores.AwardPointsResponse(result=self._next())

    async def BatchAwardPoints(
        self, request: scores.BatchAwardPointsRequest, context: object
    ) -> scores.BatchAwardPointsResponse:
        """Answer at once."""
        items = [scores.BatchAwardPointsItem(result=self._next()) for _ in request.requests]
        return scores.BatchAwardPointsResponse(items=items)

    async def GetAward(self, request: scores.GetAwardRequest, context: object) -> scores.GetAwardResponse:
        """Answer at once."""
        return scores.GetAwardResponse(result=_RESULT)

    def _next(self) -> scores.AwardResult:
        _RESULT.revision = self._watched.move()
        return _RESULT


class _Boards(LeaderboardServiceServicer):
    """Answers with the same standings."""

    def __init__(self, watched: "_Watched") -> None:
        self._watched = watched

    async def GetStanding(
        self, request: boards.GetStandingRequest, context: object
    ) -> boards.GetStandingResponse:
        """Answer at once."""
        return boards.GetStandingResponse(
            standing=_TOP[0], revision=123_456, position=_POSITION, source=SOURCE_CACHE
        )

    async def ListStandings(
        self, request: boards.ListStandingsRequest, context: object
    ) -> boards.ListStandingsResponse:
        """Answer at once."""
        return boards.ListStandingsResponse(
            standings=_TOP, revision=123_456, position=_POSITION, source=SOURCE_CACHE
        )

    async def BatchGetStandings(
        self, request: boards.BatchGetStandingsRequest, context: object
    ) -> boards.BatchGetStandingsResponse:
        """Answer at once."""
        return boards.BatchGetStandingsResponse(standings=_TOP, revision=123_456, position=_POSITION)

    async def ListStandingsAround(
        self, request: boards.ListStandingsAroundRequest, context: object
    ) -> boards.ListStandingsAroundResponse:
        """Answer at once."""
        return boards.ListStandingsAroundResponse(standings=_TOP, revision=123_456, position=_POSITION)

    async def WatchLeaderboard(
        self, request: boards.WatchLeaderboardRequest, context: object
    ) -> AsyncIterator[boards.WatchLeaderboardResponse]:
        """Send the top at once, and again at every award."""
        yield boards.WatchLeaderboardResponse(snapshot=boards.Snapshot(top=_TOP))
        while True:
            yield await self._watched.next()


class _Watched:
    """The last award, and those who wait for the next."""

    def __init__(self) -> None:
        self._revision = 0
        self._message: asyncio.Future[boards.WatchLeaderboardResponse] | None = None

    def move(self) -> int:
        """Take the next revision and tell it."""
        self._revision += 1
        if self._message:
            changed = Standing(user_id="player-0001", total=9999, rank=1, reached_revision=self._revision)
            update = boards.Update(top=[changed, *_TOP[1:]], top_changed=True)
            message = boards.WatchLeaderboardResponse(
                update=update, revision=self._revision, position=_POSITION, source=SOURCE_CACHE
            )
            self._message.set_result(message)
            self._message = None
        return self._revision

    async def next(self) -> boards.WatchLeaderboardResponse:
        """Wait for the next award."""
        if self._message is None:
            self._message = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._message)


async def serve(ready_file: Path, credentials: grpc.ServerCredentials) -> None:
    """Serve until SIGTERM; the file gets the address."""
    server, watched = grpc.aio.server(), _Watched()
    add_ScoreServiceServicer_to_server(_Scores(watched), server)
    add_LeaderboardServiceServicer_to_server(_Boards(watched), server)
    is_well = health.aio.HealthServicer()
    await is_well.set(_NAME, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(is_well, server)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    draft = ready_file.with_suffix(".draft")
    draft.write_text(json.dumps({"grpc": f"127.0.0.1:{port}"}), encoding="utf-8")
    draft.rename(ready_file)
    await stopping.wait()
    await server.stop(None)


def main(ready_file: str, *certificates: str) -> None:
    """Serve with the authorities, the certificate and the key of three files."""
    ca, certificate, key = (Path(name).read_bytes() for name in certificates)
    credentials = grpc.ssl_server_credentials(
        [(key, certificate)], root_certificates=ca, require_client_auth=True
    )
    asyncio.run(serve(Path(ready_file), credentials))


if __name__ == "__main__":
    main(*sys.argv[1:])
