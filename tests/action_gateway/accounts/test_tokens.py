"""Access tokens and action tokens, and what passes for neither."""

import uuid
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.action_gateway.forgery import forge, read_part, sign_with_public_key
from tests.fixtures.services.gateway import MovableClock, add_signing_key

from action_gateway.accounts.keys import KeyFolder
from action_gateway.accounts.tokens import AccessTokens, ActionTokens
from action_gateway.domain.action import Repeat, StartedAction
from action_gateway.errors import BadActionTokenError, UnauthenticatedError

USER = str(uuid.uuid4())


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def access_keys(tmp_path: Path) -> KeyFolder:
    add_signing_key(tmp_path / "access")
    return KeyFolder(tmp_path / "access")


@pytest.fixture
def action_keys(tmp_path: Path) -> KeyFolder:
    add_signing_key(tmp_path / "action")
    return KeyFolder(tmp_path / "action")


@pytest.fixture
def access_tokens(access_keys: KeyFolder, clock: MovableClock) -> AccessTokens:
    return AccessTokens(access_keys, issuer="laurel", lifetime=900, clock=clock)


@pytest.fixture
def action_tokens(action_keys: KeyFolder) -> ActionTokens:
    return ActionTokens(action_keys, issuer="laurel")


@pytest.fixture
def started(clock: MovableClock) -> StartedAction:
    now = clock()
    return StartedAction(
        user_id=USER,
        action_id="puzzle_123",
        version=3,
        board_id="main",
        points=10,
        repeat=Repeat.DAILY,
        min_ms=1500,
        nonce=uuid.uuid4(),
        started_at_ms=int(now * 1000),
        expires_at=int(now) + 600,
        day="2026-11-30",
    )


def test_an_access_token_identifies_its_user(access_tokens: AccessTokens, clock: MovableClock) -> None:
    access = access_tokens.verify(access_tokens.issue(USER))

    assert access.user_id == USER
    assert access.expires_at == int(clock()) + 900


def test_an_access_token_states_its_type(access_tokens: AccessTokens, access_keys: KeyFolder) -> None:
    token = access_tokens.issue(USER)

    assert jwt.get_unverified_header(token) == {
        "alg": "EdDSA",
        "typ": "at+jwt",
        "kid": access_keys.signing_key().key_id,
    }
    claims = read_part(token.split(".")[1])
    assert claims.keys() == {"iss", "aud", "sub", "jti", "iat", "nbf", "exp"}


def test_an_action_token_contains_the_started_action(
    action_tokens: ActionTokens, started: StartedAction
) -> None:
    token = action_tokens.issue(started)

    assert action_tokens.verify(token) == started
    assert jwt.get_unverified_header(token)["typ"] == "action+jwt"


def test_an_action_token_is_good_at_every_gateway(
    action_tokens: ActionTokens, action_keys: KeyFolder, started: StartedAction
) -> None:
    token = action_tokens.issue(started)
    other = ActionTokens(action_keys, issuer="laurel")

    assert other.verify(token) == started
    assert other.verify(token) == started


def test_an_access_token_expires(access_tokens: AccessTokens, clock: MovableClock) -> None:
    token = access_tokens.issue(USER)
    clock.advance(899)
    access_tokens.verify(token)
    clock.advance(2)

    with pytest.raises(UnauthenticatedError):
        access_tokens.verify(token)


def test_an_expired_access_token_is_no_forgery_even_once_its_key_is_gone(
    access_tokens: AccessTokens, access_keys: KeyFolder, clock: MovableClock, tmp_path: Path
) -> None:
    add_signing_key(tmp_path / "other")
    others = AccessTokens(KeyFolder(tmp_path / "other"), issuer="laurel", lifetime=900, clock=clock)
    token = access_tokens.issue(USER)

    def is_forged() -> bool:
        with pytest.raises(UnauthenticatedError) as rejection:
            others.verify(token)
        return rejection.value.forged

    assert is_forged()
    clock.advance(900)
    assert not is_forged()


def test_an_access_token_of_the_future_does_not_count_beyond_what_clocks_differ(
    access_tokens: AccessTokens, clock: MovableClock
) -> None:
    clock.advance(8)
    near = access_tokens.issue(USER)
    clock.advance(30)
    far = access_tokens.issue(USER)
    clock.advance(-38)

    assert access_tokens.verify(near).user_id == USER
    with pytest.raises(UnauthenticatedError):
        access_tokens.verify(far)


def test_an_expired_action_token_can_still_be_read(
    action_tokens: ActionTokens, action_keys: KeyFolder, started: StartedAction, clock: MovableClock
) -> None:
    token = action_tokens.issue(started)
    clock.advance(10_000)

    for tokens in (action_tokens, ActionTokens(action_keys, issuer="laurel")):
        assert tokens.verify(token) == started


def test_neither_kind_is_accepted_as_the_other(
    access_tokens: AccessTokens, action_tokens: ActionTokens, started: StartedAction
) -> None:
    with pytest.raises(UnauthenticatedError):
        access_tokens.verify(action_tokens.issue(started))
    with pytest.raises(BadActionTokenError):
        action_tokens.verify(access_tokens.issue(USER))


def test_neither_kind_is_accepted_as_the_other_even_under_one_key(
    access_keys: KeyFolder, clock: MovableClock, started: StartedAction
) -> None:
    access_tokens = AccessTokens(access_keys, issuer="laurel", lifetime=900, clock=clock)
    action_tokens = ActionTokens(access_keys, issuer="laurel")

    with pytest.raises(UnauthenticatedError):
        access_tokens.verify(action_tokens.issue(started))
    with pytest.raises(BadActionTokenError):
        action_tokens.verify(access_tokens.issue(USER))


def test_a_changed_token_is_rejected(access_tokens: AccessTokens) -> None:
    token = access_tokens.issue(USER)
    header, body, signature = token.split(".")
    for changed in (
        forge(token, sub="somebody"),
        forge(token, exp=9_999_999_999),
        f"{header}.{body}.",
        f"{header}.{body}.{'A' * len(signature)}",
        f"{header}.{body}",
        "",
        "rubbish",
        "a.b.c",
        "\udcff.x.y",
        token + "x",
    ):
        with pytest.raises(UnauthenticatedError):
            access_tokens.verify(changed)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", None, "ES256", "HS256"])
def test_no_other_algorithm_is_accepted(access_tokens: AccessTokens, alg: str | None) -> None:
    token = forge(access_tokens.issue(USER), header={"alg": alg})
    for forged in (token, token.rpartition(".")[0] + "."):
        with pytest.raises(UnauthenticatedError):
            access_tokens.verify(forged)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER, Encoding.Raw])
def test_the_public_key_is_no_secret_to_sign_with(
    access_tokens: AccessTokens,
    action_tokens: ActionTokens,
    access_keys: KeyFolder,
    action_keys: KeyFolder,
    started: StartedAction,
    encoding: Encoding,
) -> None:
    with pytest.raises(UnauthenticatedError):
        access_tokens.verify(sign_with_public_key(access_tokens.issue(USER), access_keys, encoding))
    with pytest.raises(BadActionTokenError):
        action_tokens.verify(sign_with_public_key(action_tokens.issue(started), action_keys, encoding))


@pytest.mark.parametrize("kid", [None, "", "../1", 7, ["a"], "unknown"])
def test_a_key_is_found_by_its_name_among_our_own_alone(access_tokens: AccessTokens, kid: object) -> None:
    with pytest.raises(UnauthenticatedError):
        access_tokens.verify(forge(access_tokens.issue(USER), header={"kid": kid}))


def test_a_token_signed_by_a_foreign_key_under_a_known_key_id_is_rejected(
    access_tokens: AccessTokens, access_keys: KeyFolder, tmp_path: Path, clock: MovableClock
) -> None:
    stranger = add_signing_key(tmp_path / "stranger")
    now = int(clock())
    claims = {
        "sub": USER,
        "jti": "1",
        "iss": "laurel",
        "aud": "laurel",
        "iat": now,
        "nbf": now,
        "exp": now + 60,
    }
    kid = access_keys.signing_key().key_id
    token = jwt.encode(claims, stranger, algorithm="EdDSA", headers={"typ": "at+jwt", "kid": kid})

    with pytest.raises(UnauthenticatedError):
        access_tokens.verify(token)


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "other"},
        {"aud": "other"},
        {"aud": ["laurel", "other"]},
        {"exp": "soon"},
        {"exp": 1.5e300},
        {"sub": 7},
        {"jti": None},
    ],
)
def test_every_claim_has_to_be_as_it_should_even_when_it_is_signed(
    access_tokens: AccessTokens, access_keys: KeyFolder, clock: MovableClock, change: dict[str, Any]
) -> None:
    now = int(clock())
    claims = {
        "sub": USER,
        "jti": "1",
        "iss": "laurel",
        "aud": "laurel",
        "iat": now,
        "nbf": now,
        "exp": now + 60,
    }
    key = access_keys.signing_key()
    headers = {"typ": "at+jwt", "kid": key.key_id}
    good = jwt.encode(claims, key.private, algorithm="EdDSA", headers=headers)
    bad = jwt.encode(claims | change, key.private, algorithm="EdDSA", headers=headers)

    assert access_tokens.verify(good).user_id == USER
    with pytest.raises(UnauthenticatedError):
        access_tokens.verify(bad)


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "jti", "iat", "nbf", "exp"])
def test_every_claim_is_required(
    access_tokens: AccessTokens, access_keys: KeyFolder, clock: MovableClock, claim: str
) -> None:
    now = int(clock())
    claims = {
        "sub": USER,
        "jti": "1",
        "iss": "laurel",
        "aud": "laurel",
        "iat": now,
        "nbf": now,
        "exp": now + 60,
    }
    key = access_keys.signing_key()
    del claims[claim]
    token = jwt.encode(claims, key.private, algorithm="EdDSA", headers={"typ": "at+jwt", "kid": key.key_id})

    with pytest.raises(UnauthenticatedError):
        access_tokens.verify(token)


def test_a_token_of_an_earlier_signing_key_is_still_accepted(
    tmp_path: Path, clock: MovableClock, access_keys: KeyFolder
) -> None:
    before = AccessTokens(access_keys, issuer="laurel", lifetime=900, clock=clock).issue(USER)
    add_signing_key(tmp_path / "access", "2")
    after = AccessTokens(KeyFolder(tmp_path / "access"), issuer="laurel", lifetime=900, clock=clock)

    assert after.verify(before).user_id == USER


def test_a_token_that_was_accepted_is_not_any_more_once_its_key_is_gone(
    tmp_path: Path, clock: MovableClock, started: StartedAction
) -> None:
    add_signing_key(tmp_path / "keys", "1")
    seconds = 0.0
    keys = KeyFolder(tmp_path / "keys", lambda: seconds)
    access_tokens = AccessTokens(keys, issuer="laurel", lifetime=900, clock=clock)
    action_tokens = ActionTokens(keys, issuer="laurel")
    access, action = access_tokens.issue(USER), action_tokens.issue(started)
    assert access_tokens.verify(access).user_id == USER
    assert action_tokens.verify(action) == started

    (tmp_path / "keys" / "1.pem").unlink()
    add_signing_key(tmp_path / "keys", "2")
    seconds = 60.0
    with pytest.raises(UnauthenticatedError):
        access_tokens.verify(access)
    with pytest.raises(BadActionTokenError):
        action_tokens.verify(action)
