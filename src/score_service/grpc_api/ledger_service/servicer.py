"""The servicer of `LedgerService`: read, look at what the caller may do, call the core, answer."""
# ruff: noqa: ARG002, N802 - The contract names the methods and their arguments.

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from score_api.v1 import ledger_service_pb2 as ledger_pb
from score_api.v1 import ledger_service_pb2_grpc as ledger_grpc
from score_service.access.caller import require_board
from score_service.boards.corrections.award_history import AwardHistory
from score_service.domain.tokens.page_token import write_award_token
from score_service.grpc_api.ledger_service import messages
from score_service.grpc_api.ledger_service.entry_messages import read_feed_request
from score_service.grpc_api.ledger_service.entry_streams import EntryStreams


class LedgerServicer(ledger_grpc.LedgerServiceServicer):
    """Reads what was written to boards."""

    def __init__(self, history: AwardHistory, streams: EntryStreams) -> None:
        self._history = history
        self._streams = streams

    async def ListAwards(
        self, request: ledger_pb.ListAwardsRequest, context: object
    ) -> ledger_pb.ListAwardsResponse:
        """Return a page of awards, the newest first."""
        query = messages.read_awards_query(request)
        require_board(query.board_id)
        found, archived_revision = await self._history.list_awards(
            query.board_id, query.user_id, query.page_size + 1, query.before_revision
        )
        awards = messages.write_fitting(found[: query.page_size])
        token = write_award_token(awards[-1].revision) if len(found) > len(awards) else ""
        return ledger_pb.ListAwardsResponse(
            awards=awards, next_page_token=token, archived_revision=archived_revision
        )

    async def StreamEntries(
        self, request: ledger_pb.StreamEntriesRequest, context: object
    ) -> AsyncIterator[Any]:
        """Send the entries of a board, as serialized messages."""
        wanted, entries_per_message = read_feed_request(request)
        require_board(wanted.board_id)
        async with aclosing(self._streams.stream(wanted, entries_per_message)) as messages_of_feed:
            async for message in messages_of_feed:
                yield message
