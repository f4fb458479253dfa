"""The documented metrics are those that running services export: names, types, labels and their values."""

import asyncio
import json
import subprocess
from collections.abc import Mapping
from typing import Final

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.deploy.monitoring.catalogue import Metric, read_catalogue
from tests.fixtures.clients.outside_issuers import OutsideIssuer
from tests.fixtures.network.webhooks import StartReceiver, answer, take
from tests.fixtures.programs import find_promtools
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.gateway import Gateway
from tests.fixtures.services.relay import Configure, StartRelay
from tests.fixtures.services.score_service import ScoreService, Stubs, award_request
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from action_gateway.domain.messages import INITIAL, PERIOD, SCORE, UPDATE
from action_gateway.edge.problems import KINDS
from action_gateway.issuers.rejections import Reason
from score_api.v1 import score_service_pb2 as score_pb

BOUND = "le"
"""The label of a histogram's buckets."""
ASKED_FOR = frozenset({"method", "route", "code", "kind", "event"})
"""Labels that have a value only once a request had it."""
REJECTED_TICKETS: Final = "gateway_tickets_rejected_total"
"""All of its labels are such."""


def read_exposition(text: str) -> dict[str, Metric]:
    """Read what a service exports. A metric without any series has no labels here."""
    metrics = {}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        values: dict[str, set[str]] = {}
        for sample in family.samples:
            for label, value in sample.labels.items():
                values.setdefault(label, set()).add(value)
        labels = frozenset(values) - {BOUND}
        known = {label: frozenset(given) for label, given in values.items()}
        metrics[name] = Metric(name, family.type, labels, known)
    return metrics


async def use(gateway: Gateway, stubs: Stubs) -> None:
    """Have every label of both services appear."""
    player = await gateway.player()
    assert (await player.complete(await player.start(), "no")).status_code == 422
    assert (await player.complete(await player.start())).status_code == 200
    assert (await gateway.http.get("/nowhere")).status_code == 404
    assert (await gateway.http.request("PROPFIND", "/livez")).status_code == 405
    url = f"{gateway.url.replace('http', 'ws')}/api/v1/leaderboard/ws"
    async with connect(url, additional_headers=player.headers) as socket:
        assert json.loads(await socket.recv())["event"] == INITIAL
    async with connect(url, additional_headers={"Authorization": "Bearer bad"}) as socket:
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    stranger = OutsideIssuer(gateway.settings.action_keys_dir.with_name("stranger"))
    assert (await player.redeem(stranger.issue())).status_code == 401
    requests = [award_request(points=0)]
    await stubs.score.BatchAwardPoints(score_pb.BatchAwardPointsRequest(requests=requests))


def lint(exposition: str) -> None:
    """Have promtool find nothing wrong with names, types and texts."""
    for promtool in find_promtools():
        command = [promtool, "check", "metrics"]
        checked = subprocess.run(command, input=exposition, capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def differences(documented: Mapping[str, Metric], exported: Mapping[str, Metric]) -> list[str]:
    """Return in words where the two do not agree."""
    found = [f"{name} is not documented" for name in exported.keys() - documented.keys()]
    found += [f"{name} is not exported" for name in documented.keys() - exported.keys()]
    for name in exported.keys() & documented.keys():
        said, real = documented[name], exported[name]
        if (said.kind, said.labels) != (real.kind, real.labels):
            found.append(f"{name} is a {real.kind} with {sorted(real.labels)}")
        for label, values in said.values.items():
            if undocumented := values and real.values[label] - values:
                found.append(f"{name} has {label} {sorted(undocumented)}")
            is_asked_for = label in ASKED_FOR or name == REJECTED_TICKETS
            if missing := not is_asked_for and values - real.values[label]:
                found.append(f"{name} has no {label} {sorted(missing)}")
    return sorted(found)


async def test_what_is_documented_is_what_is_exported(
    score_service: ScoreService, gateway: Gateway, gateway_stubs: Stubs
) -> None:
    await use(gateway, gateway_stubs)
    catalogue = read_catalogue()
    for heading, url in (("Score service", score_service.admin_url), ("Action gateway", gateway.admin_url)):
        exposition = (await gateway.http.get(f"{url}/metrics")).text

        documented = {**catalogue["All processes"], **catalogue[heading]}
        assert differences(documented, read_exposition(exposition)) == []
        await asyncio.to_thread(lint, exposition)


async def test_what_is_documented_of_the_relay_is_what_it_exports(
    backend_stubs: Stubs, start_receiver: StartReceiver, start_relay: StartRelay, configure: Configure
) -> None:
    receiver = await start_receiver(answer(500), take)
    running = await start_relay(configure("shop", receiver))
    await backend_stubs.score.AwardPoints(award_request())

    async def has_come() -> bool:
        return len(receiver.hooks) > 1

    await eventually(has_come)
    async with httpx2.AsyncClient() as http:
        exposition = (await http.get(f"http://{running.relay.admin_address}/metrics")).text

    documented = {**read_catalogue()["All processes"], **read_catalogue()["Score relay"]}
    assert differences(documented, read_exposition(exposition)) == []
    await asyncio.to_thread(lint, exposition)


def test_every_value_that_a_label_may_come_to_have_is_documented() -> None:
    catalogue = read_catalogue()["Action gateway"]
    codes = {kind.code for kind in KINDS.values()}
    assert catalogue["gateway_problems_total"].values["code"] == codes
    assert catalogue["gateway_socket_messages_sent_total"].values["event"] == {
        INITIAL,
        PERIOD,
        UPDATE,
        SCORE,
    }


def test_every_reason_for_which_tickets_are_rejected_is_documented() -> None:
    assert read_catalogue()["Action gateway"][REJECTED_TICKETS].values["reason"] == set(Reason)


async def test_every_route_of_the_api_is_documented(gateway: Gateway) -> None:
    described = (await gateway.http.get("/openapi.json")).json()["paths"]
    for name in ("gateway_requests_total", "gateway_request_seconds", "gateway_problems_total"):
        routes = read_catalogue()["Action gateway"][name].values["route"]
        undescribed = {"/api/v1/leaderboard/ws", "/openapi.json", "/livez", "/readyz", "unmatched"}
        assert routes == {*described, *undescribed}
