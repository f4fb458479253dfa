"""The set of certificate files in use: followed as the files change, and handed to gRPC.

Until a changed set is fit for use, the last good one stays. Rotation concerns new connections; the server
closes old ones by age. A client without a certificate of the authorities fails the handshake.

A renewed certificate is used only once it has been valid for the activation delay, for callers whose clocks
are behind; changed authorities are used at once. gRPC is handed the set anew at intervals though nothing has
changed, which ends the TLS sessions that callers may resume: only a full handshake checks a certificate.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import grpc
import structlog

from score_service.certificates.files import CertificateFiles, CertificateSet, read_certificates
from service_runtime.errors import SetupError

SESSION_SECONDS: Final = 60.0
"""Most time in which a TLS session can be resumed."""
_log = structlog.get_logger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


class Certificates:
    """The set in use.

    `refresh` is called now and then from the event loop; gRPC asks for the set from threads of its own, at
    each handshake, and is handed what is ready.
    """

    def __init__(
        self,
        files: CertificateFiles,
        activation_delay: timedelta = timedelta(0),
        *,
        now: Callable[[], datetime] = _now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the files. Raises SetupError with all that is wrong with them."""
        self._files = files
        self._activation_delay = activation_delay
        self._now = now
        self._monotonic = monotonic
        self._faults: tuple[str, ...] = ()
        self._used = self._latest = read_certificates(files, now())
        self._handed_over, self._handed_over_at = self._used, monotonic()
        self._expired: CertificateSet | None = None

    @property
    def not_before(self) -> datetime:
        """When the certificate in use began."""
        return self._used.files.not_before

    @property
    def not_after(self) -> datetime:
        """When the certificate in use ends, or one that it rests on."""
        return self._used.files.not_after

    @property
    def authority_not_after(self) -> datetime:
        """When the authority ends that is needed of those in use."""
        return self._used.files.authority_not_after(self._now())

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
        if self._files.stamps() == self._latest.stamps:
            self._faults = ()
        else:
            self._read()
        due = self._used.followed_by(self._latest, self._activation_delay, self._now())
        if due is not self._used:
            self._used = due
            _log.info("certificates_loaded", not_after=self.not_after.isoformat())
        self._note_expiry()

    def _note_expiry(self) -> None:
        """Log once that the certificate in use has expired: clients reject it from then on."""
        if self._expired is not self._used and self._now() >= self.not_after:
            self._expired = self._used
            _log.error("certificate_expired", not_after=self.not_after.isoformat())

    def _read(self) -> None:
        try:
            self._latest = read_certificates(self._files, self._now())
        except SetupError as error:
            if error.faults != self._faults:
                _log.error("certificates_rejected", faults=list(error.faults))
            self._faults = error.faults
            return
        self._faults = ()
        activation = self._used.files.activation_of(self._latest.files, self._activation_delay)
        if self._now() < activation:
            _log.info("certificate_renewed", used_from=activation.isoformat())

    def _hand_over(self) -> grpc.ServerCertificateConfiguration | None:
        """Return the set if gRPC has another one, or has had this one for as long as sessions may last."""
        used, at = self._used, self._monotonic()
        if used is self._handed_over and at - self._handed_over_at < SESSION_SECONDS:
            return None
        self._handed_over, self._handed_over_at = used, at
        return used.configuration
