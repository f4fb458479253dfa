"""Hostile input is never the server's fault, and nothing may be logged as if it were."""

import logging
from collections.abc import Iterator

import pytest
from tests.fixtures.secrets import SECRETS
from tests.hostile.tokens.signers import Signers

FAULTS = ("[error", "[critical")


@pytest.fixture(autouse=True)
def no_faults(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Let no test pass in which a service logged an unexpected failure."""
    yield
    said = capsys.readouterr().out + caplog.text
    SECRETS.note_output("what was printed", said)
    assert not [fault for fault in FAULTS if fault in said], said
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR], said


@pytest.fixture(scope="session")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Signers:
    return Signers(tmp_path_factory.mktemp("keys"))
