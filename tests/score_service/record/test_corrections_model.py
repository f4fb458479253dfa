"""Awards, corrections, closings and cuts in any order: the record says what a plain model does."""

import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import hypothesis
from hypothesis import strategies as st
from tests.fixtures.ledgers.archiving import Archiving
from tests.fixtures.ledgers.periods import (
    DAY,
    DAYS_AND_WEEKS,
    HOUR,
    MONDAY,
    LedgerClock,
    day,
    make_final,
    save_settings,
    week,
    written,
)
from tests.fixtures.servers.stores import NO_RETRIES, make_award

from score_service.domain.board.period import ALL_TIME, Period
from score_service.domain.ledger.award import Award
from score_service.domain.ledger.changes import Change, Changes, read_lines
from score_service.domain.ledger.position import Position
from score_service.domain.ledger.reversal import AwardArchived, Reversal, ReversalConflict, ReversalRequest
from score_service.domain.ledger.visibility import Visibility
from score_service.operations.verifier import Verifier
from score_service.record.boards import BoardStore
from score_service.record.corrections import Corrections
from score_service.record.database import Database
from score_service.record.history import History
from score_service.record.ledger import MAX_REVISION, Ledger
from score_service.record.periods import PeriodStore
from score_service.record.results import Results
from score_service.record.standings import Standings

USERS = ("ada", "bob", "cyd")
ACTOR = "spiffe://test.local/operator"


@dataclass(frozen=True)
class Give:
    """Awards in one commit."""

    awards: list[tuple[str, int]]


@dataclass(frozen=True)
class TakeBack:
    """Reversals in one call, of the awards with these numbers; by their own ids, or by others."""

    numbers: list[int]
    by_others: bool


@dataclass(frozen=True)
class Show:
    """Set who may see a user."""

    user_id: str
    visibility: Visibility


@dataclass(frozen=True)
class Pass:
    """Let time go by."""

    hours: int


@dataclass(frozen=True)
class Close:
    """All periods that are due become final."""


@dataclass(frozen=True)
class Cut:
    """Close what is due after a week, archive what is older than so many hours, and delete some of it."""

    hours: int
    pages: int


OPERATIONS = st.one_of(
    st.builds(Give, st.lists(st.tuples(st.sampled_from(USERS), st.integers(1, 3)), min_size=1, max_size=4)),
    st.builds(
        TakeBack, st.lists(st.integers(0, 20), min_size=1, max_size=5), st.sampled_from([False, False, True])
    ),
    st.builds(Show, st.sampled_from(USERS), st.sampled_from(Visibility)),
    st.builds(Pass, st.integers(1, 30)),
    st.just(Close()),
    st.builds(Cut, st.integers(0, 200), st.integers(0, 9)),
)


@dataclass
class Given:
    """An award of the model."""

    award: Award
    revision: int
    periods: tuple[str, ...]
    reversal: Reversal | None = None


@dataclass
class Model:
    """What was done to a board, and what it comes to."""

    now: datetime
    awards: list[Given] = field(default_factory=list)
    revision: int = 1
    """Of the settings."""
    opened: dict[str, Period] = field(default_factory=dict)
    frozen: dict[str, int] = field(default_factory=dict)
    final: set[str] = field(default_factory=set)
    visibilities: dict[str, Visibility] = field(default_factory=dict)
    cut: int = 0

    @property
    def current(self) -> tuple[Period, ...]:
        days = (self.now - MONDAY).days
        return day(days), week(days // 7)

    def freeze(self) -> None:
        """Do what every writer does first."""
        for period_id, period in self.opened.items():
            if self.now >= period.final_at:
                self.frozen.setdefault(period_id, self.revision)

    def users(self, period_id: str = ALL_TIME, upto: int = MAX_REVISION) -> set[str]:
        return {given.award.user_id for given in self._of(period_id) if given.revision <= upto}

    def standings(self, period_id: str = ALL_TIME) -> dict[str, tuple[int, int]]:
        """Return total and tie key of everybody who ever had points in a period."""
        upto = self.frozen.get(period_id, MAX_REVISION)
        sums: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for given in self._of(period_id):
            stands = given.reversal is None or given.reversal.revision > upto
            total, reached = sums[given.award.user_id]
            sums[given.award.user_id] = (
                (total + given.award.points, given.revision) if stands else (total, reached)
            )
        return dict(sums)

    def ranked(self, period_id: str = ALL_TIME) -> list[tuple[str, int, int]]:
        """Return user, total and rank of all ranked users, best first."""
        rows = sorted(
            (-total, reached, user_id)
            for user_id, (total, reached) in self.standings(period_id).items()
            if total and self.visibilities.get(user_id, Visibility.VISIBLE) is Visibility.VISIBLE
        )
        return [(user_id, -total, rank) for rank, (total, _, user_id) in enumerate(rows, start=1)]

    def _of(self, period_id: str) -> Iterator[Given]:
        return (given for given in self.awards if period_id == ALL_TIME or period_id in given.periods)


@dataclass
class World:
    """A board in the record, and its model."""

    board_id: str
    record: Database
    archiving: Archiving
    clock: LedgerClock
    model: Model
    folded: dict[str, dict[str, Change]] = field(default_factory=lambda: {ALL_TIME: {}})

    def __post_init__(self) -> None:
        self.ledger, self.corrections = Ledger(self.record), Corrections(self.record)
        self.periods = PeriodStore(self.record)

    async def run(self, operation: object) -> None:
        """Do it, and check what it answers, and what is read afterwards."""
        before = await self.ledger.read_head(self.board_id)
        match operation:
            case Give(awards):
                await self._give(awards)
            case TakeBack(numbers, by_others):
                await self._take_back(numbers, by_others=by_others)
            case Show(user_id, visibility) if user_id in self.model.users():
                await self._show(user_id, visibility)
            case Pass(hours):
                self._pass(hours)
            case Close():
                await self._close()
            case Cut(hours, pages):
                self._pass(7 * 24)
                await self._close()
                await self._cut(self.model.now - hours * HOUR, pages)
        await self._follow(before)
        await self._compare()

    def _pass(self, hours: int) -> None:
        self.model.now = min(self.model.now + hours * HOUR, MONDAY + 14 * DAY)
        self.clock.set(self.model.now)

    async def _give(self, pairs: list[tuple[str, int]]) -> None:
        model = self.model
        model.freeze()
        awards = [make_award(user_id, points, board_id=self.board_id) for user_id, points in pairs]
        written(await self.ledger.record_awards(self.board_id, awards, DAYS_AND_WEEKS))
        for period in model.current:
            model.opened.setdefault(period.period_id, period)
        current = {period.period_id for period in model.current}
        periods = tuple(period_id for period_id in model.opened if period_id in current)
        for award in awards:
            model.revision += 1
            model.awards.append(Given(award, model.revision, periods))

    async def _take_back(self, numbers: list[int], *, by_others: bool) -> None:
        model = self.model
        chosen = [model.awards[number] for number in dict.fromkeys(numbers) if number < len(model.awards)]
        if not chosen:
            return
        requests = [
            ReversalRequest(
                given.award.award_id,
                str(uuid.uuid5(uuid.UUID(given.award.award_id), "other" if by_others else "own")),
                "leaked",
            )
            for given in chosen
        ]
        batch = await self.corrections.reverse_awards(self.board_id, requests, actor=ACTOR, trace_id="")
        if any(given.reversal is None and given.revision > model.cut for given in chosen):
            model.freeze()
        for given, request, result, is_new in zip(chosen, requests, batch.results, batch.is_new, strict=True):
            assert is_new is (given.reversal is None and given.revision > model.cut)
            if given.reversal is None and given.revision <= model.cut:
                assert isinstance(result, AwardArchived)
                assert result.cut.revision == model.cut
            elif given.reversal is None:
                assert isinstance(result, Reversal)
                given.reversal = result
                assert result.final_periods == tuple(
                    period_id for period_id in given.periods if period_id in model.frozen
                )
                model.revision += 1
            elif given.reversal.reversal_id == request.reversal_id:
                assert isinstance(result, Reversal)
                assert self._place(result) == self._place(given.reversal)
            else:
                assert isinstance(result, ReversalConflict)
                assert self._place(result.standing) == self._place(given.reversal)
        made = [given for given, is_new in zip(chosen, batch.is_new, strict=True) if is_new]
        in_order = sorted(made, key=lambda given: given.revision)
        revisions = [given.reversal.revision for given in in_order if given.reversal]
        assert revisions == list(range(model.revision - len(made) + 1, model.revision + 1))
        assert batch.changes.after.revision == model.revision

    async def _show(self, user_id: str, visibility: Visibility) -> None:
        model = self.model
        before = model.visibilities.get(user_id, Visibility.VISIBLE)
        became = await self.corrections.set_visibility(
            self.board_id, user_id, visibility, "-", actor=ACTOR, on_behalf_of="", trace_id=""
        )
        assert became.before is before
        if visibility is not before:
            model.freeze()
            model.revision += 1
            model.visibilities[user_id] = visibility
            assert became.revision == model.revision

    async def _close(self) -> None:
        model = self.model
        model.freeze()
        for period_id in sorted(model.frozen.keys() - model.final):
            await make_final(self.periods, period_id, self.board_id)
            model.revision += 1
            model.final.add(period_id)

    async def _cut(self, before: datetime, pages: int) -> None:
        model, archive = self.model, self.archiving.archive
        end = await archive.find_cut(self.board_id, before)
        if end is None:
            return
        assert end.revision > model.cut
        final = {period_id for g in model.awards if g.revision <= end.revision for period_id in g.periods}
        assert final <= model.final
        model.freeze()
        await self.archiving.cut(end.revision, self.board_id)
        model.cut = end.revision
        model.revision += 1
        after = 0
        for _ in range(pages):
            if page := await archive.delete_archived(self.board_id, after, 2):
                after = page.last_revision

    def _place(self, reversal: Reversal) -> Reversal:
        """Leave the position of a reversal out whose commit may be deleted."""
        if reversal.revision > self.model.cut:
            return reversal
        return reversal._replace(position=Position.start(self.board_id))

    async def _follow(self, before: Position) -> None:
        changes = await self.ledger.read_changes(self.board_id, before)
        if changes is not None:
            fold(self.folded, changes)

    async def _compare(self) -> None:
        model, standings, results = self.model, Standings(self.record), Results(self.record)
        assert (await self.ledger.read_head(self.board_id)).revision == model.revision
        for period_id in (ALL_TIME, *model.opened):
            ranked = model.ranked(period_id)
            reads = results if period_id in model.final else standings
            page = await reads.list_standings(self.board_id, 10, "", period_id)
            assert [(s.user_id, s.total, s.rank) for s in page.top] == ranked, period_id
            assert page.entrants == (None if period_id == ALL_TIME else len(ranked))
            if period_id in model.final:
                continue
            whole = await standings.read_page(self.board_id, "", 10, period_id)
            lines = whole.lines.split("\n") if whole else []
            found = {line.split(" ")[0]: line.split(" ") for line in lines}
            assert {u: (int(w[1]), int(w[2])) for u, w in found.items()} == model.standings(period_id)
            assert (whole.ranked if whole else 0) == len(ranked)
            # What is followed from the changes is what a rebuild reads.
            followed = self.folded.get(period_id, {})
            assert {
                u: (c.total, c.reached_revision, c.version or c.reached_revision) for u, c in followed.items()
            } == {u: (int(w[1]), int(w[2]), int(w[3] if len(w) > 3 else w[2])) for u, w in found.items()}
            if period_id == ALL_TIME:
                flags = {u: w[4] for u, w in found.items() if len(w) > 4}
                assert flags == {u: v.flag for u, v in model.visibilities.items()}

    async def end(self) -> None:
        """Check what is only looked at once."""
        model, history = self.model, History(self.record)
        whole: dict[str, dict[str, Change]] = {ALL_TIME: {}}
        changes = await self.ledger.read_changes(self.board_id, Position.start(self.board_id))
        assert (changes is None) is (model.cut > 0)
        if changes is not None:
            fold(whole, changes)
        for period_id in () if model.cut else whole.keys() | self.folded.keys():
            assert {change[:3] for change in whole.get(period_id, {}).values()} == {
                change[:3] for change in self.folded.get(period_id, {}).values()
            }
            assert {u: change.visibility for u, change in whole.get(period_id, {}).items()} == {
                u: model.visibilities.get(u) for u in self.folded.get(period_id, {})
            }
        for user_id in (None, *USERS):
            listed, cut = await history.list_awards(self.board_id, user_id, MAX_REVISION, 1000)
            assert cut == model.cut
            assert [(item.award_id, item.reversal) for item in listed] == [
                (given.award.award_id, given.reversal)
                for given in reversed(model.awards)
                if user_id in (None, given.award.user_id) and given.revision > cut
            ]
        for period_id in {ALL_TIME, *model.opened} - (model.final if model.cut else set()):
            newcomers = await self.ledger.list_newcomers(self.board_id, 0, model.revision, period_id)
            assert sorted(user_id for _, user_id in newcomers) == sorted(
                model.users(period_id) - model.users(upto=model.cut)
                if period_id == ALL_TIME
                else model.users(period_id)
            )
        for period_id in model.opened:
            after = [
                given.reversal
                for given in model.awards
                if given.reversal and period_id in given.reversal.final_periods
            ]
            after.sort(key=lambda reversal: -reversal.revision)
            found = await self.corrections.list_reversals_after(self.board_id, period_id, 2)
            assert (found[0], *map(self._place, found[1])) == (len(after), *map(self._place, after[:2]))
        if model.cut:
            return
        verified = await Verifier(self.record, Standings(self.record), NO_RETRIES).verify_board(self.board_id)
        assert verified.findings.kept == []


def fold(folded: dict[str, dict[str, Change]], changes: Changes) -> None:
    """Do what the projection does with changes."""
    for period_id in (ALL_TIME, *changes.periods):
        changed = read_lines(changes.lines(period_id))
        folded.setdefault(period_id, {}).update((change.user_id, change) for change in changed)
    for period_id in changes.finished:
        folded.pop(period_id, None)


@hypothesis.settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(st.lists(OPERATIONS, min_size=3, max_size=14))
async def test_record_says_what_a_plain_model_does(
    record: Database,
    archiving: Archiving,
    board_store: BoardStore,
    ledger_clock: LedgerClock,
    operations: list[object],
) -> None:
    model = Model(MONDAY + 12 * HOUR)
    ledger_clock.set(model.now)
    world = World(str(uuid.uuid4()), record, archiving, ledger_clock, model)
    await save_settings(board_store, world.board_id)

    for operation in operations:
        await world.run(operation)

    await world.end()
