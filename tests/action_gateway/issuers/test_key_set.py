"""Key sets of issuers: public Ed25519 keys, and nothing that should not be there."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.fixtures.programs import find_program

from action_gateway.issuers.key_set import make_key_set, parse_key_set
from score_client.tickets import TicketKey
from service_runtime.errors import SetupError
from service_runtime.tls.jwk import describe_key

KEY = Ed25519PrivateKey.generate().public_key()
GOOD = describe_key(KEY, "2026")
OTHER = describe_key(Ed25519PrivateKey.generate().public_key(), "2027")


def faults_of(*keys: Any) -> list[str]:
    with pytest.raises(SetupError) as caught:
        parse_key_set(json.dumps({"keys": keys}))
    return list(caught.value.faults)


def test_keys_are_found_by_their_names() -> None:
    keys = parse_key_set(json.dumps({"keys": [GOOD, OTHER]}))

    assert list(keys) == ["2026", "2027"]
    assert keys["2026"].public == KEY


def test_members_that_nobody_knows_are_ignored() -> None:
    rest = {name: GOOD[name] for name in ("kty", "crv", "x", "kid")}
    text = json.dumps({"keys": [rest | {"x5t": "abc", "alg": "Ed25519"}], "more": 1})
    assert list(parse_key_set(text)) == ["2026"]


def test_a_private_key_is_rejected_and_not_shown() -> None:
    faults = faults_of(OTHER, GOOD | {"d": "hunter2hunter2"})
    assert faults == ["keys[1]: is a private key; a key set has public halves alone"]


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"kty": "oct"}, "keys[0].kty"),
        ({"kty": "RSA"}, "keys[0].kty"),
        ({"crv": "X25519"}, "keys[0].crv"),
        ({"crv": "Ed448"}, "keys[0].crv"),
        ({"use": "enc"}, "keys[0].use"),
        ({"alg": "ES256"}, "keys[0].alg"),
        ({"alg": "none"}, "keys[0].alg"),
        ({"kid": ""}, "keys[0].kid"),
        ({"kid": "a b"}, "keys[0].kid"),
        ({"kid": "x" * 129}, "keys[0].kid"),
        ({"kid": 7}, "keys[0].kid"),
        ({"x": GOOD["x"] + "="}, "keys[0].x"),
        ({"x": GOOD["x"][:-2]}, "keys[0].x"),
        ({"x": GOOD["x"][:-1] + "_"}, "keys[0].x"),
        ({"x": "é" * 43}, "keys[0].x"),
    ],
)
def test_a_faulty_member_is_named(changes: dict[str, Any], place: str) -> None:
    (fault,) = faults_of(GOOD | changes)
    assert fault.startswith(f"{place}: ")


@pytest.mark.parametrize("member", ["kty", "crv", "x", "kid"])
def test_a_missing_member_is_named(member: str) -> None:
    assert faults_of({name: value for name, value in GOOD.items() if name != member}) == [
        f"keys[0].{member}: is missing"
    ]


def test_a_name_or_a_key_stands_in_a_set_once() -> None:
    assert faults_of(GOOD, OTHER, OTHER | {"kid": "2026"}, GOOD | {"kid": "2028"}) == [
        "keys[2].kid: is that of keys[0] too",
        "keys[2].x: is that of keys[1] too",
        "keys[3].x: is that of keys[0] too",
    ]


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[]", '{"keys": []}', '{"keys": {}}', "null"])
def test_what_is_no_key_set_is_rejected(text: str) -> None:
    with pytest.raises(SetupError):
        parse_key_set(text)


def openssl(*arguments: str | Path) -> None:
    subprocess.run([find_program("openssl"), *arguments], check=True, capture_output=True)


def test_a_key_set_is_made_of_either_half_of_a_key(tmp_path: Path) -> None:
    private, public, other = (tmp_path / name for name in ("key.pem", "public.pem", "other.pem"))
    for file in (private, other):
        openssl("genpkey", "-algorithm", "ed25519", "-out", file)
    openssl("pkey", "-in", private, "-pubout", "-out", public)

    assert make_key_set([private]) == make_key_set([public])
    keys = parse_key_set(make_key_set([public, other]))
    assert list(keys) == [TicketKey.read(file).key_id for file in (private, other)]
    assert '"d"' not in make_key_set([private])
    with pytest.raises(SetupError):
        make_key_set([private, public])


def test_no_key_of_a_file_with_several_is_left_out(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("old.pem", "new.pem")]
    for file in files:
        openssl("genpkey", "-algorithm", "ed25519", "-out", file)
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(file.read_bytes() for file in files))

    with pytest.raises(SetupError) as caught:
        make_key_set([both])
    assert caught.value.faults == (f"{both}: holds more than one key; give a file for each",)


def test_a_key_set_is_not_made_of_anything_else(tmp_path: Path) -> None:
    rsa, text = tmp_path / "rsa.pem", tmp_path / "text.pem"
    openssl("genpkey", "-algorithm", "rsa", "-out", rsa)
    text.write_text("-----BEGIN PUBLIC KEY-----\nhunter2")
    for file in (rsa, text, tmp_path / "none.pem"):
        with pytest.raises(SetupError) as caught:
            make_key_set([file])
        assert caught.value.faults[0].startswith(f"{file}: ")
        assert "hunter2" not in str(caught.value)
