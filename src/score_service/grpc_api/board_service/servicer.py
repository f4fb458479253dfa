"""The servicer of `BoardService`: read the request, look at what the caller may do, call the core, answer."""
# ruff: noqa: ARG002, N802 - The contract names the methods and their arguments.

from score_api.v1 import board_service_pb2 as board_pb
from score_api.v1 import board_service_pb2_grpc as board_grpc
from score_service.access.caller import CALLER, require_board
from score_service.boards.board_editor import BoardEditor
from score_service.boards.standings.period_results import PeriodResults
from score_service.domain.tokens.page_token import write_board_token, write_period_token
from score_service.errors import BoardNotFoundError
from score_service.grpc_api.board_service import messages
from score_service.record.boards import BoardStore, StoredBoard


class BoardServicer(board_grpc.BoardServiceServicer):
    """Reads and changes settings of boards, and reads periods."""

    def __init__(self, boards: BoardStore, editor: BoardEditor, results: PeriodResults) -> None:
        self._boards = boards
        self._editor = editor
        self._results = results

    async def GetBoard(self, request: board_pb.GetBoardRequest, context: object) -> board_pb.GetBoardResponse:
        """Return a board."""
        board_id = messages.read_board_name(request)
        require_board(board_id)
        return board_pb.GetBoardResponse(board=messages.write_board(await self._find(board_id)))

    async def ListBoards(
        self, request: board_pb.ListBoardsRequest, context: object
    ) -> board_pb.ListBoardsResponse:
        """Return a page of the boards that the caller may see."""
        size, after = messages.read_boards_page(request)
        ranges = CALLER.get().grant.board_ranges
        found = await self._boards.list_page(ranges, after, size + 1)
        token = write_board_token(found[size - 1].board_id) if len(found) > size else ""
        boards = map(messages.write_board, found[:size])
        return board_pb.ListBoardsResponse(boards=boards, next_page_token=token)

    async def UpdateBoard(
        self, request: board_pb.UpdateBoardRequest, context: object
    ) -> board_pb.UpdateBoardResponse:
        """Change settings, or say what would change."""
        board_id, patch = messages.read_change(request)
        require_board(board_id)
        caller = CALLER.get()
        if request.validate_only:
            plan = (await self._editor.plan({board_id: patch})).boards[board_id]
            messages.raise_faults(plan.faults)
            board = messages.write_planned(board_id, plan)
        else:
            applied = await self._editor.apply(
                {board_id: patch}, actor=caller.grant.spiffe_id, trace_id=caller.trace_id
            )
            plan = applied.boards[board_id]
            messages.raise_faults(plan.faults)
            board = messages.write_board(await self._find(board_id))
        return board_pb.UpdateBoardResponse(board=board, changes=messages.write_changes(plan))

    async def GetPeriod(
        self, request: board_pb.GetPeriodRequest, context: object
    ) -> board_pb.GetPeriodResponse:
        """Return a period with its winners."""
        board_id, choice, winners = messages.read_period_query(request)
        require_board(board_id)
        result = await self._results.get(board_id, choice, winners)
        return board_pb.GetPeriodResponse(result=messages.write_result(result))

    async def ListPeriods(
        self, request: board_pb.ListPeriodsRequest, context: object
    ) -> board_pb.ListPeriodsResponse:
        """Return a page of the periods of a board."""
        board_id, kind, winners, size, before = messages.read_periods_page(request)
        require_board(board_id)
        page = await self._results.list_page(board_id, kind, winners, size, before)
        token = write_period_token(page.last) if page.last is not None else ""
        results = map(messages.write_result, page.results)
        return board_pb.ListPeriodsResponse(results=results, next_page_token=token)

    async def _find(self, board_id: str) -> StoredBoard:
        board = await self._boards.find(board_id)
        if board is None:
            raise BoardNotFoundError
        return board
