"""What must hold of users who are hidden, from when that is answered until it may be taken back. Pure.

What is shown at a position is judged by the ledger up to there, with who is hidden by then. Here it is judged
by time: what is shown long after the answer must know of it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import NamedTuple

from faults.model.board import Board
from faults.model.corrections import VISIBLE, Visibility
from faults.model.epochs import Epochs
from faults.model.findings import Finding, Kind
from faults.model.history import Message, Outcome, Read, Row, VisibilityCall
from faults.rules.reads import LAG as READ_LAG
from faults.rules.streams.sockets import LAG as SOCKET_LAG


class _Hidden(NamedTuple):
    """When a user was hidden for sure, but for what lags."""

    answered: float
    until: float
    """When it was next asked to be otherwise, or a restore began; infinite if neither."""


def check_visibilities(
    board: Board,
    calls: Sequence[VisibilityCall],
    reads: Iterable[Read],
    messages: Iterable[Message],
    epochs: Epochs,
) -> Iterable[Finding]:
    """Find answers that the ledger does not have, and users who are shown though they are hidden."""
    asked = {(call.user_id, call.visibility) for call in calls}
    made = {one for line in board.lines.values() for one in line.corrections if isinstance(one, Visibility)}
    for one in made:
        if (one.user_id, one.visibility) not in asked:
            yield Finding(Kind.VISIBILITY_INVENTED, str(one))
    for call in calls:
        if call.outcome is Outcome.MADE:
            yield from _check_answer(call, board, epochs)
    hidden = _find_hidden(calls, epochs)
    for read in reads:
        rows = [*(read.top or ()), *(row for row in read.rows if row.hidden is False)]
        for row in _find_shown(rows, hidden, read.began, read.ended, epochs, READ_LAG):
            yield Finding(Kind.HIDDEN_SHOWN, f"{read.reader} at {read.ended:.3f}: {read.position}, {row}")
    for message in messages:
        lag = SOCKET_LAG if message.user_id else READ_LAG
        others = [row for row in message.scores if row.hidden is False]
        rows = [row for row in (*(message.top or ()), *others) if row.user_id != message.user_id]
        for row in _find_shown(rows, hidden, message.at, message.at, epochs, lag):
            yield Finding(
                Kind.HIDDEN_SHOWN, f"{message.stream} at {message.at:.3f}: {message.revision}, {row}"
            )


def _check_answer(call: VisibilityCall, board: Board, epochs: Epochs) -> Iterable[Finding]:
    """Check that the ledger says so at the position that was answered."""
    live = epochs.live(call.began, call.ended) & board.epochs_of(call.position or "")
    if not live:
        yield Finding(Kind.VISIBILITY_LOST, str(call))
        return
    revision = int((call.position or "0").partition("-")[0])
    said = [one for one in board.line_of(live).visibilities(call.user_id) if one.revision <= revision]
    told = (said[-1].visibility, said[-1].revision) if said else (VISIBLE, 0)
    if told != (call.visibility, call.revision):
        yield Finding(Kind.VISIBILITY_WRONG, f"{call}: it was {told}")


def _find_hidden(calls: Iterable[VisibilityCall], epochs: Epochs) -> dict[str, list[_Hidden]]:
    """List when each user was hidden.

    A restore may bring an older state back, and a call to show a user may be on its way since before.
    """
    by_user = defaultdict[str, list[VisibilityCall]](list)
    for call in calls:
        by_user[call.user_id].append(call)
    hidden = defaultdict[str, list[_Hidden]](list)
    for user_id, alike in by_user.items():
        showing = [call for call in alike if call.visibility == VISIBLE]
        for call in alike:
            if call.visibility == VISIBLE or call.outcome is not Outcome.MADE:
                continue
            ends = [restore.began for restore in epochs.restores if restore.ended >= call.began]
            ends += [one.began for one in showing if _may_follow(one, call)]
            hidden[user_id].append(_Hidden(call.ended, min(ends, default=inf)))
    return hidden


def _may_follow(other: VisibilityCall, call: VisibilityCall) -> bool:
    """Return whether another call may have had its effect after one: what has no outcome may have it yet."""
    return other.ended >= call.began or other.outcome is Outcome.UNKNOWN


def _find_shown(
    rows: Iterable[Row],
    hidden: dict[str, list[_Hidden]],
    began: float,
    ended: float,
    epochs: Epochs,
    lag: float,
) -> Iterator[Row]:
    for row in rows:
        for span in hidden.get(row.user_id, ()):
            if ended < span.until and span.answered < began and epochs.seen_until(span.answered, lag) < began:
                yield row
                break
