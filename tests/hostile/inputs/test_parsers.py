"""Every parser of bytes that come from outside: whatever they are, the answer is one that is described."""

import json
import ssl
import string
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st
from tests.fixtures.certificates import GATEWAY_ID, certificate_with
from tests.fixtures.services.gateway import add_signing_key
from tests.hostile.inputs.fuzzing import fuzzing
from tests.hostile.tokens.signers import Signers, encode

from action_gateway.accounts import sessions
from action_gateway.accounts.keys import KeyFolder
from action_gateway.actions.catalog import read_catalog
from action_gateway.errors import BadRefreshTokenError
from local_stack.certificates import CertificateFiles
from score_service.access.identity import is_spiffe_id, read_peer
from score_service.access.policy import Policy
from score_service.certificates.files import CertificateFiles as ServerFiles
from score_service.certificates.files import read_certificates
from score_service.domain.standings.standing import Standing
from score_service.domain.tokens.page_token import PageEnd, read_page_token, write_page_token
from score_service.errors import IdentityMissingError, InvalidRequestError
from service_runtime.errors import SetupError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
DEPTH = 6_000
ODD_JSON = [
    b"[" * DEPTH,
    b'{"kid":' * DEPTH,
    b'{"kid":' + b"9" * 9_000 + b"}",
    b'{"kid":"a","kid":"b"}',
    b'{"kid":"\\u0000"}',
    b'{"kid":"\\ud800","typ":"at+jwt"}',
    b'{"kid":"\xff"}',
    b'{"kid":1e999}',
    b'{"kid":NaN}',
    b'{"alg":"EdDSA","b64":false,"crit":["b64"]}',
    b"null",
    b"",
]


@st.composite
def mutations(draw: st.DrawFn, text: str) -> str:
    """Change a text at one place or a few: other characters, some more, some less, or parts exchanged."""
    characters = list(text)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(characters) - 1))
        new = draw(st.sampled_from(string.ascii_letters + string.digits + "-_.=+/ \n\0é%"))
        match draw(st.sampled_from(["replace", "insert", "delete", "append", "swap"])):
            case "replace":
                characters[place] = new
            case "insert":
                characters.insert(place, new)
            case "append":
                characters.append(new)
            case "swap":
                other = draw(st.integers(0, len(characters) - 1))
                characters[place], characters[other] = characters[other], characters[place]
            case "delete" if len(characters) > 1:
                del characters[place]
    return "".join(characters)


@fuzzing(200)
@given(text=st.text(max_size=200) | st.text("abcABC019._-=", max_size=200))
def test_arbitrary_text_is_no_valid_token(signers: Signers, text: str) -> None:
    signers.reject(text)


@fuzzing(300)
@given(data=st.data())
def test_a_changed_token_is_invalid(signers: Signers, data: st.DataObject) -> None:
    good = data.draw(st.sampled_from([signers.access_token, signers.action_token, signers.outside_token]))
    changed = data.draw(mutations(good))
    if changed != good:
        signers.reject(changed)


@pytest.mark.parametrize("padding", ["=", "==", "==="])
def test_a_token_has_one_spelling(signers: Signers, padding: str) -> None:
    signers.reject(signers.access_token + padding)
    signers.reject(signers.action_token + padding)
    signers.reject(signers.outside_token + padding)


@fuzzing(200)
@given(header=JSON, claims=JSON)
def test_arbitrary_headers_and_claims_make_no_valid_token(signers: Signers, header: Any, claims: Any) -> None:
    if isinstance(header, dict):
        header |= signers.header
    for signature in ("", signers.access_token.rpartition(".")[2]):
        body = f"{encode(json.dumps(header).encode())}.{encode(json.dumps(claims).encode())}"
        signers.reject(f"{body}.{signature}")


@pytest.mark.parametrize("raw", ODD_JSON, ids=range(len(ODD_JSON)))
def test_unusual_json_makes_no_valid_token(signers: Signers, raw: bytes) -> None:
    _, claims, signature = signers.access_token.split(".")
    header = signers.access_token.split(".")[0]
    signers.reject(f"{encode(raw)}.{claims}.{signature}")
    signers.reject(f"{header}.{encode(raw)}.{signature}")


REFRESH_TOKEN = encode(bytes(range(32)))


@fuzzing(300)
@given(text=st.text(max_size=60) | st.text(string.ascii_letters, min_size=43, max_size=43))
@example(REFRESH_TOKEN[:-1] + "9")
@example(REFRESH_TOKEN + "=")
@example(REFRESH_TOKEN[:5] + "\n" + REFRESH_TOKEN[5:])
@example("+/" * 21 + "A")
@example("A" * 44)
@example("\ud800" * 43)
def test_a_refresh_token_is_read_in_its_one_spelling_or_rejected(text: str) -> None:
    try:
        token = sessions._decode(text)
    except BadRefreshTokenError:
        return
    assert len(token) == 32
    assert sessions._encode(token) == text


PAGE_TOKEN = write_page_token(Standing("ada", 10, 1, 7))


@fuzzing(300)
@given(
    token=st.text(max_size=60)
    | mutations(PAGE_TOKEN)
    | st.text(max_size=40).map(lambda text: encode(text.encode(errors="replace")))
    | st.from_regex(r"[0-9]{1,18} [0-9]{1,18} [a-z:]{1,10}", fullmatch=True).map(
        lambda text: encode(text.encode())
    )
)
@example(PAGE_TOKEN + "=")
@example("!" + PAGE_TOKEN)
@example(encode(b"007 1 ada"))
@example(encode("\u0661 1 ada".encode()))
@example("\ud800")
def test_a_page_token_is_read_in_its_one_spelling_or_rejected(token: str) -> None:
    try:
        end = read_page_token(token)
    except InvalidRequestError:
        return
    if isinstance(end, PageEnd):
        assert write_page_token(Standing(end.user_id, end.total, None, end.reached_revision)) == token


TOML_PIECES = (
    *("[[identity]]", "[[action]]", "[", "]", "{", "}", "=", '"', "'''", "\n", ",", ".", "#", "\\u0000", "é"),
    *("spiffe_id", "methods", "boards", "max_points", '"spiffe://a/b"', '["*"]', "1_000", "1e400", "nan"),
    *("action_id", "points", "answer", "repeat", '"once"', "2026-13-40", "99:99:99", "0x", "true", "-0"),
)
TOML = st.lists(st.sampled_from(TOML_PIECES), max_size=30).map(" ".join) | st.text(max_size=100)
ODD_TOML = [
    "a = " + "[" * DEPTH,
    "a = " + "{a = " * DEPTH,
    "a = " + "9" * 9_000,
    "a = -" + "9" * 9_000,
    "a." * 1_000 + "a = 1",
    "[" + "a." * 1_000 + "a]",
    "a = 1\na = 2",
    "identity = 1",
    "action = 1",
    "[[identity]]\nmax_points = " + "9" * 4_000,
    "[[action]]\npoints = " + "9" * 4_000,
    "[[action]]\nmin_seconds = " + "9" * 4_000,
    "[[action]]\nmin_seconds = 1979-05-27T07:32:00Z",
    '"\\u0000" = "\\u0000"',
    "\x00",
]


def check_policy(text: str) -> None:
    with suppress(SetupError):
        Policy.parse(text)


def check_catalog(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with suppress(SetupError):
        read_catalog(file)


@fuzzing(200)
@given(text=TOML)
def test_a_policy_is_read_or_its_faults_are_reported(text: str) -> None:
    check_policy(text)


@fuzzing(200)
@given(text=TOML)
def test_a_catalog_is_read_or_its_faults_are_reported(tmp_path: Path, text: str) -> None:
    check_catalog(tmp_path / "actions.toml", text.encode(errors="surrogatepass"))


@pytest.mark.parametrize("text", ODD_TOML, ids=range(len(ODD_TOML)))
def test_unusual_toml_is_reported_as_a_fault(tmp_path: Path, text: str) -> None:
    check_policy(text)
    check_catalog(tmp_path / "actions.toml", text.encode())


def test_files_that_are_no_text_are_a_fault(tmp_path: Path) -> None:
    for content in (b"\xff\xfe", b"\x00" * 100, bytes(range(256))):
        file = tmp_path / "policy.toml"
        check_catalog(file, content)
        with pytest.raises(SetupError):
            Policy.load(file)


CERTIFICATE = certificate_with(GATEWAY_ID).decode()


@fuzzing(200)
@given(
    values=st.lists(st.binary(max_size=60) | st.just(GATEWAY_ID.encode()), max_size=3),
    certificate=st.binary(max_size=60)
    | mutations(CERTIFICATE).map(str.encode)
    | st.just(CERTIFICATE.encode()),
)
@example([b"spiffe://laurel.local/a\x00b"], CERTIFICATE.encode())
@example(["spiffe://laurel.local/\u0430".encode()], CERTIFICATE.encode())
@example([b"spiffe://laurel.local/" + b"a" * 5_000], CERTIFICATE.encode())
@example([b"SPIFFE://laurel.local/a"], CERTIFICATE.encode())
@example([b"spiffe://laurel.local/../a"], CERTIFICATE.encode())
def test_an_identity_is_read_whole_or_missing(values: list[bytes], certificate: bytes) -> None:
    try:
        spiffe_id = read_peer({"peer_spiffe_id": values, "x509_pem_cert": [certificate]}).spiffe_id
    except IdentityMissingError:
        return
    assert [spiffe_id.encode()] == values == [GATEWAY_ID.encode()]
    assert is_spiffe_id(spiffe_id)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@fuzzing(100)
@given(data=st.data())
def test_certificate_files_are_accepted_or_their_faults_reported(
    tmp_path: Path, server_certificate: CertificateFiles, data: st.DataObject
) -> None:
    parts = (server_certificate.certificate_file, server_certificate.key_file, server_certificate.ca_file)
    changed = data.draw(st.sampled_from(range(3)))
    files = []
    for number, part in enumerate(parts):
        content = part.read_bytes()
        if number == changed:
            content = data.draw(st.binary(max_size=200) | mutations(content.decode()).map(str.encode))
        files.append(tmp_path / part.name)
        files[-1].write_bytes(content)
    with suppress(SetupError):
        read_certificates(ServerFiles(*files), datetime.now(UTC))


def test_a_certificate_whose_key_is_no_point_of_its_curve_is_a_fault(
    tmp_path: Path, server_certificate: CertificateFiles
) -> None:
    certificate = x509.load_pem_x509_certificate(server_certificate.certificate_file.read_bytes())
    point = certificate.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    changed = certificate.public_bytes(Encoding.DER).replace(point, b"\x04" + bytes(len(point) - 1))
    odd = tmp_path / "odd.pem"
    odd.write_text(ssl.DER_cert_to_PEM_cert(changed))

    with pytest.raises(SetupError):
        read_certificates(ServerFiles(odd, server_certificate.key_file, odd), datetime.now(UTC))


def test_a_signing_key_of_an_unsupported_algorithm_is_a_fault(tmp_path: Path) -> None:
    key = "MC4CAQAwBQYD0aVwBCI////001178AEEGIIJMMMNMMPSTbdegij++l77222st55z"
    (tmp_path / "1.pem").write_text(f"-----BEGIN PRIVATE KEY-----{key}-----END PRIVATE KEY-----")

    with pytest.raises(SetupError):
        KeyFolder(tmp_path)


@fuzzing(100)
@given(data=st.data())
def test_a_signing_key_is_accepted_or_its_fault_reported(tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "keys"
    add_signing_key(folder)
    pem = (folder / "1.pem").read_text(encoding="ascii")
    (folder / "1.pem").write_bytes(data.draw(st.binary(max_size=200) | mutations(pem).map(str.encode)))
    said = ""
    try:
        KeyFolder(folder)
    except SetupError as error:
        said = str(error)
    assert not any(line in said for line in pem.splitlines())
