"""The service config for clients in other languages does what its page says."""

import asyncio
import itertools
from pathlib import Path
from typing import Final

import grpc
import pytest
from tests.fixtures.services.score_service import ScoreService, Stubs, award_request, credentials_of

from local_stack.certificates import CertificateFiles
from score_service.errors import OverloadedError

SERVICE_CONFIG: Final = Path(__file__).parents[2] / "clients/service_config.json"


async def test_grpcs_own_retries_come_again_when_the_service_asked_them_to(
    score_service: ScoreService, backend_certificate: CertificateFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[float] = []

    def reject_twice() -> None:
        times.append(asyncio.get_running_loop().time())
        if len(times) <= 2:
            raise OverloadedError

    monkeypatch.setattr(score_service.running.parts.scoring, "require_room", reject_twice)
    options = [
        ("grpc.service_config", SERVICE_CONFIG.read_text(encoding="utf-8")),
        ("grpc.enable_http_proxy", 0),
    ]
    credentials = credentials_of(backend_certificate)
    async with grpc.aio.secure_channel(score_service.target, credentials, options) as channel:
        response = await Stubs.on(channel).score.AwardPoints(award_request(), timeout=30)
    assert response.result.total == 10
    # A second each, where its own backoff is a quarter of that at most.
    assert [after - before >= 0.99 for before, after in itertools.pairwise(times)] == [True, True]
