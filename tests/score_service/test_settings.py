"""Settings: read from the environment, rejected with every fault at once."""

from pathlib import Path

import pytest

from local_stack.certificates import CertificateFiles
from score_service.process.parts import hub_settings
from score_service.settings import (
    LogSettings,
    MigrateSettings,
    RecordSettings,
    ServeSettings,
    StoreSettings,
)
from score_service.stream.hub import HubSettings
from service_runtime.errors import SetupError
from service_runtime.settings import Address, load, reveal, variable

PREFIX = "SCORE_SERVICE_"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Return an environment with just what is required."""
    file = tmp_path / "file"
    file.write_text("something\n", encoding="ascii")
    required = {
        "DATABASE_DSN": "postgresql://score_runtime@db/laurel",
        "REDIS_URL": "redis://cache:6379/0",
        "TLS_CERTIFICATE_FILE": str(file),
        "TLS_KEY_FILE": str(file),
        "TLS_CA_FILE": str(file),
        "POLICY_FILE": str(file),
    }
    for name, value in required.items():
        monkeypatch.setenv(PREFIX + name, value)
    return monkeypatch


def faults_of(kind: type[LogSettings]) -> dict[str, str]:
    with pytest.raises(SetupError) as caught:
        load(kind)
    return dict(fault.split(": ", 1) for fault in caught.value.faults)


def test_the_required_ones_are_enough(environment: pytest.MonkeyPatch) -> None:
    settings = load(ServeSettings)
    assert settings.listen == Address("127.0.0.1", 50051)
    assert settings.admin_listen == Address("127.0.0.1", 9090)
    assert settings.database_password_file is None
    assert settings.redis_prefix == "laurel:"


def test_every_missing_one_is_named_at_once() -> None:
    assert set(faults_of(ServeSettings)) == {
        "SCORE_SERVICE_DATABASE_DSN",
        "SCORE_SERVICE_REDIS_URL",
        "SCORE_SERVICE_TLS_CERTIFICATE_FILE",
        "SCORE_SERVICE_TLS_KEY_FILE",
        "SCORE_SERVICE_TLS_CA_FILE",
        "SCORE_SERVICE_POLICY_FILE",
    }
    assert set(faults_of(MigrateSettings)) == {"SCORE_SERVICE_MIGRATION_DSN"}


def test_commands_that_serve_nothing_want_no_more_than_their_stores() -> None:
    assert set(faults_of(RecordSettings)) == {"SCORE_SERVICE_DATABASE_DSN"}
    assert set(faults_of(StoreSettings)) == {"SCORE_SERVICE_DATABASE_DSN", "SCORE_SERVICE_REDIS_URL"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LISTEN", "nowhere"),
        ("LISTEN", "host:65536"),
        ("LISTEN", "[::1:80"),
        ("ADMIN_LISTEN", "host:-1"),
        ("DATABASE_DSN", "nonsense"),
        ("DATABASE_DSN", "postgresql://role:hunter2@db/laurel"),
        ("DATABASE_DSN", "host=db password=hunter2"),
        ("REDIS_URL", "http://cache"),
        ("REDIS_URL", "redis://:hunter2@cache"),
        ("REDIS_URL", "redis://cache?password=hunter2"),
        ("REDIS_URL", "redis+sentinel://cache"),
        ("REDIS_URL", "rediss://cache?ssl_cert_reqs=none&hunter2"),
        ("REDIS_CA_FILE", "/does/not/exist"),
        ("REDIS_PREFIX", "with space"),
        ("REDIS_PREFIX", "with{brace}"),
        ("DATABASE_PASSWORD_FILE", "/does/not/exist"),
        ("TLS_KEY_FILE", "/does/not/exist"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
        ("PREPARE_THRESHOLD", "-1"),
        ("PREPARE_THRESHOLD", "some"),
        ("DRAIN_SECONDS", "-1"),
        ("STOP_SECONDS", "inf"),
        ("TLS_RELOAD_SECONDS", "0"),
        ("REFLECTION", "perhaps"),
    ],
)
def test_a_faulty_one_is_named_and_its_value_is_not_shown(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(PREFIX + name, value)
    faults = faults_of(ServeSettings)
    assert set(faults) == {PREFIX + name}
    assert "hunter2" not in faults[PREFIX + name]


def test_files_for_redis_that_its_url_does_not_use_are_faults(
    environment: pytest.MonkeyPatch, backend_certificate: CertificateFiles
) -> None:
    files = {
        "REDIS_SENTINEL_PASSWORD_FILE": backend_certificate.ca_file,
        "REDIS_CA_FILE": backend_certificate.ca_file,
        "REDIS_CERTIFICATE_FILE": backend_certificate.certificate_file,
        "REDIS_KEY_FILE": backend_certificate.key_file,
    }
    for name, file in files.items():
        environment.setenv(PREFIX + name, str(file))
    assert set(faults_of(ServeSettings)) == {PREFIX + name for name in files}
    environment.setenv(f"{PREFIX}REDIS_URL", "rediss+sentinel://cache/ranks")
    assert load(ServeSettings).redis_key_file == backend_certificate.key_file


def test_certificate_for_redis_goes_with_its_key(
    environment: pytest.MonkeyPatch,
    backend_certificate: CertificateFiles,
    server_certificate: CertificateFiles,
) -> None:
    environment.setenv(f"{PREFIX}REDIS_URL", "rediss://cache")
    environment.setenv(f"{PREFIX}REDIS_CERTIFICATE_FILE", str(backend_certificate.certificate_file))
    assert set(faults_of(ServeSettings)) == {f"{PREFIX}REDIS_KEY_FILE"}
    environment.setenv(f"{PREFIX}REDIS_KEY_FILE", str(server_certificate.key_file))
    assert set(faults_of(ServeSettings)) == {f"{PREFIX}REDIS_KEY_FILE"}
    environment.setenv(f"{PREFIX}REDIS_KEY_FILE", str(backend_certificate.key_file))
    assert load(ServeSettings).redis_certificate_file == backend_certificate.certificate_file


def test_several_faulty_ones_are_all_named(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SCORE_SERVICE_LISTEN", "nowhere")
    environment.setenv("SCORE_SERVICE_LOG_LEVEL", "loud")
    environment.delenv("SCORE_SERVICE_REDIS_URL")
    assert set(faults_of(ServeSettings)) == {
        "SCORE_SERVICE_LISTEN",
        "SCORE_SERVICE_LOG_LEVEL",
        "SCORE_SERVICE_REDIS_URL",
    }


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:0", Address("0.0.0.0", 0)),
        ("localhost:65535", Address("localhost", 65535)),
        ("[::1]:80", Address("::1", 80)),
    ],
)
def test_an_address_reads_as_it_is_written(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert str(address) == text


def test_a_password_comes_from_its_file_without_the_line_end(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("hunter2\n", encoding="ascii")
    environment.setenv("SCORE_SERVICE_DATABASE_PASSWORD_FILE", str(file))
    settings = load(ServeSettings)
    assert reveal(settings.database_password_file) == "hunter2"
    assert "hunter2" not in repr(settings)


def test_an_empty_password_file_is_a_fault(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.touch()
    environment.setenv("SCORE_SERVICE_REDIS_PASSWORD_FILE", str(file))
    assert set(faults_of(ServeSettings)) == {"SCORE_SERVICE_REDIS_PASSWORD_FILE"}


@pytest.mark.parametrize(("text", "threshold"), [("none", None), ("None", None), ("0", 0), ("auto", "auto")])
def test_prepared_statements_can_be_switched_off(
    environment: pytest.MonkeyPatch, text: str, threshold: int | str | None
) -> None:
    environment.setenv("SCORE_SERVICE_PREPARE_THRESHOLD", text)
    assert load(ServeSettings).prepare_threshold == threshold


def test_variables_that_kubernetes_adds_for_a_service_are_let_pass(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SCORE_SERVICE_PORT", "tcp://10.0.0.1:50051")
    environment.setenv("SCORE_SERVICE_SERVICE_HOST", "10.0.0.1")
    assert load(ServeSettings).listen.port == 50051


def test_an_empty_variable_counts_as_not_set(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SCORE_SERVICE_LISTEN", "")
    assert load(ServeSettings).listen.port == 50051


def test_fields_name_their_variables() -> None:
    assert variable(ServeSettings, "listen") == "SCORE_SERVICE_LISTEN"
    assert variable(ServeSettings, "database_password_file") == "SCORE_SERVICE_DATABASE_PASSWORD_FILE"


def test_watches_without_settings_have_the_defaults_of_the_hub(environment: pytest.MonkeyPatch) -> None:
    assert hub_settings(load(ServeSettings)) == HubSettings()


def test_watches_can_be_set(environment: pytest.MonkeyPatch) -> None:
    for name, value in {
        "WATCH_TICK_SECONDS": "0.2",
        "WATCH_POLL_SECONDS": "3",
        "WATCH_CHECKPOINT_SECONDS": "7",
        "WATCH_RESUME_MAX": "0",
        "WATCHERS_MAX": "9",
        "PROJECTOR_SECONDS": "0.1",
    }.items():
        environment.setenv(PREFIX + name, value)

    settings = load(ServeSettings)

    assert hub_settings(settings) == HubSettings(0.2, 3, 7, 0, 9)
    assert settings.projector_seconds == 0.1


def test_watches_must_be_able_to_send(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(f"{PREFIX}WATCH_TICK_SECONDS", "0")
    environment.setenv(f"{PREFIX}WATCH_RESUME_MAX", "20001")

    assert set(faults_of(ServeSettings)) == {f"{PREFIX}WATCH_TICK_SECONDS", f"{PREFIX}WATCH_RESUME_MAX"}
