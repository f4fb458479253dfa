"""What must hold of reads: all of an answer is the fold of the ledger at the position that it names. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from faults.model.board import Board
from faults.model.claim import Claim, Ranks, weigh_claims
from faults.model.epochs import RECOVERY_SECONDS, Epochs
from faults.model.findings import Finding, Kind
from faults.model.history import Read
from faults.rules.positions import Sight, check_sight, locate

LAG: Final = RECOVERY_SECONDS + 1.0
"""Seconds for which reads and ranks may be of a lost history: an answer of the record is kept for one."""
STALE: Final = 4.0
"""Seconds after which a read has what was acknowledged, while Redis rejects writes: two until the record is
asked, one for which an answer of it is kept, and one for a busy machine."""
_CACHE: Final = "cache"


def check_reads(board: Board, reads: Iterable[Read], epochs: Epochs) -> Iterable[Finding]:
    """Find what is wrong. The board knows when its awards were asked for."""
    by_period = defaultdict[str, list[Read]](list)
    for read in reads:
        by_period[read.period].append(read)
    for period_id, alike in by_period.items():
        yield from _check_reads(board.of_period(period_id) if period_id else board, alike, epochs)


def _check_reads(board: Board, reads: Iterable[Read], epochs: Epochs) -> Iterable[Finding]:
    claims = []
    for read in reads:
        sight = Sight(
            who=f"{read.reader} from the {read.source} {read.period}".rstrip(),
            revision=read.revision,
            position=read.position,
            began=read.began,
            ended=read.ended,
            lag=LAG,
        )
        yield from check_sight(sight, board, epochs)
        if read.min_revision is not None and read.revision < read.min_revision:
            yield Finding(Kind.READ_OLD, f"{sight.who}: {read.position}, asked for {read.min_revision}")
        if read.revision < _newest_due(read, board, epochs):
            yield Finding(Kind.READ_STALE, f"{sight.who} at {sight.ended:.3f}: {read.position}")
        if located := locate(sight, board, epochs):
            claims.append(_claim(read, sight, located))
    yield from weigh_claims(board, claims)


def _newest_due(read: Read, board: Board, epochs: Epochs) -> int:
    """Return the newest revision that a read must have: nothing but writes to Redis was in its way."""
    since = epochs.rejected_since(read.began, read.ended)
    if since is None:
        return 0
    placed = board.line_of(epochs.live(read.began, read.ended)).placed
    due = [one.award.revision for one in placed if since <= one.answered_at <= read.began - STALE]
    return max(due, default=0)


def _claim(read: Read, sight: Sight, located: int) -> Claim:
    return Claim(
        kind=Kind.READ_WRONG,
        who=f"{sight.who} at {read.ended:.3f}: {read.position}",
        revision=read.revision,
        epochs=located,
        top=read.top,
        size=read.page_size or len(read.top or ()),
        rows=read.rows,
        users=read.users,
        ranks=Ranks.EXACT if read.source == _CACHE else Ranks.IF_SENT,
    )
