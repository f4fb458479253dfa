"""What `make deploy-check` runs, as far as it needs none of its tools."""

import subprocess
from pathlib import Path

from tests.deploy.custom_resources import write_program
from tests.deploy.rendering import DEPLOY, is_custom, render


def test_a_missing_tool_is_told_in_one_line(tmp_path: Path) -> None:
    command = [str(DEPLOY / "check.sh"), str(tmp_path / "bin"), str(tmp_path / "tools")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (1, "")
    missing = f"{tmp_path}/bin/python is missing; make it with make deploy-check."
    assert result.stderr == f"deploy-check: {missing}\n"


def test_every_custom_resource_is_checked_by_the_model_of_its_version() -> None:
    documents = render("cert-manager").documents
    custom = {document["metadata"]["name"]: document for document in documents if is_custom(document)}
    program = write_program(custom)
    assert custom.keys() == {"score-service", "action-gateway"}
    assert '"@kubernetes-models/cert-manager/cert-manager.io/v1/Certificate"' in program
    for name in custom:
        assert f'check("{name}", new Kind' in program
