"""What a client was shown of a board, compared with the standings of the ledger at that revision. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from faults.model.board import Board, Line
from faults.model.findings import Finding, Kind
from faults.model.fold import Fold, Stand, fold_at
from faults.model.history import Row


class Ranks(Enum):
    """How answers have the ranks of single users. Those of a top are always there, and hold."""

    EXACT = "as they are at the revision"
    IF_SENT = "so, or not at all"
    SINCE = "as they may have been since the total was reached, or not at all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What was shown, and where it must hold."""

    kind: Kind
    """Of the finding if it does not."""
    who: str
    revision: int
    epochs: int
    """As a set of bits: it must hold in one of them."""
    top: Sequence[Row] | None = None
    size: int = 0
    """Of the top that was asked for."""
    rows: Sequence[Row] = ()
    users: Sequence[str] = ()
    """Who was asked for by name; those who are not in `rows` have no points."""
    ranks: Ranks = Ranks.EXACT


def weigh_claims(board: Board, claims: Iterable[Claim]) -> Iterable[Finding]:
    """Find the claims that hold in none of their epochs."""
    faults: dict[int, str] = {}
    waiting = defaultdict[int, list[Claim]](list)
    for claim in claims:
        faults[id(claim)] = f"nothing is known of revision {claim.revision}"
        waiting[claim.epochs].append(claim)
    for epochs, alike in waiting.items():
        left = sorted(alike, key=lambda claim: claim.revision)
        for epoch, line in board.lines.items():
            if epochs >> epoch & 1:
                left = _weigh_in(line, left, faults)
        yield from (Finding(claim.kind, f"{claim.who}: {faults[id(claim)]}") for claim in left)


def _weigh_in(line: Line, claims: Sequence[Claim], faults: dict[int, str]) -> list[Claim]:
    """Compare claims with one ledger, and return those that do not hold in it."""
    wrong = []
    for claim, fold in zip(claims, fold_at(line.steps, (claim.revision for claim in claims)), strict=True):
        fault = find_difference(claim, fold)
        if fault:
            faults[id(claim)] = fault
            wrong.append(claim)
    return wrong


def find_difference(claim: Claim, fold: Fold) -> str:
    """Return the first difference between a claim and the ledger; empty if there is none."""
    if claim.top is not None and (fault := _compare_top(claim.top, fold.top(claim.size))):
        return fault
    for row in claim.rows:
        if fault := _compare_row(row, fold, claim.ranks):
            return fault
    shown = {row.user_id for row in claim.rows}
    missing = [user for user in claim.users if user not in shown and fold.find(user)]
    return f"{missing} have awards and are not shown" if missing else ""


def _compare_top(shown: Sequence[Row], real: Sequence[Row]) -> str:
    for place, (one, other) in enumerate(zip(shown, real, strict=False), start=1):
        if one[:3] != other[:3] or one.reached_revision not in {None, other.reached_revision}:
            return f"place {place} is shown as {one} and is {other}"
    return "" if len(shown) == len(real) else f"{len(shown)} places are shown of {len(real)}"


def _compare_row(shown: Row, fold: Fold, ranks: Ranks) -> str:
    stand = fold.find(shown.user_id)
    if stand is None:
        return f"{shown} is shown, who has no award" if shown.total or shown.rank else ""
    real = stand.row
    is_same = shown.total == real.total and shown.reached_revision in {None, real.reached_revision}
    if is_same and shown.hidden in {None, real.hidden} and _is_rank(shown.rank, stand, fold, ranks):
        return ""
    return f"{shown} is shown, who is {real}"


def _is_rank(shown: int | None, stand: Stand, fold: Fold, ranks: Ranks) -> bool:
    if shown is None:
        return ranks is not Ranks.EXACT or stand.row.rank is None
    if ranks is Ranks.SINCE:
        slack, place = stand.corrections_since, fold.place(stand.row.user_id) or 0
        return stand.rank_when_reached - slack <= shown <= place + slack
    return shown == stand.row.rank
