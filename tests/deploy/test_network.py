"""What may reach what, as the network policies add up to: these edges, and no others."""

from collections.abc import Iterator

import pytest
from tests.deploy.rendering import Document, Manifests, Pod, render, selects

_BOTH = ("score-service", "action-gateway")
_WITH_RECORD = (*_BOTH, "score-service-migration", "action-gateway-migration", "action-gateway-catalog")
_NAMES = "namespace kube-system, pods k8s-app=kube-dns"
_INSIDE = {
    ("action-gateway", "score-service", "grpc"),
    ("namespaces laurel/score-client=true", "score-service", "grpc"),
}
_DEV = (
    _INSIDE
    | {("namespace ingress", "action-gateway", "http")}
    | {("namespace monitoring", pod, "admin") for pod in _BOTH}
    | {(pod, "postgresql", "postgresql") for pod in _WITH_RECORD}
    | {(pod, "valkey", "redis") for pod in _BOTH}
)
_PRODUCTION = (
    _INSIDE
    | {("namespace example-gateway", "action-gateway", "http")}
    | {("namespace example-monitoring", pod, "admin") for pod in _BOTH}
    | {(pod, "203.0.113.0/28", 5432) for pod in _WITH_RECORD}
    | {(pod, "203.0.113.16/28", port) for pod in _BOTH for port in (6379, 26379)}
)
_TRACING = {(pod, "namespace tracing", 4317) for pod in _BOTH}

Edge = tuple[str, str, str | int]


def _peers(pods: list[Pod], peer: Document) -> Iterator[str]:
    """Name whom an entry of `from` or `to` means."""
    if "ipBlock" in peer:
        yield peer["ipBlock"]["cidr"]
        return
    if "namespaceSelector" not in peer:
        yield from (pod.name for pod in pods if selects(peer["podSelector"], pod.labels))
        return
    ((key, value),) = peer["namespaceSelector"]["matchLabels"].items()
    named = f"namespace {value}" if key == "kubernetes.io/metadata.name" else f"namespaces {key}={value}"
    for inner, wanted in peer.get("podSelector", {}).get("matchLabels", {}).items():
        named += f", pods {inner}={wanted}"
    yield named


def _edges(manifests: Manifests, direction: str) -> set[Edge]:
    """Add up what all policies admit in one direction, as (from, to, port)."""
    pods = list(manifests.pods())
    side = "from" if direction == "ingress" else "to"
    found: set[Edge] = set()
    for policy in manifests.of("NetworkPolicy"):
        selected = [pod for pod in pods if selects(policy["spec"]["podSelector"], pod.labels)]
        assert selected, "a policy that is for no pod is a mistake"
        for rule in policy["spec"].get(direction, ()):
            assert direction.capitalize() in policy["spec"]["policyTypes"]
            for peer in rule[side]:
                for name in _peers(pods, peer):
                    for port in rule["ports"]:
                        for pod in selected:
                            ends = (name, pod.name) if side == "from" else (pod.name, name)
                            found.add((*ends, port["port"]))
    return found


def _without_names(edges: set[Edge], manifests: Manifests) -> set[Edge]:
    """Take away that every pod may look names up, having checked it."""
    names = {(pod.name, _NAMES, 53) for pod in manifests.pods()}
    assert names <= edges
    return edges - names


@pytest.mark.parametrize(("name", "edges"), [("dev", _DEV), ("production", _PRODUCTION)])
def test_exactly_the_declared_edges_are_admitted(name: str, edges: set[Edge]) -> None:
    manifests = render(name)
    pods = {pod.name for pod in manifests.pods()}
    assert _edges(manifests, "ingress") == {edge for edge in edges if edge[1] in pods}
    assert _without_names(_edges(manifests, "egress"), manifests) == {
        edge for edge in edges if edge[0] in pods
    }


def test_the_relay_reaches_receivers_by_https_alone_and_is_reached_by_scrapes_alone() -> None:
    relay, base = render("score-relay"), render("base")
    ingress = _edges(relay, "ingress") - _edges(base, "ingress")
    egress = _edges(relay, "egress") - _edges(base, "egress")
    own = {pod.name for pod in relay.pods()} - {pod.name for pod in base.pods()}
    assert ingress == {("namespace monitoring", "score-relay", "admin")}
    assert egress == {(pod, _NAMES, 53) for pod in own} | {(pod, "192.0.2.0/32", 5432) for pod in own} | {
        ("score-relay", "score-service", "grpc"),
        ("score-relay", "0.0.0.0/0", 443),
        ("score-relay", "::/0", 443),
    }


def test_who_archives_reaches_postgresql_alone_and_is_reached_by_nobody() -> None:
    retention, base = render("retention"), render("base")
    assert _edges(retention, "ingress") == _edges(base, "ingress")
    assert _edges(retention, "egress") - _edges(base, "egress") == {
        ("score-service-retention", _NAMES, 53),
        ("score-service-retention", "192.0.2.0/32", 5432),
    }


def test_tracing_opens_the_way_to_the_collector_and_no_other() -> None:
    added = _edges(render("tracing"), "egress") - _edges(render("base"), "egress")
    assert added == _TRACING


def test_everything_is_denied_that_no_policy_admits(overlay: Manifests) -> None:
    spec = overlay.get("NetworkPolicy", "deny-all")["spec"]
    assert spec == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_each_deployment_has_policies_for_both_directions(overlay: Manifests) -> None:
    for pod in overlay.pods():
        own = [
            policy["spec"]
            for policy in overlay.of("NetworkPolicy")
            if policy["spec"]["podSelector"] and selects(policy["spec"]["podSelector"], pod.labels)
        ]
        directions = {direction for policy in own for direction in policy["policyTypes"]}
        serves = pod.owner["kind"] == "Deployment"
        assert directions >= ({"Ingress", "Egress"} if serves else set())


def test_ports_of_policies_exist(scene: Manifests) -> None:
    pods = list(scene.pods())
    for policy in scene.of("NetworkPolicy"):
        selected = [pod for pod in pods if selects(policy["spec"]["podSelector"], pod.labels)]
        for rule in policy["spec"].get("ingress", ()):
            for port in rule["ports"]:
                assert all(port["port"] in pod.ports for pod in selected)
        for rule in policy["spec"].get("egress", ()):
            named = {port["port"] for port in rule["ports"] if isinstance(port["port"], str)}
            for peer in rule["to"] if named else ():
                reached = [pod for pod in pods if selects(peer["podSelector"], pod.labels)]
                assert reached
                assert all(named <= pod.ports.keys() for pod in reached)


def test_the_public_route_ends_no_stream(production: Manifests) -> None:
    streams, rest = production.get("HTTPRoute", "action-gateway")["spec"]["rules"]
    assert {match["path"]["value"] for match in streams["matches"]} == {
        "/api/v1/leaderboard/ws",
        "/api/v1/leaderboard/events",
    }
    assert streams["timeouts"] == {"request": "0s", "backendRequest": "0s"}
    assert rest["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]


def test_the_public_route_leads_to_the_public_port(production: Manifests) -> None:
    (port,) = production.get("Service", "action-gateway")["spec"]["ports"]
    assert port["targetPort"] == "http"
    for rule in production.get("HTTPRoute", "action-gateway")["spec"]["rules"]:
        (backend,) = rule["backendRefs"]
        assert (backend["name"], backend["port"]) == ("action-gateway", port["port"])
