"""How names are kept that were given up."""

from datetime import UTC, datetime

from action_gateway.accounts.freed_names import FreedNames

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def names(key: str | None = "key", days: int = 30) -> FreedNames:
    return FreedNames(key, days=days, clock=NOON.timestamp)


def test_a_name_is_the_same_whatever_its_letter_case() -> None:
    assert names().hash("Ada.L") == names().hash("aDA.l") != names().hash("ada_l")


def test_a_name_cannot_be_found_without_the_key() -> None:
    assert names("other").hash("ada") != names().hash("ada")
    assert b"ada" not in (names().hash("ada") or b"")


def test_no_name_is_kept_without_a_key_or_for_no_days() -> None:
    assert names(None).hash("ada") is None
    assert names(days=0).hash("ada") is None


def test_a_name_is_free_after_whole_days() -> None:
    assert names().free_at() == datetime(2026, 12, 31, tzinfo=UTC)
