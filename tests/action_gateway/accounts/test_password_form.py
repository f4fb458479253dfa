"""The form of a password that is measured and hashed."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from action_gateway.accounts.password_form import find_forms, prepare


@pytest.mark.parametrize(
    ("typed", "prepared"),
    # The first are examples of RFC 8265, 4.3.
    [
        ("correct horse battery staple", "correct horse battery staple"),
        ("Correct Horse Battery Staple", "Correct Horse Battery Staple"),
        ("\u03c0\u00df\u00e5", "\u03c0\u00df\u00e5"),
        ("Jack of \u2666s", "Jack of \u2666s"),
        ("foo\u1680bar", "foo bar"),
        ("a\u030a", "\u00e5"),
        ("\uff21", "\uff21"),
        (" x ", " x "),
    ],
)
def test_a_password_has_one_form(typed: str, prepared: str) -> None:
    assert prepare(typed) == prepared


@given(st.text())
def test_the_form_is_its_own_form_and_is_tried_first_and_the_typed_one_once(typed: str) -> None:
    forms = find_forms(typed)
    assert 1 <= len(forms) <= 2
    assert forms[-1] == typed
    try:
        prepared = prepare(typed)
    except ValueError:
        assert forms == [typed]
        return
    assert forms[0] == prepared == prepare(prepared) == unicodedata.normalize("NFC", prepared)
