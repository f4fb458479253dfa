"""Folders of signing keys."""

import base64
import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from tests.fixtures.services.gateway import add_signing_key

from action_gateway.accounts.keys import KeyFolder
from service_runtime.errors import SetupError


class MovableTime:
    """A monotonic clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def test_the_last_file_by_name_signs_and_all_verify(folder: Path) -> None:
    older, newest = add_signing_key(folder, "2026-01"), add_signing_key(folder, "2026-02")
    keys = KeyFolder(folder)

    assert keys.signing_key().private.private_bytes_raw() == newest.private_bytes_raw()
    found = [keys.find(key_id) for key_id in keys.key_ids()]
    assert {key.public.public_bytes_raw() for key in found if key} == {
        older.public_key().public_bytes_raw(),
        newest.public_key().public_bytes_raw(),
    }


def test_keys_are_published_without_their_secret_half_under_their_thumbprint(folder: Path) -> None:
    public = add_signing_key(folder).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    x = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
    members = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":"))
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(members.encode()).digest()).rstrip(b"=").decode()

    assert KeyFolder(folder).to_jwks() == {
        "keys": [{"crv": "Ed25519", "kty": "OKP", "x": x, "kid": thumbprint, "use": "sig", "alg": "EdDSA"}]
    }


def test_a_key_that_is_added_signs_without_a_restart(folder: Path) -> None:
    add_signing_key(folder, "1")
    time = MovableTime()
    keys = KeyFolder(folder, time)
    added = add_signing_key(folder, "2")
    time.seconds += 6

    assert keys.signing_key().private.private_bytes_raw() == added.private_bytes_raw()
    assert len(keys.to_jwks()["keys"]) == 2


def test_an_unknown_key_is_looked_up_at_once(folder: Path) -> None:
    add_signing_key(folder, "1")
    time = MovableTime()
    keys = KeyFolder(folder, time)
    add_signing_key(folder, "2")
    added = next(iter(KeyFolder(folder).key_ids() - keys.key_ids()))
    time.seconds += 1

    assert keys.find(added) is not None


def test_a_key_that_is_removed_does_not_verify_any_more(folder: Path) -> None:
    add_signing_key(folder, "1")
    time = MovableTime()
    keys = KeyFolder(folder, time)
    removed = keys.signing_key().key_id
    add_signing_key(folder, "2")
    (folder / "1.pem").unlink()
    time.seconds += 6

    assert keys.find(removed) is None


@pytest.mark.parametrize("broken", [b"", b"-----BEGIN PRIVATE KEY-----\nrubbish", None])
def test_a_broken_folder_leaves_the_keys_as_they_were(folder: Path, broken: bytes | None) -> None:
    add_signing_key(folder, "1")
    time = MovableTime()
    keys = KeyFolder(folder, time)
    before = keys.signing_key()
    if broken is None:
        (folder / "1.pem").unlink()
    else:
        (folder / "2.pem").write_bytes(broken)
    time.seconds += 6

    assert keys.signing_key() == before


def test_a_folder_without_a_usable_key_stops_the_start(folder: Path) -> None:
    folder.mkdir()
    with pytest.raises(SetupError, match="holds no"):
        KeyFolder(folder)

    (folder / "1.pem").write_bytes(b"rubbish")
    with pytest.raises(SetupError, match=r"1\.pem: is not a readable private key"):
        KeyFolder(folder)

    curve = ec.generate_private_key(ec.SECP256R1())
    (folder / "1.pem").write_bytes(curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(SetupError, match=r"1\.pem: is not an Ed25519 private key"):
        KeyFolder(folder)


def test_the_repr_of_a_key_has_no_secret(folder: Path) -> None:
    add_signing_key(folder)

    assert "0x" in repr(KeyFolder(folder).signing_key())
