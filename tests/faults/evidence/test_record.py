"""The record as the checker reads it, beside what was put into it."""

import uuid

from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import make_award

from faults.evidence.record import read_record
from faults.model.ledger import start_digest
from score_service.record.ledger import Ledger


async def test_everything_of_every_board_is_read(database: Database, ledger: Ledger) -> None:
    ada, ben = make_award("ada", 5), make_award("ben", 7, award_id=uuid.UUID(int=1))
    await ledger.record_awards("main", [ada, ben])
    await ledger.record_awards("main", [make_award("ada", 6)])
    await ledger.record_awards("other", [make_award("eve", 1, board_id="other")])

    record = read_record(database.admin_dsn)

    main = record["main"]
    assert sorted(record) == ["main", "other"]
    assert [award.revision for award in main.awards] == [1, 2, 3]
    assert [award.total_after for award in main.awards] == [5, 7, 11]
    assert main.awards[0][1:6] == (ada.award_id, "ada", ada.action_type, ada.action_id, 5)
    assert main.awards[0].request_id == ada.request_id
    assert [commit[:2] for commit in main.commits] == [(1, 2), (3, 3)]
    assert main.position == str(await ledger.read_head("main"))
    assert dict(main.standings) == {"ada": (11, 3), "ben": (7, 2)}
    assert main.commits[-1].digest != start_digest("main")


async def test_what_two_epochs_have_in_common_is_kept_once(database: Database, ledger: Ledger) -> None:
    await ledger.record_awards("main", [make_award()])
    former = read_record(database.admin_dsn)
    await ledger.record_awards("main", [make_award()])

    latter = read_record(database.admin_dsn, [former])

    assert latter["main"].awards[0] is former["main"].awards[0]
    assert len(latter["main"].awards) == 2


def test_a_record_without_boards_is_empty(database: Database) -> None:
    assert read_record(database.admin_dsn) == {}
