"""What applying relies on: labels to prune by, nothing left to fill in, and no namespace in the set."""

import ipaddress
import re

from tests.deploy.rendering import DEPLOY, Manifests

_PART_OF = {"app.kubernetes.io/part-of": "laurel"}


def test_every_document_and_every_pod_has_the_label_to_select_by(scene: Manifests) -> None:
    for document in scene.documents:
        assert document["metadata"]["labels"].items() >= _PART_OF.items(), document["metadata"]["name"]
    for pod in scene.pods():
        assert pod.labels.items() >= _PART_OF.items()
    for document in scene.of("CronJob"):
        assert document["spec"]["jobTemplate"]["metadata"]["labels"].items() >= _PART_OF.items()


def test_no_selector_has_that_label(scene: Manifests) -> None:
    # A selector cannot be changed, so it has only what is the same for ever.
    for document in scene.of("Deployment", "StatefulSet"):
        assert document["spec"]["selector"]["matchLabels"].keys() == {"app.kubernetes.io/name"}


def test_deployments_name_the_type_of_their_strategy(scene: Manifests) -> None:
    for document in scene.of("Deployment"):
        assert document["spec"]["strategy"]["type"] == "RollingUpdate"


def test_lists_of_custom_resources_leave_no_default_out(production: Manifests, scene: Manifests) -> None:
    for rule in production.get("HTTPRoute", "action-gateway")["spec"]["rules"]:
        assert rule["matches"]
        for backend in rule["backendRefs"]:
            assert backend.keys() == {"group", "kind", "name", "port", "weight"}
    for secret in scene.of("ExternalSecret"):
        for source in secret["spec"]["dataFrom"]:
            assert source["extract"].keys() == {
                "key",
                "conversionStrategy",
                "decodingStrategy",
                "metadataPolicy",
            }


def test_networks_have_no_host_bits(scene: Manifests) -> None:
    # Kubernetes warns of 10.1.0.7/24 from 1.33 on, and rejects it from 1.36 on.
    for policy in scene.of("NetworkPolicy"):
        rules = (*policy["spec"].get("ingress", ()), *policy["spec"].get("egress", ()))
        peers = (peer for rule in rules for peer in (*rule.get("from", ()), *rule.get("to", ())))
        for block in (peer["ipBlock"] for peer in peers if "ipBlock" in peer):
            for network in (block["cidr"], *block.get("except", ())):
                assert str(ipaddress.ip_network(network)) == network


def test_production_brings_no_namespace(production: Manifests) -> None:
    # It would be deleted with the set, and with it the Secrets that were made by hand.
    assert not production.of("Namespace")


def test_the_namespace_to_make_enforces_what_that_of_dev_does(dev: Manifests) -> None:
    (namespace,) = dev.of("Namespace")
    labels = namespace["metadata"]["labels"]
    readme = (DEPLOY / "README.md").read_text(encoding="utf-8")
    given = dict(re.findall(r"(pod-security\.kubernetes\.io/\w+)=(\w+)", readme))
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert given == {key: value for key, value in labels.items() if key not in _PART_OF}
