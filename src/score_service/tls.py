"""The server's certificate, key and authorities: read from files, and again whenever the files change.

A new set is taken only whole: all three parse, the key fits the certificate, and the certificate holds
now. Until then the last good set stays in use. Rotation concerns new connections; the server closes old
ones by age. A client without a certificate of the authorities fails the handshake.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import grpc
import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from score_service.settings import SetupError

_MAX_FILE_BYTES = 1_000_000
_T = TypeVar("_T")
_log = structlog.get_logger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where the PEM files are."""

    certificate: Path
    """The server's certificate, then the intermediates."""
    key: Path
    authorities: Path
    """Who may have signed a caller's certificate."""

    def stamps(self) -> tuple[object, ...]:
        """Tell what changes when a file or a link to it does."""
        return tuple(_stamp(path) for path in (self.certificate, self.key, self.authorities))


@dataclass(frozen=True, slots=True)
class CertificateSet:
    """Three files that fit together."""

    configuration: grpc.ServerCertificateConfiguration
    not_after: datetime


class Certificates:
    """The set in use.

    `refresh` is called now and then from the event loop; gRPC asks for the set from threads of its own, at
    each handshake, and is handed what is ready.
    """

    def __init__(
        self,
        files: CertificateFiles,
        on_load: Callable[[datetime], None],
        now: Callable[[], datetime] = _now,
    ) -> None:
        """Read the files. Raises SetupError with all that is wrong with them."""
        self._files = files
        self._on_load = on_load
        self._now = now
        self._stamps = files.stamps()
        self._faults: tuple[str, ...] = ()
        self._fresh: grpc.ServerCertificateConfiguration | None = None
        self._first = self._load().configuration

    def credentials(self) -> grpc.ServerCredentials:
        """Make credentials that follow the files and demand a certificate of each client."""
        return grpc.dynamic_ssl_server_credentials(
            self._first,
            self._hand_over,  # type: ignore[arg-type]  # The stubs leave out None, which means: unchanged.
            require_client_authentication=True,
        )

    async def watch(self, every: float) -> None:
        """Look at the files every so many seconds, for ever."""
        while True:
            await asyncio.sleep(every)
            try:
                await asyncio.to_thread(self.refresh)
            except Exception:  # noqa: BLE001 - Logged whole; the set in use is still good.
                _log.exception("certificates not looked at")

    def refresh(self) -> None:
        """Take the files if they have changed. A faulty set is told once, and tried again at each look."""
        stamps = self._files.stamps()
        if stamps == self._stamps:
            return
        try:
            loaded = self._load()
        except SetupError as error:
            if error.faults != self._faults:
                _log.error("certificates not taken", faults=list(error.faults))
            self._faults = error.faults
            return
        self._stamps, self._faults, self._fresh = stamps, (), loaded.configuration
        _log.info("certificates taken", not_after=loaded.not_after.isoformat())

    def _load(self) -> CertificateSet:
        loaded = read_certificates(self._files, self._now())
        self._on_load(loaded.not_after)
        return loaded

    def _hand_over(self) -> grpc.ServerCertificateConfiguration | None:
        fresh, self._fresh = self._fresh, None
        return fresh


def read_certificates(files: CertificateFiles, now: datetime) -> CertificateSet:
    """Read and check the three files.

    Raises:
        SetupError: each fault with the file it is in.
    """
    faults: list[str] = []
    pems = {path: _read(path, faults) for path in (files.certificate, files.key, files.authorities)}
    chain = _parse(_load_chain, pems[files.certificate], files.certificate, faults)
    key = _parse(lambda pem: load_pem_private_key(pem, None), pems[files.key], files.key, faults)
    _parse(x509.load_pem_x509_certificates, pems[files.authorities], files.authorities, faults)
    if chain and key and key.public_key() != chain[0].public_key():
        faults.append(f"{files.key}: is not the key of the certificate")
    if chain and not chain[0].not_valid_before_utc <= now <= chain[0].not_valid_after_utc:
        faults.append(f"{files.certificate}: does not hold now")
    if faults or not chain:
        raise SetupError(faults)
    configuration = grpc.ssl_server_certificate_configuration(
        [(pems[files.key], pems[files.certificate])], root_certificates=pems[files.authorities]
    )
    return CertificateSet(configuration, min(certificate.not_valid_after_utc for certificate in chain))


def _stamp(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _read(path: Path, faults: list[str]) -> bytes:
    try:
        with path.open("rb") as file:
            pem = file.read(_MAX_FILE_BYTES)
    except OSError:
        pem = b""
    if not pem:
        faults.append(f"{path}: is empty or cannot be read")
    return pem


def _load_chain(pem: bytes) -> list[x509.Certificate]:
    chain = x509.load_pem_x509_certificates(pem)
    # The key is read only when it is asked for, and may turn out to be none.
    chain[0].public_key()
    return chain


def _parse(load: Callable[[bytes], _T], pem: bytes, path: Path, faults: list[str]) -> _T | None:
    try:
        return load(pem) if pem else None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        faults.append(f"{path}: is not what it should be in PEM")
        return None
