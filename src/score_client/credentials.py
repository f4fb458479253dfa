"""The three PEM files of mutual TLS, and what makes them fit for use.

Files are replaced one after the other, so a reading may catch a new certificate beside an old key. A
reading is therefore used only if the three files stayed the same while they were read, and belong
together. Nothing here keeps or shows a key longer than it takes to hand it to gRPC.
"""

import ssl
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import grpc

from score_client.errors import CredentialsError

Fingerprint = tuple[tuple[int, int, int], ...]


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
            raise _unusable(error) from error
        return tuple((state.st_ino, state.st_mtime_ns, state.st_size) for state in states)

    def load(self) -> tuple[Fingerprint, grpc.ChannelCredentials]:
        """Read the files.

        Raises:
            CredentialsError: A file is missing, is no PEM, changed meanwhile, or the key is not the
                certificate's.
        """
        fingerprint = self.fingerprint()
        try:
            ca, certificate, key = (path.read_bytes() for path in self._paths())
            self._check()
        except OSError as error:
            raise _unusable(error) from error
        if self.fingerprint() != fingerprint:
            raise CredentialsError(
                "CREDENTIALS_UNUSABLE", "The certificate files changed while they were read."
            )
        return fingerprint, grpc.ssl_channel_credentials(ca, key, certificate)

    def _paths(self) -> tuple[Path, Path, Path]:
        return Path(self.ca_file), Path(self.certificate_file), Path(self.key_file)

    def _check(self) -> None:
        # gRPC notices an unfit pair only when it connects, and then says little about it.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=self.ca_file)
        # The password keeps OpenSSL from asking the terminal for one.
        context.load_cert_chain(self.certificate_file, self.key_file, password="")


def _unusable(error: OSError) -> CredentialsError:
    return CredentialsError("CREDENTIALS_UNUSABLE", f"The certificate files cannot be used: {error}")
