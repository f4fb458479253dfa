"""Certificate files, fit and unfit."""

import itertools
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from tests.fixtures.certificates import BACKEND_ID, with_unknown_version
from tests.fixtures.secret_volume import SecretVolume

from local_stack.certificates import CertificateAuthority, CertificateFiles
from score_client import CertificateStatus, ClientCredentials, CredentialsError, ScoreClient


@pytest.fixture
def files(backend_certificate: CertificateFiles, tmp_path: Path) -> ClientCredentials:
    """Return a copy of the certificate files for the test to spoil."""
    source = backend_certificate
    copies = [
        shutil.copy(path, tmp_path) for path in (source.ca_file, source.certificate_file, source.key_file)
    ]
    return ClientCredentials(*copies)


def test_files_that_belong_together_are_loaded(files: ClientCredentials) -> None:
    assert files.load().fingerprint == files.fingerprint()


@pytest.mark.parametrize("read", [1, 2])
def test_files_that_are_switched_while_they_are_read_are_never_mixed(
    read: int,
    backend_certificate: CertificateFiles,
    foreign_authority: CertificateAuthority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    volume = SecretVolume(tmp_path / "tls", backend_certificate)
    replacement = foreign_authority.issue("sample-backend", uris=[BACKEND_ID])
    paths: list[Path] = []
    read_bytes = Path.read_bytes

    def read_and_switch(path: Path) -> bytes:
        pem = read_bytes(path)
        if path.parent == tmp_path / "tls":
            paths.append(path)
            if len(paths) == read:
                volume.put(replacement)
        return pem

    monkeypatch.setattr(Path, "read_bytes", read_and_switch)
    files = volume.files
    loaded = ClientCredentials(files.ca_file, files.certificate_file, files.key_file).load()

    assert list(loaded.files.authorities.trusted) == [foreign_authority.certificate]
    loaded.files.pair.chain[0].verify_directly_issued_by(foreign_authority.certificate)
    assert len(paths) == 6


def test_files_that_never_stay_the_same_are_rejected(
    files: ClientCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = itertools.count()
    monkeypatch.setattr(ClientCredentials, "fingerprint", lambda _: ((next(numbers), 0, 0),))

    with pytest.raises(CredentialsError, match="changed while they were read"):
        files.load()


def test_a_bundle_that_is_cut_off_is_rejected(
    files: ClientCredentials, foreign_authority: CertificateAuthority
) -> None:
    bundle = Path(files.ca_file).read_bytes() + foreign_authority.ca_file.read_bytes()
    Path(files.ca_file).write_bytes(bundle[:-100])

    with pytest.raises(CredentialsError, match=r"ca\.pem is cut off"):
        files.load()


def test_the_expiry_of_the_certificate_and_of_its_authority_is_reported(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    old = CertificateAuthority.open(tmp_path / "old", now=now - timedelta(days=3649))
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(old.ca_file.read_bytes() + authority.ca_file.read_bytes())

    def status(issuer: CertificateAuthority) -> CertificateStatus:
        issued = issuer.issue("backend", uris=[BACKEND_ID])
        return ClientCredentials(bundle, issued.certificate_file, issued.key_file).load().status(None, now)

    assert now + timedelta(days=29) < status(authority).not_after < now + timedelta(days=31)
    assert status(authority).authority_not_after == authority.certificate.not_valid_after_utc
    assert status(old).authority_not_after == old.certificate.not_valid_after_utc
    stranger = CertificateAuthority.open(tmp_path / "stranger")
    assert status(stranger).authority_not_after == old.certificate.not_valid_after_utc


@pytest.mark.parametrize("name", ["ca_file", "certificate_file", "key_file"])
def test_a_missing_file_is_named(files: ClientCredentials, name: str) -> None:
    path = Path(getattr(files, name))
    path.unlink()

    with pytest.raises(CredentialsError, match=path.name) as caught:
        files.load()
    assert caught.value.reason == "CREDENTIALS_UNUSABLE"


@pytest.mark.parametrize("name", ["ca_file", "certificate_file", "key_file"])
@pytest.mark.parametrize("part", [0, 0.5])
def test_a_half_written_file_is_rejected(files: ClientCredentials, name: str, part: float) -> None:
    path = Path(getattr(files, name))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])

    with pytest.raises(CredentialsError):
        files.load()


def test_a_certificate_of_no_known_version_is_rejected(
    files: ClientCredentials, authority: CertificateAuthority
) -> None:
    Path(files.ca_file).write_bytes(with_unknown_version(authority.certificate))

    with pytest.raises(CredentialsError, match="is not a certificate in PEM"):
        files.load()


def test_a_key_of_another_certificate_is_rejected(
    files: ClientCredentials, gateway_certificate: CertificateFiles
) -> None:
    shutil.copy(gateway_certificate.key_file, files.key_file)

    with pytest.raises(CredentialsError):
        files.load()


def test_a_key_under_a_password_is_rejected_without_asking_for_it(
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
