"""What backends and moderators share: one client of a real score service."""

from collections.abc import AsyncIterator

import pytest
from tests.fixtures.services.score_service import ScoreService

from faults.backends.backend import Backend
from faults.model.history import History
from local_stack.certificates import CertificateFiles
from score_client import ClientCredentials, ScoreClient


@pytest.fixture
async def backend(
    score_service: ScoreService, backend_certificate: CertificateFiles
) -> AsyncIterator[Backend]:
    files = backend_certificate
    credentials = ClientCredentials(files.ca_file, files.certificate_file, files.key_file)
    async with ScoreClient(score_service.target, credentials=credentials) as client:
        yield Backend("backend-1", client, History())
