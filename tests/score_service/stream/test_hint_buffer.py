"""The steps that lead from a frame to what was read."""

from score_service.domain.ledger.position import Position
from score_service.domain.standings.hint import Hint
from score_service.domain.standings.standing import Reading, Source, Standing
from score_service.stream.hint_buffer import HintBuffer


def at(revision: int, mark: str = "0") -> Position:
    return Position(revision, mark * 16)


def step(before: int, after: int, **totals: int) -> Hint:
    standings = tuple(Standing(user_id, total, 7, after) for user_id, total in totals.items())
    return Hint(at(before), at(after), standings)


def test_path_is_found_only_where_no_step_is_missing() -> None:
    hints = HintBuffer(at(1), 10)
    assert hints.note(step(1, 2, ada=1))
    assert hints.note(step(3, 4, bob=1))

    assert hints.leads_to(at(1))
    assert hints.leads_to(at(2))
    assert not hints.leads_to(at(4))
    hints.add(step(2, 3, cyd=1))
    assert hints.leads_to(at(4))
    assert not hints.leads_to(at(4, "f"))


def test_step_that_begins_before_the_frame_is_no_news() -> None:
    hints = HintBuffer(at(5), 10)

    assert not hints.note(step(4, 6, ada=1))
    assert not hints.note(Hint(at(6), at(6), ()))
    assert hints.users() == set()


def test_scores_are_those_of_the_reading_and_ranks_of_earlier_steps_are_left_out() -> None:
    hints = HintBuffer(at(0), 10)
    hints.note(step(0, 1, ada=1, bob=1, cyd=1))
    hints.note(step(1, 2, ada=2, dan=1))
    read = Standing("cyd", 1, 3, 1)

    scores = hints.scores_at(Reading(at(2), Source.CACHE, top=(read,)))

    assert scores == {
        "ada": Standing("ada", 2, 7, 2),
        "bob": Standing("bob", 1, None, 1),
        "cyd": read,
        "dan": Standing("dan", 1, 7, 2),
    }


def test_hints_beyond_the_bound_are_news_and_are_not_kept() -> None:
    hints = HintBuffer(at(0), 2)
    assert hints.note(step(0, 1, ada=1, bob=1))
    assert hints.note(step(1, 2, cyd=1))
    assert not hints.leads_to(at(2))

    hints.move_to(at(1))
    assert hints.note(step(1, 2, cyd=1))

    assert hints.leads_to(at(2))
    assert hints.users() == {"cyd"}


def test_hints_of_nobody_are_bounded_as_well() -> None:
    hints = HintBuffer(at(0), 2)
    for revision in range(3):
        assert hints.note(step(revision, revision + 1))

    assert hints.leads_to(at(2))
    assert not hints.leads_to(at(3))
