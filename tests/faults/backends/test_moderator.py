"""What moderators and subscribers record of their calls, on a real score service."""

import asyncio
import random
import uuid
from contextlib import suppress

import pytest
from tests.fixtures.ledgers.archiving import Archiving
from tests.fixtures.servers.stores import eventually

from faults.backends.backend import Backend
from faults.backends.memory import Memory
from faults.backends.moderator import Moderator
from faults.backends.moderators import Moderators
from faults.backends.subscribers import Subscriber
from faults.model.history import (
    Asked,
    Chosen,
    Fed,
    FeedArchived,
    FeedBegun,
    FeedLost,
    Outcome,
    PlanCall,
    ReversalCall,
    VisibilityCall,
)
from score_client import Visibility


@pytest.fixture
def moderator(backend: Backend) -> Moderator:
    return Moderator("moderator-1", backend.client, backend.history)


async def make_award(backend: Backend, user_id: str = "ada") -> Asked:
    asked = Asked("main", str(uuid.uuid4()), user_id, 5, "match", "match-1", str(uuid.uuid4()))
    await backend.award(asked)
    return asked


async def test_reversal_is_recorded_with_the_one_that_stands(backend: Backend, moderator: Moderator) -> None:
    asked, reversal_id = await make_award(backend), str(uuid.uuid4())

    made = await moderator.reverse("main", asked.award_id, reversal_id)
    again = await moderator.reverse("main", asked.award_id, reversal_id)
    rival = await moderator.reverse("main", asked.award_id, str(uuid.uuid4()))
    unknown = await moderator.reverse("main", str(uuid.uuid4()), str(uuid.uuid4()))

    assert [one.outcome for one in (made, again)] == [Outcome.MADE] * 2
    assert made.undone
    assert made.undone[:6] == (asked.award_id, reversal_id, "ada", 5, 0, 2)
    assert made.undone == again.undone == rival.undone
    assert (rival.outcome, rival.reason) == (Outcome.REJECTED, "AWARD_REVERSED")
    assert (unknown.outcome, unknown.reason, unknown.undone) == (Outcome.REJECTED, "AWARD_NOT_FOUND", None)


async def test_reversal_on_a_board_that_is_not_there_is_rejected(moderator: Moderator) -> None:
    call = await moderator.reverse("main", str(uuid.uuid4()), str(uuid.uuid4()))

    assert (call.outcome, call.reason) == (Outcome.REJECTED, "BOARD_NOT_FOUND")


async def test_plan_is_recorded_with_what_it_chose(backend: Backend, moderator: Moderator) -> None:
    for user_id in ("ada", "ada", "bob"):
        await make_award(backend, user_id)

    plan = await moderator.plan("main", "ada", "match-1")
    assert plan
    call = await moderator.apply(plan, "a note")

    assert (call.chosen, call.awards, call.reversals) == (Chosen("ada", "match-1", 3), 2, 2)
    assert (call.outcome, call.note) == (Outcome.MADE, "a note")


async def test_visibility_is_recorded_with_its_entry(backend: Backend, moderator: Moderator) -> None:
    await make_award(backend)

    hidden = await moderator.show("main", "ada", Visibility.HIDDEN)
    nobody = await moderator.show("main", "bob", Visibility.HIDDEN)

    assert (hidden.outcome, hidden.visibility, hidden.revision) == (Outcome.MADE, "hidden", 2)
    assert (nobody.outcome, nobody.reason) == (Outcome.REJECTED, "STANDING_NOT_FOUND")


async def test_moderators_do_all_that_they_may(backend: Backend) -> None:
    randomness = random.Random(1)
    memory = Memory(randomness)
    moderators = Moderators([backend], memory, randomness)
    for user_id in ("ada", "bob", "cyd", "dan") * 10:
        memory.keep(await make_award(backend, user_id))
    for _ in range(150):
        await moderators.act()

    events = backend.history.events
    reversals = [event for event in events if isinstance(event, ReversalCall)]
    assert {call.reason for call in reversals} >= {"", "AWARD_REVERSED"}
    assert any(isinstance(event, PlanCall) for event in events)
    seen = {event.visibility for event in events if isinstance(event, VisibilityCall)}
    assert seen == {"visible", "hidden", "shadowed"}
    assert not [event for event in events if getattr(event, "outcome", None) is Outcome.UNKNOWN]


async def test_subscriber_gets_each_entry_once_though_it_leaves(
    backend: Backend, moderator: Moderator
) -> None:
    asked = await make_award(backend)
    subscriber = Subscriber(
        name="subscriber-1",
        board_id="main",
        client=backend.client,
        history=backend.history,
        randomness=random.Random(1),
        stay_seconds=0.1,
    )
    subscriber.remain()
    reading = asyncio.create_task(subscriber.run())
    reversal_id = str(uuid.uuid4())
    await moderator.reverse("main", asked.award_id, reversal_id)
    await moderator.show("main", "ada", Visibility.HIDDEN)

    async def has_all() -> bool:
        await asyncio.sleep(0)
        return subscriber.position.startswith("3-")

    await eventually(has_all)
    subscriber.position = "3-0123456789abcdef"
    await eventually(lambda: _has_begun_anew(subscriber))
    reading.cancel()
    with suppress(asyncio.CancelledError):
        await reading

    told = [("award", asked.award_id), ("reversal", reversal_id), ("visibility", "ada hidden")]
    fed = [event for event in backend.history.events if isinstance(event, Fed)]
    assert [(one.kind, one.subject) for one in fed][:3] == told
    assert [one.revision for one in fed][:4] == [1, 2, 3, 1]


async def _has_begun_anew(subscriber: Subscriber) -> bool:
    await asyncio.sleep(0)
    events = subscriber.history.events
    lost = [place for place, event in enumerate(events) if isinstance(event, FeedLost)]
    return bool(lost) and any(isinstance(event, Fed) for event in events[lost[0] :])


async def test_award_that_is_archived_is_not_taken_back(
    backend: Backend, moderator: Moderator, archiving: Archiving
) -> None:
    asked = await make_award(backend)
    await archiving.cut()

    call = await moderator.reverse("main", asked.award_id, str(uuid.uuid4()))

    assert (call.outcome, call.undone, call.reason) == (Outcome.REJECTED, None, "HISTORY_ARCHIVED")


async def test_subscriber_that_begins_anew_goes_on_after_what_is_archived(
    backend: Backend, archiving: Archiving
) -> None:
    await make_award(backend)
    position = str(await archiving.cut())
    subscriber = Subscriber(
        name="subscriber-1",
        board_id="main",
        client=backend.client,
        history=backend.history,
        randomness=random.Random(1),
        stay_seconds=0.1,
    )
    events = backend.history.events

    async def has_begun_anew() -> bool:
        await asyncio.sleep(0)
        kinds = [type(event) for event in events]
        return FeedBegun in kinds and kinds.count(FeedArchived) >= 2 and kinds[-1] is Fed

    reading = asyncio.create_task(subscriber.run())
    await eventually(has_begun_anew)
    reading.cancel()
    with suppress(asyncio.CancelledError):
        await reading

    told = [event for event in events if isinstance(event, FeedArchived)]
    assert {(one.after, one.position, one.revision) for one in told} == {("", position, 1)}
    assert {(one.revision, one.kind) for one in events if isinstance(one, Fed)} == {(2, "archived")}
