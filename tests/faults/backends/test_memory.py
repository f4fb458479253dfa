"""Which earlier awards are drawn."""

import random

from faults.backends.memory import Memory
from faults.model.history import Asked


def _asked(number: int) -> Asked:
    return Asked("main", f"award-{number}", "ada", 1, "match", "match-1")


def test_nothing_is_drawn_from_an_empty_memory() -> None:
    memory = Memory(random.Random(1))
    assert memory.any() is None
    assert memory.newest_known() is None


def test_only_an_award_whose_revision_was_answered_is_known() -> None:
    memory = Memory(random.Random(1))
    remembered = memory.keep(_asked(1))
    assert memory.newest_known() is None
    remembered.revision = 7
    assert memory.newest_known() is remembered


def test_old_awards_are_drawn_as_well_as_new_ones_and_most_are_forgotten() -> None:
    memory = Memory(random.Random(1))
    for number in range(20_000):
        memory.keep(_asked(number))
    drawn = [memory.any() for _ in range(1_000)]
    numbers = [int(one.asked.award_id.removeprefix("award-")) for one in drawn if one]
    assert sum(number < 10_000 for number in numbers) > 50
    assert sum(number >= 19_500 for number in numbers) > 500
    assert len(memory._older) + len(memory._newest) <= 2_500
