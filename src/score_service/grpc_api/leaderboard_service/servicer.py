"""The servicer of `LeaderboardService`: read the request, look at the board, call the core, answer."""
# ruff: noqa: ARG002, N802 - The contract names the methods and their arguments.

from collections.abc import AsyncIterator
from contextlib import aclosing
from weakref import WeakKeyDictionary

from score_api.v1 import leaderboard_service_pb2 as leaderboard_pb
from score_api.v1 import leaderboard_service_pb2_grpc as leaderboard_grpc
from score_service.access.caller import require_board
from score_service.boards.standings.leaderboard import Leaderboard
from score_service.domain.standings.watch import WatchMessage
from score_service.grpc_api.leaderboard_service import messages
from score_service.stream.hubs import Hubs


class LeaderboardServicer(leaderboard_grpc.LeaderboardServiceServicer):
    """Reads boards."""

    def __init__(self, leaderboard: Leaderboard, hubs: Hubs) -> None:
        self._leaderboard = leaderboard
        self._hubs = hubs
        self._written: WeakKeyDictionary[WatchMessage, leaderboard_pb.WatchLeaderboardResponse] = (
            WeakKeyDictionary()
        )

    async def GetStanding(
        self, request: leaderboard_pb.GetStandingRequest, context: object
    ) -> leaderboard_pb.GetStandingResponse:
        """Return one user's standing."""
        board_id, user_id, min_revision, choice = messages.read_standing_query(request)
        require_board(board_id)
        view = await self._leaderboard.get_standing(board_id, user_id, min_revision, choice)
        return messages.write_standing(view)

    async def BatchGetStandings(
        self, request: leaderboard_pb.BatchGetStandingsRequest, context: object
    ) -> leaderboard_pb.BatchGetStandingsResponse:
        """Return many users' standings."""
        board_id, user_ids, min_revision, choice = messages.read_standings_query(request)
        require_board(board_id)
        view = await self._leaderboard.get_standings(board_id, user_ids, min_revision, choice)
        return messages.write_view(view, leaderboard_pb.BatchGetStandingsResponse)

    async def ListStandings(
        self, request: leaderboard_pb.ListStandingsRequest, context: object
    ) -> leaderboard_pb.ListStandingsResponse:
        """Return a page of a board."""
        board_id, page_size, page_token, min_revision, choice = messages.read_page_query(request)
        require_board(board_id)
        view = await self._leaderboard.list_standings(board_id, page_size, page_token, min_revision, choice)
        token = view.next_page_token
        return messages.write_view(view, leaderboard_pb.ListStandingsResponse, next_page_token=token)

    async def ListStandingsAround(
        self, request: leaderboard_pb.ListStandingsAroundRequest, context: object
    ) -> leaderboard_pb.ListStandingsAroundResponse:
        """Return a user's neighbours."""
        board_id, user_id, radius, min_revision, choice = messages.read_neighbours_query(request)
        require_board(board_id)
        view = await self._leaderboard.list_standings_around(board_id, user_id, radius, min_revision, choice)
        return messages.write_view(view, leaderboard_pb.ListStandingsAroundResponse)

    async def WatchLeaderboard(
        self, request: leaderboard_pb.WatchLeaderboardRequest, context: object
    ) -> AsyncIterator[leaderboard_pb.WatchLeaderboardResponse]:
        """Send the top of a board, and then what changes."""
        wanted = messages.read_watch(request)
        require_board(wanted.board_id)
        async with aclosing(self._hubs.watch(wanted)) as sent:
            async for message in sent:
                yield self._write(message)

    def _write(self, message: WatchMessage) -> leaderboard_pb.WatchLeaderboardResponse:
        """Write a message of a watch, once for all watchers who are sent the same."""
        response = self._written.get(message)
        if response is None:
            response = self._written[message] = messages.write_watch_message(message)
        return response
