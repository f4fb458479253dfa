"""The server's certificates: checked whole, followed as the files change, never lost."""

import asyncio
import itertools
import shutil
import socket
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from structlog.testing import capture_logs
from tests.fixtures.certificates import BACKEND_ID, SERVICE_ID, build_certificate
from tests.fixtures.secret_volume import SecretVolume
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.score_service import (
    Connect,
    ScoreService,
    StartScoreService,
    award_request,
    rejected,
)

from local_stack import certificates as stack
from score_service.certificates.certificate import FIT_KEYS
from score_service.certificates.files import CertificateFiles, read_certificates
from score_service.certificates.tls import SESSION_SECONDS, Certificates
from service_runtime.errors import SetupError
from service_runtime.tls.pem import is_signed_by


def now() -> datetime:
    """Return the time, not that of the import: certificates are made minutes later in a long run."""
    return datetime.now(UTC)


@pytest.fixture
def issued(server_certificate: stack.CertificateFiles, tmp_path: Path) -> stack.CertificateFiles:
    """Return a server certificate in files that a test may change."""
    copy = stack.CertificateFiles(tmp_path / "ca.pem", tmp_path / "server.pem", tmp_path / "server-key.pem")
    put(server_certificate, copy)
    return copy


@pytest.fixture
def files(issued: stack.CertificateFiles) -> CertificateFiles:
    return CertificateFiles(issued.certificate_file, issued.key_file, issued.ca_file)


def put(source: stack.CertificateFiles, target: stack.CertificateFiles) -> None:
    """Replace the files of a set, each at one stroke, as an agent that renews would."""
    for name in ("ca_file", "certificate_file", "key_file"):
        draft = getattr(target, name).with_suffix(".new")
        shutil.copy(getattr(source, name), draft)
        draft.replace(getattr(target, name))


@dataclass(frozen=True, slots=True)
class Session:
    """A TLS session with a server, as a client that resumes sessions has it."""

    context: ssl.SSLContext
    session: ssl.SSLSession | None
    is_resumed: bool

    @classmethod
    def of(cls, port: int, certificate: stack.CertificateFiles) -> Self:
        """Begin a session by a full handshake."""
        context = ssl.create_default_context(cafile=certificate.ca_file)
        context.load_cert_chain(certificate.certificate_file, certificate.key_file)
        context.set_alpn_protocols(["h2"])
        # With TLS 1.2 the ticket is there when the handshake has ended.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return cls(context, None, is_resumed=False).resume(port)

    def resume(self, port: int) -> Self:
        """Connect, with the session if the server accepts it."""
        with (
            socket.create_connection(("localhost", port)) as connection,
            self.context.wrap_socket(
                connection, server_hostname="localhost", session=self.session
            ) as wrapped,
        ):
            return type(self)(self.context, wrapped.session, is_resumed=bool(wrapped.session_reused))


def issue_server(authority: stack.CertificateAuthority, name: str, **changes: Any) -> stack.CertificateFiles:
    return authority.issue(name, dns=["localhost"], ips=["127.0.0.1"], uris=[SERVICE_ID], **changes)


def faults_of(files: CertificateFiles) -> list[str]:
    with pytest.raises(SetupError) as caught:
        read_certificates(files, now())
    return list(caught.value.faults)


def test_a_good_set_has_its_begin_and_its_end(
    files: CertificateFiles, authority: stack.CertificateAuthority
) -> None:
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    certificates = Certificates(files)
    assert certificates.not_before == certificate.not_valid_before_utc
    assert certificates.not_after == certificate.not_valid_after_utc
    assert certificates.authority_not_after == authority.certificate.not_valid_after_utc


@pytest.mark.parametrize("name", ["certificate", "key", "authorities"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n", None])
def test_a_file_that_cannot_be_used_is_named(
    files: CertificateFiles, name: str, content: bytes | None
) -> None:
    path: Path = getattr(files, name)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert [fault for fault in faults_of(files) if fault.startswith(f"{path}: ")]


def test_all_faulty_files_are_named_at_once(tmp_path: Path) -> None:
    files = CertificateFiles(tmp_path / "a", tmp_path / "b", tmp_path / "c")
    assert [fault.split(": ")[0] for fault in faults_of(files)] == [
        str(files.certificate),
        str(files.key),
        str(files.authorities),
    ]


def test_a_key_of_another_certificate_is_rejected(
    files: CertificateFiles, authority: stack.CertificateAuthority
) -> None:
    other = issue_server(authority, "other-server")
    assert faults_of(replace(files, key=other.key_file)) == [
        f"{other.key_file}: is not the key of the certificate"
    ]


def test_a_certificate_with_which_every_handshake_would_fail_is_rejected(
    files: CertificateFiles, authority: stack.CertificateAuthority
) -> None:
    key = ec.generate_private_key(ec.SECP521R1())
    builder = build_certificate(authority.certificate.subject, key, [x509.DNSName("localhost")])
    files.certificate.write_bytes(builder.sign(authority.key, SHA256()).public_bytes(Encoding.PEM))
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    assert faults_of(files) == [
        f"{files.certificate}: has a key that is ECDSA on secp521r1: {FIT_KEYS} is needed"
    ]


@pytest.mark.parametrize("days", [-1, 31])
def test_a_certificate_that_does_not_hold_now_is_rejected(files: CertificateFiles, days: int) -> None:
    with pytest.raises(SetupError, match="does not hold now"):
        read_certificates(files, now() + timedelta(days=days))


def test_an_unchanged_set_is_not_handed_over_again(files: CertificateFiles) -> None:
    certificates = Certificates(files)
    certificates.refresh()
    assert certificates._hand_over() is None


def test_a_changed_set_is_handed_over_once(
    issued: stack.CertificateFiles, files: CertificateFiles, authority: stack.CertificateAuthority
) -> None:
    certificates = Certificates(files)
    renewed = issue_server(authority, "renewed-server", valid_for=timedelta(days=60))
    put(renewed, issued)
    certificates.refresh()
    assert certificates.not_after > now() + timedelta(days=59)
    assert certificates._hand_over() is not None
    assert certificates._hand_over() is None


def test_a_faulty_set_is_logged_once_and_the_last_good_one_kept(files: CertificateFiles) -> None:
    certificates = Certificates(files)
    files.key.write_bytes(b"nonsense")
    with capture_logs() as logs:
        certificates.refresh()
        certificates.refresh()
    assert [entry["log_level"] for entry in logs] == ["error"]
    assert certificates.is_faulty
    assert certificates._hand_over() is None


def test_a_file_that_is_put_back_as_it_was_is_no_fault(files: CertificateFiles, tmp_path: Path) -> None:
    certificates = Certificates(files)
    files.key.rename(tmp_path / "moved")
    certificates.refresh()
    assert certificates.is_faulty
    (tmp_path / "moved").rename(files.key)
    certificates.refresh()
    assert not certificates.is_faulty


@pytest.mark.parametrize("read", [1, 2])
def test_files_that_are_switched_while_they_are_read_are_never_mixed(
    read: int,
    server_certificate: stack.CertificateFiles,
    foreign_authority: stack.CertificateAuthority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    volume = SecretVolume(tmp_path / "tls", server_certificate)
    paths: list[Path] = []

    def read_and_switch(path: Path) -> bytes:
        paths.append(path)
        pem = path.read_bytes()
        if len(paths) == read:
            volume.put(issue_server(foreign_authority, "new-server"))
        return pem

    monkeypatch.setattr("score_service.certificates.files._read", read_and_switch)
    files = volume.files
    loaded = read_certificates(CertificateFiles(files.certificate_file, files.key_file, files.ca_file), now())

    assert list(loaded.files.authorities.trusted) == [foreign_authority.certificate]
    assert is_signed_by(loaded.files.pair.chain[0], foreign_authority.certificate)
    assert len(paths) == 6


def test_files_that_never_stay_the_same_are_a_fault(
    files: CertificateFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamps = itertools.count()
    monkeypatch.setattr(CertificateFiles, "stamps", lambda _: (next(stamps),))

    [fault] = faults_of(files)
    assert fault == f"{files.certificate}: changed while it and its key and authorities were read"


def test_files_that_vanish_for_a_moment_are_taken_when_they_are_back(
    issued: stack.CertificateFiles, files: CertificateFiles, server_certificate: stack.CertificateFiles
) -> None:
    certificates = Certificates(files)
    files.certificate.unlink()
    certificates.refresh()
    assert certificates._hand_over() is None
    put(server_certificate, issued)
    certificates.refresh()
    assert certificates._hand_over() is not None


def test_a_set_that_does_not_hold_yet_is_taken_once_it_does(
    issued: stack.CertificateFiles, files: CertificateFiles, authority: stack.CertificateAuthority
) -> None:
    clock = [now()]
    certificates = Certificates(files, now=lambda: clock[0])
    begins = clock[0] + timedelta(hours=1)
    put(authority.issue("early-server", dns=["localhost"], uris=[SERVICE_ID], not_before=begins), issued)
    certificates.refresh()
    assert certificates._hand_over() is None
    clock[0] = begins + timedelta(minutes=1)
    certificates.refresh()
    assert certificates._hand_over() is not None


def test_the_expiry_of_the_certificate_in_use_is_logged_once_for_each(
    issued: stack.CertificateFiles, files: CertificateFiles, authority: stack.CertificateAuthority
) -> None:
    clock = [now()]
    certificates = Certificates(files, now=lambda: clock[0])
    with capture_logs() as logs:
        certificates.refresh()
        assert not logs
        clock[0] = certificates.not_after
        certificates.refresh()
        certificates.refresh()
        put(issue_server(authority, "renewed-server", valid_for=timedelta(days=4_000)), issued)
        certificates.refresh()
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("certificate_expired", "error"),
        ("certificates_loaded", "info"),
    ]


def test_a_renewed_certificate_is_used_once_it_has_been_valid_for_the_activation_delay(
    issued: stack.CertificateFiles, files: CertificateFiles, authority: stack.CertificateAuthority
) -> None:
    clock = [now()]
    delay = timedelta(minutes=5)
    certificates = Certificates(files, delay, now=lambda: clock[0])
    before = certificates.not_before
    put(issue_server(authority, "renewed-server", not_before=clock[0] - timedelta(seconds=1)), issued)
    with capture_logs() as logs:
        certificates.refresh()
        certificates.refresh()
    assert certificates.not_before == before
    assert not certificates.is_faulty
    assert [entry["event"] for entry in logs] == ["certificate_renewed"]

    clock[0] += delay
    certificates.refresh()
    assert certificates.not_before > before
    assert certificates._hand_over() is not None


def test_changed_authorities_are_used_before_the_renewed_certificate(
    issued: stack.CertificateFiles,
    files: CertificateFiles,
    foreign_authority: stack.CertificateAuthority,
) -> None:
    clock = [now()]
    certificates = Certificates(files, timedelta(minutes=5), now=lambda: clock[0])
    before = certificates.not_after
    put(issue_server(foreign_authority, "renewed-server", not_before=clock[0] - timedelta(seconds=1)), issued)
    certificates.refresh()
    assert certificates.not_after == before
    assert certificates.authority_not_after == foreign_authority.certificate.not_valid_after_utc
    assert certificates._hand_over() is not None


def test_an_unchanged_set_is_handed_over_again_at_intervals(files: CertificateFiles) -> None:
    clock = [0.0]
    certificates = Certificates(files, monotonic=lambda: clock[0])
    clock[0] = SESSION_SECONDS - 1
    assert certificates._hand_over() is None
    clock[0] = SESSION_SECONDS
    assert certificates._hand_over() is not None
    assert certificates._hand_over() is None


def test_a_session_cannot_be_resumed_once_the_set_was_handed_over_again(
    files: CertificateFiles, backend_certificate: stack.CertificateFiles
) -> None:
    clock = [0.0]
    certificates = Certificates(files, monotonic=lambda: clock[0])
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_secure_port("localhost:0", certificates.credentials())
    server.start()
    try:
        first = Session.of(port, backend_certificate)
        again = first.resume(port)
        assert again.is_resumed
        clock[0] = SESSION_SECONDS
        assert not again.resume(port).is_resumed
    finally:
        server.stop(None).wait()


async def test_a_look_that_fails_does_not_end_the_looking(
    files: CertificateFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = Certificates(files)
    looks: list[None] = []

    def fail() -> None:
        looks.append(None)
        raise ZeroDivisionError

    async def has_looked_again() -> bool:
        return len(looks) > 1

    monkeypatch.setattr(certificates, "refresh", fail)
    watching = asyncio.create_task(certificates.watch(0.001))
    await eventually(has_looked_again)
    assert certificates.is_faulty
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching


@pytest.fixture
async def service(start_score_service: StartScoreService, issued: stack.CertificateFiles) -> ScoreService:
    """Return a service that looks at changed files at once."""
    return await start_score_service(
        tls_certificate_file=issued.certificate_file,
        tls_key_file=issued.key_file,
        tls_ca_file=issued.ca_file,
        tls_reload_seconds=0.02,
    )


def serial_of(certificate: stack.CertificateFiles) -> int:
    return x509.load_pem_x509_certificate(certificate.certificate_file.read_bytes()).serial_number


def shows(service: ScoreService, serial: int) -> Callable[[], Awaitable[bool]]:
    async def condition() -> bool:
        return await shown_serial(service) == serial

    return condition


async def shown_serial(service: ScoreService) -> int:
    """Connect, and tell the serial number of the certificate that the server shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    port = service.running.grpc_address.port
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return x509.load_der_x509_certificate(shown).serial_number


async def test_a_renewed_certificate_is_shown_without_a_restart(
    service: ScoreService,
    connect: Connect,
    backend_certificate: stack.CertificateFiles,
    issued: stack.CertificateFiles,
    authority: stack.CertificateAuthority,
) -> None:
    before = connect(service, backend_certificate)
    await before.score.AwardPoints(award_request())
    renewed = issue_server(authority, "renewed-server")
    put(renewed, issued)
    await eventually(shows(service, serial_of(renewed)))
    await before.score.AwardPoints(award_request())
    await connect(service, backend_certificate).score.AwardPoints(award_request())
    shown = x509.load_pem_x509_certificate(renewed.certificate_file.read_bytes())
    begins, ends = shown.not_valid_before_utc, shown.not_valid_after_utc
    assert await service.metric("laurel_certificate_not_before_timestamp_seconds") == begins.timestamp()
    assert await service.metric("laurel_certificate_not_after_timestamp_seconds") == ends.timestamp()
    trusted = authority.certificate.not_valid_after_utc
    assert await service.metric("laurel_authority_not_after_timestamp_seconds") == trusted.timestamp()


async def test_a_second_authority_is_trusted_without_a_restart(
    service: ScoreService,
    connect: Connect,
    issued: stack.CertificateFiles,
    authority: stack.CertificateAuthority,
    foreign_authority: stack.CertificateAuthority,
    tmp_path: Path,
) -> None:
    foreign = foreign_authority.issue("foreign-backend", uris=[BACKEND_ID])
    foreign = replace(foreign, ca_file=authority.ca_file)
    await rejected(connect(service, foreign).score.AwardPoints(award_request()))
    both = tmp_path / "both.pem"
    both.write_bytes(authority.ca_file.read_bytes() + foreign_authority.ca_file.read_bytes())
    both.replace(issued.ca_file)

    async def is_trusted() -> bool:
        try:
            await connect(service, foreign).score.AwardPoints(award_request(), timeout=5)
        except Exception:  # noqa: BLE001  # Not yet.
            return False
        return True

    await eventually(is_trusted)


async def test_a_faulty_set_does_not_disturb_the_service(
    service: ScoreService,
    connect: Connect,
    backend_certificate: stack.CertificateFiles,
    issued: stack.CertificateFiles,
) -> None:
    serial = serial_of(issued)
    with capture_logs() as logs:
        issued.certificate_file.write_bytes(b"nonsense")

        async def is_noticed() -> bool:
            return any(entry["event"] == "certificates_rejected" for entry in logs)

        await eventually(is_noticed)
    assert await shown_serial(service) == serial
    assert await service.metric("laurel_certificate_faulty") == 1
    await connect(service, backend_certificate).score.AwardPoints(award_request())
