"""The server's certificate, key and authorities: read from files, and again whenever the files change.

A new set is taken only whole: the three files stayed the same while they were read, all of them parse, the
key fits the certificate, gRPC can use it, and it holds now. Until then the last good set stays in use.
Rotation concerns new connections; the server closes old ones by age. A client without a certificate of the
authorities fails the handshake.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self, TypeAlias, TypeVar

import grpc
import structlog

from score_service.certificates.certificate import find_faults, holds
from score_service.settings import CertificateSettings
from service_runtime.pem import (
    Chain,
    Stamp,
    end_of,
    end_of_authorities,
    find_signers,
    parse_certificates,
    parse_key,
    read_unchanged,
    stamp,
)
from service_runtime.settings import SetupError

_MAX_FILE_BYTES: Final = 1_000_000
Stamps: TypeAlias = tuple[Stamp | None, ...]
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

    @classmethod
    def of(cls, settings: CertificateSettings) -> Self:
        """Take the files that the settings name."""
        return cls(settings.tls_certificate_file, settings.tls_key_file, settings.tls_ca_file)

    def stamps(self) -> Stamps:
        """Return what changes when a file or a link to it does."""
        return tuple(_stamp(path) for path in (self.certificate, self.key, self.authorities))


@dataclass(frozen=True, slots=True)
class CertificateSet:
    """Three files that fit together."""

    stamps: Stamps
    configuration: grpc.ServerCertificateConfiguration
    chain: Chain
    authorities: Chain
    signers: Chain
    """Those of the authorities that signed the server's own chain."""


class Certificates:
    """The set in use.

    `refresh` is called now and then from the event loop; gRPC asks for the set from threads of its own, at
    each handshake, and is handed what is ready.
    """

    def __init__(self, files: CertificateFiles, now: Callable[[], datetime] = _now) -> None:
        """Read the files. Raises SetupError with all that is wrong with them."""
        self._files = files
        self._now = now
        self._faults: tuple[str, ...] = ()
        self._fresh: grpc.ServerCertificateConfiguration | None = None
        self._used = read_certificates(files, now())

    @property
    def not_before(self) -> datetime:
        """When the certificate in use began."""
        return self._used.chain[0].not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        """When the certificate in use ends, or one that it rests on."""
        return end_of(self._used.chain)

    @property
    def authority_not_after(self) -> datetime:
        """When the authority ends that is needed of those in use."""
        used = self._used
        return end_of_authorities(used.authorities, used.signers, self._now())

    @property
    def is_faulty(self) -> bool:
        """Whether the files as they were at the last look cannot be taken."""
        return bool(self._faults)

    def credentials(self) -> grpc.ServerCredentials:
        """Make credentials that follow the files and demand a certificate of each client."""
        return grpc.dynamic_ssl_server_credentials(
            self._used.configuration,
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
                _log.exception("certificates_not_checked")
                self._faults = ("the files could not be looked at",)

    def refresh(self) -> None:
        """Take the files if they have changed. A faulty set is logged once, and tried again at each look."""
        if self._files.stamps() == self._used.stamps:
            self._faults = ()
            return
        try:
            loaded = read_certificates(self._files, self._now())
        except SetupError as error:
            if error.faults != self._faults:
                _log.error("certificates_rejected", faults=list(error.faults))
            self._faults = error.faults
            return
        self._used, self._faults, self._fresh = loaded, (), loaded.configuration
        _log.info("certificates_loaded", not_after=self.not_after.isoformat())

    def _hand_over(self) -> grpc.ServerCertificateConfiguration | None:
        fresh, self._fresh = self._fresh, None
        return fresh


def read_certificates(files: CertificateFiles, now: datetime) -> CertificateSet:
    """Read and check the three files.

    Raises:
        SetupError: each fault with the file it is in.
    """
    faults: list[str] = []
    stamps, pems = _read_together(files, faults)
    chain = _parse(parse_certificates, pems[files.certificate], files.certificate, faults)
    key = _parse(parse_key, pems[files.key], files.key, faults)
    authorities = _parse(parse_certificates, pems[files.authorities], files.authorities, faults)
    if chain and key and key.public_key() != chain[0].public_key():
        faults.append(f"{files.key}: is not the key of the certificate")
    if chain:
        faults += (f"{files.certificate}: {fault}" for fault in find_faults(chain[0]))
    if chain and not holds(chain[0], now):
        faults.append(f"{files.certificate}: does not hold now")
    if faults or not chain or not authorities:
        raise SetupError(faults)
    configuration = grpc.ssl_server_certificate_configuration(
        [(pems[files.key], pems[files.certificate])], root_certificates=pems[files.authorities]
    )
    return CertificateSet(stamps, configuration, chain, authorities, find_signers(authorities, chain))


def _read_together(files: CertificateFiles, faults: list[str]) -> tuple[Stamps, dict[Path, bytes]]:
    """Read the files as they all were at one moment."""
    paths = (files.certificate, files.key, files.authorities)
    read = read_unchanged(files.stamps, lambda: {path: _read(path) for path in paths})
    if read is None:
        raise SetupError([f"{files.certificate}: changed while it and its key and authorities were read"])
    faults += (f"{path}: is empty or cannot be read" for path, pem in read[1].items() if not pem)
    return read


def _stamp(path: Path) -> Stamp | None:
    try:
        return stamp(path)
    except OSError:
        return None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_BYTES)
    except OSError:
        return b""


def _parse(parse: Callable[[bytes], _T], pem: bytes, path: Path, faults: list[str]) -> _T | None:
    try:
        return parse(pem) if pem else None
    except ValueError as error:
        faults.append(f"{path}: {error}")
        return None
