"""The streams of entries: feeds to messages, each entry written once for all that are sent it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from weakref import WeakKeyDictionary

from score_service.domain.ledger.entry import Entry, EntryPage, FeedRequest
from score_service.feed.entry_feeds import EntryFeeds
from score_service.grpc_api.ledger_service.entry_messages import join_entries, write_checkpoint, write_entry


class EntryStreams:
    """Makes the messages of feeds."""

    def __init__(self, feeds: EntryFeeds) -> None:
        self._feeds = feeds
        self._written: WeakKeyDictionary[EntryPage, dict[int, bytes]] = WeakKeyDictionary()
        """Of each page, what was written of it, by revision."""

    async def stream(self, request: FeedRequest, entries_per_message: int) -> AsyncGenerator[bytes]:
        """Yield serialized messages, each with as many entries as it may hold and there are.

        Raises:
            ScoreServiceError: as `EntryFeeds.read` does.
        """
        async with aclosing(self._feeds.read(request)) as deliveries:
            async for delivery in deliveries:
                if delivery.page is None:
                    yield write_checkpoint(delivery.position)
                    continue
                for first in range(0, len(delivery.entries), entries_per_message):
                    entries = delivery.entries[first : first + entries_per_message]
                    for message in join_entries(self._write(request.board_id, delivery.page, entries)):
                        yield message

    def _write(self, board_id: str, page: EntryPage, entries: Sequence[Entry]) -> list[bytes]:
        """Write entries of a page that were not written before."""
        written = self._written.setdefault(page, {})
        for entry in entries:
            if entry.revision not in written:
                written[entry.revision] = write_entry(entry, board_id)
        return [written[entry.revision] for entry in entries]
