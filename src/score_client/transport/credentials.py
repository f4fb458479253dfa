"""The three PEM files of mutual TLS, and what makes them fit for use.

Files are replaced one after the other, or all at once behind a link, so a reading may catch a new certificate
beside an old key or old authorities. A reading is therefore used only if the three files stayed the same
while they were read, and belong together. The key in use is kept in memory, as gRPC does, and never shown.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Self, TypeVar

import grpc

from score_client.errors import CredentialsError
from service_runtime.tls.pem import Stamp, parse_certificates, parse_key, read_unchanged, stamp
from service_runtime.tls.tls_files import Authorities, KeyPair, Reading, TlsFiles

_T = TypeVar("_T")
Fingerprint = tuple[Stamp, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateStatus:
    """What a client shows and trusts, as it is now.

    Attributes:
        not_before: When the certificate in use began.
        not_after: When it ends, or one of its chain.
        authority_not_after: When the authority ends that is needed of those that are trusted: the one that
            signed the client's own chain. If none of them did, the earliest end of those that hold.
        fault: Why the files as they were at the last look are not in use; None if they are.
    """

    not_before: datetime
    not_after: datetime
    authority_not_after: datetime
    fault: str | None


@dataclass(frozen=True, slots=True)
class LoadedCredentials(Reading):
    """One reading of the files, fit for use."""

    fingerprint: Fingerprint
    channel_credentials: grpc.ChannelCredentials

    @classmethod
    def of(cls, fingerprint: Fingerprint, files: TlsFiles) -> Self:
        """Make what gRPC can use."""
        pair, authorities = files.pair, files.authorities
        credentials = grpc.ssl_channel_credentials(authorities.pem, pair.key_pem, pair.certificate_pem)
        return cls(files, fingerprint, credentials)

    def with_files(self, files: TlsFiles) -> Self:
        """Make credentials of other files."""
        return self.of(self.fingerprint, files)

    def status(self, fault: str | None, now: datetime) -> CertificateStatus:
        """Return these files, while they are in use."""
        return CertificateStatus(
            not_before=self.files.not_before,
            not_after=self.files.not_after,
            authority_not_after=self.files.authority_not_after(now),
            fault=fault,
        )


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Where the client's certificate lies, and whom it trusts.

    Attributes:
        ca_file: The authorities that may sign the service's certificate.
        certificate_file: The client's certificate, followed by its chain. Its one SPIFFE URI is the
            client's identity.
        key_file: The certificate's private key, not encrypted.
    """

    ca_file: str | PathLike[str]
    certificate_file: str | PathLike[str]
    key_file: str | PathLike[str]

    def fingerprint(self) -> Fingerprint:
        """Return this state of the files from any later one, without reading them.

        Raises:
            CredentialsError: A file is missing.
        """
        try:
            return tuple(map(stamp, self._paths()))
        except OSError as error:
            raise _missing(error) from error

    def load(self) -> LoadedCredentials:
        """Read the files.

        Raises:
            CredentialsError: A file is missing, is no PEM, changed again and again, or the key is not the
                certificate's.
        """
        read = read_unchanged(self.fingerprint, self._read)
        if read is None:
            raise _unusable("The certificate files changed while they were read.")
        return self._check(*read)

    def _read(self) -> tuple[bytes, bytes, bytes]:
        try:
            ca, certificate, key = (path.read_bytes() for path in self._paths())
        except OSError as error:
            raise _missing(error) from error
        return ca, certificate, key

    def _paths(self) -> tuple[Path, Path, Path]:
        return Path(self.ca_file), Path(self.certificate_file), Path(self.key_file)

    def _check(self, fingerprint: Fingerprint, pems: tuple[bytes, bytes, bytes]) -> LoadedCredentials:
        # gRPC notices an unfit pair only when it connects, and then says little about it.
        ca, certificate, key = pems
        authorities = _parse(parse_certificates, ca, self.ca_file)
        chain = _parse(parse_certificates, certificate, self.certificate_file)
        if _parse(parse_key, key, self.key_file).public_key() != chain[0].public_key():
            raise _unusable(f"{self.key_file} is not the key of the certificate.")
        files = TlsFiles.of(KeyPair(chain, certificate, key), Authorities(authorities, ca))
        return LoadedCredentials.of(fingerprint, files)


def _parse(parse: Callable[[bytes], _T], pem: bytes, path: str | PathLike[str]) -> _T:
    try:
        return parse(pem)
    except ValueError as error:
        raise _unusable(f"{path} {error}.") from None


def _missing(error: OSError) -> CredentialsError:
    return _unusable(f"The certificate files cannot be used: {error}")


def _unusable(message: str) -> CredentialsError:
    return CredentialsError("CREDENTIALS_UNUSABLE", message)
