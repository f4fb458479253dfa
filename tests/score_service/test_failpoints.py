"""Failpoints: read strictly, reached once, put around the steps they name."""

import pytest

from score_service import failpoints
from score_service.failpoints import Action, Failpoint, FailpointError, Failpoints


class Part:
    """Something that works in steps."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def write(self, text: str) -> str:
        self.done.append(text)
        return text.upper()


def armed(*texts: str) -> tuple[Part, Failpoints]:
    part, points = Part(), Failpoints([Failpoint.parse(text) for text in texts])
    points.put_around(part, "write", before="before_commit", after="after_commit")
    return part, points


def test_it_is_read_as_it_is_written() -> None:
    point = Failpoint.parse("after_commit=kill@12")

    assert point == Failpoint("after_commit", Action.KILL, 12)
    assert str(point) == "after_commit=kill@12"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "after_commit",
        "after_commit=kill",
        "after_commit=kill@0",
        "after_commit=kill@-1",
        "after_commit=kill@1x",
        "after_commit=kill@1,",
        " after_commit=kill@1",
        "after_commit=burn@1",
        "elsewhere=kill@1",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be before_commit"):
        Failpoint.parse(text)


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
