"""Keys that sign tokens."""

import stat
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from action_gateway.issuers.key_set import parse_key_set
from local_stack.signing_keys import ensure_signing_key, write_key_set
from score_client.tickets import TicketKey

_NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def test_a_folder_without_keys_gets_one_that_only_its_owner_can_read(tmp_path: Path) -> None:
    ensure_signing_key(tmp_path / "keys", _NOW)
    [path] = (tmp_path / "keys").iterdir()
    assert path.name == "20261121T093000Z.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert isinstance(load_pem_private_key(path.read_bytes(), None), Ed25519PrivateKey)


def test_a_folder_with_a_key_stays_as_it_is(tmp_path: Path) -> None:
    ensure_signing_key(tmp_path, _NOW)
    [path] = tmp_path.iterdir()
    before = path.read_bytes()
    ensure_signing_key(tmp_path, _NOW.replace(year=2027))
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


def test_a_key_set_has_the_public_halves_and_names_them_by_their_files(tmp_path: Path) -> None:
    ensure_signing_key(tmp_path, _NOW)
    write_key_set(tmp_path)
    [(key_id, key)] = parse_key_set((tmp_path / "public.jwks.json").read_text()).items()
    assert key_id == "20261121T093000Z"
    private = TicketKey.read(tmp_path / f"{key_id}.pem").private
    assert key.public == private.public_key()
