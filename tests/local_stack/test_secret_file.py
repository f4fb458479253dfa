"""Secrets as files."""

from pathlib import Path

from local_stack.secret_file import ensure_secret


def test_a_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    first = ensure_secret(tmp_path / "key").read_bytes()

    assert ensure_secret(tmp_path / "key").read_bytes() == first
    assert ensure_secret(tmp_path / "other").read_bytes() != first
    assert len(first) >= 32
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "key": 0o600,
        "other": 0o600,
    }
