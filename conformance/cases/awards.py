"""Awards: their ids, what is tried again and when, and what a caller is told."""

import itertools
from collections.abc import Sequence
from typing import Final
from uuid import UUID, uuid4

from grpc import StatusCode

from conformance.adapter.client import Kind
from conformance.cases.case import Case, case
from conformance.server.desk import HANG, LOSE, LOST, MAKE, Attempt, Rejection
from conformance.trial import Trial, failure_of, require, result_of

_ASKED_PAUSE: Final = 1.0
_TOLERANCE: Final = 0.01
"""Seconds by which clocks of two processes may differ in what a pause is."""
_OUTAGE_ATTEMPTS_MAX: Final = 20
_REJECTIONS: Final = (
    Rejection(StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", fields={"award.points": "must be above 0"}),
    Rejection(StatusCode.INVALID_ARGUMENT, "OCCURRED_AT_OUT_OF_RANGE"),
    Rejection(StatusCode.UNAUTHENTICATED, "IDENTITY_MISSING"),
    Rejection(StatusCode.PERMISSION_DENIED, "NOT_ALLOWED"),
    Rejection(StatusCode.ALREADY_EXISTS, "AWARD_CONFLICT"),
    Rejection(StatusCode.ALREADY_EXISTS, "AWARD_ARCHIVED"),
    Rejection(StatusCode.OUT_OF_RANGE, "TOTAL_OUT_OF_RANGE"),
    Rejection(StatusCode.FAILED_PRECONDITION, "PERIOD_CLOSED"),
)


def _pauses(attempts: Sequence[Attempt]) -> list[float]:
    return [after.at - before.at for before, after in itertools.pairwise(attempts)]


def _require_same_ids(attempts: Sequence[Attempt]) -> None:
    ids = sorted({attempt.ids for attempt in attempts})
    require(len(ids) == 1, "one award_id and one request_id in all tries", ids)


def _require_pauses(attempts: Sequence[Attempt], seconds: float) -> None:
    pauses = _pauses(attempts)
    seen = "pauses of " + ", ".join(f"{pause:.2f} s" for pause in pauses)
    require(all(pause >= seconds - _TOLERANCE for pause in pauses), f"pauses of {seconds:g} s at least", seen)


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


@case("the-two-ids", "Each award has an award_id and a request_id of its own, both UUIDs.")
async def awards_have_ids_of_their_own(trial: Trial) -> None:
    """Two awards whose ids the client makes."""
    _, client = await trial.open_one()
    for _ in range(2):
        result_of(await client.award())
    ids = [one for attempt in trial.desk.attempts for one in attempt.ids]
    require(all(map(_is_uuid, ids)), "UUIDs as award_id and request_id", ids)
    require(len(trial.desk.made) == 2, "two awards with ids of their own", ids)
    require(len({attempt.ids[1] for attempt in trial.desk.attempts}) == 2, "two request_ids", ids)


@case("the-two-ids", "Ids that the caller chose are sent as they are.")
async def chosen_ids_are_sent(trial: Trial) -> None:
    """An award with both ids."""
    _, client = await trial.open_one()
    ids = str(uuid4()), str(uuid4())
    result = result_of(await client.award(award_id=ids[0], request_id=ids[1]))
    sent = [attempt.ids for attempt in trial.desk.attempts]
    require(sent == [ids], f"the ids {ids}", sent)
    require(result.award_id == ids[0], f"a result of {ids[0]}", result.award_id)


@case("retries", "An award whose answer got lost is sent again, with the same two ids.")
async def a_lost_answer_is_asked_for_again(trial: Trial) -> None:
    """The award is made, and its answer gets lost twice."""
    _, client = await trial.open_one()
    trial.desk.script(LOSE, LOSE, MAKE)
    result = result_of(await client.award())
    _require_same_ids(trial.desk.attempts)
    require(len(trial.desk.attempts) == 3, "three tries", len(trial.desk.attempts))
    require(not result.replayed, "the answer to the first request", "one to a replay")


@case("retries", "Every call has a deadline; when it is over, the outcome is unknown.")
async def an_award_that_is_not_answered_is_unknown(trial: Trial) -> None:
    """Nothing is answered until the call gives up; then it is asked again with the same ids."""
    server, client = await trial.open_one(timeout_seconds=2.0)
    ids = {"award_id": str(uuid4()), "request_id": str(uuid4())}
    trial.desk.script(HANG)
    failure = failure_of(await client.award(**ids))
    require(failure.kind is Kind.UNKNOWN, "the failure unknown", failure)
    limits = [call.seconds_left for call in server.received]
    require(all(left is not None and left <= 2.5 for left in limits), "deadlines of at most 2 s", limits)
    trial.desk.script(MAKE)
    result = result_of(await client.award(**ids))
    _require_same_ids(trial.desk.attempts)
    require(not result.replayed, "the answer to the first request", "one to a replay")


@case("retries", "What was rejected for good is not tried again, and the caller is told why.")
async def rejections_end_at_once(trial: Trial) -> None:
    """One award for each way to be rejected."""
    _, client = await trial.open_one()
    for rejection in _REJECTIONS:
        trial.desk.attempts.clear()
        trial.desk.script(rejection)
        failure = failure_of(await client.award())
        name = f"{rejection.code.name} {rejection.reason}"
        require(len(trial.desk.attempts) == 1, f"one try after {name}", f"{len(trial.desk.attempts)} tries")
        require(failure.kind is Kind.REJECTED, f"the failure rejected after {name}", failure)
        require(failure.reason == rejection.reason, f"the reason {rejection.reason}", failure.reason)
        told = dict(failure.fields) if rejection.fields else {}
        require(told == rejection.fields, f"the fields {rejection.fields}", dict(failure.fields))


@case("errors", "A reason counts only with the domain laurel.")
async def reasons_of_others_are_none(trial: Trial) -> None:
    """A proxy rejects the award in words of its own."""
    _, client = await trial.open_one()
    trial.desk.script(Rejection(StatusCode.PERMISSION_DENIED, "QUOTA_EXCEEDED", domain="proxy.example"))
    failure = failure_of(await client.award())
    require(failure.kind is Kind.REJECTED, "the failure rejected, as PERMISSION_DENIED is", failure)
    require(failure.reason != "QUOTA_EXCEEDED", "another reason than the one of the proxy", failure.reason)


@case("errors", "After a fault of the service the outcome is unknown.")
async def a_fault_of_the_service_is_unknown(trial: Trial) -> None:
    """Every try ends with INTERNAL."""
    _, client = await trial.open_one(timeout_seconds=2.0)
    trial.desk.script(Rejection(StatusCode.INTERNAL, "INTERNAL"))
    failure = failure_of(await client.award())
    require(failure.kind is Kind.UNKNOWN, "the failure unknown", failure)
    _require_same_ids(trial.desk.attempts)


@case("retries", "A client that is asked to come again later does not come earlier.")
async def an_overloaded_service_is_left_alone(trial: Trial) -> None:
    """The service has no room twice, and asks for a second each time."""
    _, client = await trial.open_one()
    overloaded = Rejection(StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", _ASKED_PAUSE)
    trial.desk.script(overloaded, overloaded, MAKE)
    result_of(await client.award())
    _require_same_ids(trial.desk.attempts)
    _require_pauses(trial.desk.attempts, _ASKED_PAUSE)


@case("errors", "A quota that is used up is told with its time, or waited for.")
async def a_quota_is_told_or_waited_for(trial: Trial) -> None:
    """The quota has room again in a second."""
    _, client = await trial.open_one()
    trial.desk.script(Rejection(StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", _ASKED_PAUSE), MAKE)
    answer = await client.award()
    if len(trial.desk.attempts) > 1:
        result_of(answer)
        _require_pauses(trial.desk.attempts, _ASKED_PAUSE)
        return
    failure = failure_of(answer)
    require(failure.kind is Kind.LATER, "the failure later", failure)
    told = (failure.reason, failure.retry_after)
    require(told == ("QUOTA_EXCEEDED", _ASKED_PAUSE), f"QUOTA_EXCEEDED, and {_ASKED_PAUSE} s", told)


@case("errors", "Once a try had no outcome, a quota does not say that the award was not made.")
async def a_quota_after_a_lost_answer_is_unknown(trial: Trial) -> None:
    """The award is made, its answer gets lost, and the quota is used up by then."""
    _, client = await trial.open_one(timeout_seconds=3.0)
    trial.desk.script(LOSE, Rejection(StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", 30.0))
    failure = failure_of(await client.award())
    require(failure.kind is Kind.UNKNOWN, "the failure unknown", failure)
    _require_same_ids(trial.desk.attempts)


@case("retries", "Pauses between tries grow, so that an outage does not become a flood.")
async def an_outage_is_no_reason_to_hurry(trial: Trial) -> None:
    """The service is unavailable for as long as the call may take."""
    _, client = await trial.open_one(timeout_seconds=3.0)
    trial.desk.script(LOST)
    failure = failure_of(await client.award())
    require(failure.kind is Kind.UNKNOWN, "the failure unknown", failure)
    tries = len(trial.desk.attempts)
    require(tries <= _OUTAGE_ATTEMPTS_MAX, f"at most {_OUTAGE_ATTEMPTS_MAX} tries in 3 s", tries)
    _require_same_ids(trial.desk.attempts)


@case("batches", "Awards of a batch succeed, fail and are tried again each alone.")
async def awards_of_a_batch_fail_alone(trial: Trial) -> None:
    """Six awards at the same time, of which one is rejected and one is to come again."""
    _, client = await trial.open_one()
    rejection = _REJECTIONS[0]
    trial.desk.script(rejection, user_id="u3")
    trial.desk.script(Rejection(StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", 0.5), MAKE, user_id="u4")
    users = [f"u{number}" for number in range(6)]
    answers = await client.award_many([{"user_id": user} for user in users])
    for user, answer in zip(users, answers, strict=True):
        attempts = trial.desk.attempts_for(user)
        _require_same_ids(attempts)
        if user == "u3":
            failure = failure_of(answer)
            require(failure.kind is Kind.REJECTED, f"the failure rejected for {user}", failure)
            require(failure.fields == rejection.fields, f"the fields {rejection.fields}", failure.fields)
        else:
            made = trial.desk.made[attempts[0].ids[0]][1]
            require(result_of(answer).revision == made.revision, f"the result of {user}", answer)
        tries = 2 if user == "u4" else 1
        require(len(attempts) == tries, f"{tries} tries for {user}", len(attempts))
    _require_pauses(trial.desk.attempts_for("u4"), 0.5)


CASES: Final[Sequence[Case]] = (
    awards_have_ids_of_their_own,
    chosen_ids_are_sent,
    a_lost_answer_is_asked_for_again,
    an_award_that_is_not_answered_is_unknown,
    rejections_end_at_once,
    an_overloaded_service_is_left_alone,
    an_outage_is_no_reason_to_hurry,
    awards_of_a_batch_fail_alone,
    reasons_of_others_are_none,
    a_fault_of_the_service_is_unknown,
    a_quota_is_told_or_waited_for,
    a_quota_after_a_lost_answer_is_unknown,
)
