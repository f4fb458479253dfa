"""Certificate files, fit and unfit."""

import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from local_stack.certificates import CertificateAuthority, CertificateFiles
from score_client import ClientCredentials, CredentialsError, ScoreClient


@pytest.fixture
def files(backend_certificate: CertificateFiles, tmp_path: Path) -> ClientCredentials:
    """Return a copy of the certificate files for the test to spoil."""
    source = backend_certificate
    copies = [
        shutil.copy(path, tmp_path) for path in (source.ca_file, source.certificate_file, source.key_file)
    ]
    return ClientCredentials(*copies)


def test_files_that_belong_together_are_loaded(files: ClientCredentials) -> None:
    fingerprint, _ = files.load()

    assert fingerprint == files.fingerprint()


@pytest.mark.parametrize("name", ["ca_file", "certificate_file", "key_file"])
def test_a_missing_file_is_named(files: ClientCredentials, name: str) -> None:
    path = Path(getattr(files, name))
    path.unlink()

    with pytest.raises(CredentialsError, match=path.name) as caught:
        files.load()
    assert caught.value.reason == "CREDENTIALS_UNUSABLE"


@pytest.mark.parametrize("name", ["ca_file", "certificate_file", "key_file"])
@pytest.mark.parametrize("part", [0, 0.5])
def test_a_half_written_file_is_refused(files: ClientCredentials, name: str, part: float) -> None:
    path = Path(getattr(files, name))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])

    with pytest.raises(CredentialsError):
        files.load()


def test_a_key_of_another_certificate_is_refused(
    files: ClientCredentials, gateway_certificate: CertificateFiles
) -> None:
    shutil.copy(gateway_certificate.key_file, files.key_file)

    with pytest.raises(CredentialsError):
        files.load()


def test_a_key_under_a_password_is_refused_without_asking_for_it(
    authority: CertificateAuthority, files: ClientCredentials
) -> None:
    key = serialization.load_pem_private_key(Path(files.key_file).read_bytes(), password=None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    Path(files.key_file).write_bytes(locked)

    with pytest.raises(CredentialsError):
        files.load()


def test_every_replacement_changes_the_fingerprint(files: ClientCredentials, tmp_path: Path) -> None:
    before = files.fingerprint()
    replacement = tmp_path / "new.pem"
    shutil.copy(files.certificate_file, replacement)
    replacement.rename(files.certificate_file)

    assert files.fingerprint() != before


async def test_a_client_does_not_open_with_unfit_files(files: ClientCredentials) -> None:
    unfit = ClientCredentials(files.ca_file, files.certificate_file, files.ca_file)
    client = ScoreClient("dns:///localhost:1", credentials=unfit)

    with pytest.raises(CredentialsError):
        await client.__aenter__()


def test_the_repr_shows_paths_and_no_key(files: ClientCredentials) -> None:
    assert "PRIVATE" not in repr(files)
