"""What tickets of outside issuers may say."""

from dataclasses import replace
from typing import Any

import pytest

from action_gateway.issuers.claims import read_ticket
from action_gateway.issuers.issuer import Issuer, Users
from action_gateway.issuers.rejections import Reason, RejectedError

NOW = 1_000_000
OWN = Issuer(
    issuer="https://match.example.org",
    name="match",
    keys={},
    boards=frozenset({"main", "duels"}),
    points_max=50,
    lifetime_seconds=20,
    points_per_minute=100,
    redeems_per_minute=100,
    users=Users.OWN,
)
ACCOUNTS = replace(OWN, users=Users.ACCOUNTS)
GOOD = {
    "iss": OWN.issuer,
    "aud": "laurel-score-ticket",
    "sub": "ada",
    "jti": "match-4711",
    "board": "duels",
    "points": 10,
    "action": "duel",
    "digest": "A" * 43,
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + 10,
}


def reason_of(issuer: Issuer = OWN, **changes: Any) -> Reason:
    with pytest.raises(RejectedError) as caught:
        read_ticket(GOOD | changes, issuer, NOW)
    return caught.value.reason


def test_a_ticket_says_who_is_paid_where_for_what_and_by_whom() -> None:
    ticket = read_ticket(GOOD | {"more": [1]}, OWN, NOW)

    assert (ticket.user_id, ticket.board_id, ticket.points, ticket.action_id) == (
        "match:ada",
        "duels",
        10,
        "duel",
    )
    assert (ticket.issuer, ticket.issuer_name, ticket.action_type) == (OWN.issuer, "match", "ticket:match")
    assert (ticket.issued_at, ticket.expires_at) == (NOW, NOW + 10)


def test_users_of_the_gateway_are_named_as_they_are() -> None:
    assert read_ticket(GOOD, ACCOUNTS, NOW).user_id == "ada"


@pytest.mark.parametrize(
    "changes",
    [
        {"points": 1},
        {"points": 50},
        {"jti": "~" * 128},
        {"sub": "x" * 122},
        {"sub": "a:b"},
        {"exp": NOW + 20},
        {"iat": NOW + 5, "nbf": NOW + 5, "exp": NOW + 15},
        {"iat": NOW - 1000, "nbf": NOW - 1000, "exp": NOW - 990},
    ],
)
def test_what_is_just_allowed_is_taken(changes: dict[str, Any]) -> None:
    read_ticket(GOOD | changes, OWN, NOW)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"points": 0}, Reason.POINTS),
        ({"points": -1}, Reason.POINTS),
        ({"points": 51}, Reason.POINTS),
        ({"points": 10.0}, Reason.BAD_CLAIMS),
        ({"points": True}, Reason.BAD_CLAIMS),
        ({"points": "10"}, Reason.BAD_CLAIMS),
        ({"board": "other"}, Reason.BOARD),
        ({"board": ""}, Reason.BAD_CLAIMS),
        ({"board": "a/b"}, Reason.BAD_CLAIMS),
        ({"board": ["main"]}, Reason.BAD_CLAIMS),
        ({"action": ""}, Reason.BAD_CLAIMS),
        ({"action": "duel\n"}, Reason.BAD_CLAIMS),
        ({"jti": ""}, Reason.TICKET_ID),
        ({"jti": "x" * 129}, Reason.TICKET_ID),
        ({"jti": "a b"}, Reason.TICKET_ID),
        ({"jti": "\ud800"}, Reason.TICKET_ID),
        ({"jti": 7}, Reason.TICKET_ID),
        ({"sub": ""}, Reason.USER_ID),
        ({"sub": "a b"}, Reason.USER_ID),
        ({"sub": "x" * 123}, Reason.USER_ID),
        ({"sub": "\u00e9"}, Reason.USER_ID),
        ({"sub": None}, Reason.USER_ID),
        ({"digest": "A" * 42}, Reason.BAD_CLAIMS),
        ({"digest": "A" * 42 + "="}, Reason.BAD_CLAIMS),
        ({"iat": float(NOW)}, Reason.BAD_CLAIMS),
        ({"iat": -1}, Reason.BAD_CLAIMS),
        ({"exp": 10**30}, Reason.BAD_CLAIMS),
        ({"exp": True}, Reason.BAD_CLAIMS),
        ({"exp": NOW}, Reason.BAD_CLAIMS),
        ({"nbf": NOW - 1}, Reason.BAD_CLAIMS),
        ({"nbf": NOW + 10}, Reason.BAD_CLAIMS),
        ({"exp": NOW + 21}, Reason.LIFETIME),
        ({"iat": NOW - 11, "exp": NOW + 10}, Reason.LIFETIME),
        ({"iat": NOW + 6, "nbf": NOW + 6, "exp": NOW + 16}, Reason.NOT_YET),
    ],
)
def test_what_is_not_allowed_is_rejected_with_its_reason(changes: dict[str, Any], reason: Reason) -> None:
    assert reason_of(**changes) is reason


@pytest.mark.parametrize("claim", ["board", "points", "action", "digest"])
def test_no_claim_may_be_missing(claim: str) -> None:
    with pytest.raises(RejectedError) as caught:
        read_ticket({name: value for name, value in GOOD.items() if name != claim}, OWN, NOW)
    assert caught.value.reason is Reason.BAD_CLAIMS


def test_a_user_id_of_an_account_may_be_as_long_as_the_contract_allows() -> None:
    read_ticket(GOOD | {"sub": "x" * 128}, ACCOUNTS, NOW)
    assert reason_of(ACCOUNTS, sub="x" * 129) is Reason.USER_ID
