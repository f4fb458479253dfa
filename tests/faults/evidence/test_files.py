"""What was deleted in the record, as the checker reads it from files."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import NO_RETRIES, make_award

from faults.evidence.files import Key, read_files, trace_back
from faults.evidence.record import read_record
from faults.model.findings import Kind
from faults.model.ledger import Ledger
from faults.rules.record.archive import check_archive
from faults.rules.record.ledger import check_ledger
from score_service.operations.ledgers.archiver import LedgerArchiver
from score_service.record.database import Database as Record
from score_service.record.ledger import Ledger as RealLedger
from service_runtime.postgres.pool import PoolSettings

HOUR = timedelta(hours=1)


async def archive(database: Database, folder: Path) -> None:
    """Archive all that there is, and delete it."""
    async with Record.open(PoolSettings(database.score_owner_dsn, wait_seconds=20)) as owner:
        archiver = LedgerArchiver(owner, NO_RETRIES, rows_per_second=1e9)
        await archiver.archive_board("main", folder, datetime.now(UTC) + HOUR)


def lose(folder: Path) -> None:
    """Put a file aside that is of another history, and one that is there twice."""
    (path,), aside = folder.glob("*.ledger"), folder / "aside"
    aside.mkdir()
    lost = path.read_text(encoding="utf-8").replace("\tada\t", "\tben\t")
    (aside / path.name).write_text(lost.replace("#commit\t1\t", "#commit\t1\t00"), encoding="utf-8")
    shutil.copy(path, aside / "copy.ledger")


def kinds(ledger: Ledger) -> set[Kind]:
    return {finding.kind for finding in (*check_archive(ledger), *check_ledger(ledger))}


async def test_ledger_is_read_as_if_nothing_was_deleted(
    database: Database, ledger: RealLedger, tmp_path: Path
) -> None:
    dated = make_award("ben", 7)._replace(occurred_at=datetime.now(UTC) - HOUR)
    await ledger.record_awards("main", [make_award("ada", 5), dated])
    await ledger.record_awards("main", [make_award("ada", 6)])
    before = read_record(database.admin_dsn)["main"]
    await archive(database, tmp_path)
    await ledger.record_awards("main", [make_award("ada", 1)])

    after = read_record(database.admin_dsn, folder=tmp_path)["main"]

    assert (after.cut, after.awards[:3], after.deleted) == (3, before.awards, before.awards)
    assert after.commits[:2] == before.commits
    assert after.archived_ids == {award.award_id: award.revision for award in before.awards}
    assert kinds(after) == set()
    assert Kind.REVISION_MISSING in kinds(read_record(database.admin_dsn)["main"])


async def test_files_of_a_lost_history_are_told_apart_by_their_digests(
    database: Database, ledger: RealLedger, tmp_path: Path
) -> None:
    await ledger.record_awards("main", [make_award("ada", 5)])
    await archive(database, tmp_path)
    lose(tmp_path)

    (commit,) = read_record(database.admin_dsn, folder=tmp_path)["main"].commits[:1]
    awards, commits = trace_back(read_files(tmp_path), Key("main", 1, commit.digest))

    assert [award.user_id for award in awards] == ["ada"]
    assert commits == [commit]
    assert trace_back(read_files(tmp_path), Key("main", 1, b"unknown")) == ([], [])
