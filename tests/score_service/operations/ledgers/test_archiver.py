"""Archiving on a real PostgreSQL: whatever happens on the way, the ledger is proved and nothing is lost."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.fixtures.ledgers.correcting import Correcting
from tests.fixtures.ledgers.periods import (
    DAY,
    HOUR,
    MONDAY,
    LedgerClock,
    day,
    make_final,
    make_schedule,
    save_settings,
)
from tests.fixtures.servers import postgres
from tests.fixtures.servers.stores import NO_RETRIES, make_award

from score_service.domain.board.board_settings import BoardSettings
from score_service.domain.ledger.award import ArchivedAward, Award, RecordedAward
from score_service.domain.ledger.findings import Fault, Finding
from score_service.domain.ledger.position import Position
from score_service.domain.ledger.visibility import Visibility
from score_service.errors import BoardNotFoundError
from score_service.operations import cut_checkpoint, walk
from score_service.operations.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from score_service.operations.ledgers import archiver as archiver_module
from score_service.operations.ledgers import export
from score_service.operations.ledgers.archiver import ArchivedBoard, ArchiveRejectedError, LedgerArchiver
from score_service.operations.ledgers.files import LedgerFileError, LedgerFileWriter, read_files
from score_service.operations.verifier import VerifiedRecord, Verifier
from score_service.projection.projection import Projection
from score_service.reconcile.rebuild.rebuilder import Rebuilder
from score_service.record.boards import BoardStore
from score_service.record.database import Database
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from score_service.record.standings import Standings
from service_runtime.postgres.pool import PoolSettings

DAYS = make_schedule(*(day(n) for n in range(-2, 6)))
TUESDAY, WEDNESDAY, THURSDAY = (MONDAY + n * DAY for n in (1, 2, 3))
NOON = 12 * HOUR

Step = Callable[[], Awaitable[object]]


class KilledError(Exception):
    """Stands for the end of the process."""


class Staged:
    """A database to which something happens beside one of the statements that are run on it."""

    def __init__(
        self, database: Database, statement: str, step: Step, *, nth: int = 1, after: bool = False
    ) -> None:
        self._database = database
        self._statement = statement
        self._step = step
        self._left = nth
        self._after = after
        self.is_done = False
        self.fetch_reachable = database.fetch_reachable

    async def fetch_all(self, statement: str, *arguments: Any, **options: Any) -> list[Any]:
        self._left -= statement == self._statement
        is_now = statement == self._statement and self._left == 0
        if is_now and not self._after:
            self.is_done = True
            await self._step()
        rows = await self._database.fetch_all(statement, *arguments, **options)
        if is_now and self._after:
            self.is_done = True
            await self._step()
        return rows


async def interrupt() -> None:
    raise KilledError


class Life:
    """A board of three days, with corrections of all kinds, and what archives it."""

    def __init__(
        self,
        owner: Database,
        dsn: str,
        folder: Path,
        boards: BoardStore,
        periods: PeriodStore,
        correcting: Correcting,
        clock: LedgerClock,
    ) -> None:
        self.owner = owner
        self.folder = folder
        self.dsn = dsn
        self.correcting = correcting
        self.clock = clock
        self.awards = dict[int, Award]()
        """By revision."""
        self._boards = boards
        self._periods = periods
        self._ledger = Ledger(owner)

    async def award(self, **points: int) -> None:
        """Award users points, in one commit."""
        awards = [make_award(user_id, number) for user_id, number in points.items()]
        batch = await self._ledger.record_awards("main", awards, DAYS)
        for award, result in zip(awards, batch.results, strict=True):  # type: ignore[union-attr]
            assert isinstance(result, RecordedAward)
            self.awards[result.revision] = award

    async def reverse(self, *revisions: int) -> None:
        """Take awards back."""
        await self.correcting.reverse([self.awards[revision].award_id for revision in revisions])

    async def live_monday(self) -> None:
        """Have ada lose her second award, and cyd hidden."""
        await save_settings(self._boards, settings=BoardSettings(periods=("day",)))
        await self.award(ada=3, bob=9, cyd=7)  # Revisions 2 to 4.
        await self.correcting.show("cyd", Visibility.SHADOWED)
        await self.award(ada=4)  # Revision 6.
        await self.reverse(6)
        await self.award(ada=1, dan=2)  # Revisions 8 and 9.

    async def live_tuesday(self) -> None:
        """Have cyd and dan lose awards of the day before, which is final by then."""
        self.clock.set(TUESDAY + NOON)
        await self.award(bob=5, dan=1)  # Revisions 10 and 11.
        await make_final(self._periods, day().period_id)
        await self.reverse(9)  # By revision 13.
        await self.reverse(4)
        await self.correcting.show("cyd", Visibility.VISIBLE)  # Revision 15.

    async def live_wednesday(self) -> None:
        """Have all users get awards, and lose them, back to what they had before the cut."""
        self.clock.set(WEDNESDAY + NOON)
        head = await self._ledger.read_head("main")
        first = head.revision + 1
        await self.award(ada=2, bob=1, cyd=6, dan=3)
        await self.reverse(first, first + 2)
        await self.reverse(10, first + 1)
        await self.reverse(11, first + 3)
        await make_final(self._periods, day(1).period_id)

    def archiver(self, database: object = None, **options: Any) -> LedgerArchiver:
        options = {"rows_per_second": 1e9, **options}
        return LedgerArchiver(database or self.owner, NO_RETRIES, **options)  # type: ignore[arg-type]

    async def archive(self, before: Any = TUESDAY, database: object = None, **options: Any) -> ArchivedBoard:
        """Archive what is older, into the folder."""
        return await self.archiver(database).archive_board("main", self.folder, before, **options)

    def read(self, query: str) -> list[Any]:
        """Return the first column of a query."""
        with psycopg.connect(self.dsn) as connection:
            return [row[0] for row in connection.execute(query.encode()).fetchall()]

    def plant(self, statement: str) -> None:
        """Change the record behind the service's back, as only an administrator can."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            assert connection.execute(statement.encode()).rowcount > 0

    def standings(self) -> dict[str, tuple[int, int]]:
        """Return what the record has of all time: total, and where it was reached."""
        with psycopg.connect(self.dsn) as connection:
            rows = connection.execute(
                "SELECT user_id, total, reached_revision FROM score.standing WHERE period = 'all_time'"
            ).fetchall()
        return {user_id: (total, reached) for user_id, total, reached in rows}


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (archiver_module, cut_checkpoint, walk):
        monkeypatch.setattr(module, "_PAGE", 2)


@pytest.fixture
async def life(
    database: postgres.Database,
    tmp_path: Path,
    board_store: BoardStore,
    periods: PeriodStore,
    correcting: Correcting,
    ledger_clock: LedgerClock,
) -> AsyncIterator[Life]:
    async with Database.open(PoolSettings(database.score_owner_dsn, wait_seconds=20)) as owner:
        yield Life(owner, database.admin_dsn, tmp_path, board_store, periods, correcting, ledger_clock)


@pytest.fixture
def verifier(record: Database, standings: Standings) -> Verifier:
    return Verifier(record, standings, NO_RETRIES)


async def require_well(verifier: Verifier, cut: int) -> VerifiedRecord:
    """Verify that nothing is wrong, from the cut on."""
    verified = await verifier.verify_board("main")
    assert verified.findings.kept == []
    assert (verified.cut.revision if verified.cut else 0) == cut
    return verified


async def test_awards_up_to_the_cut_are_kept_in_files_and_as_ids_and_the_record_goes_on(
    life: Life, verifier: Verifier, ledger: Ledger
) -> None:
    await life.live_monday()
    await life.live_tuesday()
    before = await require_well(verifier, 0)

    archived = await life.archive()

    assert (archived.cut and archived.cut.revision, archived.deleted) == (9, 6 + 5)
    assert life.read("SELECT min(revision) FROM score.award") == [10]
    assert life.read("SELECT min(last_revision) FROM score.commit") == [9]
    assert life.read("SELECT revision FROM score.archived_award ORDER BY 1") == [2, 3, 4, 6, 8, 9]
    assert [head.position for head in read_files(life.folder, "main")] == [archived.cut]
    verified = await require_well(verifier, 9)
    assert verified.kinds == {**before.kinds, "archived": 1}
    assert (verified.commits, verified.standings) == (before.commits + 1, before.standings)

    batch = await ledger.record_awards("main", [life.awards[8]], DAYS)
    assert batch.results == (ArchivedAward(8),)  # type: ignore[union-attr]

    assert await life.archive() == ArchivedBoard(None, 0, 0)


async def test_entry_says_what_was_archived(life: Life) -> None:
    await life.live_monday()
    await life.live_tuesday()
    digest = life.read("SELECT encode(digest, 'hex') FROM score.commit WHERE last_revision = 9")
    await life.archive()

    (body,) = life.read("SELECT body FROM score.entry WHERE kind = 'archived'")
    assert json.loads(body) == {
        "awards": 6,
        "checkpoint": life.read(
            "SELECT encode(sha256(convert_to(string_agg(concat(line, E'\\t', user_id, E'\\t',"
            " standing_revision, E'\\n'), '' ORDER BY number), 'UTF8')), 'hex') FROM score.checkpoint_line"
        )[0],
        "commits": 6,
        "digest": digest[0],
        "lines": life.read("SELECT count(*) FROM score.checkpoint_line")[0],
        "revision": 9,
    }
    assert body == json.dumps(json.loads(body), separators=(",", ":"), sort_keys=True)
    assert life.read("SELECT actor FROM score.entry WHERE kind = 'archived'") == [
        "score-service ledger archive"
    ]


async def test_awards_are_in_the_checkpoint_only_of_users_who_lost_some_after_the_cut(life: Life) -> None:
    await life.live_monday()
    await life.live_tuesday()
    await life.archive()

    lines = life.read(
        "SELECT line FROM score.checkpoint_line WHERE line LIKE '[\"awards\",%' ORDER BY number"
    )
    periods = [day().period_id]
    assert [json.loads(line) for line in lines] == [
        ["awards", "ada", [[8, "", 0, []]]],
        ["awards", "cyd", [[4, life.awards[4].award_id, 7, periods]]],
        ["awards", "dan", [[9, life.awards[9].award_id, 2, periods]]],
    ]


async def test_corrections_after_the_cut_come_to_what_they_would_without_it(
    life: Life, verifier: Verifier
) -> None:
    await life.live_monday()
    await life.live_tuesday()
    await life.archive()
    await life.live_wednesday()

    assert life.standings() == {"ada": (4, 8), "bob": (9, 3), "cyd": (0, 0), "dan": (0, 0)}
    await require_well(verifier, 9)


async def test_board_is_cut_again_and_again(life: Life, verifier: Verifier, periods: PeriodStore) -> None:
    await life.live_monday()
    await life.live_tuesday()
    await life.archive()
    await life.live_wednesday()
    life.clock.set(THURSDAY + NOON)
    await life.award(ada=1, bob=1, cyd=1, dan=1)

    archived = await life.archive(WEDNESDAY)

    assert archived.cut
    assert archived.cut.revision == 16
    assert life.read("SELECT DISTINCT revision FROM score.checkpoint_line") == [16]
    await require_well(verifier, 16)
    assert archived.cut in [head.position for head in read_files(life.folder, "main")]
    await life.reverse(*list(life.awards)[-4:])
    assert life.standings() == {"ada": (4, 8), "bob": (9, 3), "cyd": (0, 0), "dan": (0, 0)}
    await require_well(verifier, 16)

    await make_final(periods, day(2).period_id)
    archived = await life.archive(THURSDAY)
    assert archived.cut
    assert life.read("SELECT count(*) FROM score.award") == [4]
    await require_well(verifier, archived.cut.revision)


async def test_cut_may_be_before_the_entry_of_the_last_one(life: Life, verifier: Verifier) -> None:
    """So it is where awards stay for longer than from one run to the next."""
    await life.live_monday()
    await life.live_tuesday()
    await life.live_wednesday()  # Up to revision 26.
    await life.archive()  # Entry 27.
    assert await life.archive(WEDNESDAY) == ArchivedBoard(await find_position(life, 15), 2 + 5, 0)

    await require_well(verifier, 15)
    assert life.standings() == {"ada": (4, 8), "bob": (9, 3), "cyd": (0, 0), "dan": (0, 0)}


async def find_position(life: Life, revision: int) -> Position:
    digests = life.read(f"SELECT digest FROM score.commit WHERE last_revision = {revision}")
    return Position.of(revision, digests[0])


async def test_period_that_was_open_at_the_cut_is_worked_out_from_there(
    life: Life, verifier: Verifier, periods: PeriodStore
) -> None:
    await life.live_monday()
    life.clock.set(MONDAY + 15 * HOUR)
    await life.award(bob=2, eve=5)  # Revisions 10 and 11, in the same period.
    await life.reverse(10, 11)
    await life.award(bob=3)
    life.clock.set(day().final_at)
    await make_final(periods, day().period_id)

    archived = await life.archive(MONDAY + 13 * HOUR)

    assert archived.cut
    assert archived.cut.revision == 9
    await require_well(verifier, 9)


async def test_awards_that_name_none_before_them_are_archived_too(life: Life, verifier: Verifier) -> None:
    """They were made before migration 0003."""
    await life.live_monday()
    life.plant("UPDATE score.award SET previous_revision = NULL")
    await life.live_tuesday()
    await life.archive()
    await life.live_wednesday()

    assert life.standings() == {"ada": (4, 8), "bob": (9, 3), "cyd": (0, 0), "dan": (0, 0)}
    await require_well(verifier, 9)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("statement", "nth"),
    [
        ("read_ledger", 2),
        ("list_late_reversals", 1),
        ("discard_checkpoint", 1),
        ("add_checkpoint_lines", 2),
        ("archive_awards", 1),
        ("delete_archived", 2),
        ("discard_checkpoint", 2),
    ],
)
async def test_run_that_was_interrupted_is_gone_on_with(
    life: Life, verifier: Verifier, statement: str, nth: int, *, after: bool
) -> None:
    await life.live_monday()
    await life.live_tuesday()
    staged = Staged(life.owner, statement, interrupt, nth=nth, after=after)

    with pytest.raises(KilledError):
        await life.archive(database=staged)
    verified = await verifier.verify_board("main")
    assert verified.findings.kept == []
    await life.archive()

    assert life.read("SELECT min(revision) FROM score.award") == [10]
    assert life.read("SELECT revision FROM score.archived_award ORDER BY 1") == [2, 3, 4, 6, 8, 9]
    assert life.read("SELECT DISTINCT revision FROM score.checkpoint_line") == [9]
    assert life.read("SELECT count(*) FROM score.entry WHERE kind = 'archived'") == [1]
    await require_well(verifier, 9)


async def test_run_that_was_interrupted_while_it_wrote_files_is_gone_on_with(
    life: Life, verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_REVISIONS_A_FILE", 2)
    await life.live_monday()
    await life.live_tuesday()
    whole, left = LedgerFileWriter.finish, 2

    def finish(writer: LedgerFileWriter) -> object:
        nonlocal left
        left -= 1
        if not left:
            raise KilledError
        return whole(writer)

    monkeypatch.setattr(LedgerFileWriter, "finish", finish)
    with pytest.raises(KilledError):
        await life.archive()
    assert life.read("SELECT count(*) FROM score.award") == [8]
    await require_well(verifier, 0)
    await life.archive()

    assert list(read_files(life.folder, "main"))[-1].revision == 9
    await require_well(verifier, 9)


async def test_two_runs_at_once_harm_nothing(life: Life, verifier: Verifier, tmp_path: Path) -> None:
    await life.live_monday()
    await life.live_tuesday()
    (tmp_path / "other").mkdir()

    answers = await asyncio.gather(
        life.archive(),
        life.archiver().archive_board("main", tmp_path / "other", TUESDAY),
        return_exceptions=True,
    )
    await life.archive()

    for answer in answers:
        assert isinstance(answer, ArchivedBoard | ArchiveRejectedError | LedgerFileError), answer
    assert life.read("SELECT revision FROM score.archived_award ORDER BY 1") == [2, 3, 4, 6, 8, 9]
    assert life.read("SELECT count(*) FROM score.entry WHERE kind = 'archived'") == [1]
    await require_well(verifier, 9)


@pytest.mark.parametrize("statement", ["list_late_reversals", "add_checkpoint_lines", "archive_awards"])
async def test_reversals_meanwhile_are_in_what_is_sealed(
    life: Life, verifier: Verifier, statement: str
) -> None:
    await life.live_monday()
    await life.live_tuesday()
    staged = Staged(life.owner, statement, lambda: life.reverse(3, 8))

    await life.archive(database=staged)
    assert staged.is_done
    await require_well(verifier, 9)
    await life.live_wednesday()

    assert life.standings() == {"ada": (3, 2), "bob": (0, 0), "cyd": (0, 0), "dan": (0, 0)}
    await require_well(verifier, 9)


async def test_nothing_is_cut_while_more_and_more_is_taken_back(life: Life, verifier: Verifier) -> None:
    await life.live_monday()
    await life.award(**{f"user{number}": 1 for number in range(20)})
    await life.live_tuesday()
    left = list(life.awards)[-22:-2]

    class Busy(Staged):
        async def fetch_all(self, statement: str, *arguments: Any, **options: Any) -> list[Any]:
            if statement == "archive_awards":
                await life.reverse(left.pop())
            return await life.owner.fetch_all(statement, *arguments, **options)

    with pytest.raises(ArchiveRejectedError, match="being taken back"):
        await life.archive(database=Busy(life.owner, "", interrupt))
    await require_well(verifier, 0)
    await life.archive()
    await require_well(verifier, 29)


@pytest.mark.parametrize(
    ("statement", "nth"),
    [
        ("read_cut", 1),
        ("read_ledger", 1),
        ("read_ledger", 5),
        ("read_ledger", 8),
        ("verify_awards", 1),
        ("verify_awards", 2),
        ("read_page", 1),
        ("verify_reversals", 1),
    ],
)
async def test_board_that_is_cut_while_it_is_verified_is_verified_from_there(
    life: Life, record: Database, statement: str, nth: int
) -> None:
    await life.live_monday()
    await life.live_tuesday()
    staged = Staged(record, statement, life.archive, nth=nth)

    verified = await Verifier(staged, Standings(staged), NO_RETRIES).verify_board("main")  # type: ignore[arg-type]

    assert staged.is_done
    assert verified.findings.kept == []
    assert verified.position.revision >= 15


@pytest.mark.parametrize(
    ("statement", "nth"), [("read_checkpoint_lines", 2), ("read_ledger", 1), ("verify_awards", 1)]
)
async def test_board_that_is_cut_again_while_it_is_verified_is_verified_from_there(
    life: Life, record: Database, statement: str, nth: int
) -> None:
    await life.live_monday()
    await life.live_tuesday()
    await life.archive()
    await life.live_wednesday()
    staged = Staged(record, statement, lambda: life.archive(WEDNESDAY), nth=nth)

    verified = await Verifier(staged, Standings(staged), NO_RETRIES).verify_board("main")  # type: ignore[arg-type]

    assert staged.is_done
    assert verified.findings.kept == []
    assert verified.cut
    assert verified.cut.revision == 16


async def test_check_goes_on_from_a_checkpoint_after_the_cut_and_begins_at_the_cut_from_one_before(
    life: Life, verifier: Verifier, tmp_path: Path
) -> None:
    early, middle, late = (tmp_path / name for name in ("early", "middle", "late"))
    await life.live_monday()
    write_checkpoint(early, (await verifier.verify_board("main")).chain)
    life.clock.set(TUESDAY + NOON)
    await life.award(bob=5, dan=1)
    write_checkpoint(middle, (await verifier.verify_board("main")).chain)
    await life.reverse(3)  # Between both and the entry of the cut.
    await make_final(PeriodStore(life.owner), day().period_id)
    await life.archive()
    write_checkpoint(late, (await verifier.verify_board("main")).chain)
    await life.reverse(10)

    for path, cut in ((early, 9), (middle, 9), (late, 0)):
        verified = await verifier.verify_board("main", chain=read_checkpoint(path, "main"))
        assert verified.findings.kept == []
        assert (verified.cut.revision if verified.cut else 0) == cut


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            "UPDATE score.checkpoint_line SET standing_revision = 2 WHERE user_id = 'bob'",
            {Finding(Fault.CHECKPOINT_WRONG, 9)},
        ),
        (
            (
                "UPDATE score.checkpoint_line SET line = replace(line, '\"bob\",9', '\"bob\",8')"
                " WHERE user_id = 'bob'"
            ),
            {Finding(Fault.CHECKPOINT_WRONG, 9), Finding(Fault.TOTAL_WRONG, 10, "bob")},
        ),
        (
            "UPDATE score.entry SET body = replace(body, '\"awards\":6', '\"awards\":5') WHERE revision = 16",
            {Finding(Fault.CHECKPOINT_WRONG, 9), Finding(Fault.DIGEST_WRONG, 16)},
        ),
        (
            "UPDATE score.entry SET kind = 'settings' WHERE revision = 16",
            {Finding(Fault.CHECKPOINT_WRONG, 9), Finding(Fault.DIGEST_WRONG, 16)},
        ),
        (
            "DELETE FROM score.entry WHERE revision = 16",
            {Finding(Fault.CHECKPOINT_WRONG, 9), Finding(Fault.AWARD_MISSING, 16)},
        ),
        (
            (
                "INSERT INTO score.entry SELECT board_id, 99, kind, actor, request_id, trace_id, entered_at,"
                " '{\"revision\":9}' FROM score.entry WHERE revision = 16"
            ),
            {Finding(Fault.CHECKPOINT_WRONG, 9), Finding(Fault.CHECKPOINT_WRONG, 16)},
        ),
        (
            (
                "INSERT INTO score.entry SELECT board_id, 3, kind, actor, request_id, trace_id, entered_at,"
                " body FROM score.entry WHERE revision = 16"
            ),
            {Finding(Fault.CHECKPOINT_WRONG, 9)},
        ),
        ("DELETE FROM score.entry WHERE revision = 5", {Finding(Fault.CHECKPOINT_WRONG, 9)}),
        (
            "UPDATE score.commit SET digest = sha256('') WHERE last_revision = 9",
            {Finding(Fault.DIGEST_WRONG, 9)},
        ),
    ],
    ids=[
        "standing",
        "line",
        "entry",
        "kind of the entry",
        "no entry",
        "two entries",
        "entry before",
        "no entry before",
        "commit",
    ],
)
async def test_forged_cut_is_found_out(
    life: Life, verifier: Verifier, statement: str, found: set[Finding]
) -> None:
    await life.live_monday()
    await life.live_tuesday()
    await life.archive()
    await require_well(verifier, 9)
    life.plant(statement)

    verified = await verifier.verify_board("main")

    assert found <= set(verified.findings.kept), verified.findings.kept
    await life.live_wednesday()
    with pytest.raises(ArchiveRejectedError, match="faults"):
        await life.archive(WEDNESDAY)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM score.checkpoint_line",
        "DELETE FROM score.checkpoint_line WHERE number = 1",
        "UPDATE score.checkpoint_line SET line = '[]' WHERE number = 2",
        "UPDATE score.checkpoint_line SET line = '7' WHERE number = 1",
        "UPDATE score.checkpoint_line SET line = repeat('[', 100000) WHERE number = 3",
        "UPDATE score.checkpoint_line SET line = replace(line, '\"main\",9', '\"main\",8') WHERE number = 1",
        "UPDATE score.checkpoint_line SET line = replace(line, 'main', 'mean') WHERE number = 1",
    ],
)
async def test_checkpoint_that_cannot_be_gone_on_from_is_said_to_be_none(
    life: Life, verifier: Verifier, statement: str
) -> None:
    await life.live_monday()
    await life.live_tuesday()
    await life.archive()
    life.plant(statement)

    with pytest.raises(CheckpointError, match="cut at revision 9"):
        await verifier.verify_board("main")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE score.award SET action_id = 'other' WHERE revision = 3",
        "DELETE FROM score.award WHERE revision = 9",
        "UPDATE score.entry SET body = replace(body, '\"points\":4', '\"points\":5') WHERE revision = 7",
    ],
)
async def test_ledger_with_faults_is_not_archived(life: Life, statement: str) -> None:
    await life.live_monday()
    await life.live_tuesday()
    life.plant(statement)

    with pytest.raises(ArchiveRejectedError, match="faults") as rejected:
        await life.archive()

    assert rejected.value.findings
    assert list(life.folder.iterdir()) == []
    assert life.read("SELECT count(*) FROM score.entry WHERE kind = 'archived'") == [0]


async def test_files_have_to_be_those_of_the_ledger(life: Life, tmp_path: Path) -> None:
    await life.live_monday()
    await life.live_tuesday()
    (path,) = [file.path async for file in life.archiver()._exporter.export_board("main", tmp_path)]
    text = path.read_bytes()
    path.write_bytes(text.replace(b"\tada\t", b"\teve\t", 1))

    with pytest.raises(LedgerFileError):
        await life.archive()
    assert life.read("SELECT count(*) FROM score.award") == [8]

    path.write_bytes(text)
    await life.archive()
    assert life.read("SELECT count(*) FROM score.award") == [2]


async def test_files_that_end_before_the_cut_are_said_to_be_missing(
    life: Life, tmp_path: Path, exporter_folder: Path
) -> None:
    await life.live_monday()
    await life.live_tuesday()
    cut = await find_position(life, 9)
    await life.archive()

    with pytest.raises(LedgerFileError, match=f"archived up to {cut}"):
        async for _ in export.LedgerExporter(life.owner, NO_RETRIES).export_board("main", exporter_folder):
            pass
    files = [
        file async for file in export.LedgerExporter(life.owner, NO_RETRIES).export_board("main", tmp_path)
    ]
    assert [(file.after_revision, file.last_revision) for file in files] == [(9, 16)]


@pytest.fixture
def exporter_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


async def test_nothing_of_a_period_that_is_not_final_is_archived(
    life: Life, verifier: Verifier, periods: PeriodStore
) -> None:
    await life.live_monday()
    assert await life.archive(TUESDAY) == ArchivedBoard(None, 0, 0)
    assert life.read("SELECT count(*) FROM score.award") == [6]
    life.clock.set(day().final_at)
    await make_final(periods, day().period_id)
    await life.archive(TUESDAY)
    assert life.read("SELECT count(*) FROM score.award") == [0]
    await require_well(verifier, 9)


async def test_board_that_is_not_there_is_not_found(life: Life) -> None:
    with pytest.raises(BoardNotFoundError):
        await life.archive()
    with pytest.raises(BoardNotFoundError):
        await life.archiver().plan("main", TUESDAY)


async def test_plan_says_how_many_awards_there_are_up_to_where(life: Life) -> None:
    await life.live_monday()
    await life.live_tuesday()
    plan = await life.archiver().plan("main", TUESDAY)
    assert plan
    assert (plan.end.position, plan.awards) == (await find_position(life, 9), 6)
    await life.archive()
    assert await life.archiver().plan("main", TUESDAY) is None
    await life.live_wednesday()
    plan = await life.archiver().plan("main", WEDNESDAY)
    assert plan
    assert plan.awards == 2


async def test_no_more_rows_are_deleted_in_a_second_than_asked_for(life: Life) -> None:
    await life.live_monday()
    await life.live_tuesday()
    pauses = list[float]()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    await life.archiver(rows_per_second=0.001, sleep=sleep).archive_board("main", life.folder, TUESDAY)

    rows = 11
    assert len(pauses) == 4
    assert rows * 1000 - 60 < pauses[-1] <= rows * 1000


async def test_progress_is_told_of_each_step(life: Life) -> None:
    await life.live_monday()
    await life.live_tuesday()
    told = dict[str, tuple[int, int]]()

    archiver = life.archiver(on_progress=lambda what, done, length: told.update({what: (done, length)}))
    await archiver.archive_board("main", life.folder, TUESDAY)

    assert told.keys() == {"ledger", "files", "checkpoint", "deleted"}
    for step in ("ledger", "files", "deleted"):
        assert told[step] == (9, 9)


async def test_ids_are_forgotten_of_what_was_archived_long_ago(
    life: Life, verifier: Verifier, ledger: Ledger
) -> None:
    await life.live_monday()
    await life.live_tuesday()
    await life.archive()  # At Tuesday noon.
    await life.live_wednesday()
    await life.archive(WEDNESDAY)

    assert (await life.archive(WEDNESDAY, forget_before=TUESDAY)).forgotten == 0
    assert (await life.archive(WEDNESDAY, forget_before=WEDNESDAY)).forgotten == 6
    assert life.read("SELECT revision FROM score.archived_award ORDER BY 1") == [10, 11]
    again = await ledger.record_awards("main", [life.awards[8]], DAYS)
    assert isinstance(again.results[0], RecordedAward)  # type: ignore[union-attr]
    await require_well(verifier, 16)


@pytest.mark.parametrize("revision", [3, 17], ids=["before the cut", "at the end"])
async def test_no_id_is_forgotten_because_of_an_entry_that_was_planted(life: Life, revision: int) -> None:
    await life.live_monday()
    await life.live_tuesday()
    await life.archive()
    life.plant(
        f"INSERT INTO score.entry SELECT board_id, {revision}, kind, actor, request_id, trace_id,"
        " entered_at - interval '1 year', body FROM score.entry WHERE revision = 16"
    )
    long_ago = MONDAY - 100 * DAY

    with pytest.raises(ArchiveRejectedError, match="faults"):
        await life.archive(forget_before=long_ago)
    assert life.read("SELECT count(*) FROM score.archived_award") == [6]


async def test_ranks_are_rebuilt_from_a_ledger_with_a_cut_as_they_were(
    life: Life, rebuilder: Rebuilder, projection: Projection
) -> None:
    await life.live_monday()
    await life.live_tuesday()
    await rebuilder.rebuild("main")
    before = await projection.get_standings("main", (), 1000)
    await life.archive()

    rebuilt = await rebuilder.rebuild("main")

    after = await projection.get_standings("main", (), 1000)
    assert rebuilt
    assert rebuilt.position.revision == 16
    assert before
    assert after
    assert after.position == rebuilt.position
    assert after.top == before.top
