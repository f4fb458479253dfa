"""Feeds that are wrong in one thing each."""

from dataclasses import replace
from math import inf

from tests.faults.corrected import ADA_LAST, feed_of, reverse, run_of, show
from tests.faults.synthetic import BOARD, Run

from faults.model.findings import Kind
from faults.model.history import Event, Fed, FeedLost, Restore

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
