"""The figures of a run, for people and for programs."""

import json
from collections import Counter
from typing import Any, Final

from rich.table import Table

from faults.evidence.journal import write_journal
from faults.model.findings import Findings, Kind
from faults.model.history import (
    AwardCall,
    Event,
    Fault,
    Fed,
    FeedArchived,
    Message,
    Outcome,
    PlanCall,
    Read,
    Redemption,
    Restore,
    ReversalCall,
    VisibilityCall,
)
from faults.run import Run

_LOST: Final = (
    Kind.AWARD_LOST,
    Kind.AWARD_NOT_COPIED,
    Kind.REVERSAL_LOST,
    Kind.REVERSAL_NOT_COPIED,
    Kind.VISIBILITY_LOST,
)
_DOUBLED: Final = (Kind.AWARD_DOUBLED, Kind.REVERSAL_DOUBLED, Kind.TICKET_DOUBLED)


def make_figures(run: Run) -> dict[str, Any]:
    """Count what happened and what was found."""
    events = run.history.events
    outcomes = Counter(event.outcome for event in events if isinstance(event, AwardCall))
    faults = Counter(event.name for event in events if isinstance(event, Fault))
    return {
        "seed": run.plan.seed,
        "seconds": round(run.seconds, 1),
        "faults": faults.total(),
        "faults_by_kind": dict(sorted(faults.items())),
        "restores": _count(events, Restore),
        "awards": {
            "acknowledged": outcomes[Outcome.MADE],
            "archived": outcomes[Outcome.ARCHIVED],
            "rejected": outcomes[Outcome.REJECTED],
            "unknown": outcomes[Outcome.UNKNOWN],
        },
        "tickets": _count_tickets(events),
        "corrections": {
            "reversals": _count(events, ReversalCall),
            "plans": _count(events, PlanCall),
            "visibilities": _count(events, VisibilityCall),
        },
        "entries_fed": _count(events, Fed),
        "feeds_archived": _count(events, FeedArchived),
        "reads": _count(events, Read),
        "messages": _count(events, Message),
        "judged": dict(run.findings.judged),
        "lost": _found(run.findings, _LOST),
        "doubled": _found(run.findings, _DOUBLED),
        "findings": run.findings.total,
        "findings_by_kind": {str(kind): number for kind, number in run.findings.counts.items()},
    }


def make_table(figures: dict[str, Any]) -> Table:
    """Show the figures."""
    table = Table(show_header=False, box=None, pad_edge=False)
    corrections, judged = figures["corrections"], figures["judged"]
    rows = {
        "Faults": f"{figures['faults']:,} in {figures['seconds']:,.0f} s",
        "Awards asked for": _tell_outcomes(figures["awards"]),
        "Tickets shown": _tell_outcomes(figures["tickets"]),
        "Awards in the ledger": f"{judged.get('awards', 0):,}, {judged.get('deleted', 0):,} deleted",
        "Corrections asked for": ", ".join(f"{number:,} {kind}" for kind, number in corrections.items()),
        "Entries of feeds": f"{figures['entries_fed']:,}",
        "Reads, messages": f"{figures['reads']:,}, {figures['messages']:,}",
        "Lost, doubled": f"{figures['lost']}, {figures['doubled']}",
        "Findings": str(figures["findings"]),
    }
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def keep_evidence(run: Run, figures: dict[str, Any]) -> None:
    """Write the history, figures, findings and schedule beside the logs."""
    write_journal(run.history, run.folder / "history")
    (run.folder / "figures.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (run.folder / "findings.txt").write_text("\n".join([*run.findings.describe(), ""]), encoding="utf-8")
    (run.folder / "schedule.txt").write_text("\n".join(map(str, [*run.turns, ""])), encoding="utf-8")


def _count_tickets(events: list[Event]) -> dict[str, int]:
    shown = [event for event in events if isinstance(event, Redemption)]
    outcomes = Counter(one.outcome for one in shown)
    used = sum(one.result is not None and bool(one.result.replayed) for one in shown)
    return {
        "paid": outcomes[Outcome.MADE] - used,
        "used": used + outcomes[Outcome.ARCHIVED],
        "rejected": outcomes[Outcome.REJECTED],
        "unknown": outcomes[Outcome.UNKNOWN],
    }


def _tell_outcomes(numbers: dict[str, int]) -> str:
    told = ", ".join(f"{number:,} {outcome}" for outcome, number in numbers.items())
    return f"{sum(numbers.values()):,}: {told}"


def _count(events: list[Event], kind: type[Event]) -> int:
    return sum(isinstance(event, kind) for event in events)


def _found(findings: Findings, kinds: tuple[Kind, ...]) -> int:
    return sum(findings.counts[kind] for kind in kinds)
