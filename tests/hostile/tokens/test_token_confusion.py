"""Tokens where they do not belong, and tokens that say more than they should: none is taken for another.

What is wrong with the claims and the signature of one kind by itself stands in the tests of `tokens.py`.
"""

import hmac
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import OKPAlgorithm
from tests.action_gateway.forgery import read_part
from tests.fixtures.clients.outside_issuers import OutsideIssuer
from tests.fixtures.clients.realtime import EventReader, close_code
from tests.fixtures.services.gateway import Gateway, Player, StartGateway
from tests.fixtures.services.score_service import ScoreService, Stubs, rejected
from tests.hostile.tokens.signers import Signers, encode
from websockets.asyncio.client import connect

from action_gateway.accounts.keys import SigningKey
from action_gateway.errors import BadTicketError
from score_api.v1 import leaderboard_service_pb2 as leaderboard_pb
from score_client.tickets import TicketKey

PASSWORD = "correct horse battery"


@dataclass(frozen=True, slots=True)
class Tokens:
    """A good one of every kind, all of the same user."""

    access: str
    action: str
    ticket: str
    outside: str
    refresh: str
    page: str
    position: str
    identity: str

    def others(self, *kinds: str) -> dict[str, str]:
        """Give all but those that belong here."""
        return {kind: getattr(self, kind) for kind in self.__slots__ if kind not in kinds}


@pytest.fixture
async def gateway(start_gateway: StartGateway, score_service: ScoreService, issuers_file: Path) -> Gateway:
    return await start_gateway(score_target=score_service.target, ticket_issuers_file=issuers_file)


@pytest.fixture
async def tokens(gateway: Gateway, player: Player, match_issuer: OutsideIssuer) -> Tokens:
    credentials = {"username": "ada", "password": PASSWORD}
    await gateway.http.post("/api/v1/auth/register", json=credentials)
    login = (await gateway.http.post("/api/v1/auth/login", json=credentials)).json()
    ada = Player(gateway.http, login["user"]["userId"], "ada", login["accessToken"])
    for one in (ada, player):
        assert (await one.complete(await one.start())).status_code == 200
    page = (await ada.get("/leaderboard?limit=1")).json()["nextPageToken"]
    async with gateway.http.stream("GET", "/api/v1/leaderboard/events", headers=ada.headers) as stream:
        (event,) = await EventReader(stream).take(1)
    return Tokens(
        access=ada.access_token,
        action=await ada.start(),
        ticket=(await ada.perform())["token"],
        outside=match_issuer.issue()["token"],
        refresh=login["refreshToken"],
        page=page,
        position=event.id or "",
        identity=ada.user_id,
    )


def code(response: Any) -> tuple[int, str]:
    """Return what a request failed with."""
    return response.status_code, response.json()["code"]


async def test_nothing_but_an_access_token_identifies_a_user(gateway: Gateway, tokens: Tokens) -> None:
    for scheme in ("Bearer ", "bearer ", "", "Basic ", "DPoP ", "Bearer Bearer "):
        right = ["access"] if scheme.lower() == "bearer " else []
        for kind, token in tokens.others(*right).items():
            headers = {"Authorization": f"{scheme}{token}"}
            response = await gateway.http.get("/api/v1/actions", headers=headers)
            assert code(response) == (401, "unauthenticated"), (scheme, kind)


async def test_an_access_token_outside_its_header_is_ignored(gateway: Gateway, tokens: Tokens) -> None:
    for name in ("access_token", "accessToken", "token", "authorization"):
        response = await gateway.http.get("/api/v1/actions", params={name: tokens.access})
        assert code(response) == (401, "unauthenticated")
    for name in ("Cookie", "X-Access-Token", "Proxy-Authorization", "Sec-WebSocket-Protocol"):
        headers = {name: f"accessToken={tokens.access}"}
        response = await gateway.http.get("/api/v1/actions", headers=headers)
        assert code(response) == (401, "unauthenticated")


async def test_nothing_but_an_access_token_opens_a_socket(gateway: Gateway, tokens: Tokens) -> None:
    url = gateway.url.replace("http:", "ws:") + "/api/v1/leaderboard/ws"
    for token in tokens.others("access").values():
        headers = {"Authorization": f"Bearer {token}"}
        async with connect(url, additional_headers=headers, proxy=None) as socket:
            assert await close_code(socket) == 4401
        async with connect(url, proxy=None) as socket:
            await socket.send(json.dumps({"type": "auth", "accessToken": token}))
            assert await close_code(socket) == 4401


async def test_nothing_but_an_action_token_is_paid_for(player: Player, tokens: Tokens) -> None:
    for kind, token in tokens.others("action").items():
        assert code(await player.complete(token)) == (400, "bad_action_token"), kind


async def test_nothing_but_a_ticket_updates_a_score(player: Player, tokens: Tokens) -> None:
    performed = await player.perform()
    for kind, token in tokens.others("ticket", "outside").items():
        response = await player.redeem(performed, token=token)
        assert code(response) == (401, "bad_ticket"), kind
        assert response.headers["www-authenticate"] == "Bearer"
    assert (await player.redeem(performed)).status_code == 200


async def test_a_ticket_outside_its_header_is_ignored(gateway: Gateway, player: Player) -> None:
    performed = await player.perform()
    body = {"data": performed["result"]}
    for name in ("token", "ticket", "access_token"):
        params = {name: performed["token"]}
        assert code(await gateway.http.post("/api/v1/score/update", params=params, json=body)) == (
            401,
            "bad_ticket",
        )
    assert code(await player.redeem(performed, token=player.access_token)) == (401, "bad_ticket")


async def test_nothing_but_a_refresh_token_continues_or_ends_a_session(
    gateway: Gateway, tokens: Tokens
) -> None:
    for kind, token in tokens.others("refresh").items():
        refresh = await gateway.http.post("/api/v1/auth/refresh", json={"refreshToken": token})
        logout = await gateway.http.post("/api/v1/auth/logout", json={"refreshToken": token})
        assert code(refresh) == (401, "bad_refresh_token"), kind
        assert logout.status_code == 204
    response = await gateway.http.post("/api/v1/auth/refresh", json={"refreshToken": tokens.refresh})
    assert response.status_code == 200


async def test_nothing_but_a_page_token_is_accepted_as_one(player: Player, tokens: Tokens) -> None:
    for kind, token in tokens.others("page").items():
        response = await player.get("/leaderboard", params={"pageToken": token})
        assert code(response) == (422, "invalid_request"), kind


async def test_no_token_is_a_user_or_an_action(player: Player, tokens: Tokens) -> None:
    for kind, token in tokens.others().items():
        start = await player.post("/actions/start", {"actionId": token})
        assert code(start) in {(404, "action_not_found"), (422, "invalid_request")}, kind
        credentials = {"username": token[:32], "password": PASSWORD}
        login = await player.http.post("/api/v1/auth/login", json=credentials)
        assert code(login) in {(401, "bad_credentials"), (422, "invalid_request")}, kind


async def test_the_score_service_confuses_no_tokens_either(
    gateway_stubs: Stubs, gateway: Gateway, tokens: Tokens
) -> None:
    for token in tokens.others("page").values():
        page = leaderboard_pb.ListStandingsRequest(board_id="main", page_token=token)
        assert (await rejected(gateway_stubs.leaderboard.ListStandings(page))).reason == "INVALID_FIELD"
    for token in tokens.others("position").values():
        asked = leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=1, after_position=token)
        watch = gateway_stubs.leaderboard.WatchLeaderboard(asked)
        assert (await rejected(anext(aiter(watch)))).reason == "INVALID_FIELD"


# From here on: tokens that were never given out, some of them signed by the very keys of the gateway.
Forge = Callable[[SigningKey, dict[str, Any], str], str]


def sign(key: Any, claims: dict[str, Any], algorithm: str = "EdDSA", **headers: Any) -> str:
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers)


def by_stranger(key: SigningKey, claims: dict[str, Any], typ: str, **headers: Any) -> str:
    """Sign with a key of one's own, and say in the header where to find it."""
    return sign(ed25519.Ed25519PrivateKey.generate(), claims, typ=typ, kid=key.key_id, **headers)


def with_own_jwk(key: SigningKey, claims: dict[str, Any], typ: str) -> str:
    own = ed25519.Ed25519PrivateKey.generate()
    jwk = json.loads(OKPAlgorithm.to_jwk(own.public_key()))
    return sign(own, claims, typ=typ, kid=key.key_id, jwk=jwk)


def by_other_algorithm(private: Any, algorithm: str) -> Forge:
    return lambda key, claims, typ: sign(private, claims, algorithm, typ=typ, kid=key.key_id)


def by_us(**headers: Any) -> Forge:
    """Sign with the right key, with a header that is not as it should be."""
    return lambda key, claims, typ: sign(key.private, claims, **({"typ": typ, "kid": key.key_id} | headers))


def detached(key: SigningKey, claims: dict[str, Any], typ: str) -> str:
    header = encode(json.dumps({"alg": "EdDSA", "typ": typ, "kid": key.key_id, "b64": False}).encode())
    signature = key.private.sign(f"{header}.".encode() + json.dumps(claims).encode())
    return f"{header}..{encode(signature)}"


def in_json(key: SigningKey, claims: dict[str, Any], typ: str) -> str:
    header, body, signature = by_us()(key, claims, typ).split(".")
    return json.dumps({"protected": header, "payload": body, "signature": signature})


def nested(key: SigningKey, claims: dict[str, Any], typ: str) -> str:
    inner = by_us()(key, claims, typ)
    header = encode(json.dumps({"alg": "EdDSA", "typ": typ, "kid": key.key_id, "cty": "JWT"}).encode())
    signed = f"{header}.{encode(inner.encode())}"
    return f"{signed}.{encode(key.private.sign(signed.encode()))}"


def with_public_key_as_secret(key: SigningKey, claims: dict[str, Any], typ: str) -> str:
    secret = key.public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    header = encode(json.dumps({"alg": "HS256", "typ": typ, "kid": key.key_id}).encode())
    signed = f"{header}.{encode(json.dumps(claims).encode())}"
    return f"{signed}.{encode(hmac.digest(secret, signed.encode(), 'sha256'))}"


URL = "https://evil.example.org/keys"
FORGERIES: dict[str, Forge] = {
    "jwk": with_own_jwk,
    "jku": lambda key, claims, typ: by_stranger(key, claims, typ, jku=URL),
    "x5u": lambda key, claims, typ: by_stranger(key, claims, typ, x5u=URL),
    "x5c": lambda key, claims, typ: by_stranger(key, claims, typ, x5c=["MIIB"]),
    "es256": by_other_algorithm(ec.generate_private_key(ec.SECP256R1()), "ES256"),
    "rs256": by_other_algorithm(rsa.generate_private_key(65537, 2048), "RS256"),
    "ed448": by_other_algorithm(ed448.Ed448PrivateKey.generate(), "EdDSA"),
    "hs256": with_public_key_as_secret,
    "crit": by_us(crit=["exp"], exp=0),
    "crit of nothing": by_us(crit=["unheard-of"]),
    "typ of none": by_us(typ=None),
    "typ of any": by_us(typ="JWT"),
    "typ of an id token": by_us(typ="id+jwt"),
    "kid of a path": by_us(kid="../../../../dev/null"),
    "kid of a file": by_us(kid="1.pem"),
    "kid of a query": by_us(kid="' OR '1'='1"),
    "kid of NUL": by_us(kid="\x00"),
    "detached": detached,
    "in json": in_json,
    "nested": nested,
}


@dataclass(frozen=True, slots=True)
class Target:
    """One kind of token, and how to try one."""

    verify: Callable[[str], object]
    error: type[Exception]
    key: SigningKey
    claims: dict[str, Any]
    typ: str


@pytest.fixture(params=["access", "action", "ticket", "outside"])
def target(request: pytest.FixtureRequest, signers: Signers) -> Target:
    good = getattr(signers, f"{request.param}_token")
    maker = getattr(signers, request.param)
    header, body, _ = good.split(".")
    key = signers.keys[request.param]
    error = signers.errors[request.param]
    return Target(maker.verify, error, key, read_part(body), read_part(header)["typ"])


def test_what_the_forgeries_change_is_all_that_is_wrong_with_them(target: Target) -> None:
    target.verify(by_us()(target.key, target.claims, target.typ))


@pytest.mark.parametrize("forgery", FORGERIES)
def test_no_forgery_is_a_token(target: Target, forgery: str) -> None:
    with pytest.raises(target.error):
        target.verify(FORGERIES[forgery](target.key, target.claims, target.typ))


def test_the_key_of_the_other_kind_signs_nothing_here(signers: Signers, target: Target) -> None:
    for key in signers.keys.values():
        for named in (key, target.key):
            token = sign(key.private, target.claims, typ=target.typ, kid=named.key_id)
            if (key, named) != (target.key, target.key):
                with pytest.raises(target.error):
                    target.verify(token)


def test_the_claims_of_one_kind_are_none_of_another_with_the_same_key(
    signers: Signers, target: Target
) -> None:
    for kind, error in signers.errors.items():
        verify, typ = getattr(signers, kind).verify, signers.typ(kind)
        if typ != target.typ:
            for named in (typ, target.typ):
                with pytest.raises(error):
                    verify(by_us(typ=named)(target.key, target.claims, target.typ))


def test_a_header_that_refers_to_another_key_is_not_followed(target: Target) -> None:
    leads = {"jku": URL, "x5u": URL, "jwk": {"kty": "oct", "k": "AAAA"}, "x5c": ["MIIB"]}
    target.verify(by_us(**leads)(target.key, target.claims, target.typ))


def test_the_key_of_one_issuer_outside_signs_nothing_for_another(signers: Signers, target: Target) -> None:
    mine, theirs = signers.other_issuer.keys[0], signers.issuer
    signers.ticket.verify(signers.other_issuer.issue()["token"])
    for key_id in (mine.key_id, theirs.keys[0].key_id):
        with pytest.raises(BadTicketError):
            signers.ticket.verify(theirs.issue(key=TicketKey(key_id, mine.private))["token"])
        with pytest.raises(target.error):
            target.verify(sign(mine.private, target.claims, typ=target.typ, kid=key_id))


def test_a_ticket_names_one_issuer_one_audience_and_one_key(signers: Signers) -> None:
    key, issuer, other = signers.keys["outside"], signers.issuer.issuer, signers.other_issuer.issuer
    claims = read_part(signers.outside_token.split(".")[1])

    def signed(**changes: Any) -> str:
        # `jwt.encode` would reject some of these.
        content = json.dumps(claims | changes).encode()
        headers = {"typ": signers.typ("outside"), "kid": key.key_id}
        return jwt.PyJWS().encode(content, key.private, algorithm="EdDSA", headers=headers)

    signers.ticket.verify(signed())
    for named in (
        "laurel",
        other,
        "",
        [issuer, other],
        [issuer],
        {issuer: 1},
        issuer.upper(),
        f"{issuer}/",
        None,
    ):
        with pytest.raises(BadTicketError):
            signers.ticket.verify(signed(iss=named))
    for audience in ("laurel", "laurel-action", ["laurel-score-ticket"], "", None):
        with pytest.raises(BadTicketError):
            signers.ticket.verify(signed(aud=audience))
    with pytest.raises(BadTicketError):
        signers.ticket.verify(sign(key.private, claims, typ=signers.typ("outside")))


async def test_a_token_of_a_gateway_with_other_keys_is_rejected_everywhere(
    gateway: Gateway, signers: Signers
) -> None:
    foreign = gateway.as_player(str(uuid.uuid4()))
    headers = {"Authorization": f"Bearer {signers.access_token}"}
    response = await gateway.http.get("/api/v1/actions", headers=headers)

    assert code(response) == (401, "unauthenticated")
    assert code(await foreign.complete(signers.action_token)) == (400, "bad_action_token")
