"""Who is ranked, in every read of the record: users that have points and are visible, and no others."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.resources import files

import psycopg
import pytest
from tests.fixtures.ledgers.periods import (
    DAYS_AND_WEEKS,
    LedgerClock,
    day,
    make_final,
    save_settings,
    written,
)
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import make_award

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.reversal import ReversalRequest
from score_service.domain.ledger.visibility import Visibility
from score_service.domain.standings.standing import Reading, Standing
from score_service.record import sql
from score_service.record.boards import BoardStore
from score_service.record.corrections import Corrections
from score_service.record.database import Database as Record
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from score_service.record.results import Results
from score_service.record.standings import CountedPage, Standings

DAY_ID = day().period_id
RANKED = ["bob", "dan", "fay", "gil"]
"""Who is ranked, best first: neither ada, who is hidden, nor cyd and eve, who are shadowed."""
TOTALS = {"ada": 90, "bob": 80, "cyd": 70, "dan": 60, "eve": 60, "fay": 60, "gil": 10, "hal": 5}
PLACES = {"ada": None, "bob": 1, "cyd": 2, "dan": 2, "eve": 3, "fay": 3, "gil": 4}
"""The rank that each is told; that of somebody shadowed is the one that would be. Nobody tells hal's."""

RANKED_READS = {
    "get_standings": "own standings, with ranks among those who are ranked",
    "list_standings": "pages",
    "list_standings_around": "neighbours",
    "get_results": "own places in final periods",
    "list_results": "pages of final periods",
    "list_results_around": "neighbours in final periods",
    "list_winners": "the top of final periods",
}
"""The statements that are read by who may not see everybody. What each tells is tested below."""
WHOLE_READS = {
    "count_page": "counts all standings for the projection, and those that are ranked apart",
    "count_unranked": "counts those that are not ranked, for the projection",
    "read_page": "reads all standings for the projection, with what says who is ranked",
    "find_next_board": "names boards",
    "list_standing_periods": "names periods, for verify",
    "read_ledger_end": "finds boards, for verify",
    "read_result": "reads a result as it was sealed, for verify",
    "verify_last_awards": "reads which awards were the last, for verify",
}
"""The statements that read everybody, on purpose."""


def statement_texts() -> dict[str, str]:
    """Return the statements without their comments."""
    return {
        file.name.removesuffix(".sql"): re.sub(r"--.*", "", file.read_text(encoding="utf-8"))
        for file in files(sql).iterdir()
        if file.name.endswith(".sql")
    }


def test_every_statement_that_reads_standings_or_results_is_known_here() -> None:
    reading = {
        name
        for name, text in statement_texts().items()
        if re.search(r"\bscore\.(standing|ranked_standing|period_result)\b", text)
    }
    assert reading == RANKED_READS.keys() | WHOLE_READS.keys()


@pytest.mark.parametrize("name", RANKED_READS)
def test_every_ranked_read_asks_who_is_hidden(name: str) -> None:
    assert re.search(r"\bscore\.(ranked_standing|hidden_user)\b", statement_texts()[name])


@pytest.fixture(autouse=True)
async def _board(
    ledger: Ledger, corrections: Corrections, board_store: BoardStore, ledger_clock: LedgerClock
) -> None:
    """Have a board where some are hidden, and one has no points any more."""
    await save_settings(board_store)
    awards = [make_award(user, total) for user, total in TOTALS.items()]
    written(await ledger.record_awards("main", awards, DAYS_AND_WEEKS))
    for user, visibility in (
        ("ada", Visibility.HIDDEN),
        ("cyd", Visibility.SHADOWED),
        ("eve", Visibility.SHADOWED),
        ("fay", Visibility.HIDDEN),
        ("fay", Visibility.VISIBLE),
    ):
        await corrections.set_visibility(
            "main", user, visibility, "cheats", actor="spiffe://test.local/x", on_behalf_of="", trace_id=""
        )
    request = ReversalRequest(awards[-1].award_id, awards[0].award_id, "leaked")
    await corrections.reverse_awards("main", [request], actor="spiffe://test.local/x", trace_id="")


@dataclass(frozen=True, slots=True)
class Reads:
    """The reads of one period, live or final."""

    get_standings: Callable[[list[str]], Awaitable[Reading]]
    list_standings: Callable[[int, str], Awaitable[Reading]]
    list_standings_around: Callable[[str, int], Awaitable[Reading]]
    has_entrants: bool


@pytest.fixture(params=["all_time", "live", "final"])
async def reads(
    request: pytest.FixtureRequest,
    standings: Standings,
    results: Results,
    periods: PeriodStore,
    ledger_clock: LedgerClock,
) -> Reads:
    period_id = ALL_TIME if request.param == "all_time" else DAY_ID
    store: Standings | Results = standings
    if request.param == "final":
        ledger_clock.set(day().final_at)
        await make_final(periods, DAY_ID)
        store = results
    return Reads(
        lambda user_ids: store.get_standings("main", user_ids, period_id),
        lambda size, token: store.list_standings("main", size, token, period_id),
        lambda user_id, radius: store.list_standings_around("main", user_id, radius, period_id),
        has_entrants=period_id != ALL_TIME,
    )


def places(standings: tuple[Standing, ...]) -> list[tuple[str, int | None]]:
    return [(standing.user_id, standing.rank) for standing in standings]


async def test_own_standing_says_whether_it_is_hidden(reads: Reads) -> None:
    reading = await reads.get_standings(list(TOTALS))

    assert places(reading.users) == list(PLACES.items())
    assert [s.total for s in reading.users] == [TOTALS[user] for user in PLACES]
    assert {s.user_id for s in reading.users if s.hidden} == {"ada", "cyd", "eve"}
    assert reading.entrants == (4 if reads.has_entrants else None)
    assert (await reads.get_standings(["hal", "nobody"])).users == ()


async def test_pages_have_who_is_ranked(reads: Reads) -> None:
    expected = list(zip(RANKED, range(1, 5), strict=True))

    reading = await reads.list_standings(10, "")

    assert places(reading.top) == expected
    assert reading.entrants == (4 if reads.has_entrants else None)
    assert not any(standing.hidden for standing in reading.top)
    for size in (1, 2, 3):
        paged, token = list[tuple[str, int | None]](), ""
        while token or not paged:
            page = await reads.list_standings(size, token)
            paged += places(page.top)
            token = page.next_page_token
        assert paged == expected


@pytest.mark.parametrize(
    ("user_id", "expected"),
    [
        ("ada", []),
        ("bob", ["bob", "dan"]),
        ("cyd", ["bob", "cyd", "dan"]),
        ("dan", ["bob", "dan", "fay"]),
        ("eve", ["dan", "eve", "fay"]),
        ("fay", ["dan", "fay", "gil"]),
        ("gil", ["fay", "gil"]),
        ("hal", []),
    ],
)
async def test_neighbours_are_ranked(reads: Reads, user_id: str, expected: list[str]) -> None:
    reading = await reads.list_standings_around(user_id, 1)

    assert places(reading.top) == [(user, PLACES[user]) for user in expected]
    assert {s.user_id for s in reading.top if s.hidden} == {user_id} & {"cyd", "eve"}
    assert reading.entrants == (4 if reads.has_entrants else None)


async def test_winners_are_ranked(
    results: Results, periods: PeriodStore, ledger_clock: LedgerClock, corrections: Corrections
) -> None:
    ledger_clock.set(day().final_at)
    await make_final(periods, DAY_ID)

    podium = (await results.list_winners("main", [DAY_ID], 3))[DAY_ID]
    assert (places(podium.winners), podium.entrants) == ([("bob", 1), ("dan", 2), ("fay", 3)], 4)
    assert (await results.list_winners("main", [DAY_ID], 0))[DAY_ID] == (4, ())
    await corrections.set_visibility(
        "main", "ada", Visibility.VISIBLE, "no", actor="spiffe://test.local/x", on_behalf_of="", trace_id=""
    )
    podium = (await results.list_winners("main", [DAY_ID], 2))[DAY_ID]
    assert (places(podium.winners), podium.entrants) == ([("ada", 1), ("bob", 2)], 5)


async def test_result_is_sealed_with_everybody_who_has_points(
    periods: PeriodStore, ledger_clock: LedgerClock
) -> None:
    ledger_clock.set(day().final_at)
    await make_final(periods, DAY_ID)

    stored = await periods.find("main", DAY_ID)

    assert stored is not None
    assert stored.entrants == 7


async def test_pages_for_the_projection_have_everybody(standings: Standings) -> None:
    page = await standings.read_page("main", "", 100, DAY_ID)

    assert page is not None
    assert (page.members, page.ranked) == (8, 4)
    assert page.lines.split("\n") == [
        "hal 0 0 15",
        "gil 10 8",
        "fay 60 7 14 v",
        "eve 60 6 12 s",
        "dan 60 5",
        "cyd 70 4 11 s",
        "bob 80 3",
        "ada 90 2 10 h",
    ]
    assert await standings.count_page("main", "", 100) == CountedPage(page.position, 8, 4, "hal")


async def test_newcomers_are_those_who_never_had_an_award(ledger: Ledger) -> None:
    start = await ledger.read_head("main")
    awards = [make_award("hal"), make_award("ivy")]

    batch = written(await ledger.record_awards("main", awards, DAYS_AND_WEEKS))

    revisions = start.revision, batch.changes.after.revision
    for period_id in (ALL_TIME, DAY_ID):
        assert await ledger.list_newcomers("main", *revisions, period_id) == [(revisions[1], "ivy")]


@pytest.mark.parametrize("ranked_max", [3, 4])
async def test_ranks_that_would_cost_too_much_are_left_out(record: Record, ranked_max: int) -> None:
    standings = Standings(record, ranked_max=ranked_max)

    own = await standings.get_standings("main", ["ada", "cyd", "dan"])
    around = await standings.list_standings_around("main", "cyd", 1)

    is_told = ranked_max == 4
    assert [s.rank for s in own.users] == ([None, 2, 2] if is_told else [None] * 3)
    assert [s.rank for s in around.top] == ([1, 2, 2] if is_told else [None] * 3)


async def test_only_user_of_a_board_may_be_hidden(
    ledger: Ledger, corrections: Corrections, standings: Standings
) -> None:
    await ledger.record_awards("other", [make_award("ada", 7, board_id="other")])
    await corrections.set_visibility(
        "other", "ada", Visibility.SHADOWED, "-", actor="spiffe://test.local/x", on_behalf_of="", trace_id=""
    )

    own = Standing("ada", 7, 1, 1, hidden=True)
    assert (await standings.list_standings("other", 5)).top == ()
    assert (await standings.list_standings_around("other", "ada", 5)).top == (own,)
    assert (await standings.get_standings("other", ["ada"])).users == (own,)


def test_view_of_who_is_ranked_cannot_be_written(database: Database) -> None:
    with (
        psycopg.connect(database.score_runtime_dsn) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("DELETE FROM score.ranked_standing")
