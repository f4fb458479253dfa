"""Clients, and servers to try them on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.score_client.renewable import RenewableCertificate

from conformance.server.scripted import ScriptedServer
from local_stack.certificates import CertificateFiles
from score_client import ClientCredentials


@pytest.fixture
def credentials(backend_certificate: CertificateFiles) -> ClientCredentials:
    files = backend_certificate
    return ClientCredentials(files.ca_file, files.certificate_file, files.key_file)


@pytest.fixture
async def server(server_certificate: CertificateFiles) -> AsyncIterator[ScriptedServer]:
    """Return a running server without a script."""
    async with ScriptedServer(server_certificate) as server:
        yield server


@pytest.fixture
def certificate(tmp_path: Path, backend_certificate: CertificateFiles) -> RenewableCertificate:
    """Return a certificate to replace, at first the sample backend's."""
    folder = tmp_path / "tls"
    folder.mkdir()
    return RenewableCertificate(folder, backend_certificate)
