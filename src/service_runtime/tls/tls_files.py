"""A certificate with its key and authorities as they were read, and when a renewed one takes its place."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

from service_runtime.tls.pem import Chain, end_of, end_of_authorities, find_signers


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate with its key."""

    chain: Chain
    """The certificate, then those that it came with."""
    certificate_pem: bytes = field(repr=False)
    key_pem: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authorities:
    """Who may have signed the certificate of a peer."""

    trusted: Chain
    pem: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The contents of the three files of one side of mutual TLS, fit for use."""

    pair: KeyPair
    authorities: Authorities
    signers: Chain
    """Those of the authorities that signed the own chain."""

    @classmethod
    def of(cls, pair: KeyPair, authorities: Authorities) -> Self:
        """Find the signers."""
        return cls(pair, authorities, find_signers(authorities.trusted, pair.chain))

    @property
    def not_before(self) -> datetime:
        """When the certificate became valid."""
        return self.pair.chain[0].not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        """When the certificate expires, or one of its chain."""
        return end_of(self.pair.chain)

    def authority_not_after(self, now: datetime) -> datetime:
        """When the authority expires that is needed of those that are trusted: see `end_of_authorities`."""
        return end_of_authorities(self.authorities.trusted, self.signers, now)

    def activation_of(self, renewed: Self, delay: timedelta) -> datetime:
        """Return when a renewed certificate takes the place of this one.

        A peer whose clock is behind rejects a certificate that has just become valid. So this one stays until
        the renewed one has been valid for the delay, or until no more than the delay is left of this one.
        """
        return min(renewed.not_before + delay, self.not_after - delay)

    def followed_by(self, renewed: Self, delay: timedelta, now: datetime) -> Self:
        """Return what to use now, where these files are in use and renewed ones were read.

        The certificate as `activation_of` says; changed authorities at once, since whom to trust is no matter
        of clocks.
        """
        if now >= self.activation_of(renewed, delay):
            return renewed
        if renewed.authorities.pem == self.authorities.pem:
            return self
        return self.of(self.pair, renewed.authorities)


@dataclass(frozen=True, slots=True)
class Reading(ABC):
    """The files as they were read once, with what their side makes of them for gRPC."""

    files: TlsFiles

    @abstractmethod
    def with_files(self, files: TlsFiles) -> Self:
        """Make the same of other files."""

    def followed_by(self, latest: Self, delay: timedelta, now: datetime) -> Self:
        """Return what to use now, where this reading is in use and the latest one is another."""
        files = self.files.followed_by(latest.files, delay, now)
        if files is latest.files:
            return latest
        return self if files is self.files else self.with_files(files)
