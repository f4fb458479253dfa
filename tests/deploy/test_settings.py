"""The settings of the pods: the services take them, and nothing in them is unknown, missing or secret."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry import environment_variables as api_variables
from opentelemetry.sdk import environment_variables as sdk_variables
from psycopg import pq
from tests.deploy.mounted import Contents, Mounted, environment, mount
from tests.deploy.rendering import SERVICES, Manifests, Pod, render

from action_gateway import settings as gateway_settings
from action_gateway.accounts.keys import KeyFolder
from local_stack.certificates import CertificateAuthority
from local_stack.signing_keys import ensure_signing_key
from score_relay import settings as relay_settings
from score_service import settings as score_settings
from score_service.access.policy import Policy
from score_service.process import drain
from service_runtime.settings import load, reveal, variable

_MODELS: Final[Mapping[str, Any]] = {
    "score-service": score_settings.ServeSettings,
    "score-service-migration": score_settings.MigrateSettings,
    "score-service-retention": score_settings.ArchiveSettings,
    "action-gateway": gateway_settings.ServeSettings,
    "action-gateway-migration": gateway_settings.OwnerSettings,
    "action-gateway-catalog": gateway_settings.OwnerSettings,
    "score-relay": relay_settings.ServeSettings,
    "score-relay-migration": relay_settings.MigrateSettings,
}
_SCENES: Final = {
    "score-relay": "score-relay",
    "score-relay-migration": "score-relay",
    "score-service-retention": "retention",
}
"""Of the pods that a component brings."""
_LIBPQ: Final = {option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar}
_OPENTELEMETRY: Final = {*vars(api_variables), *vars(sdk_variables)}
_SECRET_WORDS: Final = re.compile(r"throw-away|PRIVATE KEY|password=|:[^/@\s]+@", re.IGNORECASE)


def _own_pods(manifests: Manifests) -> Iterator[Pod]:
    return (pod for pod in manifests.pods() if pod.name in _MODELS)


@pytest.fixture
def issue(authority: CertificateAuthority, tmp_path: Path) -> Callable[[str], Contents]:
    """Give what a Secret of the cluster would hold."""

    def make(name: str) -> Contents:
        if name.endswith("-tls"):
            files = authority.issue(name)
            return {
                "tls.crt": files.certificate_file.read_text(encoding="ascii"),
                "tls.key": files.key_file.read_text(encoding="ascii"),
                "ca.crt": files.ca_file.read_text(encoding="ascii"),
            }
        if name.endswith("-keys"):
            ensure_signing_key(tmp_path / name, datetime.now(UTC))
            (key,) = (tmp_path / name).glob("*.pem")
            return {item: key.read_text(encoding="ascii") for item in (key.name, "tls.key")}
        return {"password": "given\n", "key": "given\n", "actions.toml": ""}

    return make


@pytest.fixture
def mounted(
    overlay: Manifests,
    authority: CertificateAuthority,
    tmp_path: Path,
    issue: Callable[[str], Contents],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], Mounted]:
    """Give a pod's files and make its environment the one of this process."""

    def enter(name: str) -> Mounted:
        found = mount(overlay, overlay.pod(name), tmp_path / "root", issue)
        # The overlay has a file for authorities, and a deployer replaces it.
        for folder in ("store-authorities", "authorities"):
            if (placeholder := found.path(f"/run/laurel/{folder}/ca.crt")).exists():
                placeholder.write_bytes(authority.ca_file.read_bytes())
        for key, value in found.environment.items():
            monkeypatch.setenv(key, value)
        return found

    return enter


def test_every_variable_is_one_that_somebody_reads(scene: Manifests) -> None:
    for pod in _own_pods(scene):
        model = _MODELS[pod.name]
        known = {variable(model, name) for name in model.model_fields}
        for name in environment(scene, pod):
            assert name in known | _LIBPQ | _OPENTELEMETRY | {"POD_NAME", "POD_NAMESPACE"}


def test_every_setting_that_is_required_is_made(scene: Manifests) -> None:
    for pod in _own_pods(scene):
        model = _MODELS[pod.name]
        required = {
            variable(model, name) for name, field in model.model_fields.items() if field.is_required()
        }
        assert required <= environment(scene, pod).keys()


@pytest.mark.parametrize("name", sorted(_MODELS.keys() - _SCENES.keys()))
def test_the_services_take_the_settings(mounted: Callable[[str], Mounted], name: str) -> None:
    mounted(name)
    settings = load(_MODELS[name])
    passwords = [
        reveal(value) or "" for field, value in settings if field.endswith("_password_file") and value
    ]
    assert passwords
    assert all(password.startswith(("given", "throw-away")) for password in passwords)


@pytest.mark.parametrize("name", _SCENES)
def test_what_a_component_brings_takes_the_settings(
    tmp_path: Path, issue: Callable[[str], Contents], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    scene = render(_SCENES[name])
    for key, value in mount(scene, scene.pod(name), tmp_path, issue).environment.items():
        monkeypatch.setenv(key, value)

    assert load(_MODELS[name])


def test_the_services_listen_where_the_ports_say(overlay: Manifests) -> None:
    for service, public in (("score-service", "grpc"), ("action-gateway", "http")):
        pod = overlay.pod(service)
        found = environment(overlay, pod)
        prefix = service.replace("-", "_").upper()
        assert found[f"{prefix}_LISTEN"] == f"0.0.0.0:{pod.ports[public]}"
        assert found[f"{prefix}_ADMIN_LISTEN"] == f"0.0.0.0:{pod.ports['admin']}"


def test_the_folders_of_keys_can_be_used(mounted: Callable[[str], Mounted]) -> None:
    mounted("action-gateway")
    settings = load(gateway_settings.ServeSettings)
    for folder in (settings.access_keys_dir, settings.action_keys_dir):
        assert KeyFolder(folder).key_ids()


def test_the_policy_names_the_identity_of_the_gateway(
    overlay: Manifests, mounted: Callable[[str], Mounted]
) -> None:
    policy_file = mounted("score-service").path("/etc/laurel/policy.toml")
    (identity,) = overlay.get("Certificate", "action-gateway")["spec"]["uris"]
    assert Policy.load(policy_file).names(identity)


def test_certificates_have_the_identity_of_the_pod_that_uses_them(overlay: Manifests) -> None:
    for service in SERVICES:
        pod, certificate = overlay.pod(service), overlay.get("Certificate", service)["spec"]
        (identity,) = certificate["uris"]
        namespace = pod.owner["metadata"]["namespace"]
        assert identity.partition("/ns/")[2] == f"{namespace}/sa/{pod.spec['serviceAccountName']}"
        (tls,) = (volume["secret"] for volume in pod.spec["volumes"] if volume["name"] == "tls")
        assert certificate["secretName"] == tls["secretName"]


def test_certificates_are_short_lived_with_a_new_ecdsa_key_each_time(scene: Manifests) -> None:
    for certificate in scene.of("Certificate"):
        spec = certificate["spec"]
        if certificate["metadata"]["name"] in SERVICES:
            assert spec["privateKey"]["algorithm"] == "ECDSA"
            assert spec["privateKey"]["rotationPolicy"] == "Always"
            assert (spec["duration"], spec["renewBefore"]) == ("24h", "8h")


def test_the_gateway_calls_the_score_service_by_a_name_in_its_certificate(overlay: Manifests) -> None:
    target = environment(overlay, overlay.pod("action-gateway"))["ACTION_GATEWAY_SCORE_TARGET"]
    match = re.fullmatch(r"dns:///(.+):50051", target)
    assert match
    assert match[1] in overlay.get("Certificate", "score-service")["spec"]["dnsNames"]
    service = overlay.get("Service", "score-service")["metadata"]
    assert match[1] == f"{service['name']}.{service['namespace']}.svc"


def test_connections_are_replaced_long_before_certificates_end(
    overlay: Manifests, mounted: Callable[[str], Mounted]
) -> None:
    mounted("score-service")
    settings = load(score_settings.ServeSettings)
    renewed_before = int(overlay.get("Certificate", "score-service")["spec"]["renewBefore"].removesuffix("h"))
    assert settings.connection_age_seconds + settings.connection_grace_seconds < renewed_before * 3600 / 10


def test_the_score_service_has_time_to_stop_in_order(
    overlay: Manifests, mounted: Callable[[str], Mounted]
) -> None:
    mounted("score-service")
    settings = load(score_settings.ServeSettings)
    # Calls end, the server ends, calls and awards that had begun are finished.
    longest = (
        settings.drain_seconds
        + drain._GATHER_SECONDS
        + drain._GOAWAY_SECONDS
        + settings.stop_seconds
        + 3 * drain._FINISH_SECONDS
    )
    assert _pause(overlay.pod("score-service")) + longest < _grace(overlay.pod("score-service"))


def test_the_gateway_has_time_to_stop_in_order(overlay: Manifests, mounted: Callable[[str], Mounted]) -> None:
    mounted("action-gateway")
    settings = load(gateway_settings.ServeSettings)
    # Sockets are let go over half of the time that requests have after that.
    longest = settings.drain_seconds + settings.stop_seconds / 2 + settings.stop_seconds
    assert _pause(overlay.pod("action-gateway")) + longest + 10 < _grace(overlay.pod("action-gateway"))


def _pause(pod: Pod) -> int:
    seconds: int = pod.containers[0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert seconds > 0
    return seconds


def _grace(pod: Pod) -> int:
    seconds: int = pod.spec["terminationGracePeriodSeconds"]
    return seconds


def test_no_secret_stands_in_a_map_a_command_or_an_environment(scene: Manifests) -> None:
    for document in scene.of("ConfigMap"):
        assert not _SECRET_WORDS.search(json.dumps(document["data"]))
    for pod in scene.pods():
        for container in pod.containers:
            said = [container.get("command"), container.get("args"), container.get("env")]
            assert not _SECRET_WORDS.search(json.dumps(said))
