"""One board on real stores, two processes that serve it, and all that happens to them.

After each operation the model judges what the record has become, and what was answered, read and sent.
"""

import asyncio
import datetime as dt
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.fixtures.ledgers.periods import ACTOR, save_settings
from tests.fixtures.servers.stores import eventually
from tests.score_service.history.calendar import KINDS, START, holding, settings_of
from tests.score_service.history.follower import Follower
from tests.score_service.history.keys import Keys
from tests.score_service.history.ledger import Shown, around, first_two, named
from tests.score_service.history.model import Answer, Model, Seen, Undone, View
from tests.score_service.history.operations import (
    BEHALF,
    REASON,
    RICH,
    USERS,
    Apart,
    By,
    Call,
    Close,
    Cut,
    Depart,
    Evict,
    Interrupted,
    Kill,
    Look,
    Operation,
    Pass,
    Read,
    Rebuild,
    Restore,
    Return,
    Reverse,
    RollBack,
    Save,
    Show,
    Together,
    Wipe,
    Work,
)
from tests.score_service.history.process import HUBS, Process, Stores
from tests.score_service.history.viewer import Viewer

from score_service.domain.board.board_settings import LatePolicy
from score_service.domain.board.period import ALL_TIME, PeriodChoice, PeriodKind
from score_service.domain.ledger.entry import FeedRequest
from score_service.domain.ledger.reversal import ReversalRequest
from score_service.domain.standings.standing import BoardView
from score_service.domain.standings.watch import WatchRequest
from score_service.errors import (
    BoardNotFoundError,
    HistoryArchivedError,
    PositionUnknownError,
    ProjectionUnavailableError,
    ScoreServiceError,
)
from score_service.feed.entry_feeds import EntryFeeds
from score_service.operations.ledgers.archiver import ArchiveRejectedError
from score_service.operations.ledgers.files import LedgerFileError
from score_service.projection.projection import Projection
from score_service.projection.replies import Headcount
from score_service.projection.scripts import Cache
from score_service.record.boards import BoardStore
from score_service.stream.hubs import Hubs

_BOTH: Final[frozenset[By]] = frozenset({0, 1})
_SLOW: Final = dt.timedelta(minutes=45)
"""By which the clock of the second process is behind."""


class World:
    """A board, and what is known of it."""

    def __init__(
        self, stores: Stores, cache: Cache, board_id: str, stack: AsyncExitStack, folder: Path
    ) -> None:
        self.model = Model(board_id)
        self._folder = folder
        """Of files of the ledger."""
        self._board_id = board_id
        self._stores = stores
        self._stack = stack
        self._keys = Keys(stores.redis_url, f"{stores.prefix}{{{board_id}}}")
        self._cache = cache
        self._observer = Projection(cache, cache, stores.prefix)
        self._unsure = set[By]()
        """Processes that have not looked since Redis may have become of another history."""
        self._restores = 0
        self.staying, self.roaming = Viewer(self.model, 3), Viewer(self.model, 3)
        self.daily = Viewer(self.model, 3, PeriodKind.DAY)
        self.follower = Follower(self.model)
        self._processes: list[Process] = []
        self._visit: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls, stores: Stores, board_id: str, *, has_rich: bool, late: LatePolicy | None
    ) -> AsyncIterator["World"]:
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="laurel-history-")))
            cache = await stack.enter_async_context(Cache.open(stores.cache))
            world = cls(stores, cache, board_id, stack, folder)
            stack.push_async_callback(world._end)
            world._pass(dt.timedelta(hours=12))
            world._processes = [await world._start(0), await world._start(1)]
            if has_rich:
                world.model.founded.add(await stores.record.found(board_id, world.model.now))
            if late:
                await world._give_periods(late)
                stack.push_async_callback(_cancel, world._watch(world.daily, 0))
            stack.push_async_callback(_cancel, world._watch(world.staying, 0))
            stack.push_async_callback(_cancel, world._follow())
            world._visit = world._watch(world.roaming, 1)
            stack.push_async_callback(world._leave)
            yield world

    async def _end(self) -> None:
        """Leave no board to the worlds that follow."""
        await self._keys.change(Wipe())
        await self._stores.record.restore(self._board_id, ())

    def _pass(self, time: dt.timedelta) -> None:
        """Have time pass for all, the ledger included."""
        self.model.times.append(time + (self.model.now if self.model.times else START))
        self._stores.clock.set(self.model.now)

    async def _give_periods(self, late: LatePolicy) -> None:
        await save_settings(BoardStore(self._stores.database), self._board_id, settings_of(late))

    async def run(self, operation: Operation) -> None:
        """Have something happen, and judge what became of it."""
        await self._do(operation)
        for process in self._processes:
            await process.settle()
        await self._check()

    async def heal(self) -> None:
        """Check that one look of one projector, or a read, makes everything right."""
        await eventually(self._is_left)
        await self.run(Look(0))
        if self.model.commits:
            await self._check_healed()
        await self.run(Look(1))
        await self.run(Together((Read(0, "ada", fresh=True), Read(1, "ada", fresh=True))))
        if not self.model.commits:
            assert await self._observer.read_header(self._board_id) is None
            return
        if self._visit is None:
            await self.run(Return(0))
        for viewer in (self.staying, self.roaming, *([self.daily] if self.model.late else [])):
            await eventually(partial(self._has_arrived, viewer))
            viewer.check_end()
        await eventually(self._has_followed)

    async def _is_left(self) -> bool:
        """Return whether nobody is taken to be at a rebuild, as one is that ended a moment ago."""
        return not await self._observer.is_being_made(self._board_id)

    async def _has_followed(self) -> bool:
        self.follower.judge()
        return self.follower.position == self.model.head

    async def _has_arrived(self, viewer: Viewer) -> bool:
        viewer.judge()
        return viewer.has_arrived()

    async def _check_healed(self) -> None:
        header = await self._observer.read_header(self._board_id)
        assert (header.position if header and header.is_whole else None) == self.model.head, "not healed"
        live = self.model.live_at(self.model.head)
        periods = {period_id: _count(at) for period_id, at in live.items()}
        assert (header.periods if header else None) == periods, "not healed"
        await self._keys.check_kept([self.model.shown_at(self.model.head), *live.values()])

    async def _start(self, by: By) -> Process:
        process = Process(self._stores, self._cache, self._clock_of(by))
        await self._stack.enter_async_context(process.running())
        return process

    def _clock_of(self, by: By) -> Callable[[], dt.datetime]:
        return lambda: self.model.now - (_SLOW if by else dt.timedelta())

    async def _check(self) -> None:
        reading = await self._observer.get_standings(self._board_id, [*USERS, RICH], 1000)
        self.model.take(await self._stores.record.read(self._board_id))
        if reading is not None:
            whole = self.model.check_shown(reading.position, (*reading.top, *reading.users))
            assert reading.top == whole.ranked, "Redis does not rank those who are visible"
            assert {s.user_id for s in reading.users} == whole.own.keys(), "Redis has not all members"
            # A board that the record lost whole may be left until somebody asks for it.
            may_be_foreign = bool(self._unsure) or not self.model.commits
            assert may_be_foreign or self.model.has(reading.position), "Redis is of another history"
            await self._check_periods()
        for viewer in (self.staying, self.roaming, self.daily, self.follower):
            viewer.judge()

    async def _check_periods(self) -> None:
        """Check that Redis has the periods that its position has, and no others."""
        header = await self._observer.read_header(self._board_id)
        if header is None or not header.is_whole:
            return
        assert header.position in self.model.ledgers, f"{header.position} was never a position of the record"
        live = self.model.live_at(header.position)
        assert header.periods == {period_id: _count(at) for period_id, at in live.items()}, (
            "other periods in Redis"
        )
        for period_id, at in live.items():
            reading = await self._observer.get_standings(self._board_id, (), 1000, period_id)
            if reading and reading.position == header.position:
                assert reading.top == at.ranked, (
                    f"{period_id} is not what the ledger adds up to at {header.position}"
                )

    async def _do(self, operation: Operation) -> None:
        match operation:
            case Interrupted():
                await self._interrupt(operation)
            case Together(works):
                await asyncio.gather(*map(self._work, works))
            case Apart(work):
                with self._processes[work.by].apart():
                    await self._work(work)
            case Pass(minutes):
                self._pass(dt.timedelta(minutes=minutes))
            case Wipe() | Evict() | Save() | RollBack():
                self._unsure |= _BOTH if isinstance(operation, RollBack) else set()
                await self._keys.change(operation)
            case Restore() | Cut():
                await self._change_record(operation)
            case Kill(by):
                await self._kill(by)
            case Depart():
                await self._depart()
            case Return(by):
                await self._leave()
                self._visit = self._watch(self.roaming, by)
            case _:
                await self._work(operation)

    async def _work(self, work: Work) -> None:
        process = self._processes[work.by]
        match work:
            case Call():
                await self._call(process, work)
            case Reverse():
                await self._reverse(process, work)
            case Show():
                await self._show(process, work)
            case Read():
                await self._read(process, work)
            case Look(by):
                restores = self._restores
                with suppress(ProjectionUnavailableError):
                    await process.projector.scanner.scan(asyncio.Event())
                    if restores == self._restores:
                        self._unsure.discard(by)
                await process.settle()
            case Close():
                with suppress(ScoreServiceError):
                    await process.close(self._board_id)
            case Rebuild():
                with suppress(BoardNotFoundError, ProjectionUnavailableError):
                    await process.rebuilder.rebuild(self._board_id)

    async def _call(self, process: Process, call: Call) -> None:
        now = self.model.now if self.model.late else None
        awards = [ask.award(self._board_id, now) for ask in call.asks]
        self.model.asked.update(awards)
        restores, unsure, head = self._restores, call.by in self._unsure, self.model.head
        asked = asyncio.create_task(process.scoring.award_all(awards))
        if call.leaves:
            await asyncio.sleep(0)
            asked.cancel()
            await asyncio.wait([asked])
            await process.scoring.finish()
            if restores == self._restores:
                self.model.left += awards
            return
        outcomes = await asked
        if restores == self._restores:
            is_certain = not unsure and call.by not in self._unsure
            answers = zip(awards, outcomes, strict=True)
            self.model.answers += [Answer(*answer, head, is_certain) for answer in answers]

    async def _reverse(self, process: Process, reverse: Reverse) -> None:
        undos, requests = reverse.undos, [undo.request for undo in reverse.undos]
        self.model.asked_back.update(undos)
        restores, unsure, head = self._restores, reverse.by in self._unsure, self.model.head
        made = {row.award_id for row in self.model.rows}
        asked = asyncio.create_task(self._take_back(process, requests))
        if reverse.leaves:
            await asyncio.sleep(0)
            asked.cancel()
            await asyncio.wait([asked])
            await process.corrector.finish()
            if restores == self._restores:
                self.model.left_back += [undo for undo in undos if undo.ids[0] in made]
            return
        outcomes = await asked
        if restores == self._restores:
            is_certain = not unsure and reverse.by not in self._unsure
            answers = zip(undos, outcomes, strict=True)
            self.model.undone += [Undone(*answer, head, is_certain) for answer in answers]

    async def _take_back(self, process: Process, requests: Sequence[ReversalRequest]) -> Sequence[object]:
        named = {"actor": ACTOR, "trace_id": ""}
        try:
            if len(requests) > 1:
                return (await process.corrector.reverse_page(self._board_id, requests, **named)).results
            return [await process.corrector.reverse(self._board_id, requests[0], **named)]
        except ScoreServiceError as error:
            return [error] * len(requests)

    async def _show(self, process: Process, show: Show) -> None:
        self.model.asked_to_show.add((show.user_id, show.visibility))
        restores, head = self._restores, self.model.head
        named = {"actor": ACTOR, "on_behalf_of": BEHALF, "trace_id": ""}
        try:
            outcome: object = await process.corrector.set_visibility(
                self._board_id, show.user_id, show.visibility, REASON, **named
            )
        except ScoreServiceError as error:
            outcome = error
        if restores == self._restores:
            self.model.seen.append(Seen(show, outcome, head))

    async def _read(self, process: Process, read: Read) -> None:
        await self._read_period(process, read, None, ALL_TIME)
        for kind in KINDS if self.model.late else ():
            span = holding(kind, self._clock_of(read.by)())
            await self._read_period(process, read, PeriodChoice(kind), span and span.period_id)

    async def _read_period(
        self, process: Process, read: Read, choice: PeriodChoice | None, period_id: str | None
    ) -> None:
        board, model = process.leaderboard, self.model
        for ask, part in (
            (partial(board.get_standings, self._board_id, USERS), named),
            (partial(board.list_standings, self._board_id, 2, ""), first_two),
            (
                partial(board.list_standings_around, self._board_id, read.user_id, 1),
                partial(around, read.user_id),
            ),
        ):
            head, restores, unsure = model.head, self._restores, read.by in self._unsure
            try:
                shown: BoardView | ScoreServiceError = await ask(
                    min_revision=head.revision if read.fresh else 0, choice=choice
                )
            except ScoreServiceError as error:
                shown = error
            if restores == self._restores:
                is_certain = not unsure and read.by not in self._unsure
                model.views.append(View(shown, part, period_id, head, read.fresh, is_certain))

    async def _interrupt(self, operation: Interrupted) -> None:
        by, restores = operation.work.by, self._restores
        process = self._processes[by]
        meanwhile = asyncio.create_task(self._meanwhile(operation, started := asyncio.Event()))

        async def happen() -> None:
            started.set()
            # A caller that gives up waiting for the step does not stop it.
            await asyncio.shield(meanwhile)
            if operation.then == "is cancelled":
                raise asyncio.CancelledError

        process.gate.arm(operation.step, happen)
        work = asyncio.create_task(self._finish(process, operation.work))
        died = asyncio.create_task(process.gate.dead.wait())
        await asyncio.wait([work, died], return_when=asyncio.FIRST_COMPLETED)
        process.gate.arm(0, None)
        started.set()
        await meanwhile
        if process.gate.dead.is_set():
            work.cancel()
        await asyncio.wait([work])
        await _cancel(died)
        if not work.cancelled():
            work.result()
        if restores != self._restores:
            self._unsure |= _BOTH  # What it had read before may have been written after.

    async def _finish(self, process: Process, work: Work) -> None:
        await self._work(work)
        await process.settle()

    async def _meanwhile(self, operation: Interrupted, started: asyncio.Event) -> None:
        await started.wait()
        for other in operation.meanwhile:
            await self._do(other)
        if operation.then == "dies":
            await self._kill(operation.work.by)

    async def _kill(self, by: By) -> None:
        self._processes[by].kill()
        self._processes[by] = await self._start(by)

    def _watch(self, viewer: Viewer, by: By) -> "asyncio.Task[None]":
        """Watch, again after whatever ends it: there may be no board yet, or not any more."""

        async def watch() -> None:
            while True:
                with suppress(ScoreServiceError):
                    await self._watch_once(viewer, self._processes[by].hubs)
                await asyncio.sleep(HUBS.tick_seconds)

        return asyncio.create_task(watch())

    async def _watch_once(self, viewer: Viewer, hubs: Hubs) -> None:
        choice = PeriodChoice(viewer.kind) if viewer.kind else None
        request = WatchRequest(self._board_id, viewer.top_n, viewer.begin(), all_scores=True, choice=choice)
        async with aclosing(hubs.watch(request)) as messages:
            async for message in messages:
                viewer.receive(message)

    def _follow(self) -> "asyncio.Task[None]":
        """Follow the ledger of the board from where it was left, wherever that is served."""

        async def follow() -> None:
            while True:
                with suppress(ScoreServiceError):
                    await self._follow_once(self._processes[0].entry_feeds)
                await asyncio.sleep(HUBS.tick_seconds)

        return asyncio.create_task(follow())

    async def _follow_once(self, feeds: EntryFeeds) -> None:
        request = FeedRequest(self._board_id, self.follower.position)
        try:
            async with aclosing(feeds.read(request)) as deliveries:
                async for delivery in deliveries:
                    self.follower.receive(delivery)
        except PositionUnknownError:
            self.follower.begin_anew()
        except HistoryArchivedError as error:
            self.follower.begin_at(error.position)

    async def _depart(self) -> None:
        """Have the watcher leave, once it has seen something."""
        if self._visit is not None and self.model.commits:
            await eventually(self._has_come)
        await self._leave()

    async def _leave(self) -> None:
        visit, self._visit = self._visit, None
        if visit is not None:
            await _cancel(visit)

    async def _has_come(self) -> bool:
        return self.roaming.position is not None

    async def _change_record(self, operation: Restore | Cut) -> None:
        if isinstance(operation, Restore):
            await self._restore(operation.commits)
        else:
            await self._cut()

    async def _restore(self, commits: int) -> None:
        await self._check()
        self._restores += 1
        self._unsure |= _BOTH
        self.model.lose(commits)
        self.follower.may_be_lost = True
        await self._stores.record.restore(self._board_id, self.model.steps)

    async def _cut(self) -> None:
        """Archive what is older than now. After a restore of the record, no files continue it."""
        await self._stores.record.keep(self._board_id)
        folder = self._folder / str(self._restores)
        folder.mkdir(exist_ok=True)
        with suppress(ArchiveRejectedError, BoardNotFoundError, LedgerFileError):
            await self._stores.archiver.archive_board(self._board_id, folder, self.model.now)
        await self._stores.record.keep(self._board_id)


def _count(shown: Shown) -> Headcount:
    return Headcount(len(shown.members), len(shown.ranked))


async def _cancel(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
