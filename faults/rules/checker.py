"""Judges a run: lists what no promise of the services explains. Pure.

It imports nothing of the services: what they promise is written down a second time in the modules of
this room, on purpose.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from faults.model.board import Board
from faults.model.epochs import Epochs
from faults.model.findings import Finding, Findings
from faults.model.history import (
    AwardCall,
    Fault,
    Fed,
    FeedArchived,
    FeedBegun,
    FeedLost,
    History,
    Message,
    PlanCall,
    Read,
    Redemption,
    Restore,
    ReversalCall,
    VisibilityCall,
)
from faults.model.ledger import Record
from faults.model.liveness import Liveness
from faults.model.projection import Projection
from faults.rules.awards import check_awards
from faults.rules.feeds import Told, check_feeds
from faults.rules.liveness import check_liveness
from faults.rules.projections import check_projection, check_samples
from faults.rules.ranks import check_ranks
from faults.rules.reads import LAG, check_reads
from faults.rules.record.archive import check_archive
from faults.rules.record.ledger import check_ledger
from faults.rules.record.periods import check_due, check_periods
from faults.rules.reversals import check_reversals
from faults.rules.streams.streams import check_streams
from faults.rules.tickets import check_tickets
from faults.rules.visibilities import check_visibilities

_Call = TypeVar("_Call", ReversalCall, PlanCall, VisibilityCall)


@dataclass(slots=True)
class _Seen:
    """What was asked and seen of one board."""

    calls: list[AwardCall] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    corrections: list[ReversalCall | PlanCall | VisibilityCall] = field(default_factory=list)
    fed: list[Told] = field(default_factory=list)
    projection: Projection | None = None
    samples: list[Projection] = field(default_factory=list)

    @property
    def redemptions(self) -> list[Redemption]:
        """Those of the calls that showed a ticket."""
        return [call for call in self.calls if isinstance(call, Redemption)]

    def of(self, kind: type[_Call]) -> list[_Call]:
        """List the corrections of a kind."""
        return [call for call in self.corrections if isinstance(call, kind)]


def check(
    history: History,
    epochs: Sequence[Record],
    projections: Sequence[Projection],
    liveness: Liveness,
    samples: Sequence[Projection] = (),
) -> Findings:
    """Find what cannot be explained.

    Args:
        history: all that was asked and seen.
        epochs: the record before each restore, and at the end: one more than the history has restores.
        projections: every board, after the last fault was healed and the load had ended.
        liveness: what was measured then.
        samples: boards as they were read from Redis while things were broken.

    Raises:
        ValueError: there are too many or too few epochs.
    """
    restores = [event for event in history.events if isinstance(event, Restore)]
    if len(epochs) != len(restores) + 1:
        raise ValueError(f"{len(restores)} restores lie between {len(epochs)} epochs")
    faults = [event for event in history.events if isinstance(event, Fault)]
    times = Epochs(restores, faults)
    findings = Findings()
    for board_id, seen in sorted(_sort(history, epochs, projections, samples).items()):
        board = Board(board_id, epochs)
        findings.extend(_check_board(board, seen, times, faults))
        _count(findings, board, seen)
    for record in epochs:
        for ledger in record.values():
            findings.extend(check_ledger(ledger))
            findings.extend(check_periods(ledger))
            findings.extend(check_archive(ledger))
    if liveness.read_at is not None:
        for ledger in epochs[-1].values():
            findings.extend(check_due(ledger, liveness.read_at))
    findings.extend(check_liveness(liveness))
    return findings


def _check_board(board: Board, seen: _Seen, epochs: Epochs, faults: Sequence[Fault]) -> Iterable[Finding]:
    # The first notes when awards were asked for and answered, which the others want to know.
    yield from check_awards(board, seen.calls, epochs)
    yield from check_tickets(board, seen.redemptions, epochs, faults)
    yield from check_reversals(board, seen.of(ReversalCall), seen.of(PlanCall), seen.calls, epochs)
    yield from check_visibilities(board, seen.of(VisibilityCall), seen.reads, seen.messages, epochs)
    yield from check_feeds(board, seen.fed, epochs)
    yield from check_ranks(board, seen.calls, epochs, LAG)
    yield from check_reads(board, seen.reads, epochs)
    yield from check_streams(board, seen.messages, epochs)
    yield from check_projection(board, seen.projection)
    yield from check_samples(board, seen.samples, epochs)


def _sort(
    history: History,
    epochs: Sequence[Record],
    projections: Sequence[Projection],
    samples: Sequence[Projection],
) -> dict[str, _Seen]:
    boards = defaultdict[str, _Seen](_Seen, {board_id: _Seen() for record in epochs for board_id in record})
    for event in history.events:
        match event:
            case AwardCall():
                boards[event.asked.board_id].calls.append(event)
            case ReversalCall() | PlanCall() | VisibilityCall():
                boards[event.board_id].corrections.append(event)
            case Fed() | FeedLost() | FeedArchived() | FeedBegun():
                boards[event.board_id].fed.append(event)
            case Read():
                boards[event.board_id].reads.append(event)
            case Message():
                boards[event.board_id].messages.append(event)
    for projection in projections:
        boards[projection.board_id].projection = projection
    for sample in samples:
        boards[sample.board_id].samples.append(sample)
    return boards


def _count(findings: Findings, board: Board, seen: _Seen) -> None:
    findings.judged.update(
        awards=len(board.end.awards),
        deleted=len(board.end.ledger.deleted),
        cuts=len(board.end.cuts),
        calls=len(seen.calls),
        acknowledged=sum(call.result is not None for call in seen.calls),
        expired=sum(call.expired_for is not None for call in seen.calls),
        redemptions=len(seen.redemptions),
        corrections=len(seen.corrections),
        fed=len(seen.fed),
        reads=len(seen.reads),
        messages=len(seen.messages),
        streams=len({message.stream for message in seen.messages}),
        projections=seen.projection is not None,
        samples=len(seen.samples),
    )
