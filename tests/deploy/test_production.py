"""The one file of the production overlay: an edit of a copy renames everything."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.deploy.edited import render_edited
from tests.deploy.rendering import DEPLOY, Manifests, read

from score_service.access.policy import Policy

_OLD = re.compile(
    r"example|laurel\.local|203\.0\.113|198\.51\.100|192\.0\.2|0{40}|ns/laurel|laurel\.svc|5432|6379|4317|collector"
)


@pytest.fixture
def edited() -> str:
    return render_edited()


@pytest.fixture
def site(edited: str) -> Manifests:
    return read(edited)


def _strings(document: object) -> Iterator[str]:
    if isinstance(document, dict):
        for key, value in document.items():
            yield from (str(key), *_strings(value))
    elif isinstance(document, list):
        for value in document:
            yield from _strings(value)
    else:
        yield str(document)


def test_the_folder_of_production_has_no_other_file() -> None:
    assert [path.name for path in (DEPLOY / "overlays" / "production").iterdir()] == ["kustomization.yaml"]


def test_no_old_name_address_or_identity_is_left(edited: str) -> None:
    assert sorted({line.strip() for line in edited.splitlines() if _OLD.search(line)}) == []


def test_every_document_is_in_the_new_namespace(site: Manifests) -> None:
    assert {document["metadata"]["namespace"] for document in site.documents} == {"points"}


def test_identities_are_of_the_new_trust_domain_and_namespace(site: Manifests, tmp_path: Path) -> None:
    uris = {
        certificate["metadata"]["name"]: certificate["spec"]["uris"] for certificate in site.of("Certificate")
    }
    assert uris == {
        service: [f"spiffe://prod.acme.test/ns/points/sa/{service}"]
        for service in ("score-service", "action-gateway")
    }
    policy_file = tmp_path / "policy.toml"
    policy_file.write_text(site.get("ConfigMap", "score-service-policy")["data"]["policy.toml"])
    assert Policy.load(policy_file).names(*uris["action-gateway"])


def test_certificates_are_asked_of_the_new_issuer(site: Manifests) -> None:
    for certificate in site.of("Certificate"):
        assert certificate["spec"]["issuerRef"] == {
            "group": "awspca.cert-manager.io",
            "kind": "AWSPCAClusterIssuer",
            "name": "acme-ca",
        }


def test_the_score_service_is_called_by_its_new_name(site: Manifests) -> None:
    names = site.get("Certificate", "score-service")["spec"]["dnsNames"]
    assert names == ["score-service.points.svc", "score-service.points.svc.cluster.local"]
    target = site.get("ConfigMap", "action-gateway")["data"]["ACTION_GATEWAY_SCORE_TARGET"]
    assert target == "dns:///score-service.points.svc:50051"


def test_images_are_the_new_ones(site: Manifests) -> None:
    images = {container["image"] for pod in site.pods() for container in pod.containers}
    assert images == {
        f"images.acme.test/laurel-score-service@sha256:{'a' * 64}",
        f"images.acme.test/laurel-action-gateway@sha256:{'b' * 64}",
    }


def test_stores_are_reached_at_the_new_addresses(site: Manifests) -> None:
    postgresql = site.get("ConfigMap", "postgresql")["data"]
    assert (postgresql["PGHOST"], postgresql["PGPORT"], postgresql["PGDATABASE"]) == (
        "pg.acme.test",
        "6432",
        "points",
    )
    for service in ("score-service", "action-gateway"):
        url = site.get("ConfigMap", service)["data"][f"{service.replace('-', '_').upper()}_REDIS_URL"]
        assert url == f"rediss://{service}@redis.acme.test:6390/0"
    for name, network, ports in (
        ("to-postgresql", "10.1.0.0/24", [6432]),
        ("to-redis", "10.2.0.0/24", [6390, 26390]),
    ):
        (rule,) = site.get("NetworkPolicy", name)["spec"]["egress"]
        assert rule["to"] == [{"ipBlock": {"cidr": network}}]
        assert rule["ports"] == [{"protocol": "TCP", "port": port} for port in ports]


def test_the_public_way_in_is_the_new_one(site: Manifests) -> None:
    route = site.get("HTTPRoute", "action-gateway")["spec"]
    assert route["hostnames"] == ["play.acme.test"]
    (parent,) = route["parentRefs"]
    assert (parent["namespace"], parent["name"]) == ("edge", "front")
    settings = site.get("ConfigMap", "action-gateway")["data"]
    assert settings["ACTION_GATEWAY_TRUSTED_PROXIES"] == "10.3.0.0/24"


def test_other_namespaces_are_the_new_ones(site: Manifests) -> None:
    named = {
        policy["metadata"]["name"]: set(_strings(policy)) & {"edge-pods", "watchers", "spans"}
        for policy in site.of("NetworkPolicy")
    }
    assert {name: found for name, found in named.items() if found} == {
        "action-gateway": {"edge-pods"},
        "from-monitoring": {"watchers"},
        "to-tracing": {"spans"},
    }


def test_traces_go_to_the_new_collector(site: Manifests) -> None:
    settings = site.get("ConfigMap", "tracing")["data"]
    assert settings["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://otel.spans.svc:4318"
    (rule,) = site.get("NetworkPolicy", "to-tracing")["spec"]["egress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 4318}]


def test_secrets_come_from_the_new_store(site: Manifests) -> None:
    for secret in site.of("ExternalSecret"):
        assert secret["spec"]["secretStoreRef"] == {"kind": "SecretStore", "name": "safe"}


def test_external_secrets_are_all_that_pods_need_but_the_certificates(site: Manifests) -> None:
    needed = {
        volume["secret"]["secretName"]
        for pod in site.pods()
        for volume in pod.spec["volumes"]
        if "secret" in volume
    }
    issued = {certificate["spec"]["secretName"] for certificate in site.of("Certificate")}
    assert needed - issued == {secret["spec"]["target"]["name"] for secret in site.of("ExternalSecret")}
    for secret in site.of("ExternalSecret"):
        (source,) = secret["spec"]["dataFrom"]
        assert source["extract"]["key"] == f"laurel/{secret['spec']['target']['name']}"


def test_the_map_of_the_site_itself_is_not_applied(site: Manifests, dev: Manifests) -> None:
    for manifests in (site, dev):
        assert not [
            document
            for document in manifests.of("ConfigMap")
            if document["metadata"]["name"].startswith("site")
        ]


def test_what_the_site_says_is_a_key_that_the_base_has() -> None:
    base = yaml.safe_load((DEPLOY / "base" / "kustomization.yaml").read_text(encoding="utf-8"))
    known = _site_keys(base)
    for overlay in (DEPLOY / "overlays").iterdir():
        text = (overlay / "kustomization.yaml").read_text(encoding="utf-8")
        assert _site_keys(yaml.safe_load(text)) <= known


def _site_keys(kustomization: dict[str, list[dict[str, list[str]]]]) -> set[str]:
    return {
        literal.partition("=")[0]
        for generator in kustomization["configMapGenerator"]
        if str(generator["name"]) == "site"
        for literal in generator["literals"]
    }
