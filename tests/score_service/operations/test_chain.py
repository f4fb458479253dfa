"""The digest chain, against what the function in the database writes."""

import datetime as dt
import hashlib
import string
import uuid

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.fixtures.ledgers.periods import make_period, make_schedule, save_default
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import make_award

from score_service.domain.board.board_settings import BoardSettings
from score_service.domain.board.period import ALL_TIME, PeriodKind
from score_service.domain.ledger.award import MAX_POINTS, Award
from score_service.domain.ledger.findings import Fault, Finding, Findings
from score_service.operations.chain import (
    Chain,
    Commit,
    EntryRow,
    LedgerRow,
    digest_commit,
    start_digest,
    write_canonical,
)
from score_service.record.boards import BoardStore
from score_service.record.ledger import Ledger

ROW = LedgerRow(1, "a" * 8, "ada", "puzzle", "p1", 5, 5, "b" * 8, "spiffe://x/y", "", "1700000000000001")
PERIOD_TOTALS = (
    "(SELECT string_agg(period_id || '=' || total, ',' ORDER BY number) FROM score.period"
    " NATURAL JOIN unnest(a.period_numbers, a.period_totals) AS t (number, total)"
    " WHERE period.board_id = a.board_id)"
)
IDS = st.text(st.sampled_from(string.ascii_letters + string.digits + "._:@-"), min_size=1, max_size=128)
AWARDS = st.builds(
    Award,
    board_id=st.just("main"),
    award_id=st.uuids(allow_nil=True).map(str),
    user_id=IDS,
    points=st.integers(1, MAX_POINTS),
    action_type=IDS,
    action_id=IDS,
    request_id=st.uuids(allow_nil=True).map(str),
    caller=IDS.map("spiffe://{}".format),
    trace_id=st.sampled_from(["", "0af7651916cd43dd8448eb211c80319c"]),
    occurred_at=st.none() | st.datetimes(timezones=st.just(dt.UTC)),
)


def read_commit(database: Database, board_id: str) -> tuple[list[LedgerRow], bytes]:
    """Read the rows of a board's only commit, the times as Python understands them, and its digest."""
    columns = ", ".join(LedgerRow._fields).replace("period_totals", PERIOD_TOTALS)
    with psycopg.connect(database.admin_dsn) as connection:
        rows = connection.execute(
            f"SELECT {columns} FROM score.award a WHERE board_id = %s ORDER BY revision", [board_id]
        ).fetchall()
        (digest,) = connection.execute(
            "SELECT digest FROM score.commit WHERE board_id = %s", [board_id]
        ).fetchall()
    return [LedgerRow._make(map(as_canonical, row)) for row in rows], digest[0]


def as_canonical(value: object) -> object:
    if isinstance(value, dt.datetime):
        return str((value - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1))
    return str(value) if isinstance(value, uuid.UUID) else value


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(board_id=IDS, awards=st.lists(AWARDS, min_size=1, max_size=5, unique_by=lambda award: award.award_id))
@example(board_id="-", awards=[make_award("--"), make_award("@:._-"), make_award("1"), make_award("NULL")])
async def test_digest_is_the_one_that_the_database_writes(
    ledger: Ledger, database: Database, board_id: str, awards: list[Award]
) -> None:
    board_id = f"{board_id[:90]}{uuid.uuid4()}"  # An example of its own, also where one is tried again.
    await ledger.record_awards(board_id, [award._replace(board_id=board_id) for award in awards])

    rows, digest = read_commit(database, board_id)

    assert digest_commit(start_digest(board_id), rows) == digest


async def test_digest_covers_entries_and_what_an_award_says_of_periods(
    ledger: Ledger, board_store: BoardStore, database: Database
) -> None:
    await save_default(board_store, BoardSettings(time_zone="ä"))
    now = dt.datetime.now(dt.UTC)
    start = now - dt.timedelta(hours=1)
    schedule = make_schedule(
        make_period(PeriodKind.DAY, "2026-11-30", start, start + dt.timedelta(days=1)),
        make_period(PeriodKind.WEEK, "2026-W49", start, start + dt.timedelta(days=7)),
        revision=-1,
    )
    awards = [make_award("ada", 3), make_award("ada", 4), make_award("bob")._replace(occurred_at=now)]
    await ledger.record_awards("main", awards, schedule)

    rows, digest = read_commit(database, "main")

    texts = [row.period_totals for row in rows]
    assert texts == ["day:2026-11-30=3,week:2026-W49=3", "day:2026-11-30=7,week:2026-W49=7", texts[2]]
    with psycopg.connect(database.admin_dsn) as connection:
        entry = connection.execute(f"SELECT {', '.join(EntryRow._fields)} FROM score.entry").fetchone()
    assert entry is not None
    entries = [EntryRow._make(map(as_canonical, entry))]
    assert digest_commit(start_digest("main"), [*entries, *rows]) == digest


def test_canonical_text_is_one_line_of_tabbed_fields() -> None:
    expected = b"1\taaaaaaaa\tada\tpuzzle\tp1\t5\t5\tbbbbbbbb\tspiffe://x/y\t\t1700000000000001\n"
    assert write_canonical(ROW) == expected
    dated = ROW._replace(occurred_at="17")
    assert write_canonical(dated) == expected[:-1] + b"\t17\t\n"
    assert write_canonical(ROW._replace(period_totals="a=5")) == expected[:-1] + b"\t\ta=5\n"
    assert write_canonical(EntryRow(2, "settings", "me", None, "", "17", "{}")) == (
        b"2\tsettings\tme\t\t\t17\t{}\n"
    )
    assert digest_commit(b"before", [ROW]) == hashlib.sha256(b"before" + expected).digest()


def test_whole_chain_adds_up_and_leaves_nothing_to_find() -> None:
    findings = Findings()
    chain = Chain("main", findings)
    second = ROW._replace(revision=2, points=3, total_after=8)
    digest = digest_commit(start_digest("main"), [ROW, second])

    chain.take_award(ROW)
    chain.take_award(second)
    chain.take_commit(Commit(1, 2, digest))
    chain.end(2, digest)

    assert len(findings) == 0
    assert (chain.commits, chain.committed, chain.digest) == (1, 2, digest)
    tallies = chain.tallies.of(ALL_TIME)
    assert {user: (t.total, t.reached_revision) for user, t in tallies.items()} == {"ada": (8, 2)}


@pytest.mark.parametrize("field", LedgerRow._fields)
def test_any_changed_field_changes_the_digest(field: str) -> None:
    row = ROW._replace(occurred_at="1700000000000000", period_totals="day:2026-11-30=5")
    value = getattr(row, field)
    changed = value + 1 if isinstance(value, int) else f"{value}0"
    other = LedgerRow._make(changed if name == field else getattr(row, name) for name in LedgerRow._fields)
    assert digest_commit(b"", [other]) != digest_commit(b"", [row])


def test_fault_is_found_once_and_the_chain_goes_on_from_what_is_written() -> None:
    findings = Findings()
    chain = Chain("main", findings)
    wrong = hashlib.sha256(b"wrong").digest()
    third = ROW._replace(revision=3, total_after=20)

    chain.take_award(ROW)
    chain.take_commit(Commit(1, 1, wrong))
    chain.take_award(third)
    chain.take_commit(Commit(2, 3, digest_commit(wrong, [third])))
    chain.end(3, chain.digest)

    assert findings.kept == [
        Finding(Fault.DIGEST_WRONG, 1),
        Finding(Fault.AWARD_MISSING, 2),
        Finding(Fault.TOTAL_WRONG, 3, "ada"),
    ]


SECOND = ROW._replace(revision=2, total_after=10)
ARCHIVED = EntryRow(3, "archived", "me", None, "", "17", '{"revision":1}')


def begin_after_first(body: str | None = None) -> Chain:
    """Begin after the first award, at a cut that an entry with this body is to seal."""
    chain = Chain("main", Findings())
    go_on(chain, ROW)
    chain = Chain.read_lines(chain.write_lines(), chain.findings)
    if body:
        chain.expect_seal(body)
    return chain


def go_on(chain: Chain, *rows: LedgerRow | EntryRow) -> None:
    """Take rows, in a commit each."""
    for row in rows:
        if isinstance(row, LedgerRow):
            chain.take_award(row)
        else:
            chain.take_entry(row)
        chain.take_commit(Commit(row.revision, row.revision, digest_commit(chain.digest, [row])))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "7",
        "[]",
        "{}",
        '{"revision":"1"}',
        '{"revision":true}',
        '{"revision":0}',
        '{"revision":3}',
        "[" * 10**6,
    ],
    ids=range(9),
)
def test_entry_has_to_archive_what_is_before_it(body: str) -> None:
    right, wrong = begin_after_first(), begin_after_first()
    go_on(right, SECOND, ARCHIVED)
    go_on(wrong, SECOND, ARCHIVED._replace(body=body))
    assert right.findings.kept == []
    assert wrong.findings.kept == [Finding(Fault.ENTRY_WRONG, 3)]


@pytest.mark.parametrize("kind", ["reversal", "visibility", "period_closed"])
def test_entry_of_which_nothing_can_be_read_is_wrong(kind: str) -> None:
    for body in ("", "7", "[]", "{}", "[" * 10**6):
        chain = begin_after_first()
        go_on(chain, SECOND, ARCHIVED._replace(kind=kind, body=body))
        assert chain.findings.kept == [Finding(Fault.ENTRY_WRONG, 3)]


@pytest.mark.parametrize(
    ("body", "entries", "found"),
    [
        (ARCHIVED.body, [ARCHIVED], []),
        (
            ARCHIVED.body,
            [ARCHIVED._replace(body='{"revision":2}'), ARCHIVED._replace(revision=4)],
            [Finding(Fault.ENTRY_WRONG, 4)],
        ),
        (ARCHIVED.body, [ARCHIVED, ARCHIVED._replace(revision=4)], [Finding(Fault.ENTRY_WRONG, 4)]),
        ('{"lines":1,"revision":1}', [ARCHIVED], [Finding(Fault.CHECKPOINT_WRONG, 3)]),
        (ARCHIVED.body, [], [Finding(Fault.CHECKPOINT_WRONG, 1)]),
        (ARCHIVED.body, [ARCHIVED._replace(body='{"revision":2}')], [Finding(Fault.CHECKPOINT_WRONG, 1)]),
    ],
    ids=["sealed", "after a later one", "twice", "other seal", "no seal", "seal of another one"],
)
def test_cut_that_a_ledger_is_read_from_is_sealed_by_its_entry(
    body: str, entries: list[EntryRow], found: list[Finding]
) -> None:
    chain = begin_after_first(body)
    go_on(chain, SECOND, *entries)
    chain.end(chain.committed, chain.digest)
    assert chain.findings.kept == found
