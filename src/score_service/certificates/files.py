"""The server's certificate, key and authorities as three files: read as one set, and checked.

A set is taken only whole: the three files stayed the same while they were read, all of them parse, the key
fits the certificate, gRPC can use it, and it holds now.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Self, TypeAlias, TypeVar

import grpc

from score_service.certificates.certificate import find_faults, holds
from score_service.settings import CertificateSettings
from service_runtime.errors import SetupError
from service_runtime.tls.pem import Stamp, parse_certificates, parse_key, read_unchanged, stamp
from service_runtime.tls.tls_files import Authorities, KeyPair, Reading, TlsFiles

_MAX_FILE_BYTES: Final = 1_000_000
Stamps: TypeAlias = tuple[Stamp | None, ...]
_T = TypeVar("_T")


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
class CertificateSet(Reading):
    """Three files that fit together."""

    stamps: Stamps
    """The state of the files that it was read from."""
    configuration: grpc.ServerCertificateConfiguration

    @classmethod
    def of(cls, stamps: Stamps, files: TlsFiles) -> Self:
        """Make a set that gRPC can use."""
        pair = (files.pair.key_pem, files.pair.certificate_pem)
        configuration = grpc.ssl_server_certificate_configuration(
            [pair], root_certificates=files.authorities.pem
        )
        return cls(files, stamps, configuration)

    def with_files(self, files: TlsFiles) -> Self:
        """Make a set of other files."""
        return self.of(self.stamps, files)


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
    pair = KeyPair(chain, pems[files.certificate], pems[files.key])
    return CertificateSet.of(stamps, TlsFiles.of(pair, Authorities(authorities, pems[files.authorities])))


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
