"""Short runs on a real stack with fixed seeds: all kinds of faults in their sum, and nothing is found."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from faults.load.load import Load
from faults.model.history import (
    AwardCall,
    Fault,
    Fed,
    Message,
    Outcome,
    Read,
    Redemption,
    ReversalCall,
    VisibilityCall,
)
from faults.nemesis.certificates import CERTIFICATE_FAULTS
from faults.nemesis.clocks import CLOCK_FAULTS
from faults.nemesis.failovers import FAILOVER_FAULTS
from faults.nemesis.failpoints import FAILPOINT_FAULTS
from faults.nemesis.injection import FaultKind
from faults.nemesis.nemesis import CATALOGUE
from faults.nemesis.network import NETWORK_FAULTS
from faults.nemesis.processes import PROCESS_FAULTS
from faults.nemesis.schedule import draw_turns
from faults.nemesis.stores import STORE_FAULTS
from faults.report import keep_evidence, make_figures
from faults.run import Plan, Run, saw_little

LOAD = Load(
    awards_per_second=40,
    reads_per_second=5,
    completes_per_second=4,
    tickets_per_second=3,
    players=6,
    watches=6,
    sockets=4,
    users=60,
)
SELECTIONS: dict[int, dict[str, FaultKind]] = {
    1: {**PROCESS_FAULTS, **CLOCK_FAULTS, **FAILOVER_FAULTS},
    2: {**NETWORK_FAULTS, **CERTIFICATE_FAULTS},
    3: {**STORE_FAULTS, **FAILPOINT_FAULTS},
}
"""Kinds by seed."""


def once(selection: Mapping[str, FaultKind]) -> dict[str, FaultKind]:
    """Have each kind come once before any comes again."""
    return {name: replace(kind, weight=1) for name, kind in selection.items()}


def count_turns(seed: int, catalogue: Mapping[str, FaultKind]) -> int:
    """Return after how many turns every kind has come."""
    missing = set(catalogue)
    for number, turn in enumerate(draw_turns(seed, catalogue), 1):
        missing -= {fault.kind for fault in turn.faults}
        if not missing:
            return number
    raise AssertionError


def test_the_selections_leave_no_kind_out() -> None:
    assert set().union(*SELECTIONS.values()) == set(CATALOGUE)


def test_a_run_in_which_hardly_anybody_was_answered_shows_nothing() -> None:
    busy = Counter(calls=100, acknowledged=80, reads=5, messages=5)
    assert not saw_little(busy)
    for sort, number in {"acknowledged": 20, "reads": 0, "messages": 0}.items():
        assert saw_little(Counter({**busy, sort: number}))
    assert saw_little(Counter())


@pytest.mark.timeout(540)
@pytest.mark.parametrize("seed", SELECTIONS)
async def test_nothing_is_found_whatever_is_broken(seed: int, tmp_path: Path) -> None:
    catalogue = once(SELECTIONS[seed])
    turns = count_turns(seed, catalogue)
    run = Run(
        Plan(seed, seconds=420, turns=turns, load=LOAD, catalogue=catalogue, patience=30), tmp_path, print
    )

    findings = await run.execute()

    keep_evidence(run, make_figures(run))
    assert findings.describe() == []
    events = run.history.events
    assert {event.name for event in events if isinstance(event, Fault)} == set(catalogue)
    made = [event for event in events if isinstance(event, AwardCall) and event.outcome is Outcome.MADE]
    assert len(made) > 200
    assert {type(event) for event in events} >= {Read, Message, Redemption, ReversalCall, VisibilityCall, Fed}
    assert "expired" not in catalogue or findings.judged["expired"] > 0
    assert (
        min(
            findings.judged[sort]
            for sort in ("awards", "redemptions", "corrections", "fed", "reads", "messages", "projections")
        )
        > 0
    )
