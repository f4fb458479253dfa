"""Feeds that are wrong in one thing each."""

from dataclasses import replace
from math import inf

from tests.faults.archived import archive
from tests.faults.corrected import ADA_LAST, feed_of, position_at, reverse, run_of, show
from tests.faults.synthetic import BOARD, Run

from faults.model.findings import Kind
from faults.model.history import Event, Fed, FeedArchived, FeedBegun, FeedLost, Restore, VisibilityCall

LEDGER = show(reverse(Run().ledger, ADA_LAST), "eve", "hidden")
FEED = feed_of(LEDGER)


def kinds(*events: Event) -> set[Kind]:
    run = run_of(LEDGER)
    run.events += events
    return run.kinds()


def test_whole_feed_has_no_findings() -> None:
    assert kinds(*FEED) == set()


def test_feed_that_skips_an_entry_is_found() -> None:
    assert kinds(*FEED[:4], *FEED[5:]) == {Kind.FEED_GAP}


def test_feed_that_has_an_entry_twice_or_out_of_order_is_found() -> None:
    assert kinds(*FEED[:5], FEED[4], *FEED[5:]) == {Kind.FEED_GAP}
    assert kinds(*FEED[:3], FEED[4], FEED[3], *FEED[5:]) == {Kind.FEED_GAP}


def test_feed_that_ends_too_early_is_found() -> None:
    assert kinds(*FEED[:-1]) == {Kind.FEED_UNFINISHED}


def test_entry_that_the_ledger_does_not_have_is_found() -> None:
    wrong: list[dict[str, object]] = [
        {"subject": "another"},
        {"kind": "reversal"},
        {"position": "5-0123456789abcdef"},
    ]
    for changes in wrong:
        assert kinds(*FEED[:4], replace(FEED[4], **changes), *FEED[5:]) == {Kind.FEED_WRONG}  # type: ignore[arg-type]


def lost(position: str, at: float) -> FeedLost:
    return FeedLost(reader="subscriber-1", board_id=BOARD, at=at, position=position)


def test_position_that_the_ledger_has_is_known() -> None:
    assert kinds(*FEED, lost(FEED[4].position, 12.0), *FEED) == {Kind.FEED_UNKNOWN}


def restored(*, copied: float) -> tuple[Run, list[Fed]]:
    """Lose the last two entries."""
    run = run_of(LEDGER)
    run.restore([], keep=8)
    run.change(0, Restore, copied=copied)
    return run, [replace(fed, at=fed.at + 30.0) for fed in feed_of(run.ledger)]


def test_reader_begins_anew_once_its_position_was_lost() -> None:
    run, feed = restored(copied=8.4)
    run.events += [*FEED, lost(FEED[-1].position, 30.0), *feed]

    assert run.kinds() == set()


def test_entry_that_a_failover_takes_back_is_found() -> None:
    run, feed = restored(copied=inf)
    run.events += [*FEED, lost(FEED[-1].position, 30.0), *feed]

    assert Kind.FEED_LOST in run.kinds()


ARCHIVED = archive(LEDGER, 5)
ENTRY = replace(
    FEED[-1], at=11.3, revision=11, position=position_at(ARCHIVED, 11), kind="archived", subject=""
)


def kinds_archived(*events: Event) -> set[Kind]:
    run = run_of(ARCHIVED)
    run.events += events
    return run.kinds()


def told(after: str, revision: int = 5) -> FeedArchived:
    position = position_at(ARCHIVED, revision)
    return FeedArchived(reader="subscriber-1", board_id=BOARD, at=11.5, after=after, position=position)


def test_reader_that_stands_before_the_cut_goes_on_after_it() -> None:
    rest = (*FEED[5:], ENTRY)
    assert kinds_archived(*FEED, ENTRY, FeedBegun(reader="subscriber-1", board_id=BOARD, at=11.4)) == {
        Kind.FEED_UNFINISHED
    }
    assert kinds_archived(told(""), *rest) == set()
    assert kinds_archived(*FEED[:3], told(FEED[2].position), *rest) == set()
    assert kinds_archived(told(""), *rest[1:]) == {Kind.FEED_GAP}


def test_reader_that_is_told_of_no_cut_or_of_one_before_it_is_found() -> None:
    assert Kind.ARCHIVED_WRONG in kinds_archived(told("", revision=4), *FEED[4:], ENTRY)
    assert kinds_archived(*FEED[:6], told(FEED[5].position), *FEED[5:], ENTRY) == {Kind.ARCHIVED_WRONG}


def test_reader_that_has_skipped_what_is_archived_goes_on_after_a_restore() -> None:
    end = show(ARCHIVED, "ben", "hidden")
    run = run_of(end)
    run.former = [ARCHIVED]
    run.events.append(Restore(began=20.0, ended=20.5, former="", copied=19.0))
    last = replace(
        ENTRY,
        at=30.0,
        revision=12,
        position=position_at(end, 12),
        kind="visibility",
        subject="ben hidden",
    )
    run.change(-1, VisibilityCall, began=29.0, ended=29.5)
    run.events += [told(""), *FEED[5:], ENTRY, last]

    assert run.kinds() == set()
