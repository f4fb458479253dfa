"""The figures of a run, and what is kept of one."""

import json
from pathlib import Path

import pytest
from rich.console import Console
from tests.faults.ticketed import USED, rejected, show

from faults.model.findings import Kind
from faults.model.history import Asked, AwardCall, Fault, Outcome, Restore, Result, ReversalCall
from faults.nemesis.schedule import Planned, Turn
from faults.report import keep_evidence, make_figures, make_table
from faults.run import Plan, Run


def call(outcome: Outcome) -> AwardCall:
    asked = Asked("main", "id", "ada", 1, "quest", "a")
    result = Result(1, 1) if outcome is Outcome.MADE else None
    return AwardCall(caller="one", asked=asked, began=1.0, ended=2.0, outcome=outcome, result=result)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(Plan(seed=7, seconds=60), tmp_path, print, seconds=61.25)
    run.turns.append(Turn(1.0, (Planned("wiped", "valkey", 1, 0.0, 0.0),)))
    for outcome in (Outcome.MADE, Outcome.MADE, Outcome.REJECTED, Outcome.UNKNOWN):
        run.history.add(call(outcome))
    for shown in (show(), show(result=USED), show(result=USED), rejected(1.0, "bad_ticket")):
        run.history.add(shown)
    for name in ("wiped", "killed", "wiped"):
        run.history.add(Fault(name=name, target="valkey", began=1.0, ended=2.0))
    run.history.add(Restore(began=1.0, ended=2.0, former="former-1"))
    reversal = ReversalCall(
        caller="one",
        board_id="main",
        award_id="id",
        reversal_id="other",
        began=1.0,
        ended=2.0,
        outcome=Outcome.UNKNOWN,
    )
    run.history.add(reversal)
    run.findings.judged["awards"] = 1234
    run.findings.add(Kind.AWARD_LOST, "one award")
    run.findings.add(Kind.AWARD_NOT_COPIED, "another award")
    run.findings.add(Kind.AWARD_DOUBLED, "a third award")
    return run


def test_figures_count_what_happened_and_what_was_found(run: Run) -> None:
    figures = make_figures(run)
    assert figures["seed"] == 7
    assert (figures["faults"], figures["faults_by_kind"]) == (3, {"killed": 1, "wiped": 2})
    assert figures["restores"] == 1
    assert figures["awards"] == {"acknowledged": 5, "archived": 0, "rejected": 2, "unknown": 1}
    assert figures["tickets"] == {"paid": 1, "used": 2, "rejected": 1, "unknown": 0}
    assert figures["corrections"] == {"reversals": 1, "plans": 0, "visibilities": 0}
    assert (figures["lost"], figures["doubled"], figures["findings"]) == (2, 1, 3)
    assert figures["findings_by_kind"] == {"award_lost": 1, "award_not_copied": 1, "award_doubled": 1}
    assert json.loads(json.dumps(figures)) == figures


def test_the_table_has_the_figures(run: Run) -> None:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(make_table(make_figures(run)))
    text = capture.get()
    for words in (
        "3 in 61 s",
        "8: 5 acknowledged, 0 archived, 2 rejected, 1 unknown",
        "4: 1 paid, 2 used, 1 rejected",
        "1,234",
        "1 reversals",
        "2, 1",
    ):
        assert words in text


def test_evidence_is_the_history_the_schedule_and_the_findings(run: Run, tmp_path: Path) -> None:
    keep_evidence(run, make_figures(run))
    assert len((tmp_path / "history" / "awardcall.jsonl").read_text().splitlines()) == 4
    assert len((tmp_path / "history" / "redemption.jsonl").read_text().splitlines()) == 4
    assert (tmp_path / "schedule.txt").read_text().split() == ["wiped", "valkey"]
    assert "a third award" in (tmp_path / "findings.txt").read_text()
    assert json.loads((tmp_path / "figures.json").read_text())["findings"] == 3
