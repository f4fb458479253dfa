"""What must hold of the corrections of a ledger by themselves. Pure.

An award is taken back whole, once, by one reversal. The entry says what became of the user's standings: what
they would be had the award never been made, of all time and in every period that was not frozen. The entry
of a visibility says what the standings are that are not final.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from faults.model.corrections import ALL_TIME, Reversal, Step, Visibility
from faults.model.findings import Finding, Kind
from faults.model.fold import Fold
from faults.model.ledger import Award, Ledger, Period

_Told: TypeAlias = tuple[tuple[str, int, int], ...]


def check_corrections(ledger: Ledger, steps: Sequence[Step]) -> Iterable[Finding]:
    """Find what is wrong in corrections. Steps are the awards and corrections of the ledger, in order."""
    folds, awards = {ALL_TIME: Fold()}, dict[str, Award]()
    gone, seen = dict[str, Reversal](), dict[str, str]()
    periods = {period.period_id: period for period in ledger.periods}
    for step in steps:
        where = f"{ledger.board_id}: {step}"
        if isinstance(step, Reversal):
            rivals = {step.award_id, step.reversal_id} & gone.keys()
            if rivals:
                yield Finding(
                    Kind.REVERSAL_DOUBLED, f"{where} after {[gone[name] for name in sorted(rivals)]}"
                )
            gone[step.award_id] = gone[step.reversal_id] = step
        for scope in _scopes(step, awards):
            folds.setdefault(scope, Fold()).take(step)
        match step:
            case Award():
                awards[step.award_id] = step
            case Reversal():
                yield from _check_reversal(step, awards.get(step.award_id), periods, folds, where)
            case Visibility():
                live = [period_id for period_id, one in periods.items() if not _is_final(one, step.revision)]
                due = _tell(step.user_id, [ALL_TIME, *live], folds)
                if step.standings != due or step.visibility == seen.get(step.user_id, "visible"):
                    yield Finding(Kind.VISIBILITY_WRONG, f"{where}: due is {due}")
                seen[step.user_id] = step.visibility


def _check_reversal(
    step: Reversal, award: Award | None, periods: dict[str, Period], folds: dict[str, Fold], where: str
) -> Iterable[Finding]:
    told = step.award_revision, step.user_id, step.points
    if award is None or told != (award.revision, award.user_id, award.points):
        yield Finding(Kind.REVERSAL_WRONG, f"{where}: {award}")
        return
    counts = [period_id for period_id, _ in award.periods]
    final = tuple(period_id for period_id in counts if _is_frozen(periods[period_id], step.revision))
    due = _tell(step.user_id, [ALL_TIME, *(one for one in counts if one not in final)], folds)
    if (step.final_periods, step.standings) != (final, due):
        yield Finding(Kind.REVERSAL_WRONG, f"{where}: due is {final}, {due}")


def _scopes(step: Step, awards: dict[str, Award]) -> list[str]:
    """Return where a step moves a standing: all time, and periods."""
    match step:
        case Award():
            return [ALL_TIME, *(period_id for period_id, _ in step.periods)]
        case Reversal():
            award = awards.get(step.award_id)
            counts = [period_id for period_id, _ in award.periods] if award else []
            return [ALL_TIME, *(one for one in counts if one not in step.final_periods)]
        case Visibility():
            return []


def _tell(user_id: str, scopes: Iterable[str], folds: dict[str, Fold]) -> _Told:
    """Return what an entry must say of the standings of a user."""
    told = []
    for scope in scopes:
        fold = folds.get(scope)
        if fold is not None and user_id in fold.members():
            stand = fold.find(user_id)
            told.append((scope, stand.row.total, stand.row.reached_revision or 0) if stand else (scope, 0, 0))
    return tuple(told)


def _is_frozen(period: Period, revision: int) -> bool:
    return period.closed_revision is not None and period.closed_revision < revision


def _is_final(period: Period, revision: int) -> bool:
    return period.entry_revision is not None and period.entry_revision < revision
