"""Steps of a scripted server, as a test in another language writes them in JSON.

{"answer": MESSAGE}, {"bytes": HEX}, {"hang": true}, and {"reject": CODE} with `reason`, `retry_after` …
A stream has {"play": [MESSAGE, …], "then": STEP}, which ends in peace without `then`.
"""

from typing import Any

import grpc
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from conformance.server.scripted import Step, StreamStep, answer, hang, play, reject
from score_api.v1 import board_service_pb2, correction_service_pb2, leaderboard_service_pb2, types_pb2
from score_api.v1 import ledger_service_pb2 as ledger
from score_api.v1 import score_service_pb2 as scores

_MODULES = (scores, leaderboard_service_pb2, board_service_pb2, correction_service_pb2, ledger)
_ANSWERS = {
    method.name: GetMessageClass(method.output_type)
    for module in _MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


def read_step(method: str, told: dict[str, Any]) -> Step | StreamStep:
    """Read what the next call of a method gets."""
    if "play" in told:
        messages = [ParseDict(message, _ANSWERS[method]()) for message in told["play"]]
        then: Any = read_step(method, told["then"]) if "then" in told else None
        return play(*messages, then=then)
    if "answer" in told:
        return answer(ParseDict(told["answer"], _ANSWERS[method]()))
    if "bytes" in told:
        return answer(bytes.fromhex(told["bytes"]))
    if "reject" in told:
        return _read_rejection(dict(told))
    return hang


def _read_rejection(told: dict[str, Any]) -> Step:
    more: list[Message] = []
    if reversal := told.pop("reversal", None):
        more.append(ParseDict(reversal, types_pb2.Reversal()))
    return reject(grpc.StatusCode[told.pop("reject")], told.pop("reason", ""), more=more, **told)
