"""The component that registers outside issuers: a whole folder, so that the gateway follows its changes."""

from tests.deploy.mounted import environment
from tests.deploy.rendering import render


def test_the_gateway_reads_its_issuers_from_the_map_of_the_overlay() -> None:
    manifests = render("ticket-issuers")
    pod = manifests.pod("action-gateway")
    file = environment(manifests, pod)["ACTION_GATEWAY_TICKET_ISSUERS_FILE"]
    folder, _, name = file.rpartition("/")

    assert name == "ticket-issuers.toml"
    [mount] = [one for one in pod.containers[0]["volumeMounts"] if one["mountPath"] == folder]
    assert "subPath" not in mount
    assert mount["readOnly"]
    [volume] = [one for one in pod.spec["volumes"] if one["name"] == mount["name"]]
    assert volume["configMap"] == {"name": "ticket-issuers"}
