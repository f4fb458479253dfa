"""The certificates of a stack: issued, issued again, and by another authority.

Like a volume of Kubernetes, the folder that all processes read is a link which is moved to a new folder: a
reader sees all files of one issue.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from local_stack.certificates import TRUST_DOMAIN, CertificateAuthority, CertificateFiles
from local_stack.servers.ports import HOST

SERVER_NAME: Final = "score-service.laurel.local"
"""The name in the certificates of the score services."""
_VALID_FOR: Final = timedelta(days=30)
_BACKDATED: Final = timedelta(minutes=10)
"""More than the activation delay, so that processes use a certificate at once, and than clock skew."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a certificate."""

    name: str
    serves: bool = False

    @property
    def spiffe_id(self) -> str:
        """Its identity."""
        return f"spiffe://{TRUST_DOMAIN}/{self.name}"


class Certificates:
    """The folder with all certificates and the trusted authorities."""

    def __init__(self, folder: Path, holders: Sequence[Holder]) -> None:
        """Make an authority, and issue everything."""
        self._folder = folder
        self._holders = holders
        self._issues = 0
        self._authorities = 0
        self._authority = self._make_authority()
        self._publish(self._authority)

    def files(self, name: str) -> CertificateFiles:
        """Return the files that a holder reads; their contents change."""
        current = self._folder / "current"
        return CertificateFiles(current / "ca.pem", current / f"{name}.pem", current / f"{name}-key.pem")

    def reissue(self, valid_for: timedelta = _VALID_FOR) -> None:
        """Issue new certificates of the same authority for all holders, which expire after a time."""
        self._publish(self._authority, valid_for=valid_for)

    def rotate(self) -> "Rotation":
        """Begin to replace the authority."""
        return Rotation(self, self._authority, self._make_authority())

    def publish(self, trusted: Sequence[CertificateAuthority], issuer: CertificateAuthority) -> None:
        """Issue everything by one authority, and have some be trusted."""
        self._authority = issuer
        self._publish(*trusted)

    def _make_authority(self) -> CertificateAuthority:
        self._authorities += 1
        return CertificateAuthority.open(self._folder / f"authority-{self._authorities}")

    def _publish(self, *trusted: CertificateAuthority, valid_for: timedelta = _VALID_FOR) -> None:
        self._issues += 1
        folder = self._folder / f"issue-{self._issues}"
        folder.mkdir(mode=0o700)
        (folder / "ca.pem").write_bytes(b"".join(authority.ca_file.read_bytes() for authority in trusted))
        issuer = replace(self._authority, folder=folder)
        start = datetime.now(UTC) - _BACKDATED
        for holder in self._holders:
            dns, ips = ([SERVER_NAME], [HOST]) if holder.serves else ([], [])
            issuer.issue(
                holder.name,
                uris=[holder.spiffe_id],
                dns=dns,
                ips=ips,
                not_before=start,
                valid_for=_BACKDATED + valid_for,
            )
        link = self._folder / "next"
        link.symlink_to(folder.name)
        link.replace(self._folder / "current")


@dataclass(frozen=True, slots=True)
class Rotation:
    """The steps from one authority to another; between two of them every process has to reload."""

    certificates: Certificates
    old: CertificateAuthority
    new: CertificateAuthority

    def trust_both(self) -> None:
        """Have all processes trust both, with certificates of the old one."""
        self.certificates.publish([self.old, self.new], self.old)

    def issue_by_new(self) -> None:
        """Issue all certificates by the new one."""
        self.certificates.publish([self.old, self.new], self.new)

    def distrust_old(self) -> None:
        """Have no process trust the old one any more."""
        self.certificates.publish([self.new], self.new)
