"""Settings: read from the environment, rejected with every fault at once."""

from pathlib import Path

import pytest

from action_gateway.settings import DatabaseSettings, LogSettings, OwnerSettings, ServeSettings
from service_runtime.errors import SetupError
from service_runtime.settings import Address, load, variable

PREFIX = "ACTION_GATEWAY_"

KINDS = [LogSettings, OwnerSettings, DatabaseSettings, ServeSettings]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Return an environment with just what is required."""
    file = tmp_path / "file"
    file.write_text("something\n", encoding="ascii")
    required = {
        "DATABASE_DSN": "postgresql://gateway_runtime@db/laurel",
        "MIGRATION_DSN": "postgresql://gateway_owner@db/laurel",
        "REDIS_URL": "redis://cache:6379/0",
        "SCORE_CERTIFICATE_FILE": str(file),
        "SCORE_KEY_FILE": str(file),
        "SCORE_CA_FILE": str(file),
        "ACCESS_KEYS_DIR": str(tmp_path),
        "ACTION_KEYS_DIR": str(tmp_path),
    }
    for name, value in required.items():
        monkeypatch.setenv(PREFIX + name, value)
    return monkeypatch


def faults_of(kind: type[LogSettings]) -> dict[str, str]:
    with pytest.raises(SetupError) as caught:
        load(kind)
    return dict(fault.split(": ", 1) for fault in caught.value.faults)


def test_required_settings_are_enough_and_others_have_the_defaults_of_the_contract(
    environment: pytest.MonkeyPatch,
) -> None:
    settings = load(ServeSettings)

    assert settings.listen == Address("127.0.0.1", 8080)
    assert settings.admin_listen == Address("127.0.0.1", 9091)
    assert settings.access_token_seconds == 15 * 60
    assert settings.refresh_token_seconds == 30 * 86_400
    assert settings.refresh_grace_seconds == 30
    assert settings.action_token_seconds == 10 * 60
    assert settings.attempts_per_token == 5
    assert settings.redis_timeout_seconds == 0.5
    assert settings.database_wait_seconds == 1.5
    assert settings.starts_per_minute == 30
    assert settings.completes_per_minute == 60
    assert settings.logins_per_minute == 10
    assert settings.allowed_origins == ()
    assert settings.registration_enabled


def test_all_missing_settings_are_reported_at_once() -> None:
    assert set(faults_of(ServeSettings)) == {
        "ACTION_GATEWAY_DATABASE_DSN",
        "ACTION_GATEWAY_REDIS_URL",
        "ACTION_GATEWAY_SCORE_CERTIFICATE_FILE",
        "ACTION_GATEWAY_SCORE_KEY_FILE",
        "ACTION_GATEWAY_SCORE_CA_FILE",
        "ACTION_GATEWAY_ACCESS_KEYS_DIR",
        "ACTION_GATEWAY_ACTION_KEYS_DIR",
    }
    assert set(faults_of(OwnerSettings)) == {"ACTION_GATEWAY_MIGRATION_DSN"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LISTEN", "nowhere"),
        ("ADMIN_LISTEN", "host:65536"),
        ("DATABASE_DSN", "nonsense"),
        ("DATABASE_DSN", "postgresql://role:hunter2@db/laurel"),
        ("DATABASE_PASSWORD_FILE", "/does/not/exist"),
        ("REDIS_URL", "http://cache"),
        ("REDIS_URL", "redis://:hunter2@cache"),
        ("REDIS_URL", "redis+sentinel://cache"),
        ("REDIS_URL", "rediss://cache?ssl_cert_reqs=none"),
        ("REDIS_CA_FILE", "/does/not/exist"),
        ("REDIS_PASSWORD_FILE", "/does/not/exist"),
        ("REDIS_PREFIX", "with{brace}"),
        ("SCORE_KEY_FILE", "/does/not/exist"),
        ("READY_FILE", "/"),
        ("READY_FILE", "/does/not/exist"),
        ("BOARD_ID", "two words"),
        ("ACCESS_KEYS_DIR", "/does/not/exist"),
        ("ALLOWED_ORIGINS", "play.example.org"),
        ("ALLOWED_ORIGINS", "https://play.example.org/path"),
        ("ALLOWED_ORIGINS", "*"),
        ("ALLOWED_ORIGINS", "https://b\u00fccher.example"),
        ("TRUSTED_PROXIES", "everyone"),
        ("TRUSTED_PROXIES", "*"),
        ("ATTEMPTS_PER_TOKEN", "0"),
        ("STARTS_PER_MINUTE", "many"),
        ("ACCESS_TOKEN_SECONDS", "0"),
        ("REFRESH_GRACE_SECONDS", "nan"),
        ("REGISTRATION_ENABLED", "perhaps"),
        ("LOG_FORMAT", "xml"),
        ("PREPARE_THRESHOLD", "-1"),
    ],
)
def test_a_fault_is_reported_by_its_variable_without_secrets(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(PREFIX + name, value)
    faults = faults_of(ServeSettings)

    assert set(faults) == {PREFIX + name}
    assert "hunter2" not in str(faults)


def test_secrets_are_read_from_files_and_not_shown(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n", encoding="ascii")
    environment.setenv(f"{PREFIX}DATABASE_PASSWORD_FILE", str(tmp_path / "secret"))
    environment.setenv(f"{PREFIX}REDIS_PASSWORD_FILE", str(tmp_path / "secret"))
    settings = load(ServeSettings)

    assert settings.database_password_file is not None
    assert settings.database_password_file.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(settings)


def test_lists_are_separated_by_commas(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(f"{PREFIX}ALLOWED_ORIGINS", "https://Play.example.org, http://localhost:3000,")
    environment.setenv(f"{PREFIX}TRUSTED_PROXIES", "10.0.0.0/8,::1")
    settings = load(ServeSettings)

    assert settings.allowed_origins == ("https://play.example.org", "http://localhost:3000")
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1")


def test_allowed_origins_are_normalised_as_browsers_send_them(environment: pytest.MonkeyPatch) -> None:
    origins = "https://a.example:443,http://B.example:80,HTTPS://c.example:8443,http://[::1]:443"
    environment.setenv(f"{PREFIX}ALLOWED_ORIGINS", origins)

    assert load(ServeSettings).allowed_origins == (
        "https://a.example",
        "http://b.example",
        "https://c.example:8443",
        "http://[::1]:443",
    )


@pytest.mark.parametrize(("value", "threshold"), [("none", None), ("None", None), ("0", 0), ("auto", "auto")])
def test_statements_need_not_be_prepared(
    environment: pytest.MonkeyPatch, value: str, threshold: int | str | None
) -> None:
    environment.setenv(f"{PREFIX}PREPARE_THRESHOLD", value)

    assert load(ServeSettings).prepare_threshold == threshold


def test_foreign_and_empty_variables_are_ignored(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(f"{PREFIX}PORT", "tcp://10.0.0.1:8080")
    environment.setenv(f"{PREFIX}LISTEN", "")

    assert load(ServeSettings).listen == Address("127.0.0.1", 8080)


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_has_a_description(kind: type[LogSettings]) -> None:
    for name, field in kind.model_fields.items():
        assert field.description, name
        assert variable(kind, name).startswith(PREFIX)


@pytest.mark.parametrize("text", ["127.0.0.1:80", "[::1]:80", "localhost:0"])
def test_an_address_reads_as_it_is_written(text: str) -> None:
    assert str(Address.parse(text)) == text
