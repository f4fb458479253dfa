"""Tickets that a backend issues by itself: the digest of a result, what is signed, and with which keys."""

import json
import subprocess
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fixtures.programs import find_program
from tests.fixtures.services.gateway import add_signing_key

from score_client import CredentialsError, InvalidRequestError
from score_client.tickets import AUDIENCE, TYPE, TicketKey, find_digest, issue

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
    assert find_digest(spelled) == find_digest(result)


@pytest.mark.parametrize("result", [2**53, -(2**60), "\ud800", float("nan"), [float("inf")]])
def test_what_is_not_exact_everywhere_has_no_digest(result: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - Whichever it is.
        find_digest(result)


@pytest.fixture
def key(tmp_path: Path) -> TicketKey:
    add_signing_key(tmp_path)
    return TicketKey.read(tmp_path / "1.pem")


def nested(depth: int) -> list[Any]:
    result: list[Any] = []
    for _ in range(depth - 1):
        result = [result]
    return result


def ticket(key: TicketKey, **changes: Any) -> str:
    asked: dict[str, Any] = {
        "issuer": "https://match.example.org",
        "board_id": "main",
        "user_id": "ada",
        "points": 10,
        "action_id": "match",
        "result": {"place": 1},
        "ticket_id": "match-4711",
        "now": 1_000.9,
    }
    return issue(key, **(asked | changes))


def test_a_ticket_says_what_is_documented(key: TicketKey) -> None:
    token = ticket(key)

    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "typ": TYPE, "kid": key.key_id}
    public = jwt.PyJWK.from_dict(key.to_jwk(), algorithm="EdDSA")
    claims = jwt.decode(token, public, algorithms=["EdDSA"], audience=AUDIENCE, options={"verify_exp": False})
    assert claims == {
        "iss": "https://match.example.org",
        "aud": "laurel-score-ticket",
        "sub": "ada",
        "jti": "match-4711",
        "board": "main",
        "points": 10,
        "action": "match",
        "digest": find_digest({"place": 1}),
        "iat": 1_000,
        "nbf": 1_000,
        "exp": 1_010,
    }


def test_the_same_ticket_is_the_same_text_and_one_without_a_name_is_another_one(key: TicketKey) -> None:
    assert ticket(key) == ticket(key)
    assert ticket(key, ticket_id=None) != ticket(key, ticket_id=None)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("issuer", ["", "a b", "\u00e9", "x" * 256, None]),
        ("board_id", ["", "a/b", "x" * 129, "main\n", 7]),
        ("user_id", ["", "a b", "x" * 129]),
        ("action_id", ["", "#", "x" * 129]),
        ("points", [0, -1, 1_000_001, 1.0, True, "1"]),
        ("lifetime_seconds", [0, 61, 1.5]),
        ("ticket_id", ["", "a b", "x" * 129, "\ud800"]),
        ("result", [2**53, {"a": float("nan")}, "\ud800", object(), {1: 2}]),
        ("result", ["x" * 15 * 1024, "\u00e9" * 8_000, nested(101), {"a": nested(100)}, nested(100_000)]),
    ],
)
def test_what_no_gateway_would_take_is_not_signed(key: TicketKey, field: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(InvalidRequestError) as raised:
            ticket(key, **{field: value})
        assert list(raised.value.fields) == [field]
        assert raised.value.reason == "INVALID_TICKET"


def test_all_faults_are_said_at_once(key: TicketKey) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        ticket(key, points=0, board_id="", result=2**60)
    assert set(raised.value.fields) == {"points", "board_id", "result"}


def test_what_is_just_within_the_bounds_is_signed(key: TicketKey) -> None:
    ticket(key, points=1_000_000, lifetime_seconds=60, ticket_id="~" * 128, user_id="x" * 128)
    ticket(key, result=nested(100))
    ticket(key, result="x" * (15 * 1024 - 2))


def test_a_key_is_named_by_its_thumbprint_or_as_is_said(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    openssl = find_program("openssl")
    subprocess.run([openssl, "genpkey", "-algorithm", "ed25519", "-out", file], check=True)

    by_default, named = TicketKey.read(file), TicketKey.read(file, "2026")
    assert by_default.to_jwk()["x"] == named.to_jwk()["x"]
    assert (len(by_default.key_id), named.key_id) == (43, "2026")


def test_a_file_without_such_a_key_is_named_and_not_shown(tmp_path: Path) -> None:
    other = tmp_path / "rsa.pem"
    openssl = find_program("openssl")
    subprocess.run([openssl, "genpkey", "-algorithm", "rsa", "-out", other], check=True, capture_output=True)
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN hunter2-----")
    for file in (other, broken, tmp_path / "none.pem", tmp_path):
        with pytest.raises(CredentialsError) as raised:
            TicketKey.read(file)
        assert str(file) in str(raised.value)
        assert "hunter2" not in str(raised.value)


def test_a_key_is_not_shown(key: TicketKey) -> None:
    assert key.key_id not in repr(key)
    assert "d" not in key.to_jwk()
