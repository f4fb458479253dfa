"""What a backend records of its calls, on a real score service."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.fixtures.certificates import BACKEND_ID
from tests.fixtures.ledgers.archiving import Archiving
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.score_service import ScoreService

from faults.backends.backend import Backend
from faults.backends.memory import Remembered
from faults.model.history import Asked, AwardCall, History, Outcome
from local_stack.certificates import CertificateAuthority
from score_client import ClientCredentials, ScoreClient


def _asked(**changes: Any) -> Asked:
    award_id, request_id = str(uuid.uuid4()), str(uuid.uuid4())
    return Asked("main", award_id, "ada", 5, "match", "match-1", request_id)._replace(**changes)


async def test_award_is_recorded_as_made_with_its_whole_answer(backend: Backend) -> None:
    asked = _asked()
    call = await backend.award(asked)
    assert backend.history.events == [call]
    assert (call.asked, call.outcome, call.reason) == (asked, Outcome.MADE, "")
    assert call.result is not None
    assert call.result._replace(position="") == (5, 5, 1, 1, "", False, False)
    assert call.began <= call.ended
    assert call.expired_for is None


async def test_same_request_again_is_the_first_answer_and_another_one_is_a_replay(backend: Backend) -> None:
    asked = _asked()
    calls = [await backend.award(asked), await backend.award(asked)]
    calls.append(await backend.award(asked._replace(request_id=str(uuid.uuid4()))))
    assert [call.result and call.result.replayed for call in calls] == [False, False, True]
    assert {call.result and call.result.revision for call in calls} == {1}


async def test_other_payload_under_the_same_id_is_rejected(backend: Backend) -> None:
    asked = _asked()
    await backend.award(asked)
    call = await backend.award(asked._replace(points=6, request_id=str(uuid.uuid4())))
    assert (call.outcome, call.result, call.reason) == (Outcome.REJECTED, None, "AWARD_CONFLICT")


@pytest.mark.parametrize("wrong", [{"points": 0}, {"points": 1_000_001}, {"user_id": "no blanks"}])
async def test_award_that_nobody_may_give_is_rejected(backend: Backend, wrong: dict[str, Any]) -> None:
    assert (await backend.award(_asked(**wrong))).outcome is Outcome.REJECTED


async def test_award_of_a_caller_that_left_is_unknown(backend: Backend) -> None:
    call = asyncio.create_task(backend.award(_asked()))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    (recorded,) = backend.history.events
    assert isinstance(recorded, AwardCall)
    assert (recorded.outcome, recorded.reason) == (Outcome.UNKNOWN, "left")


async def test_award_without_an_answer_in_time_is_unknown(backend: Backend) -> None:
    call = await backend.award(_asked(), 0.000_1)
    assert (call.outcome, call.result, call.reason) == (Outcome.UNKNOWN, None, "DEADLINE_EXCEEDED")


async def test_award_asked_for_with_an_expired_certificate_says_for_how_long_it_had_expired(
    score_service: ScoreService, authority: CertificateAuthority
) -> None:
    start, life = datetime.now(UTC) - timedelta(hours=1), timedelta(hours=1, seconds=6)
    files = authority.issue("ending", uris=[BACKEND_ID], not_before=start, valid_for=life)
    credentials = ClientCredentials(files.ca_file, files.certificate_file, files.key_file)
    async with ScoreClient(score_service.target, credentials=credentials) as client:
        backend = Backend("backend-1", client, History())

        async def is_expired() -> bool:
            return (await backend.award(_asked())).expired_for is not None

        await eventually(is_expired)
    first, *_, last = (event for event in backend.history.events if isinstance(event, AwardCall))
    assert (first.outcome, first.expired_for) == (Outcome.MADE, None)
    assert (last.outcome, last.reason) == (Outcome.REJECTED, "CERTIFICATE_EXPIRED")
    assert 0.0 < (last.expired_for or 0.0) < (datetime.now(UTC) - start - life).total_seconds() + 1.0


async def test_award_that_is_looked_up_is_made_earlier(backend: Backend) -> None:
    asked = _asked()
    first = await backend.award(asked)
    await backend.look_up(Remembered(asked))
    looked_up = backend.history.events[-1]
    assert isinstance(looked_up, AwardCall)
    assert first.result is not None
    assert looked_up.result == first.result._replace(replayed=True)
    assert looked_up.asked.request_id is None


async def test_award_whose_id_is_contested_while_it_is_looked_up_is_not_recorded(backend: Backend) -> None:
    remembered = Remembered(_asked())
    await backend.award(remembered.asked)
    looking = asyncio.create_task(backend.look_up(remembered))
    await asyncio.sleep(0)
    remembered.contested = True
    await looking
    assert len(backend.history.events) == 1


async def test_award_that_is_not_there_proves_nothing(backend: Backend) -> None:
    await backend.look_up(Remembered(_asked()))
    assert backend.history.events == []


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_archived_award_is_asked_for_and_looked_up_as_such(
    backend: Backend, archiving: Archiving, *, is_deleted: bool
) -> None:
    asked = _asked()
    await backend.award(asked)
    await archiving.cut()
    if is_deleted:
        await archiving.delete()

    await backend.award(asked)
    await backend.look_up(Remembered(asked))

    _, again, looked_up = [event for event in backend.history.events if isinstance(event, AwardCall)]
    assert (again.outcome, again.revision, again.reason) == (Outcome.ARCHIVED, 1, "AWARD_ARCHIVED")
    assert (looked_up.outcome, looked_up.result, looked_up.reason) == (
        Outcome.ARCHIVED,
        None,
        "HISTORY_ARCHIVED",
    )
