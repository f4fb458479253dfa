"""A board that a test moves by hand, instead of the score service behind the feed."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, field

from score_client.errors import BoardNotFoundError, InvalidRequestError, UnavailableError
from score_client.types import (
    Checkpoint,
    Snapshot,
    Source,
    Standing,
    StandingsView,
    Update,
    WatchEvent,
)


@dataclass(eq=False)
class OpenWatch:
    """One watch, and the events it has not received yet."""

    all_scores: bool
    user_ids: frozenset[str]
    top_n: int
    events: asyncio.Queue[WatchEvent | Exception] = field(default_factory=asyncio.Queue)

    def wants(self, user_id: str) -> bool:
        return self.all_scores or user_id in self.user_ids


class ScriptedBoard:
    """Totals that change when a test says so; every change is sent to every watch at once.

    Its positions read `<history>-<revision>`.
    """

    def __init__(self) -> None:
        self.history = "a"
        self.revision = 0
        self.totals: dict[str, tuple[int, int]] = {}
        self.watches: set[OpenWatch] = set()
        self.watches_begun = 0
        self.unavailable = False

    @property
    def position(self) -> str:
        return f"{self.history}-{self.revision}"

    def ranking(self) -> tuple[Standing, ...]:
        rows = sorted(self.totals.items(), key=lambda row: (-row[1][0], row[1][1]))
        return tuple(
            Standing(user_id=user_id, total=total, rank=rank, reached_revision=reached)
            for rank, (user_id, (total, reached)) in enumerate(rows, start=1)
        )

    def award(self, user_id: str, points: int) -> None:
        """Give points, and send the change to the watches."""
        before = self.ranking()
        self.revision += 1
        self.totals[user_id] = (self.totals.get(user_id, (0, 0))[0] + points, self.revision)
        after = self.ranking()
        for watch in self.watches:
            top = after[: watch.top_n]
            scores = tuple(one for one in after if one.user_id == user_id and watch.wants(user_id))
            changed = top != before[: watch.top_n]
            watch.events.put_nowait(self._update(top if changed else None, scores))

    def award_silently(self, user_id: str, points: int) -> None:
        """Give points without sending the change to the watches."""
        watches, self.watches = self.watches, set()
        self.award(user_id, points)
        self.watches = watches

    def interrupt(self, error: Exception) -> None:
        """End every watch with an error."""
        for watch in self.watches:
            watch.events.put_nowait(error)

    def tell_snapshot(self, *, reset: bool) -> None:
        """Send every watch the whole top, as after a reconnect."""
        for watch in self.watches:
            watch.events.put_nowait(self._snapshot(watch.top_n, reset=reset))

    def tell_scores(self, *user_ids: str) -> None:
        """Send every watch the standings of these users, as after a snapshot that resumes."""
        scores = tuple(one for one in self.ranking() if one.user_id in user_ids)
        for watch in self.watches:
            watch.events.put_nowait(self._update(None, scores))

    def tell_checkpoint(self) -> None:
        """Send every watch a sign of life."""
        for watch in self.watches:
            watch.events.put_nowait(
                Checkpoint(revision=self.revision, position=self.position, source=Source.CACHE)
            )

    def start_another_history(self, totals: dict[str, int]) -> None:
        """Lose everything and begin again with these totals, each reached by one award."""
        self.history = chr(ord(self.history) + 1)
        self.totals = {user_id: (total, n) for n, (user_id, total) in enumerate(totals.items(), start=1)}
        self.revision = len(totals)

    async def watch(
        self,
        *,
        board_id: str,
        top_n: int,
        after_position: str | None = None,
        all_scores: bool = False,
        user_ids: Iterable[str] = (),
    ) -> AsyncGenerator[Snapshot | Update | Checkpoint, None]:
        self._fail_if_away()
        self.watches_begun += 1
        watch = OpenWatch(all_scores, frozenset(user_ids), top_n)
        for opening in self._opening(watch, after_position):
            watch.events.put_nowait(opening)
        self.watches.add(watch)
        try:
            while True:
                event = await watch.events.get()
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.watches.discard(watch)

    async def batch_get_standings(
        self,
        *,
        board_id: str,
        user_ids: Sequence[str],
        min_revision: int | None = None,
    ) -> StandingsView:
        await asyncio.sleep(0)
        self._fail_if_away()
        assert (min_revision or 0) <= self.revision
        wanted = {standing.user_id: standing for standing in self.ranking()}
        found = tuple(wanted[user_id] for user_id in user_ids if user_id in wanted)
        return StandingsView(
            standings=found, revision=self.revision, position=self.position, source=Source.CACHE
        )

    def _fail_if_away(self) -> None:
        if self.unavailable:
            raise UnavailableError("UNAVAILABLE", "unavailable")
        if not self.revision:
            raise BoardNotFoundError("BOARD_NOT_FOUND", "no award yet")

    def _opening(self, watch: OpenWatch, after_position: str | None) -> list[WatchEvent]:
        if after_position is None:
            return [self._snapshot(watch.top_n, reset=False)]
        history, _, revision = after_position.partition("-")
        if not revision.isdecimal():
            raise InvalidRequestError("INVALID_REQUEST", "no position", {"after_position": "is none"})
        if history != self.history or int(revision) > self.revision:
            return [self._snapshot(watch.top_n, reset=True)]
        missed = tuple(
            standing
            for standing in self.ranking()
            if standing.reached_revision > int(revision) and watch.wants(standing.user_id)
        )
        snapshot = self._snapshot(watch.top_n, reset=False)
        return [snapshot, self._update(None, missed)] if missed else [snapshot]

    def _snapshot(self, top_n: int, *, reset: bool) -> Snapshot:
        return Snapshot(
            top=self.ranking()[:top_n],
            reset=reset,
            revision=self.revision,
            position=self.position,
            source=Source.CACHE,
        )

    def _update(self, top: tuple[Standing, ...] | None, scores: tuple[Standing, ...]) -> Update:
        return Update(
            top=top, scores=scores, revision=self.revision, position=self.position, source=Source.CACHE
        )
