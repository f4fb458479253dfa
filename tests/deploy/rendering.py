"""What `deploy` renders to, and how its documents are walked.

A scene is something to render: each overlay as it is, the base alone, and the base with each component. Run
as a program it writes them to a folder, for the tools that read files.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
OVERLAYS: Final = tuple(sorted(path.name for path in (DEPLOY / "overlays").iterdir() if path.is_dir()))
COMPONENTS: Final = tuple(sorted(path.name for path in (DEPLOY / "components").iterdir() if path.is_dir()))
SCENES: Final = ("base", *COMPONENTS, *OVERLAYS)
SERVICES: Final = ("score-service", "action-gateway")
IMAGES: Final = (*SERVICES, "score-relay")
CUSTOM_GROUPS: Final = (
    "cert-manager.io",
    "external-secrets.io",
    "gateway.networking.k8s.io",
    "monitoring.coreos.com",
)
_DIGEST: Final = f"sha256:{0:064}"

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pod:
    """The pods that a document makes."""

    owner: Document
    template: Document

    @property
    def name(self) -> str:
        """What its label calls it."""
        return str(self.labels["app.kubernetes.io/name"])

    @property
    def labels(self) -> Mapping[str, str]:
        labels: Mapping[str, str] = self.template["metadata"]["labels"]
        return labels

    @property
    def spec(self) -> Document:
        spec: Document = self.template["spec"]
        return spec

    @property
    def containers(self) -> Sequence[Document]:
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    @property
    def ports(self) -> Mapping[str, int]:
        """The ports of all containers, by name."""
        return {
            port["name"]: port["containerPort"]
            for container in self.containers
            for port in container.get("ports", ())
        }


@dataclass(frozen=True, slots=True)
class Manifests:
    """All documents of a scene."""

    documents: Sequence[Document]

    def of(self, *kinds: str) -> list[Document]:
        return [document for document in self.documents if document["kind"] in kinds]

    def get(self, kind: str, name: str) -> Document:
        """Find the only document of this kind and name; the hash of a generated map does not count."""
        (found,) = (
            document
            for document in self.of(kind)
            if document["metadata"]["name"] == name
            or (kind in {"ConfigMap", "Secret"} and document["metadata"]["name"].rpartition("-")[0] == name)
        )
        return found

    def pods(self) -> Iterator[Pod]:
        for document in self.of("Deployment", "StatefulSet", "Job"):
            yield Pod(document, document["spec"]["template"])
        for document in self.of("CronJob"):
            yield Pod(document, document["spec"]["jobTemplate"]["spec"]["template"])

    def pod(self, name: str) -> Pod:
        (found,) = (pod for pod in self.pods() if pod.name == name)
        return found


def selects(selector: Document, labels: Mapping[str, str]) -> bool:
    """Return whether a label selector matches."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for term in selector.get("matchExpressions", ()):
        assert term["operator"] == "In", "other operators are not used"
        if labels.get(term["key"]) not in term["values"]:
            return False
    return True


def kustomize(folder: Path) -> str:
    """Render a folder. Raises CalledProcessError; kubectl says what is wrong."""
    command = [str(Path(sys.executable).with_name("kubectl")), "kustomize", str(folder)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def read(rendered: str) -> Manifests:
    """Read what was rendered."""
    return Manifests([document for document in yaml.load_all(rendered, yaml.CSafeLoader) if document])


def render_text(scene: str) -> str:
    """Render a scene."""
    if scene in OVERLAYS:
        return kustomize(DEPLOY / "overlays" / scene)
    # Kustomize takes relative paths only, also to folders outside.
    with tempfile.TemporaryDirectory() as folder:
        to_deploy = Path(os.path.relpath(DEPLOY.resolve(), Path(folder).resolve()))
        kustomization = {
            "namespace": "laurel",
            "images": [{"name": f"laurel-{service}", "digest": _DIGEST} for service in IMAGES],
            "resources": [str(to_deploy / "base")],
            "components": [str(to_deploy / "components" / scene)] if scene in COMPONENTS else [],
            "transformers": [str(to_deploy / "site")],
        }
        Path(folder, "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")
        return kustomize(Path(folder))


@cache
def render(scene: str) -> Manifests:
    """Render a scene, once."""
    return read(render_text(scene))


def is_custom(document: Document) -> bool:
    """Return whether a document is of a kind that the API server does not have by itself."""
    return document["apiVersion"].partition("/")[0] in CUSTOM_GROUPS


def main() -> None:
    """Write each scene into the folder given, and once into `builtin.yaml` what the API server has."""
    folder = Path(sys.argv[1])
    (folder / "scenes").mkdir(parents=True)
    builtin: dict[str, Document] = {}
    for scene in SCENES:
        text = render_text(scene)
        (folder / "scenes" / f"{scene}.yaml").write_text(text, encoding="utf-8")
        builtin |= {repr(document): document for document in read(text).documents if not is_custom(document)}
    text = yaml.dump_all(builtin.values(), Dumper=yaml.CSafeDumper)
    (folder / "builtin.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
