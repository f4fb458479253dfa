"""The servicer of `LedgerService`: read, look at what the caller may do, call the core, answer."""
# ruff: noqa: ARG002, N802 - The contract names the methods and their arguments.

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from score_api.v1 import ledger_service_pb2 as ledger_pb
from score_api.v1 import ledger_service_pb2_grpc as ledger_grpc
from score_service.access.caller import require_board
from score_service.grpc_api.ledger_service.entry_messages import read_feed_request
from score_service.grpc_api.ledger_service.entry_streams import EntryStreams


class LedgerServicer(ledger_grpc.LedgerServiceServicer):
    """Reads what was written to boards."""

    def __init__(self, streams: EntryStreams) -> None:
        self._streams = streams

    async def StreamEntries(
        self, request: ledger_pb.StreamEntriesRequest, context: object
    ) -> AsyncIterator[Any]:
        """Send the entries of a board, as serialized messages."""
        wanted, entries_per_message = read_feed_request(request)
        require_board(wanted.board_id)
        async with aclosing(self._streams.stream(wanted, entries_per_message)) as messages:
            async for message in messages:
                yield message
