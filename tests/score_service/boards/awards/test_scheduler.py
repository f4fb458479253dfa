"""Awards on boards with periods: with what a process knows of their settings, and when it asks for them."""

from datetime import timedelta

import pytest
from tests.fixtures.ledgers.boards import PeriodBoards
from tests.fixtures.ledgers.periods import DAY, HOUR, MONDAY, LedgerClock, Moment, save_default
from tests.fixtures.servers.postgres import Database as Server
from tests.fixtures.servers.stores import make_award

from score_service.boards.awards.scheduler import Scheduler
from score_service.boards.awards.scoring import Scoring
from score_service.domain.board.board_settings import BoardSettings, LatePolicy
from score_service.domain.board.period import NO_SCHEDULE
from score_service.domain.ledger.award import AwardOutcome
from score_service.errors import PeriodClosedError
from score_service.reconcile.projector import Projector
from score_service.record.database import Database
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from score_service.record.standings import Standings


class Asked:
    """How often a process sent statements, by name."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.statements: list[str] = []
        fetch_all = database.fetch_all

        async def counted(statement: str, *arguments: object, **options: object) -> object:
            self.statements.append(statement)
            return await fetch_all(statement, *arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(database, "fetch_all", counted)

    def take(self) -> list[str]:
        taken, self.statements = self.statements, []
        return taken


@pytest.fixture
def asked(record: Database, monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(record, monkeypatch)


async def totals(standings: Standings, period_id: str) -> dict[str, int]:
    reading = await standings.list_standings("main", 100, "", period_id)
    return {standing.user_id: standing.total for standing in reading.top}


async def test_board_without_periods_costs_one_statement_an_award(
    asked: Asked, record: Database, projector: Projector, moment: Moment
) -> None:
    scoring = Scoring(Ledger(record), projector, Scheduler(PeriodStore(record), moment))
    await scoring.award(make_award())
    asked.take()
    await scoring.award(make_award())

    assert [statement for statement in asked.take() if statement != "read_head"] == ["record_awards"]


async def test_settings_are_asked_for_once_and_again_when_they_have_changed(
    period_boards: PeriodBoards, asked: Asked, record: Database, projector: Projector, moment: Moment
) -> None:
    scoring = Scoring(Ledger(record), projector, Scheduler(PeriodStore(record), moment))
    await scoring.award(make_award())
    first = asked.take()
    await scoring.award(make_award())
    second = asked.take()
    await period_boards.configure(BoardSettings(periods=("week",)))
    asked.take()
    await scoring.award(make_award())
    third = asked.take()
    await scoring.award(make_award())

    again = ["record_awards", "find_settings", "record_awards"]
    assert [first, second, third, asked.take()] == [again, ["record_awards"], again, ["record_awards"]]


async def test_new_board_gets_the_default_with_its_first_award(
    period_boards: PeriodBoards, standings: Standings
) -> None:
    await save_default(period_boards.store, BoardSettings(periods=("day",)))

    outcomes = [
        await period_boards.scoring.award(make_award(user, 5, board_id="new")) for user in ("ada", "bob")
    ]

    assert [outcome.recorded.revision for outcome in outcomes] == [2, 3]
    assert [outcome.rank for outcome in outcomes] == [1, 2]
    day = await standings.list_standings("new", 10, "", "day:2026-11-30")
    assert [standing.user_id for standing in day.top] == ["ada", "bob"]


async def test_award_counts_from_the_start_of_a_period_to_its_end_by_the_time_of_the_ledger(
    period_boards: PeriodBoards, standings: Standings, moment: Moment
) -> None:
    for now in (MONDAY + DAY - timedelta(microseconds=1), MONDAY + DAY):
        moment.set(now)
        await period_boards.award("ada", 5)

    assert await totals(standings, "day:2026-11-30") == {"ada": 5}
    assert await totals(standings, "day:2026-12-01") == {"ada": 5}
    assert await totals(standings, "week:2026-W49") == {"ada": 10}
    assert await totals(standings, "month:2026-11") == {"ada": 5}
    assert await totals(standings, "all_time") == {"ada": 10}


async def test_award_that_says_when_it_happened_counts_there_until_the_period_closes(
    period_boards: PeriodBoards, standings: Standings, moment: Moment
) -> None:
    happened = MONDAY + DAY - timedelta(seconds=1)
    for now in (MONDAY + DAY + timedelta(minutes=9), MONDAY + DAY + timedelta(minutes=10)):
        moment.set(now)
        await period_boards.award("ada", 5, happened)

    assert await totals(standings, "day:2026-11-30") == {"ada": 5}
    assert await totals(standings, "day:2026-12-01") == {"ada": 5}


async def test_board_that_rejects_late_awards_rejects_them_alone_and_answers_retries_as_before(
    period_boards: PeriodBoards, moment: Moment, standings: Standings
) -> None:
    await period_boards.configure(BoardSettings(periods=("day",), late=LatePolicy.REFUSE))
    in_time = make_award("ada", 5)._replace(occurred_at=MONDAY + 12 * HOUR)
    first = await period_boards.scoring.award(in_time)
    moment.set(MONDAY + DAY + HOUR)
    late = make_award("bob", 5)._replace(occurred_at=MONDAY + 12 * HOUR)

    again, rejected, made = await period_boards.scoring.award_all([in_time, late, make_award("cy", 5)])

    assert isinstance(rejected, PeriodClosedError)
    assert isinstance(again, AwardOutcome)
    assert again.recorded == first.recorded
    assert isinstance(made, AwardOutcome)
    assert await totals(standings, "all_time") == {"ada": 5, "cy": 5}


@pytest.mark.parametrize("ahead", [-3 * DAY, -90 * timedelta(seconds=1), 90 * timedelta(seconds=1), 40 * DAY])
async def test_clock_of_the_ledger_decides_however_far_that_of_the_process_is_off(
    period_boards: PeriodBoards,
    asked: Asked,
    record: Database,
    database: Server,
    projector: Projector,
    standings: Standings,
    moment: Moment,
    ahead: timedelta,
) -> None:
    scoring = Scoring(Ledger(record), projector, Scheduler(PeriodStore(record), moment))
    moment.now = MONDAY + DAY + 12 * HOUR - ahead
    LedgerClock(database.admin_dsn).set(MONDAY + DAY + 12 * HOUR)
    await scoring.award(make_award("ada", 5))
    asked.take()
    await scoring.award(make_award("ada", 5))

    assert asked.take() == ["record_awards"]
    assert await totals(standings, "day:2026-12-01") == {"ada": 10}


async def test_schedule_is_made_anew_before_it_ends(
    period_boards: PeriodBoards, scheduler: Scheduler, moment: Moment
) -> None:
    assert scheduler.schedule("main", []) is NO_SCHEDULE
    await period_boards.award()
    first = scheduler.schedule("main", [])
    moment.set(MONDAY + 12 * HOUR + timedelta(minutes=29))
    same = scheduler.schedule("main", [])
    moment.set(MONDAY + 12 * HOUR + timedelta(minutes=30))
    later = scheduler.schedule("main", [])

    assert first is same
    assert later.valid_until == first.valid_until + timedelta(minutes=30)
