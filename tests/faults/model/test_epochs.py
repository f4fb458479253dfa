"""Which record may have been the one at which time."""

from faults.model.epochs import Epochs
from faults.model.history import Fault, Restore

RESTORE = Restore(began=10.0, ended=11.0, former="")


def test_time_without_restores_is_one_epoch() -> None:
    assert Epochs([]).live(0.0, 100.0) == 0b1


def test_time_near_a_restore_is_of_both_epochs() -> None:
    epochs = Epochs([RESTORE])

    assert epochs.live(1.0, 9.9) == 0b01
    assert epochs.live(1.0, 10.0) == 0b11
    assert epochs.live(11.0, 12.0) == 0b11
    assert epochs.live(11.1, 12.0) == 0b10


def test_lost_history_is_shown_for_a_while() -> None:
    epochs = Epochs([RESTORE])

    assert epochs.shown(13.9, 14.0, 3.0) == 0b11
    assert epochs.shown(14.1, 14.2, 3.0) == 0b10


def test_faults_put_off_when_the_lost_history_is_forgotten() -> None:
    times = (13.0, 20.0), (40.0, 50.0)
    faults = [Fault(name="pause", target="score-1", began=began, ended=ended) for began, ended in times]
    epochs = Epochs([RESTORE], faults)

    assert epochs.shown(22.9, 23.0, 3.0) == 0b11
    assert epochs.shown(23.1, 23.2, 3.0) == 0b10


def test_lost_history_returns_with_an_older_redis() -> None:
    times = (
        ("paused", 12.0, 13.0),
        ("rolled_back", 15.0, 18.0),
        ("rolled_back", 20.0, 25.0),
        ("paused", 27.0, 60.0),
    )
    faults = [Fault(name=name, target="", began=began, ended=ended) for name, began, ended in times]
    epochs = Epochs([RESTORE], faults)

    assert epochs.shown(27.9, 28.0, 3.0) == 0b11
    assert epochs.shown(28.1, 28.2, 3.0) == 0b10


def test_clocks_of_a_service_are_wrong_while_one_of_its_processes_is_skewed() -> None:
    epochs = Epochs([], [Fault(name="skewed", target="score-2", began=5.0, ended=9.0)])

    assert epochs.were_skewed("score", 1.0, 5.1)
    assert epochs.were_skewed("score", 8.9, 20.0)
    assert not epochs.were_skewed("score", 1.0, 4.9)
    assert not epochs.were_skewed("score", 9.1, 20.0)
    assert not epochs.were_skewed("gateway", 1.0, 20.0)


def test_stream_may_step_back_while_a_restore_is_noticed() -> None:
    epochs = Epochs([RESTORE])

    assert epochs.were_restored(9.0, 12.0, 3.0)
    assert epochs.were_restored(13.0, 60.0, 3.0)
    assert not epochs.were_restored(14.5, 60.0, 3.0)
    assert not epochs.were_restored(1.0, 9.0, 3.0)
