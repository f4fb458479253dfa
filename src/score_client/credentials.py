"""The three PEM files of mutual TLS, and what makes them fit for use.

Files are replaced one after the other, or all at once behind a link, so a reading may catch a new certificate
beside an old key or old authorities. A reading is therefore used only if the three files stayed the same
while they were read, and belong together. Nothing here keeps or shows a key longer than it takes to hand it
to gRPC.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from os import PathLike
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from score_client.errors import CredentialsError

Fingerprint = tuple[tuple[int, int, int], ...]

BEGINNING = b"-----BEGIN CERTIFICATE-----"
# How often files that change meanwhile are read, before they are given up until the next look at them.
READINGS = 5


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
class LoadedCredentials:
    """One reading of the files, fit for use."""

    fingerprint: Fingerprint
    channel_credentials: grpc.ChannelCredentials
    chain: Sequence[x509.Certificate]
    authorities: Sequence[x509.Certificate]
    signers: Sequence[x509.Certificate]
    """Those of the authorities that signed the client's own chain."""

    def status(self, fault: str | None, now: datetime) -> CertificateStatus:
        """Tell of these files, while they are in use."""
        return CertificateStatus(
            not_before=self.chain[0].not_valid_before_utc,
            not_after=min(certificate.not_valid_after_utc for certificate in self.chain),
            authority_not_after=self._authority_not_after(now),
            fault=fault,
        )

    def _authority_not_after(self, now: datetime) -> datetime:
        # An old authority that is still trusted beside its successor must not count.
        if self.signers:
            return max(authority.not_valid_after_utc for authority in self.signers)
        ends = [authority.not_valid_after_utc for authority in self.authorities]
        return min((end for end in ends if now <= end), default=max(ends))


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
        """Tell this state of the files from any later one, without reading them.

        Raises:
            CredentialsError: A file is missing.
        """
        try:
            states = [path.stat() for path in self._paths()]
        except OSError as error:
            raise _missing(error) from error
        return tuple((state.st_ino, state.st_mtime_ns, state.st_size) for state in states)

    def load(self) -> LoadedCredentials:
        """Read the files.

        Raises:
            CredentialsError: A file is missing, is no PEM, changed again and again, or the key is not the
                certificate's.
        """
        for _ in range(READINGS):
            fingerprint = self.fingerprint()
            try:
                ca, certificate, key = (path.read_bytes() for path in self._paths())
            except OSError as error:
                raise _missing(error) from error
            if self.fingerprint() == fingerprint:
                return self._check(fingerprint, ca, certificate, key)
        raise _unusable("The certificate files changed while they were read.")

    def _paths(self) -> tuple[Path, Path, Path]:
        return Path(self.ca_file), Path(self.certificate_file), Path(self.key_file)

    def _check(
        self, fingerprint: Fingerprint, ca: bytes, certificate: bytes, key: bytes
    ) -> LoadedCredentials:
        # gRPC notices an unfit pair only when it connects, and then says little about it.
        authorities = _parse_certificates(ca, self.ca_file)
        chain = _parse_certificates(certificate, self.certificate_file)
        try:
            fits = load_pem_private_key(key, None).public_key() == chain[0].public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise _unusable(f"{self.key_file} is no private key in PEM, or is encrypted.") from None
        if not fits:
            raise _unusable(f"{self.key_file} is not the key of the certificate.")
        channel_credentials = grpc.ssl_channel_credentials(ca, key, certificate)
        signers = [own for own in authorities if any(_signed(own, one) for one in chain)]
        return LoadedCredentials(fingerprint, channel_credentials, chain, authorities, signers)


def _parse_certificates(pem: bytes, path: str | PathLike[str]) -> Sequence[x509.Certificate]:
    try:
        certificates = x509.load_pem_x509_certificates(pem)
        for certificate in certificates:
            certificate.public_key()  # It is read only when it is asked for, and may turn out to be none.
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise _unusable(f"{path} is no certificate in PEM.") from None
    if len(certificates) != pem.count(BEGINNING):
        raise _unusable(f"{path} is cut off.")
    return certificates


def _signed(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _missing(error: OSError) -> CredentialsError:
    return _unusable(f"The certificate files cannot be used: {error}")


def _unusable(message: str) -> CredentialsError:
    return CredentialsError("CREDENTIALS_UNUSABLE", message)
