"""The dashboard: Prometheus can read its queries, what they ask for exists, and its file is up to date."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import yaml
from grafana_foundation_sdk.models.dashboard import Dashboard
from tests.deploy.monitoring.catalogue import ROOT, find_faults
from tests.deploy.monitoring.test_rules import known_metrics
from tests.deploy.rendering import Manifests
from tests.fixtures.programs import find_promtools

FOLDER: Final = ROOT / "deploy/components/monitoring"
MODEL: Final[dict[str, Any]] = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
PANELS: Final = [panel for panel in MODEL["panels"] if panel["type"] != "row"]


def queries() -> list[str]:
    """Give the queries with Grafana's variables filled in."""
    written = [target["expr"] for panel in PANELS for target in panel["targets"]]
    return [query.replace("$__rate_interval", "2m").replace("$namespace", "laurel") for query in written]


def test_the_file_is_what_the_program_writes() -> None:
    command = [sys.executable, str(FOLDER / "dashboard.py")]
    written = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert written == (FOLDER / "dashboard.json").read_text(encoding="utf-8"), "run make dashboard"


def test_it_can_be_read_as_a_dashboard_of_grafana() -> None:
    read = Dashboard.from_json(MODEL)
    assert (read.title, read.uid) == ("Laurel", "laurel")
    assert [variable.name for variable in read.templating.list_val or ()] == ["datasource", "namespace"]
    numbers = [panel["id"] for panel in MODEL["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_its_queries_ask_for_metrics_labels_and_values_that_the_services_export() -> None:
    assert [fault for query in queries() for fault in find_faults(query, known_metrics())] == []


def test_every_query_is_of_the_chosen_namespaces_alone() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            selectors = re.findall(r"\{[^}]*\}", target["expr"])
            assert selectors, target["expr"]
            assert all('namespace=~"$namespace"' in selector for selector in selectors), target["expr"]


def test_legends_name_labels_that_the_query_leaves() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            grouped = re.findall(r"by \(([^)]*)\)", target["expr"])
            named = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
            assert set(named) <= set(", ".join(grouped).split(", ")), panel["title"]


def test_promtool_can_read_every_query(tmp_path: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries())]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    for promtool in find_promtools():
        command = [promtool, "check", "rules", str(file)]
        checked = subprocess.run(command, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_sidecar_of_grafana_finds_it(production: Manifests) -> None:
    dashboard = production.get("ConfigMap", "laurel-dashboard")
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(dashboard["data"]["laurel.json"]) == MODEL
