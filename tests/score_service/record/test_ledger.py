"""The record on a real PostgreSQL: what a batch writes, what it answers, and what nobody may change."""

import asyncio
import hashlib
import itertools
import uuid
from typing import Any

import psycopg
import pytest
from tests.fixtures.ledgers.archiving import Archiving
from tests.fixtures.ledgers.correcting import Correcting
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import make_award

from score_service.domain.board.identifier import is_identifier
from score_service.domain.ledger.award import MAX_TOTAL, ArchivedAward, Award, OutOfRange, RecordedAward
from score_service.domain.ledger.changes import Change
from score_service.domain.ledger.position import Position
from score_service.errors import (
    AwardNotFoundError,
    BoardNotFoundError,
    HistoryArchivedError,
    RecordUnavailableError,
)
from score_service.record import ledger as ledger_module
from score_service.record.database import Database as Record
from score_service.record.ledger import Ledger, RecordedBatch


def recorded(batch: RecordedBatch) -> list[RecordedAward]:
    return [result for result in batch.results if isinstance(result, RecordedAward)]


def set_total(database: Database, user_id: str, total: int) -> None:
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute("UPDATE score.standing SET total = %s WHERE user_id = %s", (total, user_id))


async def test_first_award_of_a_board_makes_the_board(ledger: Ledger) -> None:
    batch = await ledger.record_awards("main", [make_award("ada", 7)])

    (result,) = recorded(batch)
    assert (result.revision, result.points, result.total) == (1, 7, 7)
    assert batch.changes.before == Position.start("main")
    assert batch.changes.after == result.position == await ledger.read_head("main")
    assert batch.changes.changes == (Change("ada", 7, 1),)


async def test_same_award_again_changes_nothing_and_gives_the_first_row(ledger: Ledger) -> None:
    award = make_award("ada", 7)
    first = await ledger.record_awards("main", [award])
    await ledger.record_awards("main", [make_award("ada", 5)])

    again = await ledger.record_awards("main", [award])

    assert again.results == first.results
    assert again.changes.changes == ()
    assert again.changes.before == again.changes.after == await ledger.read_head("main")


async def test_batch_gets_consecutive_revisions_in_its_order_and_one_commit(ledger: Ledger) -> None:
    users = ["ada", "bob", "ada", "cyd"]

    batch = await ledger.record_awards("main", [make_award(user, 3) for user in users])

    rows = recorded(batch)
    assert [row.revision for row in rows] == [1, 2, 3, 4]
    assert [row.total for row in rows] == [3, 3, 6, 3]
    assert {row.position for row in rows} == {batch.changes.after}
    assert set(batch.changes.changes) == {Change("bob", 3, 2), Change("ada", 6, 3), Change("cyd", 3, 4)}


async def test_same_id_twice_in_a_batch_is_recorded_once(ledger: Ledger) -> None:
    award = make_award("ada", 3)

    batch = await ledger.record_awards("main", [award, make_award("bob", 1), award])

    assert [row.revision for row in recorded(batch)] == [1, 2, 1]
    assert batch.changes.after.revision == 2


async def test_new_awards_cost_no_look_at_old_ones_from_the_first_batch_on(
    ledger: Ledger, database: Database
) -> None:
    for _ in range(20):
        await ledger.record_awards("main", [make_award(f"user_{n}") for n in range(256)])

    # A connection writes its counters when it has been idle for a while, or when it ends.
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'score_runtime'"
            " AND datname = current_database()"
        )
        looks = connection.execute(
            "SELECT relname, seq_scan, idx_tup_fetch FROM pg_stat_user_tables"
            " WHERE schemaname = 'score' AND relname IN ('award', 'standing') ORDER BY relname"
        ).fetchall()
    assert looks == [("award", 0, 0), ("standing", 0, 19 * 256)]


async def test_server_of_the_version_before_goes_on_where_this_one_stopped(
    ledger: Ledger, database: Database
) -> None:
    first = await ledger.record_awards("main", [make_award("ada", 5)])
    with psycopg.connect(database.score_runtime_dsn, autocommit=True) as connection:
        row = connection.execute(
            "SELECT from_revision, to_revision, to_digest, total_after FROM score.record_awards('main', %s,"
            " '{ada}', '{2}'::bigint[], '{puzzle}', '{puzzle_2}', %s, '{spiffe://test.local/old}', '{\"\"}')",
            ([uuid.uuid4()], [uuid.uuid4()]),
        ).fetchone()
    third = await ledger.record_awards("main", [make_award("ada", 1)])

    assert row is not None
    assert (row[0], row[1], row[3]) == (first.changes.after.revision, 2, 7)
    assert third.changes.before == Position.of(2, row[2])
    assert [result.total for result in recorded(third)] == [8]


async def test_award_past_the_greatest_total_fails_alone(ledger: Ledger, database: Database) -> None:
    await ledger.record_awards("main", [make_award("ada", 1)])
    set_total(database, "ada", MAX_TOTAL - 10)
    points = [8, 5, 2, 1]

    batch = await ledger.record_awards("main", [make_award("ada", p) for p in points] + [make_award("bob")])

    assert [type(result) for result in batch.results] == [
        RecordedAward,
        OutOfRange,
        RecordedAward,
        OutOfRange,
        RecordedAward,
    ]
    assert [row.total for row in recorded(batch)] == [MAX_TOTAL - 2, MAX_TOTAL, 10]
    assert [row.revision for row in recorded(batch)] == [2, 3, 4]


async def test_award_that_a_server_knew_and_the_next_one_does_not_is_not_rejected(
    ledger: Ledger, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    award = make_award()
    await ledger.record_awards("main", [award])
    fetch_all = record.fetch_all

    async def fail_over(statement: str, parameters: Any) -> list[Any]:
        return [] if statement == "get_awards" else await fetch_all(statement, parameters)

    monkeypatch.setattr(record, "fetch_all", fail_over)

    with pytest.raises(RecordUnavailableError):
        await Ledger(record).record_awards("main", [award])


async def test_batch_of_impossible_awards_alone_writes_nothing(ledger: Ledger, database: Database) -> None:
    await ledger.record_awards("main", [make_award("ada", 1)])
    set_total(database, "ada", MAX_TOTAL)
    head = await ledger.read_head("main")

    batch = await ledger.record_awards("main", [make_award("ada", 1), make_award("ada", 2)])

    assert batch.results == (OutOfRange(), OutOfRange())
    assert await ledger.read_head("main") == head


async def test_digest_chains_the_canonical_rows_of_every_commit(ledger: Ledger, database: Database) -> None:
    await ledger.record_awards("main", [make_award("ada"), make_award("bob")])
    await ledger.record_awards("main", [make_award("ada")])

    with psycopg.connect(database.admin_dsn) as connection:
        rows = connection.execute(
            "SELECT revision, award_id, user_id, action_type, action_id, points, total_after, request_id,"
            " caller, trace_id, (extract(epoch FROM awarded_at) * 1000000)::bigint"
            " FROM score.award ORDER BY revision"
        ).fetchall()
        commits = connection.execute(
            "SELECT first_revision, last_revision, digest FROM score.commit ORDER BY last_revision"
        ).fetchall()

    digest = hashlib.sha256(b"main").digest()
    for first, last, stored in commits:
        text = "".join("\t".join(map(str, row)) + "\n" for row in rows[first - 1 : last])
        digest = hashlib.sha256(digest + text.encode()).digest()
        assert stored == digest
    assert [commit[:2] for commit in commits] == [(1, 2), (3, 3)]
    assert await ledger.read_head("main") == Position.of(3, digest)


async def test_concurrent_copies_of_one_award_make_one_row(ledger: Ledger) -> None:
    award = make_award("ada", 7)

    batches = await asyncio.gather(*(ledger.record_awards("main", [award]) for _ in range(50)))

    assert {batch.results for batch in batches} == {batches[0].results}
    assert sum(bool(batch.changes.changes) for batch in batches) == 1
    assert (await ledger.read_head("main")).revision == 1


async def test_concurrent_batches_leave_no_gap_and_no_two_commits_with_one_start(ledger: Ledger) -> None:
    batches = await asyncio.gather(
        *(
            ledger.record_awards("main", [make_award(f"user{i % 5}", 1) for _ in range(i % 4 + 1)])
            for i in range(40)
        )
    )

    steps = sorted((b.changes.before.revision, b.changes.after.revision) for b in batches)
    assert steps[0][0] == 0
    assert all(step[1] == following[0] for step, following in itertools.pairwise(steps))


async def test_boards_do_not_share_ids_or_revisions(ledger: Ledger) -> None:
    award_id = uuid.uuid4()
    one = await ledger.record_awards("one", [make_award(board_id="one", award_id=award_id)])
    two = await ledger.record_awards("two", [make_award(board_id="two", award_id=award_id)])

    assert recorded(one)[0].revision == recorded(two)[0].revision == 1
    assert one.changes.after != two.changes.after
    assert [board for board, _ in await ledger.list_heads("", 10)] == ["one", "two"]
    assert [board for board, _ in await ledger.list_heads("one", 10)] == ["two"]


async def test_boards_are_named_in_order_however_many_pages_they_are(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_BOARDS_A_LOOK", 2)
    assert [board_id async for board_id in ledger.list_boards()] == []
    for board_id in ("b", "a", "B", "c"):
        await ledger.record_awards(board_id, [make_award(board_id=board_id)])
    assert [board_id async for board_id in ledger.list_boards()] == ["B", "a", "b", "c"]


async def test_newcomers_are_listed_at_their_first_award_however_many_pages_they_are(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_REVISIONS_A_PAGE", 2)
    for users in (["ada", "bob", "ada"], ["cyd", "bob"], ["ada", "dan"]):
        await ledger.record_awards("main", [make_award(user) for user in users])
    await ledger.record_awards("other", [make_award("eve", board_id="other")])

    listed = {after: await ledger.list_newcomers("main", after, 7) for after in (0, 3, 5, 7)}

    assert listed[0] == [(1, "ada"), (2, "bob"), (4, "cyd"), (7, "dan")]
    assert listed == {0: listed[0], 3: listed[0][2:], 5: listed[0][3:], 7: []}
    assert await ledger.list_newcomers("main", 0, 3) == listed[0][:2]


async def test_award_is_found_with_the_position_of_its_commit(ledger: Ledger) -> None:
    batch = await ledger.record_awards("main", [make_award("ada"), make_award("bob")])
    await ledger.record_awards("main", [make_award("ada")])

    assert await ledger.get_award("main", recorded(batch)[0].award_id) == recorded(batch)[0]


async def test_unknown_award_and_unknown_board_are_distinguished_from_an_empty_answer(ledger: Ledger) -> None:
    with pytest.raises(AwardNotFoundError):
        await ledger.get_award("main", str(uuid.uuid4()))
    with pytest.raises(BoardNotFoundError):
        await ledger.read_head("main")


async def test_changes_are_read_in_whole_commits_up_to_a_bound(ledger: Ledger) -> None:
    first = await ledger.record_awards("main", [make_award("ada", 1), make_award("bob", 2)])
    second = await ledger.record_awards("main", [make_award("ada", 3)])
    start = Position.start("main")

    everything = await ledger.read_changes("main", start)
    bounded = await ledger.read_changes("main", start, 2)
    between = await ledger.read_changes("main", start, 1)
    nothing = await ledger.read_changes("main", second.changes.after)

    assert everything is not None
    assert set(everything.changes) == {Change("ada", 4, 3), Change("bob", 2, 2)}
    assert everything.after == second.changes.after
    assert bounded is not None
    assert bounded.after == first.changes.after
    assert set(bounded.changes) == {Change("ada", 1, 1), Change("bob", 2, 2)}
    assert between is None
    assert nothing is None


async def test_long_ledger_is_read_in_steps_that_reach_its_head(ledger: Ledger) -> None:
    for _ in range(5):
        await ledger.record_awards("main", [make_award(f"user{i}", 1) for i in range(300)])
    position, steps = Position.start("main"), 0

    while changes := await ledger.read_changes("main", position):
        assert changes.before == position
        position, steps = changes.after, steps + 1

    assert position == await ledger.read_head("main")
    assert steps == 2


async def test_position_of_another_history_is_not_known(ledger: Ledger) -> None:
    batch = await ledger.record_awards("main", [make_award(), make_award()])
    head = batch.changes.after

    assert await ledger.has_position("main", head)
    assert await ledger.has_position("main", Position.start("main"))
    assert not await ledger.has_position("main", Position(head.revision, "0" * 16))
    assert not await ledger.has_position("main", Position(1, head.mark))
    assert not await ledger.has_position("main", Position(3, head.mark))
    assert not await ledger.has_position("main", Position.start("other"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE score.award SET points = 1",
        "DELETE FROM score.award",
        "TRUNCATE score.award",
        "UPDATE score.commit SET digest = digest",
        "DELETE FROM score.commit",
        "DELETE FROM score.standing",
        "DELETE FROM score.board",
        "DROP TABLE score.award",
        "CREATE TABLE score.mine ()",
        "SELECT * FROM gateway.user_account",
    ],
)
async def test_runtime_role_may_not(ledger: Ledger, database: Database, statement: str) -> None:
    await ledger.record_awards("main", [make_award()])

    with (
        psycopg.connect(database.score_runtime_dsn) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)


@pytest.mark.parametrize("revision", [32_000, 2**31 - 2])
async def test_changes_are_read_after_any_revision(ledger: Ledger, revision: int) -> None:
    # The driver sends a number in the smallest integer type that holds it.
    assert await ledger.read_changes("main", Position(revision, "0" * 16)) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", True), ("A.b_c:d@e-9", True), ("x" * 128, True), ("", False), ("x" * 129, False), ("a b", False)]
    + [(text, False) for text in ("a\n", "{a}", "\u00e4", "a/b")],
)
def test_record_knows_an_id_as_the_service_does(database: Database, text: str, *, expected: bool) -> None:
    with psycopg.connect(database.score_owner_dsn) as connection:
        row = connection.execute("SELECT score.is_identifier(%s)", (text,)).fetchone()

    assert row == (expected,)
    assert is_identifier(text) is expected


@pytest.mark.parametrize("is_deleted", [False, True], ids=["rows are there", "rows are deleted"])
class TestAwardsUpToTheCut:
    """Awards that are archived, whether or not their rows are there."""

    @pytest.fixture
    async def awards(
        self, ledger: Ledger, archiving: Archiving, correcting: Correcting, *, is_deleted: bool
    ) -> list[Award]:
        """Return awards of which the first two are up to the cut, and the first of those was taken back."""
        awards = [make_award(user) for user in ("ada", "bob", "bob", "cyd")]
        for award in awards[:2]:
            await ledger.record_awards("main", [award])
        await correcting.reverse([awards[0].award_id])
        await ledger.record_awards("main", awards[2:])
        await archiving.cut(2)
        if is_deleted:
            await archiving.delete()
        return awards

    async def test_are_known_and_never_made_again(self, ledger: Ledger, awards: list[Award]) -> None:
        head = await ledger.read_head("main")

        batch = await ledger.record_awards("main", [awards[1], awards[2], make_award("ada"), awards[0]])

        assert [type(result) for result in batch.results] == [
            ArchivedAward,
            RecordedAward,
            RecordedAward,
            ArchivedAward,
        ]
        assert batch.results[0] == ArchivedAward(2)
        assert batch.results[3] == ArchivedAward(1)
        assert batch.changes.before == head
        assert [change.user_id for change in batch.changes.changes] == ["ada"]

    async def test_are_not_read_again(self, ledger: Ledger, awards: list[Award]) -> None:
        cut = await ledger.find_archived("main", [awards[1].award_id])
        assert cut.revisions == {awards[1].award_id: 2}
        for award in awards[:2]:
            with pytest.raises(HistoryArchivedError) as caught:
                await ledger.get_award("main", award.award_id)
            assert caught.value.position == cut.position
        assert (await ledger.get_award("main", awards[2].award_id)).revision == 4
        with pytest.raises(AwardNotFoundError):
            await ledger.get_award("main", str(uuid.uuid4()))

    async def test_lead_to_no_position_that_is_known(
        self, ledger: Ledger, archiving: Archiving, awards: list[Award]
    ) -> None:
        cut = await ledger.find_archived("main", [])
        assert await ledger.has_position("main", cut.position)
        assert await ledger.has_position("main", await ledger.read_head("main"))
        assert not await ledger.has_position("main", Position.start("main"))
        if position := archiving.former.get(1):
            assert not await ledger.has_position("main", position)

    async def test_are_no_changes(self, ledger: Ledger, archiving: Archiving, awards: list[Award]) -> None:
        cut = (await ledger.find_archived("main", [])).position

        changes = await ledger.read_changes("main", cut)

        assert changes is not None
        assert (changes.before, changes.after) == (cut, await ledger.read_head("main"))
        assert await ledger.read_changes("main", Position.start("main")) is None
        assert await ledger.read_changes("main", archiving.former[1]) is None

    async def test_make_no_newcomers_and_keep_their_users_from_being_some(
        self, ledger: Ledger, awards: list[Award]
    ) -> None:
        await ledger.record_awards("main", [make_award("ada", 3), make_award("eve", 3)])
        assert await ledger.list_newcomers("main", 0, 99) == [(5, "cyd"), (8, "eve")]


async def test_ids_that_are_forgotten_are_new(ledger: Ledger, archiving: Archiving) -> None:
    award = make_award("ada", 4)
    await ledger.record_awards("main", [award])
    await archiving.cut_and_delete()
    await archiving.archive.forget_award_ids("main", 1, None, 9)

    with pytest.raises(AwardNotFoundError):
        await ledger.get_award("main", award.award_id)
    (result,) = recorded(await ledger.record_awards("main", [award]))
    assert (result.revision, result.total) == (3, 8)


async def test_server_of_the_version_before_does_not_make_an_archived_award_again(
    ledger: Ledger, archiving: Archiving, database: Database
) -> None:
    award = make_award("ada", 4)
    await ledger.record_awards("main", [award])
    await archiving.cut_and_delete()
    with psycopg.connect(database.score_runtime_dsn) as connection:
        ((found,),) = connection.execute(
            "SELECT score.find_recorded('main', %s::uuid[])::text[]", [[award.award_id, str(uuid.uuid4())]]
        ).fetchall()
    assert found == [award.award_id]
