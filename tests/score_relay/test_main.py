"""The commands of the relay as an operator runs them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fixtures.services.relay import RelayDatabase

from local_stack.certificates import CertificateFiles


def run(*words: str, **settings: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {f"SCORE_RELAY_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "score_relay", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_all_faults_of_the_settings_are_told_at_once() -> None:
    result = run("serve", log_level="loud")

    assert result.returncode == 2
    faults = {line.partition(":")[0] for line in result.stderr.splitlines()}
    assert faults >= {
        "SCORE_RELAY_LOG_LEVEL",
        "SCORE_RELAY_DATABASE_DSN",
        "SCORE_RELAY_RECEIVERS_FILE",
        "SCORE_RELAY_SCORE_CA_FILE",
    }


@pytest.fixture
def settings(
    relay_database: RelayDatabase, backend_certificate: CertificateFiles, tmp_path: Path
) -> dict[str, object]:
    return {
        "database_dsn": relay_database.login.url,
        "database_password_file": relay_database.login.password_file,
        "receivers_file": tmp_path / "receivers.toml",
        "score_certificate_file": backend_certificate.certificate_file,
        "score_key_file": backend_certificate.key_file,
        "score_ca_file": backend_certificate.ca_file,
        "admin_listen": "127.0.0.1:0",
        "ready_file": tmp_path / "ready",
    }


def write_receivers(folder: Path) -> None:
    (folder / "secret").write_text("whsec_" + "QUFB" * 8, encoding="ascii")
    (folder / "receivers.toml").write_text(
        '[[receiver]]\nname = "shop"\nurl = "http://localhost:1/"\nboards = ["main"]\n'
        f'secret_files = ["{folder / "secret"}"]\n',
        encoding="utf-8",
    )


def test_a_faulty_file_of_receivers_is_told(settings: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "receivers.toml").write_text("[[receiver]]\n", encoding="utf-8")

    result = run("serve", **settings)

    assert result.returncode == 2
    assert f"{tmp_path / 'receivers.toml'}: receiver[0].name: is missing" in result.stderr.splitlines()


@pytest.mark.parametrize("unusable", ["", "not a key"])
def test_a_key_file_that_cannot_be_used_is_told(
    settings: dict[str, object], tmp_path: Path, unusable: str
) -> None:
    write_receivers(tmp_path)
    (tmp_path / "key.pem").write_text(unusable, encoding="ascii")

    result = run("serve", **settings | {"score_key_file": tmp_path / "key.pem"})

    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("the certificate for the score service cannot be used: ")
    assert f"{tmp_path / 'key.pem'}" in line


def test_serve_ends_in_order_at_sigterm(settings: dict[str, object], tmp_path: Path) -> None:
    write_receivers(tmp_path)
    environment = os.environ | {f"SCORE_RELAY_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "score_relay", "serve"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "listening" in line:
                break
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()

    assert process.returncode == 0
    assert "stopped" in rest
