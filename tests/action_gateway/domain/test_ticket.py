"""Tickets: which award they name, and the digest of a result."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from action_gateway.domain.ticket import find_digest, find_ticket_award_id

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
RESULTS = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)


def test_the_digest_is_that_of_the_canonical_form() -> None:
    # printf '{"a":"\u00e9","b":1}' | openssl sha256 -binary | basenc --base64url
    assert find_digest({"b": 1.0, "a": "\u00e9"}) == "qlj7qEg2I77TfBsC7fzL3ZpTEjg3wgv6TLQEmZOihy4"


@given(RESULTS)
def test_another_spelling_has_the_same_digest(result: object) -> None:
    spelled = json.loads(json.dumps(result, indent=2, ensure_ascii=True))
    assert find_digest(spelled) == find_digest(result)  # type: ignore[arg-type]  # It is JSON.


@pytest.mark.parametrize("result", [2**53, -(2**60), "\ud800", float("nan"), [float("inf")]])
def test_what_is_not_exact_everywhere_has_no_digest(result: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - Whichever it is.
        find_digest(result)  # type: ignore[arg-type]  # As a parser may give it.


def test_tickets_of_two_issuers_with_the_same_id_are_of_two_awards() -> None:
    names = [find_ticket_award_id(*pair) for pair in (("a", "b"), ("c", "b"), ("a", "bc"), ("ab", "c"))]
    assert len(set(names)) == 4
    assert find_ticket_award_id("a", "b") == names[0]
    assert names[0].version == 5
