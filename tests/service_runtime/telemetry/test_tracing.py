"""Whether traces are exported, as the environment says."""

import sys

import pytest
from structlog.testing import capture_logs

from service_runtime.errors import SetupError
from service_runtime.telemetry import tracing

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.mark.parametrize(
    ("environment", "asked"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on"}, False),
        ({ENDPOINT: "http://there"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://there"}, True),
        ({ENDPOINT: ""}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_TRACES_EXPORTER": " None ", ENDPOINT: "http://there"}, False),
        ({"OTEL_TRACES_EXPORTER": "", ENDPOINT: "http://there"}, True),
        ({"OTEL_SDK_DISABLED": "TRUE", "OTEL_TRACES_EXPORTER": "otlp"}, False),
        ({"OTEL_SDK_DISABLED": "false", "OTEL_TRACES_EXPORTER": "otlp"}, True),
    ],
)
def test_tracing_is_asked_for_by_the_name_of_an_exporter_or_by_where_its_receiver_is(
    environment: dict[str, str], *, asked: bool
) -> None:
    assert tracing.is_asked_for(environment) is asked


@pytest.mark.parametrize(
    "environment",
    [
        {"OTEL_TRACES_EXPORTER": "pigeon"},
        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "pigeon"},
    ],
)
def test_an_exporter_that_does_not_exist_is_a_fault_of_the_configuration(environment: dict[str, str]) -> None:
    with pytest.raises(SetupError, match="pigeon"), tracing.exporting("service", environment):
        pass


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"])
def test_malformed_headers_for_the_receiver_are_a_fault_and_shown_to_nobody(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    environment = {"OTEL_TRACES_EXPORTER": "otlp", name: "tenant=laurel, Authorization: Bearer hunter2"}

    with pytest.raises(SetupError, match=name) as rejection, tracing.exporting("service", environment):
        pass
    assert "hunter2" not in f"{rejection.value}{caplog.text}"


def test_tracing_that_is_asked_for_and_not_installed_is_reported_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with capture_logs() as logs, tracing.exporting("service", {"OTEL_TRACES_EXPORTER": "otlp"}):
        assert not tracing.is_on()
    assert [line["log_level"] for line in logs] == ["warning"]
