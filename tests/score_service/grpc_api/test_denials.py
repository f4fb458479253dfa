"""Who was denied what, over gRPC: what is counted of whom, and what the log says."""

from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs
from tests.fixtures.certificates import BACKEND_ID, GATEWAY_ID
from tests.fixtures.logs import LogLines
from tests.fixtures.services.score_service import (
    METERED_ID,
    POLICY,
    READER_ID,
    Connect,
    ScoreService,
    Stubs,
    award_request,
    rejected,
)

from local_stack.certificates import CertificateAuthority, CertificateFiles
from score_api.v1 import leaderboard_service_pb2 as leaderboard_pb
from score_api.v1 import score_service_pb2 as score_pb
from score_service.access.policy import Policy
from score_service.errors import AwardConflictError, IdentityMissingError, NotAllowedError
from score_service.grpc_api.denials import EVENTS_A_SECOND, UNKNOWN, Denials
from score_service.metrics import add_call_fields

AWARD = "score_api.v1.ScoreService/AwardPoints"
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(log_lines: LogLines) -> Lines:
    return log_lines(add_call_fields)


def denials(lines: Lines) -> list[dict[str, Any]]:
    return [line for line in lines() if line["event"] == "denied"]


async def counts(service: ScoreService) -> dict[tuple[str, str], float]:
    """Return who was denied for which reason, and how often."""
    async with httpx.AsyncClient(timeout=60) as client:
        text = (await client.get(f"{service.admin_url}/metrics")).text
    families = text_string_to_metric_families(text)
    samples = [one for family in families for one in family.samples if one.name == "laurel_denied_total"]
    return {(one.labels["identity"], one.labels["reason"]): one.value for one in samples}


def watch(stubs: Stubs) -> Any:
    request = leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=10)
    return anext(aiter(stubs.leaderboard.WatchLeaderboard(request, timeout=20)))


async def test_denials_count_from_zero_for_each_identity_of_the_policy(score_service: ScoreService) -> None:
    named = {GATEWAY_ID, BACKEND_ID, READER_ID, METERED_ID}
    reasons = ("NOT_ALLOWED", "CERTIFICATE_EXPIRED")
    expected = {(identity, reason) for identity in {UNKNOWN, *named} for reason in reasons}
    expected |= {(identity, "QUOTA_EXCEEDED") for identity in named} | {(UNKNOWN, "IDENTITY_MISSING")}

    assert await counts(score_service) == dict.fromkeys(expected, 0.0)


async def test_a_stranger_is_named_in_the_log_and_in_no_label(
    score_service: ScoreService, connect: Connect, stranger_certificate: CertificateFiles, lines: Lines
) -> None:
    stubs, before = connect(score_service, stranger_certificate), await counts(score_service)
    metadata = (("x-request-id", "r-1"),)
    await rejected(stubs.score.AwardPoints(award_request(), metadata=metadata, timeout=20))
    await rejected(watch(stubs))
    after = await counts(score_service)

    assert after == before | {(UNKNOWN, "NOT_ALLOWED"): 2}
    unary, stream = denials(lines)
    assert unary["caller"] == stream["caller"] != ""
    assert unary["caller"] not in str(after)
    assert (unary["grpc.method"], unary["request_id"]) == (AWARD, "r-1")
    assert (unary["reason"], unary["count"], unary["left_out"]) == ("NOT_ALLOWED", 1, 0)
    assert unary["peer"].startswith("ipv")
    assert stream["grpc.method"] == "score_api.v1.LeaderboardService/WatchLeaderboard"


async def test_no_identity_or_one_that_is_not_well_formed_is_nobodys(
    score_service: ScoreService, connect: Connect, authority: CertificateAuthority, lines: Lines
) -> None:
    before = await counts(score_service)
    hostile = (
        'spiffe://laurel.local/x"}\nlaurel_denied_total{identity="planted',
        'spiffe://laurel.local/planted\n{"event": "denied"}',
        f"spiffe://laurel.local/planted/{'x' * 2048}",
        "spiffe://laurel.local/\x1b[31mplanted",
    )
    for number, uris in enumerate(([], *([uri] for uri in hostile))):
        certificate = authority.issue(f"hostile-{number}", uris=uris)
        stubs = connect(score_service, certificate)
        metadata = (("x-request-id", "planted }"), ("traceparent", "planted }"))
        await rejected(stubs.score.AwardPoints(award_request(), metadata=metadata, timeout=20))

    assert await counts(score_service) == before | {(UNKNOWN, "IDENTITY_MISSING"): 5}
    assert {line["caller"] for line in denials(lines)} == {""}
    assert "planted" not in str(lines())


async def test_a_known_identity_is_counted_by_its_name_and_by_what_it_was_denied_for(
    score_service: ScoreService,
    connect: Connect,
    reader_certificate: CertificateFiles,
    metered_certificate: CertificateFiles,
    backend_stubs: Stubs,
) -> None:
    reader, metered = connect(score_service, reader_certificate), connect(score_service, metered_certificate)
    before = await counts(score_service)
    await rejected(reader.score.AwardPoints(award_request()))
    await rejected(backend_stubs.score.AwardPoints(award_request(board_id="foreign")))
    await rejected(backend_stubs.score.AwardPoints(award_request(points=1_001)))
    await metered.score.AwardPoints(award_request(points=100))
    await metered.score.AwardPoints(award_request(points=100))
    await rejected(metered.score.AwardPoints(award_request(points=100)))
    await rejected(backend_stubs.score.AwardPoints(award_request(points=0)))

    assert await counts(score_service) == before | {
        (READER_ID, "NOT_ALLOWED"): 1,
        (BACKEND_ID, "NOT_ALLOWED"): 2,
        (METERED_ID, "QUOTA_EXCEEDED"): 1,
    }


async def test_denied_awards_of_a_batch_are_counted_each_and_logged_together(
    score_service: ScoreService, connect: Connect, metered_certificate: CertificateFiles, lines: Lines
) -> None:
    stubs, before = connect(score_service, metered_certificate), await counts(score_service)
    asked = [award_request(points=points) for points in (100, 100, 100, 100)]
    asked += [award_request(board_id="foreign"), award_request(points=0)]
    response = await stubs.score.BatchAwardPoints(score_pb.BatchAwardPointsRequest(requests=asked))

    assert [item.error.reason for item in response.items] == [
        "", "", "QUOTA_EXCEEDED", "QUOTA_EXCEEDED", "NOT_ALLOWED", "INVALID_FIELD",
    ]  # fmt: skip
    assert await counts(score_service) == before | {
        (METERED_ID, "QUOTA_EXCEEDED"): 2,
        (METERED_ID, "NOT_ALLOWED"): 1,
    }
    told = {line["reason"]: (line["count"], line["caller"]) for line in denials(lines)}
    assert told == {"QUOTA_EXCEEDED": (2, METERED_ID), "NOT_ALLOWED": (1, METERED_ID)}


async def test_admitted_call_is_no_denial(score_service: ScoreService, backend_stubs: Stubs) -> None:
    before = await counts(score_service)
    await backend_stubs.score.AwardPoints(award_request())
    await rejected(backend_stubs.score.GetAward(score_pb.GetAwardRequest()))
    batch = score_pb.BatchAwardPointsRequest(requests=[award_request(), award_request(points=0)])
    await backend_stubs.score.BatchAwardPoints(batch)

    assert await counts(score_service) == before


def test_a_flood_is_counted_whole_and_logged_in_few_lines_and_silences_no_other_reason() -> None:
    now, peers = 0.0, 0
    registry = CollectorRegistry()
    denials = Denials(Policy.parse(POLICY), registry, lambda: now)

    def find_peer() -> str:
        nonlocal peers
        peers += 1
        return "ipv4:127.0.0.1:1"

    with capture_logs(processors=[add_call_fields]) as logs:
        for _ in range(100):
            denials.note([NotAllowedError()], find_peer)
        denials.note([IdentityMissingError(), AwardConflictError(), object()], find_peer)
        now = 1.0
        denials.note([NotAllowedError()], find_peer)

    told = [(line["reason"], line["left_out"]) for line in logs]
    last = [("IDENTITY_MISSING", 0), ("NOT_ALLOWED", 100 - EVENTS_A_SECOND)]
    assert told == [("NOT_ALLOWED", 0)] * EVENTS_A_SECOND + last
    assert peers == len(logs)
    labels = {"identity": UNKNOWN, "reason": "NOT_ALLOWED"}
    assert registry.get_sample_value("laurel_denied_total", labels) == 101
