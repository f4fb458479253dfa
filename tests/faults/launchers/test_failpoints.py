"""Failpoints: parsed strictly, reached once, wrapped around the steps they name."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

from faults.launchers import failpoints
from faults.launchers.failpoints import STEPS, Action, Failpoint, FailpointError, Failpoints, parse_spec

ROOT: Final = Path(__file__).parents[3]


class Part:
    """Something that works in steps."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def write(self, text: str) -> str:
        self.done.append(text)
        return text.upper()


def armed(*texts: str) -> tuple[Part, Failpoints]:
    part, points = Part(), Failpoints(parse_spec(",".join(texts), "score_service"))
    points.wrap(part, "write", before="before_commit", after="after_commit")
    return part, points


@pytest.mark.parametrize(
    ("package", "name"), [("score_service", "after_commit"), ("action_gateway", "after_award")]
)
def test_a_failpoint_is_parsed_as_it_is_written(package: str, name: str) -> None:
    (point,) = parse_spec(f"{name}=kill@12", package)

    assert point == Failpoint(name, Action.KILL, 12)
    assert str(point) == f"{name}=kill@12"


def test_several_failpoints_are_separated_by_commas() -> None:
    points = parse_spec("after_commit=kill@3,mid_rebuild=pause@1", "score_service")

    assert list(map(str, points)) == ["after_commit=kill@3", "mid_rebuild=pause@1"]


@pytest.mark.parametrize(
    ("package", "name", "message"),
    [
        ("score_service", "after_commit", "must be before_commit"),
        ("action_gateway", "after_award", "must be after_reserve"),
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "{}=kill",
        "{}=kill@0",
        "{}=kill@-1",
        "{}=kill@1x",
        "{}=kill@1,",
        " {}=kill@1",
        "{}=burn@1",
        "elsewhere=kill@1",
    ],
)
def test_any_other_spec_is_rejected(package: str, name: str, message: str, text: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_spec(text.format(name), package)


def test_a_failpoint_of_the_other_service_is_rejected() -> None:
    with pytest.raises(ValueError, match="'after_award=kill@1' must be before_commit"):
        parse_spec("after_award=kill@1", "score_service")
    with pytest.raises(ValueError, match="'after_commit=kill@1' must be after_reserve"):
        parse_spec("after_commit=kill@1", "action_gateway")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["after_commit=kill", "score_service"], "'after_commit=kill' must be before_commit|"),
        (["after_commit=kill@1", "bench"], "'bench' must be score_service|action_gateway"),
        (["after_commit=kill@1"], "Usage: python -m faults.launchers.failpoints SPEC PACKAGE"),
    ],
)
def test_wrong_usage_ends_with_code_2_and_the_reason(arguments: list[str], message: str) -> None:
    command = [sys.executable, "-m", "faults.launchers.failpoints", *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ended.returncode == 2
    assert ended.stderr.startswith(message)


def test_every_step_is_a_method_of_its_service() -> None:
    for step in (step for steps in STEPS.values() for step in steps):
        assert callable(getattr(getattr(import_module(step.module), step.owner), step.method))


async def test_a_step_fails_at_the_passage_that_was_named_and_at_no_other() -> None:
    part, _ = armed("before_commit=fail@2")

    assert await part.write("a") == "A"
    with pytest.raises(FailpointError):
        await part.write("b")
    assert await part.write("c") == "C"
    assert part.done == ["a", "c"]


async def test_a_step_that_fails_afterwards_has_been_done() -> None:
    part, _ = armed("after_commit=fail@1")

    with pytest.raises(FailpointError):
        await part.write("a")
    assert part.done == ["a"]


async def test_several_are_counted_each_by_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "PAUSE_SECONDS", 0)
    part, _ = armed("after_commit=pause@1", "before_commit=fail@2", "after_commit=fail@2")

    assert await part.write("a") == "A"
    with pytest.raises(FailpointError):
        await part.write("b")
    with pytest.raises(FailpointError):
        await part.write("c")
    assert part.done == ["a", "c"]
