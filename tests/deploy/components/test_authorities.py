"""The component that lets an authority be replaced: it does not come with the certificates."""

import pytest
from tests.deploy.mounted import environment
from tests.deploy.rendering import Manifests, Pod, render


def volume_of(pod: Pod, file: str) -> str:
    """Return the kind of the volume that a file comes from."""
    (name,) = (
        point["name"]
        for point in pod.containers[0]["volumeMounts"]
        if file.rpartition("/")[0] == point["mountPath"]
    )
    (volume,) = (volume for volume in pod.spec["volumes"] if volume["name"] == name)
    return "configMap" if "configMap" in volume else "secret"


@pytest.fixture
def manifests() -> Manifests:
    return render("authorities")


@pytest.mark.parametrize(
    ("service", "files"),
    [
        ("score-service", ("TLS_CERTIFICATE_FILE", "TLS_KEY_FILE", "TLS_CA_FILE")),
        ("action-gateway", ("SCORE_CERTIFICATE_FILE", "SCORE_KEY_FILE", "SCORE_CA_FILE")),
    ],
)
def test_authorities_are_in_a_map_and_the_key_stays_in_the_secret(
    manifests: Manifests, service: str, files: tuple[str, str, str]
) -> None:
    pod = manifests.pod(service)
    found = environment(manifests, pod)
    prefix = service.replace("-", "_").upper()

    volumes = [volume_of(pod, found[f"{prefix}_{name}"]) for name in files]

    assert volumes == ["secret", "secret", "configMap"]
