"""What one watcher is sent of the frames it is offered."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from score_service.domain.ledger.position import Position
from score_service.domain.standings.standing import Source, Standing
from score_service.domain.standings.watch import Checkpoint, Snapshot, Update, WatchMessage, WatchRequest
from score_service.errors import ShuttingDownError
from score_service.stream.frame import Frame
from score_service.stream.watcher import PENDING_MAX, Watcher


def at(revision: int) -> Position:
    return Position(revision, f"{revision:016x}")


def standing(user_id: str, total: int, rank: int = 1, reached: int = 1) -> Standing:
    return Standing(user_id, total, rank, reached)


def frame(revision: int, *top: Standing, reset: bool = False, **scores: int) -> Frame:
    changed = {user: standing(user, total, reached=revision) for user, total in scores.items()}
    return Frame(at(revision), top, changed, reset=reset)


def watcher_of(first: Frame, top_n: int = 10, *, all_scores: bool = True, users: str = "") -> Watcher:
    return Watcher(WatchRequest("main", top_n, None, all_scores, frozenset(users)), first)


async def next_of(watcher: Watcher) -> WatchMessage:
    return await watcher.wait(0.001)


async def test_nothing_new_is_a_checkpoint_at_the_newest_position() -> None:
    watcher = watcher_of(frame(1), all_scores=False)
    watcher.offer(frame(5, a=3))

    message = await next_of(watcher)

    assert message.body == Checkpoint()
    assert message.position == at(5)


async def test_position_that_moves_alone_is_a_checkpoint_at_once() -> None:
    watcher = watcher_of(frame(1, standing("a", 9)))
    watcher.offer(frame(2, standing("a", 9)))

    message = await asyncio.wait_for(watcher.wait(60), 10)

    assert (message.body, message.position) == (Checkpoint(), at(2))


async def test_other_period_is_a_snapshot_and_then_what_changed_in_it() -> None:
    watcher = watcher_of(frame(1, standing("a", 9)))
    watcher.offer(frame(2, standing("a", 12), a=12))
    watcher.offer(replace(frame(3, standing("b", 2), b=2, c=1), turns_over=True))
    watcher.offer(frame(4, standing("c", 3), c=3))

    first, second = await next_of(watcher), await next_of(watcher)

    assert first.body == Snapshot((standing("c", 3),), reset=False)
    assert isinstance(second.body, Update)
    assert {s.user_id: s.total for s in second.body.scores} == {"b": 2, "c": 3}
    assert second.body.top is None
    assert first.position == second.position == at(4)
    assert (await next_of(watcher)).body == Checkpoint()


async def test_other_period_at_the_same_position_is_vouched_for_by_a_checkpoint_at_once() -> None:
    watcher = watcher_of(frame(3, standing("a", 9)))
    watcher.offer(replace(frame(3), turns_over=True))

    first, second = await next_of(watcher), await watcher.wait(600)

    assert (first.body, second.body) == (Snapshot((), reset=False), Checkpoint())
    assert first.position == second.position == at(3)


async def test_other_period_is_a_snapshot_alone_for_who_wants_no_scores() -> None:
    watcher = watcher_of(frame(3, standing("a", 9)), all_scores=False)
    watcher.offer(replace(frame(4, standing("b", 2), b=2), turns_over=True))
    first = await next_of(watcher)
    watcher.offer(frame(5, standing("b", 3), b=3))
    second = await watcher.wait(600)

    assert first.body == Snapshot((standing("b", 2),), reset=False)
    assert second.body == Update((standing("b", 3),), ())


async def test_other_period_of_which_is_not_known_who_changed_is_a_reset() -> None:
    watcher = watcher_of(frame(3, standing("a", 9)))
    watcher.offer(replace(frame(5, standing("b", 2), reset=True), turns_over=True))

    assert (await next_of(watcher)).body == Snapshot((standing("b", 2),), reset=True)


async def test_frames_meanwhile_become_one_update_with_the_newest_of_each_user() -> None:
    watcher = watcher_of(frame(1))
    watcher.offer(frame(2, a=1, b=1))
    watcher.offer(frame(3, a=2))

    message = await next_of(watcher)

    assert isinstance(message.body, Update)
    assert {s.user_id: s.total for s in message.body.scores} == {"a": 2, "b": 1}
    assert message.body.top is None
    assert message.position == at(3)
    assert (await next_of(watcher)).body == Checkpoint()


async def test_ranks_of_frames_meanwhile_are_those_of_the_newest_or_left_out() -> None:
    first, second, third = standing("a", 9, 1), standing("b", 5, 2), standing("c", 4, 3)
    watcher = watcher_of(frame(1, first))
    watcher.offer(Frame(at(2), (first,), {"a": first, "b": second, "c": third}))
    risen, fallen = standing("c", 11, 1, reached=3), standing("a", 9, 2)
    watcher.offer(Frame(at(3), (risen, fallen), {"c": risen}))

    message = await next_of(watcher)

    assert isinstance(message.body, Update)
    assert set(message.body.scores) == {fallen, Standing("b", 5, None, 1), risen}


async def test_frame_that_comes_as_the_wait_ends_is_sent_and_not_checkpointed() -> None:
    watcher = watcher_of(frame(1))
    message = asyncio.create_task(watcher.wait(0))
    await asyncio.sleep(0)  # It waits.
    await asyncio.sleep(0)  # Its time is over, and it has not noticed.
    watcher.offer(frame(2, a=1))

    assert isinstance((await message).body, Update)


async def test_only_the_users_asked_for_are_sent() -> None:
    watcher = watcher_of(frame(1), all_scores=False, users="b")
    watcher.offer(frame(2, a=1, b=2, c=3))

    message = await next_of(watcher)

    assert isinstance(message.body, Update)
    assert [s.user_id for s in message.body.scores] == ["b"]


async def test_top_is_cut_to_the_size_asked_and_sent_only_when_that_part_changes() -> None:
    first, second, third = standing("a", 9, 1), standing("b", 5, 2), standing("c", 4, 3)
    watcher = watcher_of(frame(1, first, second), top_n=2, all_scores=False)

    watcher.offer(frame(2, first, second, third))
    unchanged = await next_of(watcher)
    watcher.offer(frame(3, first, third))
    changed = await next_of(watcher)

    assert unchanged.body == Checkpoint()
    assert changed.body == Update((first, third), ())


async def test_top_that_changed_and_changed_back_is_not_sent() -> None:
    first, second = standing("a", 9, 1), standing("b", 5, 2)
    watcher = watcher_of(frame(1, first), all_scores=False)
    watcher.offer(frame(2, second))
    watcher.offer(frame(3, first))

    message = await next_of(watcher)

    assert message.body == Checkpoint()
    assert message.position == at(3)


async def test_frame_that_is_not_newer_is_passed_over() -> None:
    watcher = watcher_of(frame(5))
    watcher.offer(frame(5, a=1))
    watcher.offer(frame(4, a=1))

    assert (await next_of(watcher)).body == Checkpoint()


async def test_watchers_of_the_same_top_are_given_the_same_message() -> None:
    first, second = standing("a", 9, 1), standing("b", 5, 2)
    watchers = [watcher_of(frame(1), top_n=n, all_scores=False) for n in (2, 2, 1)]
    newest = frame(2, first, second)
    for watcher in watchers:
        watcher.offer(newest)

    one, other, shorter = [await next_of(watcher) for watcher in watchers]

    assert one is other
    assert one.body == Update((first, second), ())
    assert shorter.body == Update((first,), ())


async def test_stalled_watcher_holds_no_more_than_the_newest_frame_and_a_standing_a_user() -> None:
    watcher = watcher_of(frame(0), all_scores=False, users="ab")
    for revision in range(1, 1000):
        newest = frame(revision, standing("a", revision), a=revision, b=revision, c=revision)
        watcher.offer(newest)

    assert watcher.frame is newest
    assert watcher._scores == {user: newest.scores[user] for user in "ab"}
    message = await next_of(watcher)
    assert isinstance(message.body, Update)
    assert message.body.top == (standing("a", 999),)
    assert message.position == at(999)


async def test_messages_name_the_store_of_their_frame() -> None:
    watcher = watcher_of(frame(1))
    watcher.offer(Frame(at(2), (), {"a": standing("a", 1)}, Source.RECORD))
    watcher.offer(Frame(at(3), (), {"a": standing("a", 2)}, Source.RECORD))

    assert (await next_of(watcher)).source is Source.RECORD
    watcher.offer(Frame(at(3), (), {}, Source.CACHE))
    message = await next_of(watcher)
    assert (message.body, message.source, message.position) == (Checkpoint(), Source.CACHE, at(3))


async def test_reset_drops_what_was_unsent_and_may_step_back() -> None:
    watcher = watcher_of(frame(5))
    watcher.offer(frame(6, a=1))
    watcher.offer(frame(2, standing("z", 1), reset=True))
    watcher.offer(frame(3, standing("z", 2), z=2))

    message = await next_of(watcher)

    assert message.body == Snapshot((standing("z", 2),), reset=True)
    assert message.position == at(3)


async def test_watcher_that_falls_too_far_behind_gets_a_reset() -> None:
    watcher = watcher_of(frame(1))
    crowd = {f"u{i}": standing(f"u{i}", 1) for i in range(PENDING_MAX + 1)}
    watcher.offer(Frame(at(2), (), crowd))

    assert (await next_of(watcher)).body == Snapshot((), reset=True)


async def test_ended_watch_fails_at_its_next_message() -> None:
    watcher = watcher_of(frame(1))
    watcher.offer(frame(2, a=1))
    watcher.end(ShuttingDownError())

    with pytest.raises(ShuttingDownError):
        await next_of(watcher)


@given(
    st.lists(
        st.tuples(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 99), max_size=3), st.booleans()),
        max_size=20,
    )
)
async def test_whenever_it_is_read_the_watcher_ends_in_the_newest_state(
    steps: list[tuple[dict[str, int], bool]],
) -> None:
    watcher, seen, truth = watcher_of(frame(0)), dict[str, int](), dict[str, int]()
    positions = [0]
    for revision, (scores, is_read) in enumerate(steps, start=1):
        truth |= scores
        watcher.offer(frame(revision, reset=False, **scores))
        if is_read or revision == len(steps):
            message = await next_of(watcher)
            positions.append(message.position.revision)
            if isinstance(message.body, Update):
                seen |= {s.user_id: s.total for s in message.body.scores}

    assert seen == truth
    assert positions == sorted(positions)
