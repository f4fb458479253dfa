"""A board that a test moves by hand, instead of the score service behind the feed."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from score_client.errors import (
    BoardNotFoundError,
    InvalidRequestError,
    PeriodUnknownError,
    UnavailableError,
)
from score_client.types import (
    Checkpoint,
    Period,
    PeriodKind,
    PeriodState,
    Snapshot,
    Source,
    Standing,
    StandingsView,
    Update,
    WatchEvent,
)


def day_of(number: int, state: PeriodState = PeriodState.OPEN) -> Period:
    """Make a day of December 2026."""
    start = datetime(2026, 12, number, tzinfo=UTC)
    return Period(
        period_id=f"day:{start.date()}",
        kind=PeriodKind.DAY,
        starts_at=start,
        ends_at=start + timedelta(days=1),
        closes_at=start + timedelta(days=1, minutes=10),
        state=state,
        next_starts_at=start + timedelta(days=1),
    )


@dataclass(eq=False)
class OpenWatch:
    """One watch, and the events it has not received yet."""

    all_scores: bool
    user_ids: frozenset[str]
    top_n: int
    choice: str = ""
    events: asyncio.Queue[WatchEvent | Exception] = field(default_factory=asyncio.Queue)

    def wants(self, user_id: str) -> bool:
        return self.all_scores or user_id in self.user_ids


class ScriptedBoard:
    """Totals that change when a test says so; every change is sent to every watch at once.

    Its positions read `<history>-<revision>`. An award counts for all time and in every period that is shown.
    """

    def __init__(self) -> None:
        self.history = "a"
        self.revision = 0
        self.totals: dict[str, tuple[int, int]] = {}
        self.periods: dict[str, Period] = {}
        """What is shown for each choice of a period."""
        self.totals_in: defaultdict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
        self.watches: set[OpenWatch] = set()
        self.watches_begun = 0
        self.unavailable = False

    @property
    def position(self) -> str:
        return f"{self.history}-{self.revision}"

    def ranking(self, period_id: str = "") -> tuple[Standing, ...]:
        totals = self.totals_in[period_id] if period_id else self.totals
        rows = sorted(totals.items(), key=lambda row: (-row[1][0], row[1][1]))
        return tuple(
            Standing(user_id=user_id, total=total, rank=rank, reached_revision=reached)
            for rank, (user_id, (total, reached)) in enumerate(rows, start=1)
        )

    def award(self, user_id: str, points: int) -> None:
        """Give points, and send the change to the watches."""
        before = {watch: self.ranking(self._id_of(watch.choice)) for watch in self.watches}
        self.revision += 1
        open_ids = {period.period_id for period in self.periods.values()}
        for totals in (self.totals, *(self.totals_in[period_id] for period_id in open_ids)):
            totals[user_id] = (totals.get(user_id, (0, 0))[0] + points, self.revision)
        for watch in self.watches:
            after = self.ranking(self._id_of(watch.choice))
            top = after[: watch.top_n]
            scores = tuple(one for one in after if one.user_id == user_id and watch.wants(user_id))
            changed = top != before[watch][: watch.top_n]
            watch.events.put_nowait(self._update(top if changed else None, scores))

    def award_silently(self, user_id: str, points: int) -> None:
        """Give points without sending the change to the watches."""
        watches, self.watches = self.watches, set()
        self.award(user_id, points)
        self.watches = watches

    def award_in(self, period_id: str, user_id: str, points: int) -> None:
        """Give points in one period, without sending the change to the watches."""
        self.revision += 1
        self.totals_in[period_id][user_id] = (points, self.revision)

    def interrupt(self, error: Exception) -> None:
        """End every watch with an error."""
        for watch in self.watches:
            watch.events.put_nowait(error)

    def tell_snapshot(self, *, reset: bool) -> None:
        """Send every watch the whole top, as after a reconnect."""
        for watch in self.watches:
            watch.events.put_nowait(self._snapshot(watch, reset=reset))

    def turn_over(self, choice: str, period: Period) -> None:
        """Let another period be the one that is shown for a choice, and send its snapshot to the watches."""
        self.periods[choice] = period
        for watch in self.watches:
            if watch.choice == choice:
                watch.events.put_nowait(self._snapshot(watch, reset=False))

    def end(self, choice: str) -> None:
        """Let there be no period for a choice any more."""
        del self.periods[choice]
        for watch in self.watches:
            if watch.choice == choice:
                watch.events.put_nowait(PeriodUnknownError("PERIOD_UNKNOWN", "there is none"))

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
        period: str = "",
    ) -> AsyncGenerator[Snapshot | Update | Checkpoint, None]:
        self._fail_if_unavailable()
        self.watches_begun += 1
        if period and period not in self.periods:
            raise PeriodUnknownError("PERIOD_UNKNOWN", "there is none")
        watch = OpenWatch(all_scores, frozenset(user_ids), top_n, period)
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
        period: str = "",
    ) -> StandingsView:
        await asyncio.sleep(0)
        self._fail_if_unavailable()
        if period and period not in {one.period_id for one in self.periods.values()}:
            raise PeriodUnknownError("PERIOD_UNKNOWN", "there is none")
        assert (min_revision or 0) <= self.revision
        wanted = {standing.user_id: standing for standing in self.ranking(period)}
        found = tuple(wanted[user_id] for user_id in user_ids if user_id in wanted)
        return StandingsView(
            standings=found, revision=self.revision, position=self.position, source=Source.CACHE
        )

    def _fail_if_unavailable(self) -> None:
        if self.unavailable:
            raise UnavailableError("UNAVAILABLE", "unavailable")
        if not self.revision:
            raise BoardNotFoundError("BOARD_NOT_FOUND", "no award yet")

    def _opening(self, watch: OpenWatch, after_position: str | None) -> list[WatchEvent]:
        if after_position is None:
            return [self._snapshot(watch, reset=False)]
        history, _, revision = after_position.partition("-")
        if not revision.isdecimal():
            raise InvalidRequestError("INVALID_REQUEST", "no position", {"after_position": "is none"})
        if history != self.history or int(revision) > self.revision:
            return [self._snapshot(watch, reset=True)]
        missed = tuple(
            standing
            for standing in self.ranking(self._id_of(watch.choice))
            if standing.reached_revision > int(revision) and watch.wants(standing.user_id)
        )
        snapshot = self._snapshot(watch, reset=False)
        return [snapshot, self._update(None, missed)] if missed else [snapshot]

    def _id_of(self, choice: str) -> str:
        return self.periods[choice].period_id if choice in self.periods else ""

    def _snapshot(self, watch: OpenWatch, *, reset: bool) -> Snapshot:
        return Snapshot(
            top=self.ranking(self._id_of(watch.choice))[: watch.top_n],
            period=self.periods.get(watch.choice),
            reset=reset,
            revision=self.revision,
            position=self.position,
            source=Source.CACHE,
        )

    def _update(self, top: tuple[Standing, ...] | None, scores: tuple[Standing, ...]) -> Update:
        return Update(
            top=top, scores=scores, revision=self.revision, position=self.position, source=Source.CACHE
        )
