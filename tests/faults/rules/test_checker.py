"""The checker on histories that are made up: nothing is found in a right one, and what is bent in others."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from tests.faults.synthetic import Run, make_awards, make_ledger, message_at, project

from faults.model.findings import Kind
from faults.model.history import AwardCall, History, Outcome, Read
from faults.model.liveness import Liveness, Resource
from faults.rules.checker import check

ROOT: Final = Path(__file__).parents[3]


def test_checker_knows_nothing_of_the_services() -> None:
    modules = "faults.rules.checker, faults.evidence.record"
    look = f"import sys, {modules}; print(*{{name.split('.')[0] for name in sys.modules}})"
    found = subprocess.run(
        [sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()

    assert "faults" in found
    assert not {"score_service", "action_gateway", "score_client", "score_api"} & set(found)


def test_right_run_has_no_findings() -> None:
    findings = Run().check()

    assert findings.describe() == []
    assert findings.judged == {
        "awards": 8,
        "deleted": 0,
        "cuts": 0,
        "calls": 8,
        "acknowledged": 8,
        "expired": 0,
        "redemptions": 0,
        "corrections": 0,
        "fed": 0,
        "reads": 2,
        "messages": 9,
        "streams": 2,
        "projections": 1,
        "samples": 1,
    }


def test_run_without_anything_has_no_findings() -> None:
    assert check(History(), [{}], [], Liveness()).total == 0


def test_every_restore_needs_the_record_before_it() -> None:
    with pytest.raises(ValueError, match="0 restores lie between 2 epochs"):
        check(History(), [{}, {}], [], Liveness())


def test_findings_of_the_parts_come_together() -> None:
    run = Run()
    run.change(0, AwardCall, result=None, outcome=Outcome.REJECTED)
    run.change(0, Read, revision=4)
    run.liveness = Liveness(
        lag_seconds={"score-1": 7.0, "score-2": None, "score-3": 0.1},
        waiting={"score-1": 0, "gateway-1": 3},
        resources=[Resource(process="score-1", name="fds", before=10, after=20, slack=5)],
        unsettled=["socket-3"],
    )

    counts = run.check().counts

    assert counts == {
        Kind.REJECTED_MADE: 1,
        Kind.POSITION_UNKNOWN: 1,
        Kind.LAG_LONG: 2,
        Kind.WORK_STUCK: 1,
        Kind.RESOURCE_LEAKED: 1,
        Kind.STREAM_UNSETTLED: 1,
    }


def test_run_with_a_restore_has_no_findings() -> None:
    run = Run()
    run.events = [event for event in run.events if not hasattr(event, "stream")]
    run.restore([("zoe", 4), ("ada", 4)], keep=5)

    assert run.check().describe() == []


def test_watch_that_follows_a_restore_with_a_reset_has_no_findings() -> None:
    run = Run()
    run.events = [event for event in run.events if getattr(event, "stream", "watch-1") == "watch-1"]
    run.restore([("zoe", 4), ("ada", 4)], keep=5)
    run.events += [
        message_at(run.ledger, 6, "snapshot", connection=1, at=27.0, reset=True),
        message_at(run.ledger, 7, "update", 6, connection=1, at=28.0),
    ]

    assert run.check().describe() == []


def test_many_findings_are_counted_and_few_are_kept() -> None:
    run = Run(ledger=make_ledger(make_awards([("ada", 1)] * 50)), events=[])
    run.events = []

    findings = run.check()

    assert findings.counts[Kind.AWARD_INVENTED] == 50
    assert len([finding for finding in findings if finding.kind is Kind.AWARD_INVENTED]) == 20


def test_board_that_only_redis_has_is_foreign() -> None:
    projection = project(make_ledger(make_awards([("ada", 1)])))

    findings = check(History(), [{}], [projection], Liveness())

    assert set(findings.counts) == {Kind.PROJECTION_FOREIGN}
