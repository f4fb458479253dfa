"""Writes the documents of custom resources as a TypeScript program that checks them.

Its compiler rejects fields that a resource does not have, which a cluster would silently drop; the program,
run, checks every value as the cluster would. Types and checks are those of `@kubernetes-models`, from the
definitions of the resources.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.deploy.rendering import Document, is_custom, read

_PACKAGES: Final = {
    "cert-manager.io": "cert-manager",
    "external-secrets.io": "external-secrets",
    "gateway.networking.k8s.io": "gateway-api",
    "monitoring.coreos.com": "prometheus-operator",
}
_HEAD: Final = """
const faults: string[] = [];
function check(words: string, document: { validate(): void }) {
  try { document.validate(); } catch (error) { faults.push(`${words}: ${error}`); }
}
"""
_TAIL: Final = 'if (faults.length > 0) throw new Error(faults.join("\\n"));\n'


def write_program(documents: dict[str, Document]) -> str:
    """Write the program that checks documents, each under the words that name it."""
    checks = (line for index, item in enumerate(documents.items()) for line in _check(index, *item))
    return "\n".join([_HEAD, *checks, _TAIL])


def _check(index: int, words: str, document: Document) -> Iterator[str]:
    group, _, version = str(document["apiVersion"]).partition("/")
    kind = document["kind"]
    module = f"@kubernetes-models/{_PACKAGES[group]}/{group}/{version}/{kind}"
    yield f"// {words}"
    yield f'import {{ {kind} as Kind{index}, type I{kind} as Type{index} }} from "{module}";'
    yield f"const document{index}: Type{index} = {json.dumps(document, indent=2)};"
    yield f"check({json.dumps(words)}, new Kind{index}(document{index}));"


def main() -> None:
    """Write the program that checks a folder of rendered scenes into the file given."""
    scenes, program = map(Path, sys.argv[1:])
    custom: dict[str, Document] = {}
    for scene in sorted(scenes.iterdir()):
        for document in filter(is_custom, read(scene.read_text(encoding="utf-8")).documents):
            custom[f"{scene.stem}: {document['kind']} {document['metadata']['name']}"] = document
    program.write_text(write_program(custom), encoding="utf-8")


if __name__ == "__main__":
    main()
