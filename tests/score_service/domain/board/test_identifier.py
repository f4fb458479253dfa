"""What an id may look like."""

import uuid

import pytest

from score_service.domain.board.identifier import is_identifier, parse_uuid


@pytest.mark.parametrize("text", ["a", "A.b_c:d@e-9", "x" * 128])
def test_id_of_allowed_characters_is_one(text: str) -> None:
    assert is_identifier(text)


@pytest.mark.parametrize("text", ["", "x" * 129, "a b", "a\n", "{a}", "ä", "a\x00", "a/b", "\ud800"])
def test_anything_else_is_none(text: str) -> None:
    assert not is_identifier(text)


def test_uuid_is_read_in_either_case() -> None:
    value = uuid.uuid4()

    assert parse_uuid(str(value)) == parse_uuid(str(value).upper()) == str(value)


@pytest.mark.parametrize(
    "text", ["", "{x}", "0" * 32, f"urn:uuid:{uuid.UUID(int=1)}", f"{uuid.UUID(int=1)}\n"]
)
def test_other_forms_are_no_uuid(text: str) -> None:
    assert parse_uuid(text) is None
