"""Each sentence that is said of certificates, keys, authorities and policies."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID
from tests.fixtures.certificates import (
    BACKEND_ID,
    GATEWAY_ID,
    SERVICE_ID,
    PrivateKey,
    build_certificate,
)
from tests.fixtures.services.score_service import METERED_ID, POLICY, READER_ID

from score_service.access.policy import Policy
from score_service.certificates.certificate import FIT_KEYS
from score_service.certificates.grants import inspect_faults, inspect_grant
from score_service.certificates.inspection import (
    PemFile,
    Role,
    find_identity,
    inspect_authorities,
    inspect_certificate,
    inspect_key,
)
from score_service.certificates.remarks import Mark, Section, conclude, is_well

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SERVER_AUTH, CLIENT_AUTH = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
READS = ("GetStanding", "BatchGetStandings", "ListStandings", "ListStandingsAround", "WatchLeaderboard")
KEY = ec.generate_private_key(ec.SECP256R1())
X400_ADDRESS = bytes.fromhex("3004a3020500")


@dataclass(frozen=True, slots=True)
class Signer:
    """An authority, trusted or not."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def make_signer(
    name: str = "CA", signer: Signer | None = None, own_key: PrivateKey | None = None, **changes: Any
) -> Signer:
    key = own_key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    given: dict[str, Any] = {"is_authority": True, "usages": (), "start": NOW - DAY, "end": NOW + 3650 * DAY}
    given |= changes
    builder = build_certificate(
        signer.certificate.subject if signer else subject, key, (), subject=name, **given
    )
    return Signer(builder.sign(signer.key if signer else key, hashes.SHA256()), key)


CA = make_signer()


def make_pem(*names: str, signer: Signer = CA, key: Any = KEY, **changes: Any) -> bytes:
    """Make a certificate: by default a good one of both a server and a client, as cert-manager would."""
    given: dict[str, Any] = {
        "subject": "",
        "usages": [SERVER_AUTH, CLIENT_AUTH],
        "start": NOW - DAY,
        "end": NOW + 60 * DAY,
    }
    general = [
        x509.UniformResourceIdentifier(name) if ":" in name else x509.DNSName(name)
        for name in names or (SERVICE_ID, "score-service.laurel.svc")
    ]
    given |= {"names": general} | changes
    builder = build_certificate(signer.certificate.subject, key, **given)
    return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def key_pem(key: ec.EllipticCurvePrivateKey = KEY, password: bytes | None = None) -> bytes:
    locked: KeySerializationEncryption = NoEncryption()
    if password:
        locked = BestAvailableEncryption(password)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)


def pem_file(pem: bytes, mode: int = 0o600) -> PemFile:
    return PemFile("x.pem", pem, mode)


def said(section: Section) -> dict[Mark, list[str]]:
    return {
        mark: [remark.text for remark in section.remarks if remark.mark is mark]
        for mark in Mark
        if any(remark.mark is mark for remark in section.remarks)
    }


def of_certificate(
    pem: bytes, trusted: bytes = CA.pem, role: Role = Role.SERVER, now: datetime = NOW
) -> dict[Mark, list[str]]:
    return said(inspect_certificate(pem_file(pem), pem_file(trusted), role, now))


def of_authorities(trusted: bytes, pem: bytes | None = None) -> dict[Mark, list[str]]:
    return said(inspect_authorities(pem_file(trusted), pem_file(pem or make_pem()), NOW))


def of_key(pem: bytes, mode: int = 0o600, certificate: bytes | None = None) -> dict[Mark, list[str]]:
    beside = pem_file(make_pem() if certificate is None else certificate)
    return said(inspect_key(pem_file(pem, mode), beside))


@pytest.mark.parametrize("role", Role)
def test_everything_about_a_good_certificate_is_reported(role: Role) -> None:
    auth = {Role.SERVER: "serverAuth", Role.CLIENT: "clientAuth"}[role]

    assert of_certificate(make_pem(), role=role) == {
        Mark.FINE: [
            "is that of nobody; its key is ECDSA on secp256r1",
            f"names {SERVICE_ID}, score-service.laurel.svc",
            f"may be used by a {role}: its extended key usages have {auth}",
            "holds until 2027-01-26 12:00 UTC, for another 60 days",
            "is signed by CN=CA",
            "leads to CN=CA, which is trusted",
        ]
    }


@pytest.mark.parametrize(
    ("pem", "text"),
    [
        (b"", "is empty or cannot be read"),
        (b"nonsense", "is not a certificate in PEM"),
        (make_pem() + CA.pem[:-60], "is cut off"),
    ],
)
def test_a_file_without_a_certificate_is_wrong(pem: bytes, text: str) -> None:
    assert of_certificate(pem) == {Mark.WRONG: [text]}
    assert of_authorities(pem) == {Mark.WRONG: [text]}


def test_a_private_key_in_another_file_is_wrong_and_not_shown() -> None:
    text = "holds a private key, which belongs into the file of the key alone"

    assert of_certificate(make_pem() + key_pem())[Mark.WRONG] == [text]
    assert of_authorities(key_pem() + CA.pem)[Mark.WRONG] == [text]


def test_a_server_needs_a_host() -> None:
    needs = "a server needs the DNS name by which it is called"

    assert of_certificate(make_pem(SERVICE_ID))[Mark.WRONG] == [f"names {SERVICE_ID}: {needs}"]
    assert of_certificate(make_pem(names=[]))[Mark.WRONG] == [f"names nobody: {needs}"]
    address = x509.IPAddress(ip_address("10.0.0.1"))
    assert of_certificate(make_pem(names=[address]))[Mark.FINE][1] == "names 10.0.0.1"


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["backend.laurel.svc"], "names backend.laurel.svc: a client needs exactly one URI, its SPIFFE id"),
        ([BACKEND_ID, "urn:x"], f"names {BACKEND_ID}, urn:x: a client needs exactly one URI, its SPIFFE id"),
        (["spiffe://x"], "names spiffe://x: a SPIFFE id is spiffe://trust-domain/path"),
        (["https://x/y"], "names https://x/y: a SPIFFE id is spiffe://trust-domain/path"),
    ],
)
def test_a_client_needs_exactly_one_spiffe_id(names: list[str], text: str) -> None:
    assert of_certificate(make_pem(*names), role=Role.CLIENT)[Mark.WRONG] == [text]
    assert find_identity(pem_file(make_pem(*names))) is None


def test_the_identity_is_that_of_the_one_uri() -> None:
    assert find_identity(pem_file(make_pem(BACKEND_ID, "backend.laurel.svc"))) == BACKEND_ID
    assert find_identity(pem_file(b"nonsense")) is None


def test_contents_of_a_certificate_do_not_control_the_terminal() -> None:
    texts = of_certificate(make_pem("localhost", "spiffe://a/\x1b[31m\n"))[Mark.FINE]

    assert texts[1] == "names spiffe://a/\\u001b[31m\\u000a, localhost"


def test_a_name_of_a_kind_that_cannot_be_read_is_wrong() -> None:
    names = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, X400_ADDRESS)
    builder = build_certificate(CA.certificate.subject, KEY, (), start=NOW - DAY, end=NOW + 60 * DAY)
    certificate = builder.add_extension(names, critical=False).sign(CA.key, hashes.SHA256())
    told = of_certificate(certificate.public_bytes(Encoding.PEM), role=Role.CLIENT)

    assert "has a name of a kind that cannot be read" in told[Mark.WRONG]


def test_a_certificate_of_the_other_role_is_wrong() -> None:
    for role, usage, word in (
        (Role.SERVER, CLIENT_AUTH, "serverAuth"),
        (Role.CLIENT, SERVER_AUTH, "clientAuth"),
    ):
        assert of_certificate(make_pem(usages=[usage]), role=role)[Mark.WRONG] == [
            f"may not be used by a {role}: its extended key usages lack {word}"
        ]


def test_a_certificate_for_any_use_is_doubtful() -> None:
    assert of_certificate(make_pem(usages=[]))[Mark.DOUBTFUL] == [
        "does not say what it may be used for, so it may be used for anything"
    ]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (rsa.generate_private_key(65537, 1024), "RSA with 1024 bits"),
        (ec.generate_private_key(ec.SECP521R1()), "ECDSA on secp521r1"),
        (ec.generate_private_key(ec.SECP256K1()), "ECDSA on secp256k1"),
    ],
)
def test_a_key_that_grpc_does_not_take_or_nobody_should_is_wrong(key: Any, name: str) -> None:
    assert of_certificate(make_pem(key=key))[Mark.WRONG] == [
        f"has a key that is {name}: {FIT_KEYS} is needed"
    ]


@pytest.mark.parametrize("role", Role)
def test_a_certificate_that_may_sign_others_is_doubtful(role: Role) -> None:
    told = of_certificate(make_pem(is_authority=True), role=role)

    assert told[Mark.DOUBTFUL] == ["may sign others, which SPIFFE allows no workload"]
    assert Mark.WRONG not in told


@pytest.mark.parametrize(
    ("now", "mark", "text"),
    [
        (NOW - 2 * DAY, Mark.WRONG, "does not hold before 2026-11-26 12:00 UTC, in 24 hours"),
        (NOW - 1.01 * DAY, Mark.WRONG, "does not hold before 2026-11-26 12:00 UTC, in 14 minutes"),
        (NOW + 63 * DAY, Mark.WRONG, "ended at 2027-01-26 12:00 UTC, 3 days ago"),
        (
            NOW + 50 * DAY,
            Mark.DOUBTFUL,
            "holds until 2027-01-26 12:00 UTC, for another 10 days, and should have been renewed by now",
        ),
        (NOW + 40 * DAY, Mark.FINE, "holds until 2027-01-26 12:00 UTC, for another 20 days"),
    ],
)
def test_the_time_that_is_left_is_judged_by_the_whole_life(now: datetime, mark: Mark, text: str) -> None:
    assert text in of_certificate(make_pem(), now=now)[mark]


def test_an_intermediate_is_followed_and_looked_at() -> None:
    middle = make_signer("Middle", CA, end=NOW + 50 * DAY)
    chain = make_pem(signer=middle, end=NOW + 40 * DAY) + middle.pem

    assert of_certificate(chain)[Mark.FINE][4:] == [
        "is signed by CN=Middle",
        "brings along CN=Middle, which holds until 2027-01-16 12:00 UTC, for another 50 days",
        "leads to CN=CA, which is trusted",
    ]
    assert of_certificate(chain, now=NOW + 51 * DAY)[Mark.WRONG] == [
        "ended at 2027-01-06 12:00 UTC, 11 days ago",
        "brings along CN=Middle, which ended at 2027-01-16 12:00 UTC, 24 hours ago",
    ]


def test_a_certificate_that_signed_another_without_being_an_authority_is_wrong() -> None:
    middle = make_signer("Middle", CA, is_authority=False)
    texts = of_certificate(make_pem(signer=middle) + middle.pem)[Mark.WRONG]

    assert texts[0] == "brings along CN=Middle, which is no authority"
    assert texts[1].startswith("leads to no authority: ")


@pytest.mark.parametrize(
    ("signer", "trusted", "text"),
    [
        (CA, make_signer("Other").pem, "leads to CN=CA, which is not among the authorities"),
        (
            CA,
            make_signer("CA").pem,
            "leads to CN=CA; the authority of that name has another key than the one that signed",
        ),
        (make_signer("Middle", CA), CA.pem, "leads to CN=Middle, which is not among the authorities"),
    ],
)
def test_a_chain_that_leads_to_no_authority_is_wrong(signer: Signer, trusted: bytes, text: str) -> None:
    assert of_certificate(make_pem(signer=signer), trusted)[Mark.WRONG] == [text]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"start": NOW - 9 * DAY, "end": NOW - DAY}, "does not hold now"),
        ({"is_authority": False}, "is no authority: it lacks the CA flag"),
    ],
)
def test_an_authority_that_is_none_now_is_reported_as_what_breaks_the_chain(
    changes: dict[str, Any], text: str
) -> None:
    signer = make_signer("CA", **changes)
    pem = make_pem(signer=signer)

    assert of_certificate(pem, signer.pem)[Mark.WRONG] == [f"leads to CN=CA, which {text}"]


def test_a_weak_authority_breaks_the_chain() -> None:
    signer = make_signer(own_key=rsa.generate_private_key(65537, 1024))
    fault = f"has a key that is RSA with 1024 bits: {FIT_KEYS} is needed"

    assert of_certificate(make_pem(signer=signer), signer.pem)[Mark.WRONG] == [
        f"leads to CN=CA, which {fault}"
    ]


def test_one_of_several_authorities_is_enough() -> None:
    bundle = make_signer("Other").pem + make_signer("CA").pem + CA.pem

    assert of_certificate(make_pem(), bundle)[Mark.FINE][-1] == "leads to CN=CA, which is trusted"


def test_an_authority_that_ends_before_the_certificate_is_doubtful() -> None:
    signer = make_signer("CA", end=NOW + 30 * DAY)

    assert of_certificate(make_pem(signer=signer), signer.pem)[Mark.DOUBTFUL] == [
        "leads to CN=CA, which ends before it, at 2026-12-27 12:00 UTC"
    ]


def test_issuer_of_a_certificate_is_not_reported_without_authorities() -> None:
    assert not any("leads" in text for texts in of_certificate(make_pem(), b"").values() for text in texts)


def test_a_key_that_fits_is_fine() -> None:
    assert of_key(key_pem()) == {Mark.FINE: ["fits the certificate"]}
    assert of_key(key_pem(), certificate=b"nonsense") == {Mark.FINE: ["is a private key"]}


@pytest.mark.parametrize(
    ("pem", "text"),
    [
        (b"", "is empty or cannot be read"),
        (b"nonsense", "is no private key in PEM"),
        (make_pem(), "is no private key in PEM"),
        (key_pem(password=b"secret"), "is encrypted, and a service has nobody to ask for the password"),
        (key_pem(ec.generate_private_key(ec.SECP256R1())), "is not the key of the certificate"),
    ],
)
def test_a_key_that_will_not_do_is_wrong(pem: bytes, text: str) -> None:
    assert of_key(pem) == {Mark.WRONG: [text]}


@pytest.mark.parametrize(("mode", "is_open"), [(0o600, False), (0o640, False), (0o644, True), (0o602, True)])
def test_a_key_that_others_may_read_or_change_is_doubtful(mode: int, is_open: bool) -> None:  # noqa: FBT001
    texts = of_key(key_pem(), mode).get(Mark.DOUBTFUL, [])

    assert texts == ([f"is open to everybody on this machine: its mode is {mode:04o}"] if is_open else [])


def test_each_authority_is_reported() -> None:
    other = make_signer("Other", end=NOW + 400 * DAY)

    assert of_authorities(CA.pem + other.pem) == {
        Mark.FINE: [
            "trusts CN=CA, which holds until 2036-11-24 12:00 UTC, for another 3,650 days",
            "trusts CN=Other, which holds until 2028-01-01 12:00 UTC, for another 400 days",
        ]
    }


def test_an_authority_that_ended_is_wrong_only_where_the_certificate_needs_it() -> None:
    old = make_signer("Old", start=NOW - 9 * DAY, end=NOW - 3 * DAY)
    ended = "trusts CN=Old, which ended at 2026-11-24 12:00 UTC, 3 days ago"

    assert of_authorities(old.pem + CA.pem)[Mark.DOUBTFUL] == [f"{ended}, and can be left out"]
    assert of_authorities(old.pem + CA.pem, make_pem(signer=old))[Mark.WRONG] == [ended]


def test_an_authority_to_come_is_doubtful() -> None:
    new = make_signer("New", start=NOW + DAY)

    assert of_authorities(CA.pem + new.pem)[Mark.DOUBTFUL] == [
        "trusts CN=New, which does not hold before 2026-11-28 12:00 UTC, in 24 hours"
    ]


def test_an_authority_near_its_end_is_doubtful_in_its_last_thirty_days() -> None:
    for days, is_near in ((29, True), (31, False)):
        near = make_signer("Near", start=NOW - 3000 * DAY, end=NOW + days * DAY)
        assert (Mark.DOUBTFUL in of_authorities(near.pem)) is is_near


def test_a_certificate_among_the_authorities_counts_for_nothing() -> None:
    assert of_authorities(CA.pem + make_signer("Leaf", is_authority=False).pem)[Mark.DOUBTFUL] == [
        "has CN=Leaf, which is no authority and counts for nothing"
    ]


def test_what_a_policy_allows_is_reported() -> None:
    policy = Policy.parse(POLICY)
    section = inspect_grant("policy.toml", BACKEND_ID, policy.find_grant(BACKEND_ID))

    assert section.title == "policy policy.toml"
    assert said(section) == {
        Mark.FINE: [
            f"names {BACKEND_ID}",
            "allows AwardPoints, BatchAwardPoints, GetAward of ScoreService",
            f"allows {', '.join(READS)} of LeaderboardService",
            "allows GetBoard, ListBoards, UpdateBoard, GetPeriod, ListPeriods of BoardService",
            "allows ReverseAward, ReverseAwards, SetUserVisibility of CorrectionService",
            "allows ListAwards, StreamEntries of LedgerService",
            "allows the boards main, season-*",
            "allows 1,000 points an award, 1,000,000 awards a second and 1,000,000,000 points a minute",
            "allows awards that happened up to 86,400 seconds ago",
        ]
    }
    assert said(inspect_grant("x", READER_ID, policy.find_grant(READER_ID)))[Mark.FINE][1:] == [
        "allows GetStanding of LeaderboardService",
        "allows the boards main",
    ]
    anywhere = said(inspect_grant("x", GATEWAY_ID, policy.find_grant(GATEWAY_ID)))[Mark.FINE]
    assert "allows every board" in anywhere
    metered = said(inspect_grant("x", METERED_ID, policy.find_grant(METERED_ID)))[Mark.FINE]
    assert metered[-1] == "allows 100 points an award, 1,000 awards a second and 250 points a minute"


def test_a_policy_that_does_not_name_the_identity_is_wrong() -> None:
    assert said(inspect_grant("x", SERVICE_ID, None)) == {
        Mark.WRONG: [f"does not name {SERVICE_ID}: every call of it is rejected"]
    }
    assert said(inspect_grant("x", None, None)) == {
        Mark.WRONG: ["can name no certificate that gives no identity"]
    }


def test_faults_of_a_policy_are_reported() -> None:
    assert said(inspect_faults("x", ["one", "two"])) == {Mark.WRONG: ["one", "two"]}


@pytest.fixture
def inspect() -> Callable[[bytes], list[Section]]:
    return lambda pem: [inspect_certificate(pem_file(pem), pem_file(CA.pem), Role.SERVER, NOW)]


def test_the_conclusion_counts_what_is_wrong_and_doubtful(inspect: Callable[[bytes], list[Section]]) -> None:
    well, doubtful, wrong = (
        inspect(pem) for pem in (make_pem(), make_pem(usages=[]), make_pem(SERVICE_ID, usages=[CLIENT_AUTH]))
    )

    assert [is_well(sections) for sections in (well, doubtful, wrong)] == [True, True, False]
    assert conclude(well) == "0 things wrong, 0 warnings"
    assert conclude(doubtful) == "0 things wrong, 1 warning"
    assert conclude(wrong) == "2 things wrong, 0 warnings"
