"""Which faults a seed stands for."""

import itertools
from collections import Counter

from faults.nemesis.injection import FaultKind, OneShot
from faults.nemesis.nemesis import CATALOGUE
from faults.nemesis.schedule import Turn, draw_turns


def draw(seed: int, number: int) -> list[Turn]:
    return list(itertools.islice(draw_turns(seed, CATALOGUE), number))


def test_the_same_seed_gives_the_same_schedule_and_another_one_another() -> None:
    assert draw(7, 50) == draw(7, 50)
    assert draw(7, 50) != draw(8, 50)


def test_faults_come_alone_and_in_pairs() -> None:
    assert Counter(len(turn.faults) for turn in draw(1, 200)).keys() == {1, 2}


def test_each_kind_comes_as_often_as_it_weighs_before_the_bag_is_filled_again() -> None:
    size = sum(kind.weight for kind in CATALOGUE.values())
    planned = itertools.chain.from_iterable(turn.faults for turn in draw_turns(3, CATALOGUE))
    first = Counter(fault.kind for fault in itertools.islice(planned, size))
    assert first == Counter({name: kind.weight for name, kind in CATALOGUE.items()})


def test_no_two_faults_at_the_same_time_break_the_same() -> None:
    for turn in draw(5, 500):
        broken = [{fault.target, *CATALOGUE[fault.kind].locks} for fault in turn.faults]
        assert len(set.union(*broken)) == sum(map(len, broken))


def test_faults_are_bounded_and_fit_their_kind() -> None:
    for turn in draw(11, 500):
        assert 0 < turn.pause <= 2
        for fault in turn.faults:
            kind = CATALOGUE[fault.kind]
            assert fault.target in kind.targets
            assert kind.hold[0] <= fault.hold <= kind.hold[1] <= 11
            assert 0 <= fault.after <= 2


def test_a_turn_can_be_read() -> None:
    kinds = {"wiped": FaultKind(OneShot, ("valkey",)), "killed": FaultKind(OneShot, ("postgres",))}
    assert {str(turn) for turn in itertools.islice(draw_turns(1, kinds), 100)} == {
        "wiped valkey",
        "killed postgres",
        "wiped valkey + killed postgres",
        "killed postgres + wiped valkey",
    }
