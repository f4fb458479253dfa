"""TOML files that are checked as a whole."""

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from service_runtime.errors import SetupError
from service_runtime.toml_files import describe_faults, parse_toml


class _Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int


class _Outer(BaseModel):
    inner: list[_Inner]


@pytest.mark.parametrize("text", ["a = ", "a = 1\na = 2", f"a = {'9' * 5000}", f"a = {'[' * 9999}"])
def test_what_is_no_toml_is_a_fault_of_the_setup(text: str) -> None:
    with pytest.raises(SetupError, match="is no TOML"):
        parse_toml(text)


def test_every_fault_is_named_with_its_place_and_no_value() -> None:
    with pytest.raises(ValidationError) as caught:
        _Outer.model_validate(parse_toml('[[inner]]\n[[inner]]\nnumber = "hush"\nother = 1\n'))
    faults = list(describe_faults(caught.value))

    assert [fault.partition(":")[0] for fault in faults] == [
        "inner[0].number",
        "inner[1].number",
        "inner[1].other",
    ]
    assert faults[0] == "inner[0].number: is missing"
    assert faults[2] == "inner[1].other: is not known"
    assert "hush" not in faults[1]
