"""Whatever happens to a board, in whatever order: awards count once, and all else follows the ledger."""

import asyncio
import datetime as dt
import hashlib
import os
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, example, given, settings
from tests.fixtures.ledgers.periods import LedgerClock
from tests.fixtures.servers import postgres
from tests.fixtures.servers.redis import delete_keys, restore_keys, save_keys
from tests.fixtures.servers.stores import NO_RETRIES, eventually
from tests.fixtures.services.stack import Stack, target_of
from tests.score_service.history.model import Model
from tests.score_service.history.operations import (
    HISTORIES,
    Apart,
    Ask,
    Call,
    Close,
    Cut,
    Depart,
    Event,
    Evict,
    History,
    Interrupted,
    Kill,
    Look,
    Operation,
    Pass,
    Read,
    Rebuild,
    Restore,
    Return,
    Reverse,
    RollBack,
    Save,
    Show,
    Then,
    Together,
    Undo,
    Wipe,
    Work,
)
from tests.score_service.history.process import Gate, Process, Stores
from tests.score_service.history.record import RecordKeeper
from tests.score_service.history.world import World

from score_client import AwardResult, ScoreClient, UnavailableError
from score_service.boards.awards import scheduler, scoring
from score_service.boards.standings.period_finder import FoundPeriod, PeriodFinder
from score_service.closing import closer
from score_service.closing.archiver import Archive, Archiver
from score_service.domain.board.board_settings import LatePolicy
from score_service.domain.board.period import PeriodChoice, Schedule
from score_service.domain.ledger.award import Award, RecordedAward
from score_service.domain.ledger.changes import Changes
from score_service.domain.ledger.entry import EntryPage
from score_service.domain.ledger.position import Position
from score_service.domain.ledger.reversal import ReversalConflict, ReversalRequest
from score_service.domain.ledger.visibility import Visibility
from score_service.operations.cut_checkpoint import write_lines
from score_service.operations.ledgers import archiver
from score_service.operations.ledgers.archiver import LedgerArchiver
from score_service.periods.schedules import make_schedule
from score_service.projection import scripts
from score_service.projection.lua import load_script
from score_service.projection.projection import Projection
from score_service.projection.redis_servers import ServersSettings
from score_service.reconcile import repairs
from score_service.reconcile.projector import Projector
from score_service.reconcile.rebuild.rebuilder import Rebuilder, _Replayed
from score_service.record import database as service_database
from score_service.record.corrections import Corrections, _Reversals
from score_service.record.database import Database
from score_service.record.feed import EntryStore
from score_service.record.ledger import Ledger, RecordedBatch
from score_service.record.sql import load_statement
from score_service.stream.hubs import Hubs
from service_runtime.postgres.pool import PoolSettings
from service_runtime.redis.access import RedisAccess

_MORE = int(os.environ.get("HISTORIES", "0"))
"""How many histories to run, drawn anew each time; without it some, the same ones each time."""


@pytest.fixture
async def stores(
    record: Database,
    database: postgres.Database,
    redis_url: str,
    redis_access: RedisAccess,
    redis_prefix: str,
) -> AsyncIterator[Stores]:
    owner_settings = PoolSettings(database.score_owner_dsn, wait_seconds=20)
    async with RecordKeeper.open(database.admin_dsn) as keeper, Database.open(owner_settings) as owner:
        servers = ServersSettings(redis_access, 5, 32, 32)
        clock = LedgerClock(database.admin_dsn)
        yield Stores(
            record,
            redis_url,
            servers,
            redis_prefix,
            keeper,
            clock,
            LedgerArchiver(owner, NO_RETRIES, rows_per_second=1e9),
        )


@pytest.fixture(autouse=True)
def near(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take boards that are few awards behind for far behind, so that both ways to catch up are gone.

    What is left of a period that is final is removed in more than one step.
    """
    monkeypatch.setattr(repairs, "_NEAR_MAX", 4)
    monkeypatch.setattr(closer, "_PAGE", 2)


async def live(stores: Stores, history: History) -> None:
    """Run a history, judging after each operation, and check that all is well in the end."""
    board_id = str(uuid.uuid4())
    async with World.open(stores, board_id, has_rich=history.has_rich, late=history.late) as world:
        for operation in history.operations:
            await world.run(operation)
        await world.heal()


Fault: TypeAlias = Callable[[pytest.MonkeyPatch], None]


def replaced(text: str, old: str, new: str) -> str:
    if old not in text:
        raise ValueError(old)
    return text.replace(old, new)


def change_script(patch: pytest.MonkeyPatch, name: str, old: str, new: str) -> None:
    """Have a script run with another text, or all where it is what they share."""

    def load(script: str) -> str:
        text = load_script(script)
        return replaced(text, old, new) if name in {script, "board"} else text

    patch.setattr(scripts, "load_script", load)


def change_statement(patch: pytest.MonkeyPatch, name: str, old: str, new: str) -> None:
    """Have a statement run with another text."""

    def load(statement: str) -> str:
        text = load_statement(statement)
        return replaced(text, old, new) if statement == name else text

    patch.setattr(service_database, "load_statement", load)


def add_totals(patch: pytest.MonkeyPatch) -> None:
    old = "= users[i], totals[i], saids[i], formers[i - first + 1]"
    change_script(patch, "board", old, f"{old}; total = total + string.match(former or '0', '^%d+')")


def jump_gaps(patch: pytest.MonkeyPatch) -> None:
    change_script(patch, "apply_changes", "header[2] ~= ARGV[3] or header[3] ~= ARGV[4]", "false")


def forget_marks(patch: pytest.MonkeyPatch) -> None:
    change_script(
        patch, "apply_changes", "header[2] ~= ARGV[3] or header[3] ~= ARGV[4]", "header[2] ~= ARGV[3]"
    )


def trust_headers(patch: pytest.MonkeyPatch) -> None:
    async def has_position(ledger: Ledger, board_id: str, position: Position) -> bool:
        return position.revision <= (await ledger.read_head(board_id)).revision

    patch.setattr(Ledger, "has_position", has_position)


def skip_a_revision(patch: pytest.MonkeyPatch) -> None:
    read_changes = Ledger.read_changes

    async def skipping(ledger: Ledger, board_id: str, after: Position, *rest: int) -> Changes | None:
        changes = await read_changes(ledger, board_id, after, *rest)
        if changes is None:
            return None
        kept = tuple(c for c in changes.changes if c.reached_revision != after.revision + 1)
        return replace(changes, changes=kept)

    patch.setattr(Ledger, "read_changes", skipping)


def rank_equals_by_name_in_redis(patch: pytest.MonkeyPatch) -> None:
    change_script(patch, "board", "- reached, user)", "- 1, user)")


def rank_equals_by_name_in_the_record(patch: pytest.MonkeyPatch) -> None:
    change_statement(
        patch,
        "list_standings",
        "ORDER BY s.total DESC, s.reached_revision",
        "ORDER BY s.total DESC, s.user_id",
    )


def switch_without_replay(patch: pytest.MonkeyPatch) -> None:
    async def no_replay(*_arguments: object) -> _Replayed:
        return _Replayed()

    patch.setattr(Rebuilder, "_replay", no_replay)


def resume_without_what_was_missed(patch: pytest.MonkeyPatch) -> None:
    async def nothing(*_arguments: object) -> tuple[()]:
        return ()

    patch.setattr(Hubs, "_missed", nothing)


def answer_conflicts_as_replays(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(scoring, "is_replay", lambda award, recorded: award.request_id != recorded.request_id)


def give_each_try_an_id_of_its_own(patch: pytest.MonkeyPatch) -> None:
    record_awards = Ledger.record_awards

    async def renamed(ledger: Ledger, board_id: str, awards: Sequence[Award], *rest: Any) -> Any:
        renamed = [award._replace(award_id=str(uuid.uuid4())) for award in awards]
        return await record_awards(ledger, board_id, renamed, *rest)

    patch.setattr(Ledger, "record_awards", renamed)


KEEP_FINAL = """
    for id in string.gmatch(ARGV[2], '%S+') do
        if not ARGV[9 + place] then
            break
        end
"""
"""Passes over the periods that are final, which come last."""


def keep_final_periods_in_redis(patch: pytest.MonkeyPatch) -> None:
    change_script(patch, "apply_changes", "for id in string.gmatch(ARGV[2], '%S+') do", KEEP_FINAL)


def leave_periods_behind(patch: pytest.MonkeyPatch) -> None:
    apply_changes = Projection.apply_changes

    async def apply(projection: Projection, changes: Changes) -> Any:
        return await apply_changes(projection, replace(changes, periods={}))

    patch.setattr(Projection, "apply_changes", apply)


def rebuild_without_periods(patch: pytest.MonkeyPatch) -> None:
    async def nothing(*_arguments: object) -> list[str]:
        return []

    patch.setattr(Rebuilder, "_list_live", nothing)


def take_what_is_late(patch: pytest.MonkeyPatch) -> None:
    def make(*arguments: Any) -> Schedule:
        schedule = make_schedule(*arguments)
        day = dt.timedelta(days=1)
        late = (replace(p, closes_at=p.closes_at + day, final_at=p.final_at + day) for p in schedule.periods)
        return replace(schedule, periods=tuple(late))

    patch.setattr(scheduler, "make_schedule", make)


def digest_no_more_than_a_page(patch: pytest.MonkeyPatch) -> None:
    archive = Archiver.archive

    async def archive_again(archiver: Archiver, board_id: str, period_id: str) -> Archive:
        whole = await archive(archiver, board_id, period_id)
        page = await archiver._periods.archive_page(board_id, period_id, 0, 2)
        return replace(whole, digest=hashlib.sha256(page.lines if page else b"").digest())

    patch.setattr(Archiver, "archive", archive_again)


def read_the_period_that_was_current(patch: pytest.MonkeyPatch) -> None:
    find, found = PeriodFinder.find, dict[object, FoundPeriod]()

    async def find_once(
        finder: PeriodFinder, board_id: str, choice: PeriodChoice, **named: Any
    ) -> FoundPeriod:
        if (board_id, choice) not in found:
            found[board_id, choice] = await find(finder, board_id, choice, **named)
        return found[board_id, choice]

    patch.setattr(PeriodFinder, "find", find_once)


def rank_who_is_hidden_in_redis(patch: pytest.MonkeyPatch) -> None:
    change_script(patch, "board", "total ~= '0' and flag == ''", "total ~= '0'")


def rank_who_is_hidden_in_the_record(patch: pytest.MonkeyPatch) -> None:
    change_statement(patch, "list_standings", "score.ranked_standing", "score.standing")


def take_older_for_newer_than_reversals(patch: pytest.MonkeyPatch) -> None:
    old = "version = version == '' and reached or version"
    change_script(patch, "board", old, "version = reached")


def forget_that_an_award_is_gone(patch: pytest.MonkeyPatch) -> None:
    record_awards = Ledger.record_awards

    async def forget(ledger: Ledger, *arguments: Any) -> Any:
        recorded = await record_awards(ledger, *arguments)
        if not isinstance(recorded, RecordedBatch):
            return recorded
        results = [
            r._replace(reversed=False) if isinstance(r, RecordedAward) else r for r in recorded.results
        ]
        return replace(recorded, results=tuple(results))

    patch.setattr(Ledger, "record_awards", forget)


def answer_rivals_as_replays(patch: pytest.MonkeyPatch) -> None:
    answer = _Reversals.answer

    def answer_all(reversals: _Reversals, request: ReversalRequest) -> Any:
        found = answer(reversals, request)
        return found.standing if isinstance(found, ReversalConflict) else found

    patch.setattr(_Reversals, "answer", answer_all)


def take_back_all_of_a_page_but_the_last(patch: pytest.MonkeyPatch) -> None:
    reverse_awards = Corrections.reverse_awards

    async def reverse(corrections: Corrections, board_id: str, requests: Any, **named: str) -> Any:
        return await reverse_awards(corrections, board_id, requests[:-1] or requests, **named)

    patch.setattr(Corrections, "reverse_awards", reverse)


def feed_all_but_the_second(patch: pytest.MonkeyPatch) -> None:
    read_page = EntryStore.read_page

    async def read(store: EntryStore, *arguments: Any) -> EntryPage:
        page = await read_page(store, *arguments)
        return replace(page, entries=tuple(entry for entry in page.entries if entry.revision != 2))

    patch.setattr(EntryStore, "read_page", read)


def watch_without_corrections(patch: pytest.MonkeyPatch) -> None:
    project = Projector.project

    async def project_awards(projector: Projector, changes: Changes) -> Any:
        is_reached = [change for change in changes.changes if change.version is None]
        return await project(projector, replace(changes, changes=tuple(is_reached)))

    patch.setattr(Projector, "project", project_awards)


def forget_ids_of_archived_awards(patch: pytest.MonkeyPatch) -> None:
    archive_board = LedgerArchiver.archive_board

    async def archive(archiver: LedgerArchiver, board_id: str, *arguments: Any) -> Any:
        archived = await archive_board(archiver, board_id, *arguments)
        if archived.cut:
            await archiver._archive.forget_award_ids(board_id, archived.cut.revision, None, 1000)
        return archived

    patch.setattr(LedgerArchiver, "archive_board", archive)


def archive_as_if_nothing_was_taken_back_since(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        archiver, "write_lines", lambda chain, late: write_lines(chain, replace(late, award_revisions=()))
    )


ADA, BOB, CYD, DAN, ADA_AGAIN = Ask(0), Ask(1), Ask(2), Ask(3), Ask(8)
HIDDEN, SHADOWED, VISIBLE = Visibility.HIDDEN, Visibility.SHADOWED, Visibility.VISIBLE
_DAY = 24 * 60
ADA_AS_BOB = Ask(16)
"""As many points as Bob."""
DIES_BEFORE_APPLY = Interrupted(Call(0, (CYD,)), 1, (), "dies")
FAULTS: list[tuple[Fault, History, str]] = [
    (add_totals, History((Call(0, (ADA,)), Call(0, (ADA_AGAIN,)))), "total=5.* is shown"),
    (
        jump_gaps,
        History((Call(0, (ADA,)), Save(), Call(0, (BOB,)), RollBack(), Call(0, (CYD,)))),
        "rank=2.* is shown at 3.*rank=3",
    ),
    (
        forget_marks,
        History((Call(0, (ADA,)), Call(0, (BOB,)), Restore(1), DIES_BEFORE_APPLY, Call(1, (DAN,)))),
        "bob has no award at 3",
    ),
    (
        trust_headers,
        History((Call(0, (ADA,)), Call(0, (BOB,)), Restore(1), DIES_BEFORE_APPLY)),
        "not healed",
    ),
    (
        skip_a_revision,
        History((Call(0, (ADA,)), Save(), Call(0, (BOB, CYD)), RollBack())),
        "rank=2.* is shown at 3.*rank=3",
    ),
    (rank_equals_by_name_in_redis, History((Call(0, (ADA_AS_BOB, BOB)),)), "never had rank"),
    (
        rank_equals_by_name_in_the_record,
        History((Call(0, (BOB, ADA_AS_BOB)), Wipe(), Read(0, "ada"))),
        "wrong at 2|the top at 2",
    ),
    (
        switch_without_replay,
        History((Call(0, (ADA, BOB)), Interrupted(Rebuild(0), 6, (Call(1, (ADA_AGAIN,)),)))),
        "bob.*rank=1.* is shown at 3.*rank=2",
    ),
    (
        resume_without_what_was_missed,
        History((Call(0, (ADA,)), Depart(), Call(0, (BOB,)), Return(1))),
        "bob.* was not told",
    ),
    (
        answer_conflicts_as_replays,
        History((Call(0, (ADA,)), Call(0, (Ask(0, variant=1),)))),
        "a conflict was answered as a replay",
    ),
    (give_each_try_an_id_of_its_own, History((Call(0, (ADA,)),)), "nobody asked for"),
    (
        keep_final_periods_in_redis,
        History((Call(0, (ADA,)), Pass(_DAY), Close(0)), late=LatePolicy.CURRENT),
        "other periods in Redis",
    ),
    (
        leave_periods_behind,
        History((Call(0, (ADA,)), Call(0, (BOB,))), late=LatePolicy.CURRENT),
        "other periods in Redis",
    ),
    (
        rebuild_without_periods,
        History((Call(0, (ADA,)), Wipe(), Look(0)), late=LatePolicy.CURRENT),
        "other periods in Redis",
    ),
    (
        take_what_is_late,
        History((Pass(_DAY), Call(0, (Ask(0, hours_ago=25),))), late=LatePolicy.CURRENT),
        "where .* is right",
    ),
    (
        digest_no_more_than_a_page,
        History((Call(0, (ADA, BOB, CYD)), Pass(_DAY), Close(0)), late=LatePolicy.CURRENT),
        "the result of day:2026-11-30 is not digested as it is",
    ),
    (
        read_the_period_that_was_current,
        History((Call(0, (ADA,)), Read(0, "ada"), Pass(_DAY), Read(0, "ada")), late=LatePolicy.CURRENT),
        "a read of another period|wrong at",
    ),
    (
        rank_who_is_hidden_in_redis,
        History((Call(0, (ADA, BOB)), Show(0, "ada", HIDDEN))),
        "ada.* is shown at 3",
    ),
    (
        rank_who_is_hidden_in_the_record,
        History((Call(0, (ADA, BOB)), Show(0, "bob", SHADOWED), Wipe(), Read(0, "ada"))),
        "wrong at 3|the top at 3",
    ),
    (
        take_older_for_newer_than_reversals,
        History((Call(0, (ADA,)), Call(0, (ADA_AGAIN,)), Reverse(0, (Undo(8),)))),
        "ada.* is shown at 3",
    ),
    (
        forget_that_an_award_is_gone,
        History((Call(0, (ADA,)), Reverse(0, (Undo(0),)), Call(1, (ADA,)))),
        "was answered as if it stood",
    ),
    (
        answer_rivals_as_replays,
        History((Call(0, (ADA,)), Reverse(0, (Undo(0),)), Reverse(1, (Undo(0, 1),)))),
        "was answered with",
    ),
    (
        take_back_all_of_a_page_but_the_last,
        History((Call(0, (ADA, BOB)), Reverse(0, (Undo(0), Undo(1)), leaves=True))),
        "was given up with its caller",
    ),
    (feed_all_but_the_second, History((Call(0, (ADA, BOB, CYD)),)), "the feed goes from"),
    (
        forget_ids_of_archived_awards,
        History((Call(0, (ADA,)), Pass(5), Cut(), Call(1, (ADA,)))),
        "an award took effect twice",
    ),
    (
        archive_as_if_nothing_was_taken_back_since,
        History(
            (
                Call(0, (ADA, ADA_AGAIN)),
                Pass(5),
                Reverse(0, (Undo(8),)),
                Cut(),
                Call(0, (ADA_AS_BOB,)),
                Reverse(1, (Undo(16),)),
            )
        ),
        "where .* is right",
    ),
    (
        watch_without_corrections,
        History((Call(0, (ADA, BOB)), Reverse(0, (Undo(1),)))),
        "bob.* at 3|Redis does not rank",
    ),
]
"""Ways to break the service, each with a short history that shows it, and what the model says then."""


def known(test: Callable[..., Any]) -> Callable[..., Any]:
    """Have a test run the histories above as well, on the service as it is."""
    for _, history, _ in FAULTS:
        test = example(history)(test)
    return test


@pytest.mark.timeout(300 + _MORE)
@settings(
    max_examples=_MORE or 60,
    derandomize=not _MORE,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(HISTORIES)
@known
async def test_every_history_ends_in_the_sum_of_its_ledger(stores: Stores, history: History) -> None:
    await live(stores, history)


@pytest.mark.parametrize(("fault", "history", "why"), FAULTS, ids=[fault.__name__ for fault, *_ in FAULTS])
async def test_model_catches_a_service_that_would(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, fault: Fault, history: History, why: str
) -> None:
    fault(monkeypatch)

    with pytest.raises(AssertionError, match=why):
        await live(stores, history)


CORRECTIONS: dict[str, tuple[Operation, ...]] = {
    "twice with one id": (Reverse(0, (Undo(8),)), Reverse(1, (Undo(8),))),
    "twice with two ids": (Reverse(0, (Undo(8),)), Reverse(1, (Undo(8, 1),))),
    "two awards with one id": (Reverse(0, (Undo(8, 1),)), Reverse(1, (Undo(0, 1),))),
    "twice at once from two processes": (Together((Reverse(0, (Undo(8),)), Reverse(1, (Undo(8),)))),),
    "at once by two ids": (Together((Reverse(0, (Undo(8),)), Reverse(1, (Undo(8, 1),)))),),
    "while it is retried": (
        Together(
            (Call(0, (ADA_AGAIN,)), Reverse(1, (Undo(8),)), Call(1, (ADA_AGAIN,)), Call(0, (ADA_AGAIN,)))
        ),
    ),
    "before it is made": (
        Together((Reverse(0, (Undo(16),)), Call(1, (ADA_AS_BOB,)), Reverse(1, (Undo(16),)))),
    ),
    "in a page with what is gone": (Reverse(0, (Undo(8),)), Reverse(1, (Undo(8), Undo(0), Undo(30)))),
    "all that a user has": (Reverse(0, (Undo(0), Undo(8))), Call(1, (ADA_AS_BOB,))),
    "away from Redis": (Apart(Reverse(0, (Undo(8),))), Read(0, "ada", fresh=True), Call(1, (ADA_AS_BOB,))),
    "of a Redis that steps back": (Save(), Reverse(0, (Undo(8),)), RollBack(), Call(0, (BOB,))),
    "and lost with the record": (Reverse(0, (Undo(8),)), Restore(1), Reverse(1, (Undo(8, 1),))),
    "of who is hidden": (Show(0, "ada", HIDDEN), Reverse(1, (Undo(8),)), Show(1, "ada", VISIBLE)),
    "of who is shadowed": (Show(0, "ada", SHADOWED), Reverse(1, (Undo(8),)), Read(1, "ada", fresh=True)),
    "of a day that is final": (Pass(_DAY), Close(0), Reverse(0, (Undo(8),)), Show(1, "ada", HIDDEN)),
    "of a day that is closing": (Pass(_DAY), Together((Close(0), Reverse(1, (Undo(8),))))),
    "of a season in review": (Pass(2 * _DAY + 60), Reverse(0, (Undo(8),)), Pass(_DAY), Close(1)),
}
"""What is done about the second of two awards to Ada."""


@pytest.mark.parametrize("case", CORRECTIONS)
async def test_award_is_taken_back_once(stores: Stores, case: str) -> None:
    operations = (Call(0, (ADA, BOB, CYD)), Call(0, (ADA_AGAIN,)), *CORRECTIONS[case], Read(0, "ada"))
    await live(stores, History(operations, late=LatePolicy.CURRENT))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("correction", [Reverse(0, (Undo(0), Undo(8))), Show(0, "ada", HIDDEN)], ids=str)
@pytest.mark.parametrize("then", ["dies", "goes on"])
async def test_correction_is_whole_whatever_happens_before_any_step(
    stores: Stores, correction: Work, then: Then
) -> None:
    meanwhile = (Call(1, (ADA_AS_BOB,)), Reverse(1, (Undo(8, 1),)), Show(1, "ada", SHADOWED), Wipe())
    for step in range(4):
        operations = (
            Call(0, (ADA, BOB, ADA_AGAIN)),
            Interrupted(correction, step, meanwhile, then),
            Read(1, "ada", fresh=True),
        )
        await live(stores, History(operations, late=LatePolicy.CURRENT))


_OLD = (Call(0, (ADA, BOB, CYD)), Save(), Call(0, (ADA_AGAIN,)), Pass(5))
CUTS: dict[str, tuple[Operation, ...]] = {
    "awarded again": (Cut(), Call(1, (ADA, Ask(1, 1))), Call(0, (BOB,), leaves=True)),
    "taken back": (
        Cut(),
        Reverse(0, (Undo(8),)),
        Reverse(1, (Undo(0), Undo(9))),
        Reverse(1, (Undo(1),), True),
    ),
    "taken back before": (Reverse(0, (Undo(8),)), Cut(), Reverse(1, (Undo(8),)), Reverse(1, (Undo(8, 1),))),
    "those of who loses later ones": (Cut(), Call(0, (ADA_AS_BOB, DAN)), Reverse(1, (Undo(16), Undo(3)))),
    "those of who lost some": (
        *(Reverse(0, (Undo(8), Undo(1))), Call(1, (ADA_AS_BOB, Ask(9))), Cut()),
        *(Reverse(1, (Undo(16),)), Reverse(0, (Undo(9),))),
    ),
    "twice": (
        *(Cut(), Call(0, (ADA_AS_BOB, Ask(9))), Pass(5), Reverse(0, (Undo(16),)), Cut(), Call(1, (ADA,))),
        *(Call(1, (Ask(24), Ask(17))), Reverse(0, (Undo(24), Undo(17)))),
    ),
    "those of who is hidden": (
        Show(0, "ada", HIDDEN),
        Cut(),
        Show(1, "ada", VISIBLE),
        Call(1, (ADA_AS_BOB,)),
    ),
    "where Redis steps back before the cut": (
        Cut(),
        RollBack(),
        Look(0),
        Call(0, (BOB,)),
        RollBack(),
        Call(1, (DAN,)),
    ),
    "where Redis is before the cut": (Kill(0), Apart(Call(0, (DAN,))), Pass(5), Cut(), Look(1)),
    "while a watcher is disconnected": (Depart(), Call(0, (DAN,)), Pass(5), Cut(), Return(1)),
    "and lost": (Restore(9), Cut()),
    "and restored": (Cut(), Restore(1), Call(1, (ADA_AS_BOB,)), Reverse(1, (Undo(8),)), Pass(5), Cut()),
    "and lost in part": (
        Call(1, (DAN,)),
        Pass(5),
        Cut(),
        Call(1, (Ask(9),)),
        Restore(3),
        Call(0, (BOB, DAN)),
    ),
    "with periods": (
        Pass(9 * _DAY),
        Close(0),
        Cut(),
        Call(1, (ADA, ADA_AS_BOB)),
        Reverse(0, (Undo(8), Undo(16))),
    ),
}
"""What is done about awards that are old enough to be archived."""


async def test_award_that_the_record_lost_is_made_again_as_if_it_were_new(stores: Stores) -> None:
    """No time passes, so each time it comes to the same position."""
    again = (Call(0, (ADA,)), Restore(1), Call(1, (ADA,)), Restore(1), Call(0, (ADA,)))
    await live(stores, History((Call(0, (BOB,)), *again)))


@pytest.mark.parametrize("late", [None, LatePolicy.CURRENT], ids=["alone", "periods"])
@pytest.mark.parametrize("case", CUTS)
async def test_archived_awards_stay_made(stores: Stores, case: str, late: LatePolicy | None) -> None:
    await live(stores, History((*_OLD, *CUTS[case], Read(0, "ada", fresh=True)), late=late))


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "work",
    [Call(0, (ADA, DAN)), Reverse(0, (Undo(8),)), Show(0, "ada", HIDDEN), Rebuild(0), Look(0)],
    ids=str,
)
async def test_work_goes_on_though_awards_are_archived_before_any_step(stores: Stores, work: Work) -> None:
    for step in range(6):
        cut = Interrupted(work, step, (Cut(),), "goes on")
        await live(stores, History((*_OLD, RollBack(), cut, Read(1, "ada", fresh=True))))


LEFT: dict[str, tuple[Work | Event, ...]] = {
    "and the record is restored": (Restore(1),),
    "and the record is restored and goes on": (Restore(1), Call(0, (BOB, DAN))),
    "and awards are archived, and Redis loses the board": (Call(0, (DAN,)), Pass(5), Cut(), Evict("header")),
}
"""What happens while a rebuild has loaded all pages, and before it dies."""


@pytest.mark.parametrize("late", [None, LatePolicy.CURRENT], ids=["alone", "periods"])
@pytest.mark.parametrize("case", LEFT)
async def test_one_look_heals_though_a_rebuild_has_died(
    stores: Stores, case: str, late: LatePolicy | None
) -> None:
    left = Interrupted(Rebuild(1), 9, LEFT[case], "dies")
    await live(stores, History((*_OLD, left), late=late))


_CLOSE_STEPS = 13
"""Of a day that five users have points in, with pages of two."""
DURING_A_CLOSE: dict[str, tuple[tuple[Work | Event, ...], Then]] = {
    "the process dies": ((), "dies"),
    "it is cancelled": ((), "is cancelled"),
    "another process closes it": ((Close(1),), "goes on"),
    "awards come, and late ones": ((Call(1, (ADA_AGAIN, Ask(9, hours_ago=25))),), "goes on"),
    "Redis is wiped": ((Wipe(), Call(1, (ADA_AGAIN,))), "dies"),
    "Redis steps back": ((RollBack(), Look(1)), "goes on"),
    "the board is rebuilt": ((Rebuild(1),), "is cancelled"),
    "PostgreSQL is restored": ((Restore(1), Call(1, (ADA_AGAIN,))), "goes on"),
    "awards are taken back": ((Reverse(1, (Undo(0), Undo(9))), Call(1, (ADA,))), "goes on"),
    "who leads is hidden": ((Show(1, "ada", HIDDEN),), "goes on"),
    "a week passes": ((Pass(7 * _DAY), Call(1, (ADA_AGAIN,))), "goes on"),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("event", DURING_A_CLOSE)
async def test_day_is_closed_once_whatever_happens_before_any_step(stores: Stores, event: str) -> None:
    meanwhile, then = DURING_A_CLOSE[event]
    for step in range(_CLOSE_STEPS + 1):
        operations = (
            Call(0, (ADA, BOB, CYD, DAN, Ask(4))),
            Save(),
            Call(0, (Ask(9), Ask(10))),
            Pass(_DAY),
            Call(1, (Ask(17),)),
            Interrupted(Close(0), step, meanwhile, then),
            Close(1),
            Read(1, "ada", fresh=True),
        )
        await live(stores, History(operations, late=LatePolicy.CURRENT))


async def test_close_takes_as_many_steps(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = list[str]()
    passed = Gate.__call__

    async def note(gate: Gate, step: str) -> None:
        steps.append(step)
        await passed(gate, step)

    close = Process.close

    async def close_alone(process: Process, board_id: str) -> None:
        steps.clear()
        await close(process, board_id)
        steps.append("closed")

    monkeypatch.setattr(Gate, "__call__", note)
    monkeypatch.setattr(Process, "close", close_alone)
    operations = (Call(0, (ADA, BOB, CYD, DAN, Ask(4))), Pass(_DAY), Close(0))
    await live(stores, History(operations, late=LatePolicy.CURRENT))

    assert steps.index("closed") == _CLOSE_STEPS


async def ask_for(client: ScoreClient, award: Award) -> AwardResult:
    return await client.award(
        board_id=award.board_id,
        user_id=award.user_id,
        points=award.points,
        action_type=award.action_type,
        action_id=award.action_id,
        award_id=uuid.UUID(award.award_id),
        request_id=uuid.UUID(award.request_id),
        timeout=5,
    )


async def test_two_processes_end_in_the_sum_of_their_ledger_though_redis_steps_back_and_one_is_killed(
    stack: Stack, stores: Stores, projection: Projection
) -> None:
    services = [await stack.start_score_service() for _ in range(2)]
    model, told = Model("main"), list[tuple[Award, AwardResult]]()

    async def call(caller: int, clients: Sequence[ScoreClient]) -> None:
        for i in range(40):
            number = caller * 5 + i
            award = Ask(number - (number % 8 == 7), request=caller % 2).award("main")
            model.asked.add(award)
            with suppress(UnavailableError):  # Of the one that was killed: what became of it is unknown.
                told.append((award, await ask_for(clients[i % len(clients)], award)))

    async def have_told(count: int) -> None:
        async def is_reached() -> bool:
            return len(told) >= count

        await eventually(is_reached)

    async def happen(clients: list[ScoreClient]) -> None:
        await have_told(80)
        saved = await save_keys(stores.redis_url, stores.prefix)
        await have_told(160)
        await delete_keys(stores.redis_url, stores.prefix)
        await have_told(240)
        await restore_keys(stores.redis_url, stores.prefix, saved)
        await have_told(320)
        clients.pop()
        await asyncio.to_thread(services[1].kill)

    async with stack.client(target_of(services[0])) as one, stack.client(target_of(services[1])) as two:
        clients = [one, two]
        await asyncio.gather(happen(clients), *(call(caller, clients) for caller in range(12)))

    async def is_healed() -> bool:
        reading = await projection.get_standings("main", (), 100)
        return reading is not None and (reading.position, reading.top) == (
            model.head,
            model.shown_at(model.head).ranked,
        )

    model.take(await stores.record.read("main"))
    await eventually(is_healed)
    rows = {row.award_id: row for row in model.rows}
    commits = {str(commit.position): commit for commit in model.commits}
    for award, result in told:
        row = rows[award.award_id]
        assert (result.revision, result.total) == (row.revision, row.total)
        assert result.replayed == (award.request_id != row.request_id)
        assert row in commits[result.position].steps
