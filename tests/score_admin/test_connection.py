"""How the command reaches the service."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.score_admin.conftest import Run

from conformance.server.scripted import ScriptedServer, answer
from local_stack.certificates import CertificateFiles
from score_admin.commands import main
from score_admin.connection import make_connection
from score_api.v1 import board_service_pb2 as boards


def test_the_certificate_files_are_needed() -> None:
    ended = CliRunner().invoke(main, ["boards"])

    assert ended.exit_code == 2
    assert "--ca, --certificate, --key, or by --certificates" in ended.stderr


async def test_a_folder_of_cert_manager_will_do(
    server: ScriptedServer, backend_certificate: CertificateFiles, tmp_path: Path, run: Run
) -> None:
    for file, name in (
        (backend_certificate.ca_file, "ca.crt"),
        (backend_certificate.certificate_file, "tls.crt"),
        (backend_certificate.key_file, "tls.key"),
    ):
        shutil.copy(file, tmp_path / name)
    server.script("ListBoards", answer(boards.ListBoardsResponse()))

    ended = await run(f"--certificates={tmp_path}", "boards")

    assert ended.exit_code == 0


async def test_files_that_are_missing_fail_with_their_name(
    server: ScriptedServer, run: Run, tmp_path: Path
) -> None:
    ended = await run(f"--key={tmp_path / 'gone.pem'}", "boards")

    assert ended.exit_code == 1
    assert "gone.pem" in ended.stderr
    assert server.received == []


def test_a_person_that_can_be_in_no_ledger_is_wrong_usage(tmp_path: Path) -> None:
    ended = CliRunner().invoke(main, [f"--certificates={tmp_path}", "--on-behalf-of=Mo Smith", "boards"])

    assert ended.exit_code == 2
    assert "--on-behalf-of takes" in ended.stderr


def test_who_is_logged_in_stands_in_the_ledger_unless_said(monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setenv("LOGNAME", "grace")
    files = {"ca": Path("a"), "certificate": Path("b"), "key": Path("c")}

    def person(said: str | None) -> str:
        return make_connection(
            target="x", certificates=None, files=dict(files), timeout=1, on_behalf_of=said, as_json=False
        ).on_behalf_of

    assert (person(None), person("mo"), person("")) == ("grace", "mo", "")
    monkeypatch.setenv("LOGNAME", "Grace Hopper")
    assert person(None) == ""
