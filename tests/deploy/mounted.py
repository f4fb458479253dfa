"""A pod's files, made in a folder, and its environment with the paths moved there."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.rendering import Document, Manifests, Pod

Contents = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Mounted:
    """A pod as its process sees it."""

    environment: dict[str, str]
    folder: Path

    def path(self, inside: str) -> Path:
        """Return where a path of the container is."""
        return self.folder / inside.removeprefix("/")


def mount(manifests: Manifests, pod: Pod, folder: Path, issue: Callable[[str], Contents]) -> Mounted:
    """Make the files of the pod's first container.

    Args:
        manifests: where the maps and Secrets are.
        pod: whose files.
        folder: gets them.
        issue: gives the contents of a Secret that the cluster makes.
    """
    volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
    for point in pod.containers[0]["volumeMounts"]:
        target = folder / point["mountPath"].removeprefix("/")
        target.mkdir(parents=True, exist_ok=True)
        for name, text in _contents(manifests, volumes.get(point["name"], {}), issue).items():
            (target / name).write_text(text, encoding="utf-8")
    moved = {name: _move(value, folder) for name, value in environment(manifests, pod).items()}
    return Mounted(moved, folder)


def environment(manifests: Manifests, pod: Pod) -> dict[str, str]:
    """Put together what the first container of a pod finds in its environment."""
    container = pod.containers[0]
    found: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        found |= _map(manifests, source["configMapRef"]["name"])
    found |= {entry["name"]: entry.get("value", "") for entry in container.get("env", ())}
    return found


def read_secret(secret: Document) -> Contents:
    """Read a Secret."""
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def _contents(manifests: Manifests, volume: Document, issue: Callable[[str], Contents]) -> Contents:
    if "configMap" in volume:
        source = volume["configMap"]
        names = {document["metadata"]["name"] for document in manifests.of("ConfigMap")}
        absent = source.get("optional") and source["name"] not in names
        contents = {} if absent else _map(manifests, source["name"])
    elif "secret" in volume:
        source = volume["secret"]
        here = {document["metadata"]["name"]: document for document in manifests.of("Secret")}
        name = source["secretName"]
        contents = read_secret(here[name]) if name in here else issue(name)
    else:
        return {}
    items = source.get("items")
    return {item["path"]: contents[item["key"]] for item in items} if items else contents


def _map(manifests: Manifests, name: str) -> Contents:
    (found,) = (document for document in manifests.of("ConfigMap") if document["metadata"]["name"] == name)
    data: Contents = found["data"]
    return data


def _move(value: str, folder: Path) -> str:
    return f"{folder}{value}" if value.startswith(("/run/", "/etc/")) else value
