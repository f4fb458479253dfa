"""The file of outside issuers: all its faults, each with its place."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.clients.outside_issuers import OutsideIssuer, write_issuers

from action_gateway.issuers.issuer import Issuer, Users
from action_gateway.issuers.issuers_file import parse_issuers
from service_runtime.errors import SetupError


def read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        raise SetupError(["cannot be read"]) from None


def parse(file: Path, **own: Any) -> dict[str, Issuer]:
    return parse_issuers(file, read, **({"own_issuer": "laurel"} | own))


def faults_of(issuer: OutsideIssuer, *entries: dict[str, Any], **own: Any) -> list[str]:
    file = write_issuers(issuer.folder / "ticket-issuers.toml", entries)
    with pytest.raises(SetupError) as caught:
        parse(file, **own)
    assert all(fault.startswith("ticket-issuers.toml: ") for fault in caught.value.faults)
    return [fault.removeprefix("ticket-issuers.toml: ") for fault in caught.value.faults]


def test_issuers_are_found_by_what_their_tickets_say(
    issuers_file: Path, match_issuer: OutsideIssuer, quiz_issuer: OutsideIssuer
) -> None:
    issuers = parse(issuers_file)

    assert list(issuers) == [match_issuer.issuer, quiz_issuer.issuer]
    match = issuers[match_issuer.issuer]
    assert (match.name, match.users, list(match.boards)) == ("match", Users.OWN, ["main"])
    assert (match.points_max, match.lifetime_seconds) == (50, 10)
    assert (match.points_per_minute, match.redeems_per_minute) == (10_000, 1_000)
    assert list(match.keys) == [match_issuer.keys[0].key_id]
    assert issuers[quiz_issuer.issuer].users is Users.ACCOUNTS


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"issuer": ""}, "issuer[0].issuer"),
        ({"issuer": "a b"}, "issuer[0].issuer"),
        ({"issuer": "x" * 256}, "issuer[0].issuer"),
        ({"name": "Match"}, "issuer[0].name"),
        ({"name": "-a"}, "issuer[0].name"),
        ({"name": "a:b"}, "issuer[0].name"),
        ({"name": "x" * 33}, "issuer[0].name"),
        ({"name": "unknown"}, "issuer[0].name"),
        ({"name": "gateway"}, "issuer[0].name"),
        ({"boards": []}, "issuer[0].boards"),
        ({"boards": "main"}, "issuer[0].boards"),
        ({"boards": ["main", "main"]}, "issuer[0].boards"),
        ({"boards": ["*"]}, "issuer[0].boards[0]"),
        ({"points_max": 0}, "issuer[0].points_max"),
        ({"points_max": 1_000_001}, "issuer[0].points_max"),
        ({"points_max": 1.5}, "issuer[0].points_max"),
        ({"points_max": "5"}, "issuer[0].points_max"),
        ({"lifetime_seconds": 0}, "issuer[0].lifetime_seconds"),
        ({"lifetime_seconds": 61}, "issuer[0].lifetime_seconds"),
        ({"points_per_minute": 49}, "issuer[0].points_per_minute"),
        ({"redeems_per_minute": 0}, "issuer[0].redeems_per_minute"),
        ({"users": "all"}, "issuer[0].users"),
        ({"keys_file": ""}, "issuer[0].keys_file"),
        ({"keys_file": "none.json"}, "issuer[0].keys_file: none.json"),
        ({"keys_file": "."}, "issuer[0].keys_file: ."),
        ({"point_max": 5}, "issuer[0].point_max"),
    ],
)
def test_a_faulty_setting_is_named(match_issuer: OutsideIssuer, changes: dict[str, Any], place: str) -> None:
    (fault,) = faults_of(match_issuer, match_issuer.entry() | changes)
    assert fault.startswith(f"{place}: ")


@pytest.mark.parametrize(
    "name",
    [
        "issuer",
        "name",
        "keys_file",
        "boards",
        "points_max",
        "points_per_minute",
        "redeems_per_minute",
        "users",
    ],
)
def test_what_is_missing_is_named(match_issuer: OutsideIssuer, name: str) -> None:
    entry = {key: value for key, value in match_issuer.entry().items() if key != name}
    assert faults_of(match_issuer, entry) == [f"issuer[0].{name}: is missing"]


def test_no_two_issuers_share_a_name_or_a_key(
    match_issuer: OutsideIssuer, quiz_issuer: OutsideIssuer
) -> None:
    shared = match_issuer.keys[0]
    quiz_issuer.publish([*quiz_issuer.keys, shared])
    match, quiz = match_issuer.entry(), quiz_issuer.entry()
    quiz |= {"issuer": match["issuer"], "name": "match"}

    assert faults_of(match_issuer, match, quiz) == [
        "issuer[1].issuer: is that of issuer[0] too",
        "issuer[1].name: is that of issuer[0] too",
        f"issuer[1].keys_file: quiz.jwks.json: the key {shared.key_id} is one of issuer[0] too",
    ]


def test_an_issuer_is_not_this_gateway_and_has_no_key_of_it(match_issuer: OutsideIssuer) -> None:
    key_id = match_issuer.keys[0].key_id
    own = {"own_issuer": match_issuer.issuer, "own_key_ids": {key_id}}

    assert faults_of(match_issuer, match_issuer.entry(), **own) == [
        "issuer[0].issuer: is that of this gateway",
        f"issuer[0].keys_file: match.jwks.json: the key {key_id} is one of this gateway",
    ]


def test_all_faults_of_key_sets_are_said_at_once(
    match_issuer: OutsideIssuer, quiz_issuer: OutsideIssuer
) -> None:
    match_issuer.keys_file.write_text("{")
    secret = quiz_issuer.keys[0].to_jwk() | {"d": "hunter2"}
    quiz_issuer.keys_file.write_text(json.dumps({"keys": [secret]}))

    assert faults_of(match_issuer, match_issuer.entry(), quiz_issuer.entry()) == [
        "issuer[0].keys_file: match.jwks.json: is no JSON",
        "issuer[1].keys_file: quiz.jwks.json: keys[0]: is a private key; a key set has public halves alone",
    ]


@pytest.mark.parametrize("text", ["", "issuer = []", "x = 1", "[issuer]", "[["])
def test_a_file_without_issuers_is_rejected(tmp_path: Path, text: str) -> None:
    file = tmp_path / "ticket-issuers.toml"
    file.write_text(text)
    with pytest.raises(SetupError):
        parse(file)
