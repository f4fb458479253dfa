"""Checkpoints on a real PostgreSQL: a check that goes on from one finds what one from the start would."""

import filecmp
import hashlib
import json
import stat
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
import pytest
from tests.fixtures.ledgers.correcting import Correcting
from tests.fixtures.ledgers.periods import (
    DAY,
    DAYS_AND_WEEKS,
    HOUR,
    MONDAY,
    LedgerClock,
    day,
    make_final,
    save_settings,
)
from tests.fixtures.servers import postgres
from tests.fixtures.servers.stores import NO_RETRIES, make_award

from score_service.domain.ledger.findings import Fault, Findings
from score_service.domain.ledger.visibility import Visibility
from score_service.operations.chain import Chain
from score_service.operations.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from score_service.operations.verifier import VerifiedRecord, Verifier
from score_service.record.boards import BoardStore
from score_service.record.database import Database
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from score_service.record.standings import Standings

Step = Callable[[], Awaitable[object]]


@pytest.fixture
def verifier(record: Database, standings: Standings) -> Verifier:
    return Verifier(record, standings, NO_RETRIES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "main.checkpoint"


@pytest.fixture
def history(
    ledger: Ledger,
    board_store: BoardStore,
    periods: PeriodStore,
    correcting: Correcting,
    ledger_clock: LedgerClock,
) -> list[Step]:
    """Return steps with all kinds of entries: of a day that becomes final, and of one that does not."""
    ada, bob, more = make_award("ada", 3), make_award("bob", 9), make_award("ada", 4)

    async def make_next_day() -> None:
        ledger_clock.set(MONDAY + DAY + 12 * HOUR)
        await ledger.record_awards("main", [make_award("bob", 5)], DAYS_AND_WEEKS)

    return [
        lambda: save_settings(board_store),
        lambda: ledger.record_awards("main", [ada, bob, make_award("cyd", 7)], DAYS_AND_WEEKS),
        lambda: correcting.show("cyd", Visibility.SHADOWED),
        lambda: ledger.record_awards("main", [more], DAYS_AND_WEEKS),
        lambda: correcting.reverse([more.award_id]),
        lambda: ledger.record_awards("main", [make_award("ada", 1), make_award("dan", 2)], DAYS_AND_WEEKS),
        lambda: correcting.reverse([ada.award_id]),
        make_next_day,
        lambda: make_final(periods, day().period_id),
        lambda: correcting.reverse([bob.award_id]),
        lambda: correcting.show("cyd", Visibility.VISIBLE),
    ]


def go_on(path: Path) -> Chain:
    return read_checkpoint(path, "main") if path.exists() else Chain("main", Findings())


async def keep(verifier: Verifier, path: Path) -> VerifiedRecord:
    """Verify the board from its checkpoint on, where there is one, and keep another."""
    chain = go_on(path)
    verified = await verifier.verify_board("main", chain=chain)
    write_checkpoint(path, chain)
    return verified


async def test_checks_that_go_on_after_each_entry_come_to_what_one_from_the_start_does(
    history: list[Step], verifier: Verifier, path: Path, tmp_path: Path, ledger: Ledger
) -> None:
    for step in history:
        await step()
        verified = await keep(verifier, path)
        assert verified.findings.kept == []
        assert verified.position == await ledger.read_head("main")

    whole = await keep(verifier, tmp_path / "whole")
    assert filecmp.cmp(path, tmp_path / "whole", shallow=False)
    assert (verified.kinds, verified.commits) == (whole.kinds, whole.commits)


async def test_ledger_before_a_checkpoint_is_not_read_again_and_after_it_is(
    history: list[Step], verifier: Verifier, path: Path, database: postgres.Database
) -> None:
    for step in history[:2]:
        await step()
    await keep(verifier, path)
    for step in history[2:4]:
        await step()
    forge(database, "UPDATE score.award SET caller = 'x' WHERE revision = 2")

    assert (await verifier.verify_board("main", chain=read_checkpoint(path, "main"))).findings.kept == []
    assert [f.fault for f in (await verifier.verify_board("main")).findings.kept] == [Fault.DIGEST_WRONG]

    forge(database, "UPDATE score.award SET caller = 'x' WHERE revision = 6")
    verified = await verifier.verify_board("main", chain=read_checkpoint(path, "main"))
    assert [(f.fault, f.revision) for f in verified.findings.kept] == [(Fault.DIGEST_WRONG, 6)]


async def test_standings_are_compared_as_a_whole_from_a_checkpoint_too(
    history: list[Step], verifier: Verifier, path: Path, database: postgres.Database
) -> None:
    for step in history[:2]:
        await step()
    await keep(verifier, path)
    forge(database, "UPDATE score.standing SET total = 8 WHERE user_id = 'bob' AND period = 'all_time'")

    verified = await verifier.verify_board("main", chain=read_checkpoint(path, "main"))
    assert [(f.fault, f.user_id) for f in verified.findings.kept] == [(Fault.STANDING_WRONG, "bob")]


async def test_record_that_went_another_way_since_does_not_go_on_from_a_checkpoint(
    history: list[Step], verifier: Verifier, path: Path, database: postgres.Database, ledger: Ledger
) -> None:
    for step in history[:2]:
        await step()
    await keep(verifier, path)
    tables = ("award", "commit", "entry", "standing", "period", "board")
    forge(database, *(f"DELETE FROM score.{table}" for table in tables))
    await history[0]()
    await ledger.record_awards("main", [make_award("ada", 3)], DAYS_AND_WEEKS)

    verified = await verifier.verify_board("main", chain=read_checkpoint(path, "main"))
    assert Fault.BOARD_WRONG in {finding.fault for finding in verified.findings.kept}

    await ledger.record_awards("main", [make_award(f"user{n}", 3) for n in range(9)], DAYS_AND_WEEKS)
    verified = await verifier.verify_board("main", chain=read_checkpoint(path, "main"))
    assert Fault.DIGEST_WRONG in {finding.fault for finding in verified.findings.kept}


async def test_file_that_was_cut_short_or_changed_is_not_taken(
    history: list[Step], verifier: Verifier, path: Path
) -> None:
    for step in history:
        await step()
    await keep(verifier, path)
    require_whole(path)


def require_whole(path: Path) -> None:
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)

    broken = [b"".join(lines[:count]) for count in range(len(lines))]
    broken += [b"".join(lines[:place] + lines[place + 1 :]) for place in range(len(lines))]
    broken += [whole[:-1], whole + b"\n", whole.replace(b'"ada"', b'"eve"', 1), b"\xff" + whole, b"[]\n" * 3]
    broken.append(lines[0] + b"[" * 100_000)
    for content in broken:
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="no whole checkpoint"):
            read_checkpoint(path, "main")
    path.write_bytes(whole)
    assert read_checkpoint(path, "main").committed


@pytest.mark.parametrize("line", [[], ["tally"], ["live", "day:1"], ["other", 1], ["chain"], 7, {"tally": 1}])
def test_lines_that_no_checkpoint_has_are_not_taken_with_a_right_digest_either(
    path: Path, line: object
) -> None:
    write_checkpoint(path, Chain("main", Findings()))
    before = b"".join(path.read_bytes().splitlines(keepends=True)[:-1])
    before += json.dumps(line, separators=(",", ":")).encode() + b"\n"
    digest = json.dumps(["sha256", hashlib.sha256(before).hexdigest()], separators=(",", ":"))
    path.write_bytes(before + digest.encode() + b"\n")

    with pytest.raises(CheckpointError, match="no whole checkpoint"):
        read_checkpoint(path, "main")


def test_checkpoint_of_another_board_is_not_taken(path: Path) -> None:
    write_checkpoint(path, Chain("other", Findings()))
    with pytest.raises(CheckpointError, match="another board"):
        read_checkpoint(path, "main")


def test_checkpoint_is_for_its_owner_alone_and_leaves_nothing_beside_it(path: Path) -> None:
    write_checkpoint(path, Chain("main", Findings()))
    write_checkpoint(path, Chain("main", Findings()))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_checkpoint_that_cannot_be_written_leaves_the_one_before(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoint(path, Chain("main", Findings()))
    before = path.read_bytes()

    def fail(_descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no space"):
        write_checkpoint(path, Chain(str(uuid.uuid4()), Findings()))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def forge(database: postgres.Database, *statements: str) -> None:
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
