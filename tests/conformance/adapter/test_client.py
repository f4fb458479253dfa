"""What an adapter answers, as values of the contract."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.clients.conformance import write_script

from conformance.adapter.client import Client, Failure, Kind, Unsupported
from conformance.adapter.process import AdapterFault, AdapterProcess
from score_api.v1.score_service_pb2 import AwardResult


def saying(folder: Path, *answers: Any) -> AdapterProcess:
    """Return an adapter that gives these answers, whatever it is asked."""
    lines = [json.dumps(answer) for answer in answers]
    source = f"for line in {lines!r}:\n    input()\n    print(line, flush=True)\ninput()\n"
    return AdapterProcess(write_script(folder, source), answer_seconds=60)


@pytest.mark.parametrize(
    "told",
    [
        {"award_id": "a", "revision": "9007199254740993", "rank": None, "replayed": True},
        {"awardId": "a", "revision": 9007199254740993, "replayed": True, "something": {"new": 1}},
    ],
)
async def test_a_message_is_read_in_any_form_of_protojson(tmp_path: Path, told: dict[str, Any]) -> None:
    async with saying(tmp_path, {"result": told}) as process:
        answer = await Client(process).award()
    assert answer == AwardResult(award_id="a", revision=9007199254740993, replayed=True)


async def test_an_error_is_a_failure_with_what_the_caller_knows(tmp_path: Path) -> None:
    told = {"kind": "later", "reason": "QUOTA_EXCEEDED", "retry_after_seconds": 1.5, "fields": None}
    async with saying(tmp_path, {"error": told}) as process:
        answer = await Client(process).top()
    assert answer == Failure(Kind.LATER, "QUOTA_EXCEEDED", 1.5)


async def test_what_an_adapter_cannot_do_is_told_with_its_reason(tmp_path: Path) -> None:
    async with saying(tmp_path, {"unsupported": "no feeds"}) as process:
        with pytest.raises(Unsupported, match="no feeds"):
            await Client(process).entries()


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"kind": "maybe", "reason": "X"}},
        {"error": {"kind": "later"}},
        {"error": "broken"},
        {"error": {"kind": "later", "reason": "X", "retry_after_seconds": "soon"}},
        {"result": {"revision": "many"}},
        {"result": None},
        {"result": 7},
    ],
)
async def test_an_answer_out_of_the_vocabulary_is_a_fault_of_the_adapter(tmp_path: Path, answer: Any) -> None:
    async with saying(tmp_path, answer) as process:
        with pytest.raises(AdapterFault, match="neither AwardResult nor an error"):
            await Client(process).award()


@pytest.mark.parametrize("answers", [None, [], [{"result": {}}], [{"result": {}}] * 3])
async def test_awards_that_are_not_answered_each_are_a_fault_of_the_adapter(
    tmp_path: Path, answers: Any
) -> None:
    async with saying(tmp_path, {"result": {"answers": answers}}) as process:
        with pytest.raises(AdapterFault, match="for each of 2 awards"):
            await Client(process).award_many([{}, {}])


async def test_an_event_is_handled_once_the_next_one_is_asked_for(tmp_path: Path) -> None:
    events = [{"result": {"position": position}} for position in ("1-aa", "2-aa")]
    async with saying(tmp_path, {"result": {}}, *events) as process:
        client = Client(process)
        await client.watch("0-aa")
        seen = [client.handled_by(float("inf"))]
        for _ in events:
            await client.next()
            seen.append(client.handled_by(float("inf")))
        assert client.handled_by(0.0) is None
    assert seen == ["0-aa", "0-aa", "1-aa"]
