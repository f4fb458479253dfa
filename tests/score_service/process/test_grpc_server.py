"""The gRPC server: which methods have a queue of their own."""

from dataclasses import dataclass

import pytest
from tests.fixtures.services.score_service import ScoreService

from score_service.process.grpc_server import QUEUES


@dataclass
class CallDetails:
    """What gRPC says of a call when it asks for a handler."""

    method: str
    invocation_metadata: tuple[tuple[str, str | bytes], ...] = ()


@pytest.mark.parametrize("method", [f"/{service}/{name}" for service in QUEUES for name in QUEUES[service]])
async def test_a_method_with_a_queue_of_its_own_is_one_that_is_served(
    score_service: ScoreService, method: str
) -> None:
    find_handler = score_service.running.dispatcher.service
    assert find_handler(CallDetails(method)) is not find_handler(CallDetails("/no/such"))
