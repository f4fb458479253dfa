"""Corrections on a real PostgreSQL: awards that are taken back, and users who are hidden."""

import asyncio
import json
import uuid

import psycopg
import pytest
from tests.fixtures.ledgers.archiving import Archiving
from tests.fixtures.ledgers.periods import (
    DAY,
    DAYS_AND_WEEKS,
    HOUR,
    MONDAY,
    LedgerClock,
    archive_and_close,
    day,
    make_final,
    make_schedule,
    save_settings,
    season,
    week,
    written,
)
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import make_award

from score_service.domain.board.period import ALL_TIME, NO_SCHEDULE, Schedule
from score_service.domain.ledger.award import Award, RecordedAward
from score_service.domain.ledger.changes import Change, read_lines
from score_service.domain.ledger.reversal import (
    AwardArchived,
    AwardMissing,
    Reversal,
    ReversalConflict,
    ReversalRequest,
)
from score_service.domain.ledger.visibility import Visibility
from score_service.errors import BoardNotFoundError, RecordUnavailableError, StandingNotFoundError
from score_service.record.boards import BoardStore
from score_service.record.corrections import Corrections, VisibilitySet
from score_service.record.database import Database as Record
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore

ACTOR = "spiffe://test.local/operator"
TRACE = "0af7651916cd43dd8448eb211c80319c"
DAY_ID, WEEK_ID = day().period_id, week().period_id


def ask(award: Award, reversal_id: uuid.UUID | None = None, reason: str = "leaked") -> ReversalRequest:
    return ReversalRequest(award.award_id, str(reversal_id or uuid.uuid4()), reason, "alice")


async def reverse(corrections: Corrections, *awards: Award, board_id: str = "main") -> list[Reversal]:
    batch = await corrections.reverse_awards(
        board_id, [ask(award) for award in awards], actor=ACTOR, trace_id=TRACE
    )
    assert all(batch.is_new)
    return [result for result in batch.results if isinstance(result, Reversal)]


async def show(
    corrections: Corrections, visibility: Visibility, user_id: str = "ada", board_id: str = "main"
) -> VisibilitySet:
    return await corrections.set_visibility(
        board_id, user_id, visibility, "cheats", actor=ACTOR, on_behalf_of="alice", trace_id=TRACE
    )


async def record(ledger: Ledger, *awards: Award, schedule: Schedule = NO_SCHEDULE) -> list[Award]:
    """Record awards one by one."""
    for award in awards:
        written(await ledger.record_awards("main", [award], schedule))
    return list(awards)


def read_standings(database: Database, user_id: str = "ada") -> dict[str, tuple[int, int, int | None]]:
    """Read a user's standings: of each period the total, and the revisions that reached it and changed it."""
    with psycopg.connect(database.admin_dsn) as connection:
        rows = connection.execute(
            "SELECT period, total, reached_revision, changed_revision FROM score.standing"
            " WHERE user_id = %s AND board_id = 'main'",
            [user_id],
        )
        return {period: (total, reached, changed) for period, total, reached, changed in rows}


def read_bodies(database: Database, kind: str) -> list[str]:
    with psycopg.connect(database.admin_dsn) as connection:
        rows = connection.execute("SELECT body FROM score.entry WHERE kind = %s ORDER BY revision", [kind])
        return [body for (body,) in rows]


async def test_reversal_leaves_what_would_be_without_the_award(
    ledger: Ledger, corrections: Corrections, database: Database
) -> None:
    first, _, last = await record(ledger, make_award("ada", 3), make_award("bob", 9), make_award("ada", 4))

    (reversal,) = await reverse(corrections, last)

    head = await ledger.read_head("main")
    assert reversal == Reversal(
        reversal_id=reversal.reversal_id,
        award_id=last.award_id,
        award_revision=3,
        user_id="ada",
        points=4,
        total=3,
        revision=4,
        position=head,
        reason="leaked",
        actor=ACTOR,
        on_behalf_of="alice",
        recorded_at=reversal.recorded_at,
        final_periods=(),
    )
    assert read_standings(database) == {ALL_TIME: (3, 1, 4)}
    assert await reverse(corrections, first) != []
    assert read_standings(database) == {ALL_TIME: (0, 0, 5)}
    assert read_standings(database, "bob") == {ALL_TIME: (9, 2, None)}


async def test_reversal_of_an_earlier_award_keeps_the_tie_key(
    ledger: Ledger, corrections: Corrections, database: Database
) -> None:
    first, _, _ = await record(ledger, *(make_award("ada", points) for points in (3, 4, 5)))

    await reverse(corrections, first)

    assert read_standings(database) == {ALL_TIME: (9, 3, 4)}


async def test_tie_key_goes_back_to_the_latest_award_that_stands(
    ledger: Ledger, corrections: Corrections, database: Database
) -> None:
    awards = await record(ledger, *(make_award("ada", 1) for _ in range(5)))
    await reverse(corrections, awards[3])
    await reverse(corrections, awards[4], awards[2])

    assert read_standings(database) == {ALL_TIME: (2, 2, 8)}


async def test_award_after_a_reversal_counts_from_what_is_left(
    ledger: Ledger, corrections: Corrections, database: Database
) -> None:
    (award,) = await record(ledger, make_award("ada", 3))
    await reverse(corrections, award)

    batch = written(await ledger.record_awards("main", [make_award("ada", 5)]))

    assert batch.changes.changes == (Change("ada", 5, 3),)
    assert read_standings(database) == {ALL_TIME: (5, 3, None)}


async def test_entry_of_a_reversal_says_what_the_standings_became_right_after_it(
    ledger: Ledger,
    corrections: Corrections,
    database: Database,
    board_store: BoardStore,
    ledger_clock: LedgerClock,
) -> None:
    await save_settings(board_store)
    awards = await record(ledger, *(make_award("ada", 2) for _ in range(3)), schedule=DAYS_AND_WEEKS)

    # In one call, and not in the order of the awards.
    later, earlier = await reverse(corrections, awards[2], awards[0])

    assert (earlier.revision, later.revision) == (5, 6)
    bodies = read_bodies(database, "reversal")
    assert bodies == [
        f'{{"award_id":"{reversal.award_id}","award_revision":{reversal.award_revision},"final_periods":[],'
        f'"on_behalf_of":"alice","points":2,"reason":"leaked","reversal_id":"{reversal.reversal_id}",'
        f'"standings":[["all_time",{total},{reached}],["{DAY_ID}",{total},{reached}],["{WEEK_ID}",{total},{reached}]],'
        '"user_id":"ada"}'
        for reversal, total, reached in ((earlier, 4, 4), (later, 2, 3))
    ]
    for body in bodies:
        assert json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")) == body
    assert (earlier.total, later.total) == (4, 2)
    assert read_standings(database) == dict.fromkeys((ALL_TIME, DAY_ID, WEEK_ID), (2, 3, 6))


@pytest.mark.parametrize("reason", ['"\\\n\t', "ünd 🎉", "\u2028%s %(x)s {}", "x" * 500])
async def test_reason_is_kept_as_it_is(
    ledger: Ledger, corrections: Corrections, database: Database, reason: str
) -> None:
    (award,) = await record(ledger, make_award())

    batch = await corrections.reverse_awards("main", [ask(award, reason=reason)], actor=ACTOR, trace_id="")

    (reversal,) = batch.results
    assert isinstance(reversal, Reversal)
    assert reversal.reason == reason
    (body,) = read_bodies(database, "reversal")
    assert body.isascii()


async def test_same_reversal_again_changes_nothing_and_gives_the_first_result(
    ledger: Ledger, corrections: Corrections
) -> None:
    first, second = await record(ledger, make_award("ada"), make_award("ada"))
    request = ask(first)
    before = await corrections.reverse_awards("main", [request], actor=ACTOR, trace_id=TRACE)
    head = await ledger.read_head("main")

    again = await corrections.reverse_awards("main", [request], actor="spiffe://test.local/x", trace_id="")
    mixed = await corrections.reverse_awards("main", [request, ask(second)], actor=ACTOR, trace_id=TRACE)

    assert again.results == before.results
    assert again.is_new == (False,)
    assert again.changes.before == again.changes.after == head
    assert again.changes.changes == ()
    assert mixed.results[0] == before.results[0]
    assert mixed.is_new == (False, True)


async def test_what_was_taken_back_by_another_reversal_is_told(
    ledger: Ledger, corrections: Corrections
) -> None:
    first, second = await record(ledger, make_award("ada"), make_award("ada"))
    (reversal,) = await reverse(corrections, first)
    head = await ledger.read_head("main")
    other_id, same_id = ask(first), ask(second, uuid.UUID(reversal.reversal_id))
    missing = ask(make_award())

    batch = await corrections.reverse_awards(
        "main", [other_id, same_id, missing], actor=ACTOR, trace_id=TRACE
    )

    assert batch.results == (ReversalConflict(reversal), ReversalConflict(reversal), AwardMissing())
    assert batch.is_new == (False, False, False)
    assert await ledger.read_head("main") == head


async def test_reversal_on_a_board_without_awards_is_rejected(corrections: Corrections) -> None:
    with pytest.raises(BoardNotFoundError):
        await corrections.reverse_awards("main", [ask(make_award())], actor=ACTOR, trace_id="")


async def test_award_of_another_board_is_not_found(ledger: Ledger, corrections: Corrections) -> None:
    other = make_award(board_id="other")
    await ledger.record_awards("other", [other])
    await record(ledger, make_award())

    batch = await corrections.reverse_awards("main", [ask(other)], actor=ACTOR, trace_id="")

    assert batch.results == (AwardMissing(),)


async def test_reversed_award_never_pays_again(ledger: Ledger, corrections: Corrections) -> None:
    (award,) = await record(ledger, make_award("ada", 7))
    await reverse(corrections, award)
    head = await ledger.read_head("main")

    batch = await ledger.record_awards("main", [award])

    (result,) = batch.results
    assert isinstance(result, RecordedAward)
    assert result.reversed
    assert (result.revision, result.total) == (1, 7)
    assert result == await ledger.get_award("main", award.award_id)
    assert await ledger.read_head("main") == head


async def test_reversal_moves_what_is_not_frozen_and_names_what_is_final(
    ledger: Ledger,
    corrections: Corrections,
    board_store: BoardStore,
    periods: PeriodStore,
    database: Database,
    ledger_clock: LedgerClock,
) -> None:
    await save_settings(board_store)
    first, second = await record(ledger, make_award("ada", 3), make_award("ada", 4), schedule=DAYS_AND_WEEKS)
    ledger_clock.set(day().final_at)  # The day is frozen by the reversal itself.

    (reversal,) = await reverse(corrections, second)
    frozen = await periods.find("main", DAY_ID)
    assert frozen is not None
    assert frozen.closed_revision == 3
    assert reversal.final_periods == (DAY_ID,)
    assert read_standings(database) == {ALL_TIME: (3, 2, 4), WEEK_ID: (3, 2, 4), DAY_ID: (7, 3, None)}
    await make_final(periods, DAY_ID)
    (last,) = await reverse(corrections, first)

    assert last.final_periods == (DAY_ID,)
    assert await corrections.list_reversals_after("main", DAY_ID, 1) == (2, (last,))
    assert await corrections.list_reversals_after("main", DAY_ID, 100) == (2, (last, reversal))
    assert await corrections.list_reversals_after("main", WEEK_ID, 100) == (0, ())
    assert await corrections.list_reversals_after("main", "day:1999-01-01", 100) == (0, ())


async def test_period_takes_reversals_while_it_closes_and_is_reviewed(
    ledger: Ledger,
    corrections: Corrections,
    database: Database,
    board_store: BoardStore,
    ledger_clock: LedgerClock,
) -> None:
    spring = season("spring", MONDAY, MONDAY + DAY)
    await save_settings(board_store)
    awards = await record(ledger, *(make_award("ada", 2) for _ in range(3)), schedule=make_schedule(spring))
    for award, moment in zip(awards, (spring.ends_at, spring.closes_at, spring.final_at), strict=True):
        ledger_clock.set(moment)
        (reversal,) = await reverse(corrections, award)

    assert reversal.final_periods == ("season:spring",)
    assert read_standings(database) == {ALL_TIME: (0, 0, 7), "season:spring": (2, 4, 6)}


async def test_tie_key_of_a_period_is_of_an_award_in_it(
    ledger: Ledger,
    corrections: Corrections,
    database: Database,
    board_store: BoardStore,
    ledger_clock: LedgerClock,
) -> None:
    await save_settings(board_store)
    await record(ledger, make_award("ada", 1), schedule=DAYS_AND_WEEKS)
    ledger_clock.set(MONDAY + DAY + 12 * HOUR)
    tuesday = await record(ledger, make_award("ada", 2), make_award("ada", 4), schedule=DAYS_AND_WEEKS)

    await reverse(corrections, tuesday[1])
    assert read_standings(database)[day(1).period_id] == (2, 3, 5)
    await reverse(corrections, tuesday[0])

    assert read_standings(database)[day(1).period_id] == (0, 0, 6)
    assert read_standings(database)[WEEK_ID] == (1, 2, 6)


async def test_period_of_which_all_was_taken_back_becomes_final_without_entrants(
    ledger: Ledger,
    corrections: Corrections,
    board_store: BoardStore,
    periods: PeriodStore,
    ledger_clock: LedgerClock,
) -> None:
    await save_settings(board_store)
    awards = await record(ledger, make_award("ada", 1), make_award("bob", 2), schedule=DAYS_AND_WEEKS)
    await reverse(corrections, *awards)
    ledger_clock.set(day().final_at)
    await periods.freeze_periods("main")

    assert await archive_and_close(periods, DAY_ID) is not None

    stored = await periods.find("main", DAY_ID)
    assert stored is not None
    assert stored.entrants == 0


async def test_two_reversals_of_an_award_at_once_take_it_back_once(
    ledger: Ledger, corrections: Corrections, database: Database
) -> None:
    awards = await record(ledger, *(make_award("ada", 3) for _ in range(8)))
    requests = [[ask(award) for award in awards] for _ in range(2)]

    batches = await asyncio.gather(
        *(corrections.reverse_awards("main", pair, actor=ACTOR, trace_id="") for pair in requests * 2)
    )

    assert sorted(sum(batch.is_new) for batch in batches) == [0, 0, 0, 8]
    assert read_standings(database) == {ALL_TIME: (0, 0, 16)}


async def test_reversals_and_awards_at_once_lose_nothing(
    ledger: Ledger, corrections: Corrections, database: Database
) -> None:
    awards = await record(ledger, *(make_award("ada", 1) for _ in range(20)))

    async def award_more() -> None:
        for _ in range(20):
            await ledger.record_awards("main", [make_award("ada", 100)])

    await asyncio.gather(award_more(), *(reverse(corrections, award) for award in awards))

    total, reached, _ = read_standings(database)[ALL_TIME]
    assert total == 2000
    changes = await ledger.read_changes(
        "main", (await ledger.record_awards("main", [awards[0]])).changes.before
    )
    assert changes is None
    assert reached == max(r.revision for r in await _awards_of(ledger, database))


async def _awards_of(ledger: Ledger, database: Database) -> list[RecordedAward]:
    with psycopg.connect(database.admin_dsn) as connection:
        ids = connection.execute("SELECT award_id::text FROM score.award WHERE board_id = 'main'").fetchall()
    awards = [await ledger.get_award("main", award_id) for (award_id,) in ids]
    return [award for award in awards if not award.reversed]


async def test_changes_of_reversals_are_read_with_their_version(
    ledger: Ledger,
    corrections: Corrections,
    board_store: BoardStore,
    periods: PeriodStore,
    ledger_clock: LedgerClock,
) -> None:
    await save_settings(board_store)
    awards = await record(
        ledger, make_award("ada", 3), make_award("ada", 4), make_award("bob", 5), schedule=DAYS_AND_WEEKS
    )
    start = await ledger.read_head("main")

    batch = await corrections.reverse_awards(
        "main", [ask(awards[1]), ask(awards[2])], actor=ACTOR, trace_id=""
    )

    expected = {Change("ada", 3, 2, 5), Change("bob", 0, 0, 6)}
    assert set(batch.changes.changes) == expected
    assert {key: set(read_lines(lines)) for key, lines in batch.changes.periods.items()} == {
        DAY_ID: expected,
        WEEK_ID: expected,
    }
    assert batch.changes.before == start
    assert await ledger.read_changes("main", start) == batch.changes
    await record(ledger, make_award("bob", 1), schedule=DAYS_AND_WEEKS)
    window = await ledger.read_changes("main", start)
    assert window is not None
    assert set(window.changes) == {Change("ada", 3, 2, 5), Change("bob", 1, 7)}
    assert set(read_lines(window.periods[DAY_ID])) == set(window.changes)


async def test_hiding_a_user_is_an_entry_that_changes_no_total(
    ledger: Ledger,
    corrections: Corrections,
    database: Database,
    board_store: BoardStore,
    ledger_clock: LedgerClock,
) -> None:
    await save_settings(board_store)
    await record(ledger, make_award("ada", 3), make_award("bob", 4), schedule=DAYS_AND_WEEKS)

    hidden = await show(corrections, Visibility.HIDDEN)

    change = Change("ada", 3, 2, 4, Visibility.HIDDEN)
    assert hidden.changes.changes == (change,)
    assert dict(hidden.changes.periods) == {DAY_ID: change.line, WEEK_ID: change.line}
    assert (hidden.before, hidden.visibility, hidden.revision) == (Visibility.VISIBLE, Visibility.HIDDEN, 4)
    assert hidden.position == await ledger.read_head("main")
    (body,) = read_bodies(database, "visibility")
    assert body == (
        '{"on_behalf_of":"alice","reason":"cheats","standings":[["all_time",3,2],'
        f'["{DAY_ID}",3,2],["{WEEK_ID}",3,2]],"user_id":"ada","visibility":"hidden"}}'
    )
    assert read_standings(database) == dict.fromkeys((ALL_TIME, DAY_ID, WEEK_ID), (3, 2, 4))
    assert await corrections.find_visibilities("main", ["ada", "bob", "cyd"], 4) == {"ada": Visibility.HIDDEN}


async def test_same_visibility_again_writes_nothing(ledger: Ledger, corrections: Corrections) -> None:
    await record(ledger, make_award("ada"))
    never = await show(corrections, Visibility.VISIBLE)
    hidden = await show(corrections, Visibility.HIDDEN)
    await record(ledger, make_award("ada"))

    again = await show(corrections, Visibility.HIDDEN)
    shown = await show(corrections, Visibility.VISIBLE)

    assert (never.before, never.revision, never.changes.changes) == (Visibility.VISIBLE, 0, ())
    assert (again.before, again.revision, again.changes.changes) == (Visibility.HIDDEN, hidden.revision, ())
    assert again.position.revision == 3
    assert (shown.before, shown.revision) == (Visibility.HIDDEN, 4)
    assert shown.changes.changes == (Change("ada", 20, 3, 4, Visibility.VISIBLE),)
    assert await corrections.find_visibilities("main", ["ada"], 4) == {}


async def test_who_is_hidden_is_told_as_of_a_revision(ledger: Ledger, corrections: Corrections) -> None:
    await record(ledger, make_award("ada"), make_award("bob"))
    for seen in (Visibility.HIDDEN, Visibility.VISIBLE, Visibility.SHADOWED):
        await show(corrections, seen)

    told = [await corrections.find_visibilities("main", ["ada", "bob"], revision) for revision in range(2, 7)]

    hidden, shadowed = {"ada": Visibility.HIDDEN}, {"ada": Visibility.SHADOWED}
    assert told == [{}, hidden, {}, shadowed, shadowed]


async def test_last_visibility_of_a_window_holds_for_all_that_changed_in_it(
    ledger: Ledger, corrections: Corrections, board_store: BoardStore, ledger_clock: LedgerClock
) -> None:
    await save_settings(board_store)
    await record(ledger, make_award("ada", 3), schedule=DAYS_AND_WEEKS)
    start = await ledger.read_head("main")
    await show(corrections, Visibility.HIDDEN)
    await show(corrections, Visibility.SHADOWED)
    ledger_clock.set(MONDAY + DAY + HOUR)
    await record(ledger, make_award("ada", 5), schedule=DAYS_AND_WEEKS)

    changes = await ledger.read_changes("main", start)

    assert changes is not None
    assert changes.changes == (Change("ada", 8, 5, None, Visibility.SHADOWED),)
    assert changes.changes[0].line == "ada 8 5 5 s"
    assert changes.periods[day(1).period_id] == Change("ada", 5, 5, None, Visibility.SHADOWED).line


async def test_only_users_who_had_points_can_be_hidden(ledger: Ledger, corrections: Corrections) -> None:
    with pytest.raises(BoardNotFoundError):
        await show(corrections, Visibility.HIDDEN)
    (award,) = await record(ledger, make_award("ada"))
    with pytest.raises(StandingNotFoundError):
        await show(corrections, Visibility.HIDDEN, "bob")
    await reverse(corrections, award)
    assert (await show(corrections, Visibility.HIDDEN)).revision == 3


async def test_user_is_hidden_in_periods_that_are_frozen_and_not_final(
    ledger: Ledger,
    corrections: Corrections,
    database: Database,
    board_store: BoardStore,
    periods: PeriodStore,
    ledger_clock: LedgerClock,
) -> None:
    await save_settings(board_store)
    await record(ledger, make_award("ada", 3), schedule=DAYS_AND_WEEKS)
    ledger_clock.set(day().final_at)
    await periods.freeze_periods("main")
    frozen = await show(corrections, Visibility.HIDDEN)
    await make_final(periods, DAY_ID)

    shown = await show(corrections, Visibility.VISIBLE)

    assert DAY_ID in frozen.changes.periods
    assert set(shown.changes.periods) == {WEEK_ID}
    assert DAY_ID not in read_standings(database)


async def test_runtime_role_changes_and_removes_no_correction(
    ledger: Ledger, corrections: Corrections, database: Database
) -> None:
    (award,) = await record(ledger, make_award("ada"))
    await reverse(corrections, award)
    await show(corrections, Visibility.HIDDEN)
    with psycopg.connect(database.score_runtime_dsn, autocommit=True) as connection:
        for statement in (
            "UPDATE score.reversal SET award_revision = 1",
            "DELETE FROM score.reversal",
            "DELETE FROM score.visibility",
            "UPDATE score.visibility SET user_id = 'bob'",
            "TRUNCATE score.reversal",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


@pytest.mark.parametrize("points", ["bigint", "integer"])
async def test_servers_of_versions_before_cannot_award_on_a_board_with_corrections(
    ledger: Ledger, corrections: Corrections, database: Database, points: str
) -> None:
    (award,) = await record(ledger, make_award("ada"))
    await reverse(corrections, award)
    with psycopg.connect(database.score_runtime_dsn, autocommit=True) as connection:
        statement = (
            "SELECT score.record_awards(%s, ARRAY[gen_random_uuid()], '{ada}', ARRAY[2]::"
            + points
            + "[], '{a}', '{a}', ARRAY[gen_random_uuid()], '{spiffe://test.local/old}', '{\"\"}')"
        )
        connection.execute(statement, ["other"])
        with pytest.raises(psycopg.errors.UndefinedFunction):
            connection.execute(statement, ["main"])


async def test_standing_that_is_missing_lets_nothing_be_taken_back(
    ledger: Ledger, corrections: Corrections, database: Database
) -> None:
    (award,) = await record(ledger, make_award("ada"))
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM score.standing")

    with pytest.raises(psycopg.errors.RaiseException):
        await reverse(corrections, award)

    assert (await ledger.read_head("main")).revision == 1


async def test_reversal_read_from_a_server_that_does_not_have_it_is_unknown(
    ledger: Ledger, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    award = make_award("ada")
    await ledger.record_awards("main", [award])
    fetch_all = record.fetch_all

    async def fetch(statement: str, *arguments: object, **options: object) -> list[object]:
        rows = await fetch_all(statement, *arguments, **options)  # type: ignore[arg-type]
        return [] if statement == "list_reversals" else list(rows)

    monkeypatch.setattr(record, "fetch_all", fetch)
    with pytest.raises(RecordUnavailableError):
        await reverse(Corrections(record), award)


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_archived_award_is_not_taken_back(
    ledger: Ledger, corrections: Corrections, archiving: Archiving, *, is_deleted: bool
) -> None:
    awards = await record(ledger, make_award("ada", 3), make_award("ada", 4), make_award("bob", 5))
    cut = await archiving.cut(2)
    if is_deleted:
        await archiving.delete()

    batch = await corrections.reverse_awards(
        "main", [ask(awards[0]), ask(awards[2]), ask(make_award())], actor=ACTOR, trace_id=TRACE
    )

    assert batch.results[0] == AwardArchived(cut)
    assert isinstance(batch.results[1], Reversal)
    assert isinstance(batch.results[2], AwardMissing)
    assert batch.is_new == (False, True, False)
    assert [change.user_id for change in batch.changes.changes] == ["bob"]


@pytest.mark.parametrize("is_deleted", [False, True])
@pytest.mark.parametrize("cut", [1, 4])
async def test_reversal_of_an_award_that_was_archived_since_is_its_first_result_again(
    ledger: Ledger, corrections: Corrections, archiving: Archiving, cut: int, *, is_deleted: bool
) -> None:
    awards = await record(ledger, make_award("ada", 3), make_award("ada", 4))
    asked = ask(awards[0])
    first = await corrections.reverse_awards("main", [asked], actor=ACTOR, trace_id=TRACE)
    await record(ledger, make_award("bob", 5))
    position = await archiving.cut(cut)
    if is_deleted:
        await archiving.delete()

    again = await corrections.reverse_awards("main", [asked], actor=ACTOR, trace_id=TRACE)
    other = await corrections.reverse_awards("main", [ask(awards[0])], actor=ACTOR, trace_id=TRACE)

    (reversal,), (result,), (conflict,) = first.results, again.results, other.results
    assert isinstance(reversal, Reversal)
    held = position if cut > reversal.revision else reversal.position
    assert result == reversal._replace(position=held)
    assert conflict == ReversalConflict(reversal._replace(position=held))
    assert again.changes.changes == other.changes.changes == ()


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_reversal_after_a_result_is_at_the_cut_once_it_is_archived(
    ledger: Ledger,
    corrections: Corrections,
    board_store: BoardStore,
    periods: PeriodStore,
    ledger_clock: LedgerClock,
    archiving: Archiving,
    *,
    is_deleted: bool,
) -> None:
    await save_settings(board_store)
    schedule = make_schedule(*map(day, range(2)))
    first, second = await record(ledger, make_award("ada", 3), make_award("ada", 4), schedule=schedule)
    ledger_clock.set(day().final_at)  # The day is frozen by the first reversal.
    (frozen,) = await reverse(corrections, second)
    await make_final(periods, DAY_ID)
    (last,) = await reverse(corrections, first)
    position = await archiving.cut()
    if is_deleted:
        await archiving.delete()

    found = await corrections.list_reversals_after("main", DAY_ID, 100)

    assert found == (2, tuple(one._replace(position=position) for one in (last, frozen)))


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_totals_are_reached_where_they_would_be_without_a_cut(
    ledger: Ledger, corrections: Corrections, archiving: Archiving, database: Database, *, is_deleted: bool
) -> None:
    """The same is done to two boards, of which one has a cut."""
    made: dict[str, list[Award]] = {"main": [], "other": []}

    async def award_each(*users: str) -> None:
        for board_id, awards in made.items():
            for number, user in enumerate(users, start=1):
                awards.append(make_award(user, number, board_id=board_id))
                await ledger.record_awards(board_id, awards[-1:])

    async def reverse_each(*numbers: int) -> list[list[Change]]:
        changes = []
        for board_id, awards in made.items():
            batch = await corrections.reverse_awards(
                board_id, [ask(awards[number]) for number in numbers], actor=ACTOR, trace_id=TRACE
            )
            assert all(batch.is_new)
            changes.append(sorted(batch.changes.changes))
        return changes

    await award_each("ada", "ada", "bob", "bob", "cyd", "eve")
    await reverse_each(1, 2, 3, 5)  # Ada keeps the first one; Bob and Eve have none left.
    await archiving.cut(10)
    if is_deleted:
        await archiving.delete()
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        # So that both boards go on with the same revisions.
        connection.execute("UPDATE score.board SET revision = 11 WHERE board_id = 'other'")
        connection.execute("INSERT INTO score.commit VALUES ('other', 11, 11, sha256(''), now())")
    await award_each("ada", "bob", "cyd", "cyd", "eve", "ada", "new")
    for numbers in ((6, 11), (7,), (8, 9), (10,), (12,)):
        with_cut, without = await reverse_each(*numbers)
        assert with_cut == without
    assert {board_id: await ledger.list_newcomers(board_id, 11, 99) for board_id in made} == {
        "main": [(18, "new")],
        "other": [(18, "new")],
    }
