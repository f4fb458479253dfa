"""What every pod must have, whatever is rendered."""

import re
from collections.abc import Iterator

from tests.deploy.rendering import COMPONENTS, DEPLOY, SERVICES, Document, Manifests, Pod, selects

_PORTS = {
    "score-service": {"grpc": 50051, "admin": 9090},
    "action-gateway": {"http": 8080, "admin": 9091},
}
_MADE_BY_HAND = {
    "score-service-tls",
    "score-service-database",
    "score-service-migration",
    "score-service-redis",
    "action-gateway-tls",
    "action-gateway-database",
    "action-gateway-migration",
    "action-gateway-redis",
    "action-gateway-access-keys",
    "action-gateway-action-keys",
    "action-gateway-freed-names",
    "action-gateway-actions",
}
"""The Secrets that a cluster must have, by whatever means. They stand in deploy/README.md."""


def _containers(manifests: Manifests) -> Iterator[tuple[Pod, Document]]:
    return ((pod, container) for pod in manifests.pods() for container in pod.containers)


def test_nothing_runs_with_more_rights_than_the_restricted_profile_gives(scene: Manifests) -> None:
    for pod, container in _containers(scene):
        of_pod, own = pod.spec["securityContext"], container["securityContext"]
        assert of_pod["runAsNonRoot"] is True
        assert of_pod["runAsUser"] > 0
        assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert own == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not pod.spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}
        assert {kind for volume in pod.spec["volumes"] for kind in volume} <= {
            "name",
            "configMap",
            "secret",
            "emptyDir",
            "persistentVolumeClaim",
        }


def test_no_pod_can_speak_to_the_api_server(scene: Manifests) -> None:
    assert all(account["automountServiceAccountToken"] is False for account in scene.of("ServiceAccount"))
    for pod in scene.pods():
        assert pod.spec["automountServiceAccountToken"] is False
        assert pod.spec["enableServiceLinks"] is False


def test_service_accounts_are_named_as_the_identities_say(scene: Manifests) -> None:
    accounts = {account["metadata"]["name"] for account in scene.of("ServiceAccount")}
    for service in SERVICES:
        assert scene.pod(service).spec["serviceAccountName"] == service
    for pod in scene.pods():
        assert pod.spec.get("serviceAccountName") in {None, *accounts}


def test_each_container_says_what_it_needs_and_what_memory_it_may_take(scene: Manifests) -> None:
    for _, container in _containers(scene):
        requests, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert requests.keys() >= {"cpu", "memory"}
        assert "memory" in limits
        assert "cpu" not in limits


def test_servers_have_three_probes_at_ports_that_they_have(scene: Manifests) -> None:
    for pod, container in _containers(scene):
        if pod.owner["kind"] not in {"Deployment", "StatefulSet"}:
            continue
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            (how,) = container[probe].keys() & {"httpGet", "tcpSocket"}
            assert container[probe][how]["port"] in pod.ports


def test_the_services_are_probed_on_their_admin_port(scene: Manifests) -> None:
    paths = {"startupProbe": "/livez", "readinessProbe": "/readyz", "livenessProbe": "/livez"}
    for service in SERVICES:
        (container,) = scene.pod(service).containers
        for probe, path in paths.items():
            assert container[probe]["httpGet"] == {"path": path, "port": "admin"}


def test_the_services_have_the_ports_that_others_rely_on(scene: Manifests) -> None:
    assert {service: scene.pod(service).ports for service in SERVICES} == _PORTS


def test_selectors_match_the_pods_they_are_for_and_no_others(scene: Manifests) -> None:
    pods = {pod.name: pod for pod in scene.pods()}
    assert len(pods) == len(list(scene.pods())), "no two documents make pods of one name"
    for document in scene.of("Deployment", "StatefulSet"):
        own = document["spec"]["template"]["metadata"]["labels"]
        selector = document["spec"]["selector"]
        assert [pod.name for pod in pods.values() if selects(selector, pod.labels)] == [
            own["app.kubernetes.io/name"]
        ]
    for document in scene.of("Service"):
        (pod,) = (
            pod for pod in pods.values() if selects({"matchLabels": document["spec"]["selector"]}, pod.labels)
        )
        assert pod.name == document["metadata"]["name"]
        assert {port["targetPort"] for port in document["spec"]["ports"]} <= pod.ports.keys()


def test_callers_of_the_score_service_learn_the_addresses_of_ready_pods(scene: Manifests) -> None:
    service = scene.get("Service", "score-service")["spec"]
    assert service["clusterIP"] == "None"
    assert not service.get("publishNotReadyAddresses", False)


def test_a_mesh_does_not_take_the_tls_of_the_score_service_for_plain_grpc(scene: Manifests) -> None:
    (port,) = scene.get("Service", "score-service")["spec"]["ports"]
    assert (port["name"], port["appProtocol"]) == ("tls-grpc", "tls")


def test_the_services_are_spread_and_updated_without_a_gap(scene: Manifests) -> None:
    for service in SERVICES:
        pod = scene.pod(service)
        assert pod.owner["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        constraints = pod.spec["topologySpreadConstraints"]
        assert [constraint["topologyKey"] for constraint in constraints] == [
            "topology.kubernetes.io/zone",
            "kubernetes.io/hostname",
        ]
        for constraint in constraints:
            assert selects(constraint["labelSelector"], pod.labels)
            assert constraint["matchLabelKeys"] == ["pod-template-hash"]


def test_a_node_that_is_drained_takes_one_pod_of_a_service_at_a_time(scene: Manifests) -> None:
    budgets = {budget["metadata"]["name"]: budget["spec"] for budget in scene.of("PodDisruptionBudget")}
    assert budgets.keys() == set(SERVICES)
    for service, budget in budgets.items():
        assert budget["maxUnavailable"] == 1
        assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
        assert [pod.name for pod in scene.pods() if selects(budget["selector"], pod.labels)] == [service]


def test_replicas_are_said_either_by_a_deployment_or_by_its_autoscaler(scene: Manifests) -> None:
    scaled = {scaler["spec"]["scaleTargetRef"]["name"] for scaler in scene.of("HorizontalPodAutoscaler")}
    assert scaled <= set(SERVICES)
    for deployment in scene.of("Deployment"):
        assert "replicas" not in deployment["spec"]


def test_production_has_an_autoscaler_for_each_service_that_keeps_several(
    production: Manifests,
) -> None:
    for service in SERVICES:
        scaler = production.get("HorizontalPodAutoscaler", service)["spec"]
        assert 1 < scaler["minReplicas"] < scaler["maxReplicas"]


def test_volumes_are_whole_folders_that_exist(scene: Manifests) -> None:
    for pod, container in _containers(scene):
        claimed = {claim["metadata"]["name"] for claim in pod.owner["spec"].get("volumeClaimTemplates", ())}
        volumes = {volume["name"] for volume in pod.spec["volumes"]} | claimed
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
        assert not any("subPath" in mount for mount in container["volumeMounts"])


def test_every_map_and_secret_that_is_named_exists_or_is_one_of_those_to_make(overlay: Manifests) -> None:
    maps = {document["metadata"]["name"] for document in overlay.of("ConfigMap")}
    secrets = {document["metadata"]["name"] for document in overlay.of("Secret")}
    issued = {certificate["spec"]["secretName"] for certificate in overlay.of("Certificate")}
    secrets = secrets or _MADE_BY_HAND
    for pod, container in _containers(overlay):
        named = {source["configMapRef"]["name"] for source in container.get("envFrom", ())}
        for volume in pod.spec["volumes"]:
            if "configMap" in volume and not volume["configMap"].get("optional"):
                named.add(volume["configMap"]["name"])
            if "secret" in volume:
                assert volume["secret"]["secretName"] in secrets | issued
        assert named <= maps


def read_readme() -> str:
    return (DEPLOY / "README.md").read_text(encoding="utf-8")


def _names_in_readme(section: str) -> list[str]:
    """Read what the first cells of the table of a section name."""
    text = read_readme().split(f"\n## {section}\n")[1]
    cells = re.findall(r"^\| (`.+?) \|", text.split("\n## ")[0], re.MULTILINE)
    return re.findall(r"`([^`]+)`", " ".join(cells))


def test_the_secrets_to_make_stand_in_the_readme_and_no_others() -> None:
    assert set(_names_in_readme("Secrets")) == _MADE_BY_HAND


def test_the_components_stand_in_the_readme_and_no_others() -> None:
    assert sorted(_names_in_readme("Components")) == sorted(COMPONENTS)


def test_migrations_are_jobs_that_end_and_stay(scene: Manifests) -> None:
    for service in SERVICES:
        job = scene.get("Job", f"{service}-migrate")
        (container,) = job["spec"]["template"]["spec"]["containers"]
        assert container["command"] == [service, "migrate"]
        assert job["spec"]["activeDeadlineSeconds"] > 0
        # One that were gone would be made again at each apply, and be missing in each diff.
        assert "ttlSecondsAfterFinished" not in job["spec"]


def test_tools_that_apply_for_ever_make_another_job_where_its_template_has_changed(scene: Manifests) -> None:
    for job in scene.of("Job"):
        annotations = job["metadata"]["annotations"]
        assert annotations["argocd.argoproj.io/hook-delete-policy"] == "BeforeHookCreation"
        assert annotations["kustomize.toolkit.fluxcd.io/force"] == "enabled"


def test_migrations_are_found_by_the_label_that_the_readme_deletes_them_by(scene: Manifests) -> None:
    (selector,) = set(re.findall(r"delete jobs --selector=(\S+)", read_readme()))
    key, _, value = selector.partition("=")
    assert all(job["metadata"]["labels"].get(key) == value for job in scene.of("Job"))
    assert not any(
        document["spec"]["jobTemplate"]["metadata"]["labels"].get(key) for document in scene.of("CronJob")
    )


def test_nothing_waits_for_a_migration(scene: Manifests) -> None:
    assert not any(pod.spec.get("initContainers") for pod in scene.pods())


def test_what_runs_as_the_owner_alone_has_its_password(scene: Manifests) -> None:
    for pod in scene.pods():
        secrets = {volume["secret"]["secretName"] for volume in pod.spec["volumes"] if "secret" in volume}
        owns = any(
            re.fullmatch(r"(score-service|action-gateway|score-relay)-migration(-\w+)?", name)
            for name in secrets
        )
        assert owns == pod.name.endswith(("-migration", "-catalog", "-retention"))


def test_production_names_images_by_digest(production: Manifests) -> None:
    for pod, container in _containers(production):
        service = "score-service" if pod.name.startswith("score-service") else "action-gateway"
        assert re.fullmatch(rf"[a-z.]+/laurel-{service}@sha256:[0-9a-f]{{64}}", container["image"])


def test_production_brings_no_store_and_no_secret(production: Manifests) -> None:
    assert not production.of("Secret")
    assert {pod.name for pod in production.pods()} == {
        "score-service",
        "score-service-migration",
        "action-gateway",
        "action-gateway-migration",
        "action-gateway-catalog",
    }
