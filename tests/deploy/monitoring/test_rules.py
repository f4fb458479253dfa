"""The alerts: promtool's tests of them are whole, they ask for what there is, and each says what to do."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Final

import pytest
import yaml
from tests.deploy.monitoring.catalogue import ROOT, UP, Metric, all_metrics, find_faults, find_labels
from tests.deploy.rendering import Manifests, render
from tests.fixtures.programs import PROMTOOL_3, find_program

from action_gateway.settings import ServeSettings as GatewaySettings
from score_relay.settings import ServeSettings as RelaySettings
from score_service.settings import ServeSettings
from service_runtime.settings import variable

FOLDER: Final = ROOT / "deploy/components/monitoring"
RULES: Final = [
    rule
    for group in yaml.safe_load((FOLDER / "rules.yaml").read_text(encoding="utf-8"))["spec"]["groups"]
    for rule in group["rules"]
]
ALERTS: Final = {rule["alert"]: rule for rule in RULES if "alert" in rule}
TESTS: Final = yaml.safe_load((FOLDER / "rules.test.yaml").read_text(encoding="utf-8"))["tests"]


def known_metrics() -> dict[str, Metric]:
    """Give all metrics that there are: those of the services, and those that the rules record."""
    records = [(rule["record"], rule) for rule in RULES if "record" in rule]
    recorded = {
        name: Metric(name, "gauge", find_labels(rule["expr"]) | set(rule.get("labels", ())))
        for name, rule in records
    }
    return {**all_metrics(), **recorded, "up": UP}


def read_runbooks() -> dict[str, str]:
    """Read the sections on alerts in docs/runbooks, by page and anchor as a URL has them."""
    sections = {}
    for page in sorted((ROOT / "docs/runbooks").glob("*.md")):
        parts = re.split(r"^## (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
        for heading, part in zip(parts[::2], parts[1::2], strict=True):
            anchor = re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
            sections[f"{page.name}#{anchor}"] = part
    return sections


def find_section(rule: Mapping[str, Any]) -> str:
    """Give the page and anchor that an alert links to."""
    base, _, section = rule["annotations"]["runbook_url"].partition("/runbooks/")
    assert base.endswith("/docs")
    return str(section)


@pytest.mark.parametrize(
    "promtool",
    [
        "promtool",
        pytest.param(
            PROMTOOL_3,
            marks=pytest.mark.skipif(shutil.which(PROMTOOL_3) is None, reason="Debian 12 has Prometheus 2"),
        ),
    ],
)
def test_the_rules_pass_their_tests_by_promtool(promtool: str) -> None:
    command = [sys.executable, str(FOLDER / "check_rules.py"), find_program(promtool)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_tested_where_it_fires_and_where_it_nearly_does(alert: str) -> None:
    (test,) = (test for test in TESTS if test["name"].partition(":")[0] == alert)
    (expected,) = test["alert_rule_test"]
    firing = {told["exp_labels"].get("namespace") for told in expected["exp_alerts"]}
    given = set(re.findall(r'namespace="(\w+)"', str(test["input_series"])))
    assert expected["alertname"] == alert
    assert firing & given, "it fires for one of the series given"
    assert given - firing, "and does not for another one"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_metrics_labels_and_values_that_the_services_export(rule: Mapping[str, Any]) -> None:
    assert list(find_faults(rule["expr"], known_metrics())) == []


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_says_how_urgent_it_is_what_it_is_and_where_to_read_what_to_do(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"] in ({"severity": "page"}, {"severity": "ticket"})
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert "{{ $" in rule["annotations"]["description"]
    assert f"`{alert}`" in read_runbooks()[find_section(rule)]


def test_every_section_on_alerts_is_of_some_alert() -> None:
    linked = {find_section(rule) for rule in ALERTS.values()}
    named = {name for text in read_runbooks().values() for name in re.findall(r"`(Laurel\w+)`", text)}
    assert set(read_runbooks()) == linked
    assert named == set(ALERTS)


def test_the_sections_name_metrics_settings_and_events_that_there_are() -> None:
    text = "".join(read_runbooks().values())
    names = set(re.findall(r"\b(?:(?:laurel|gateway|relay|grpc_server)_[a-z_]+|namespace:[a-z0-9_:]+)", text))
    assert names - {"gateway_runtime", "relay_owner"} <= set(known_metrics())
    settings = {
        variable(model, field)
        for model in (ServeSettings, GatewaySettings, RelaySettings)
        for field in model.model_fields
    }
    assert set(re.findall(r"\b(?:SCORE_SERVICE|ACTION_GATEWAY|SCORE_RELAY)_[A-Z_]+", text)) <= settings
    for service, quoted, word in re.findall(r"events (\S+) (?:'([^']+)'|(\w+))", text):
        packages = (service.replace("-", "_"), "service_runtime")
        modules = [path for package in packages for path in (ROOT / "src" / package).rglob("*.py")]
        event = f'"{quoted or word}"'
        assert any(event in module.read_text(encoding="utf-8") for module in modules), event


def test_where_the_runbooks_are_is_said_once(production: Manifests) -> None:
    (rule,) = production.of("PrometheusRule")
    urls = {
        rule["annotations"]["runbook_url"].partition("/runbooks/")[0]
        for group in rule["spec"]["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    overlay = (ROOT / "deploy/overlays/production/kustomization.yaml").read_text(encoding="utf-8")
    assert [f"  - runbooks={url}" for url in urls] == re.findall(r"^  - runbooks=.*$", overlay, re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "scene"),
    [("score-service", "base"), ("action-gateway", "base"), ("score-relay", "score-relay")],
)
def test_every_pod_is_scraped_under_the_name_that_the_rules_know(
    production: Manifests, name: str, scene: str
) -> None:
    monitor, pod = production.get("PodMonitor", name), render(scene).pod(name)
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= pod.labels.items()
    assert pod.labels[monitor["spec"]["jobLabel"]] == name
    assert endpoint["port"] in pod.ports
