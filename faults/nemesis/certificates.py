"""Certificates that are replaced while connections are open."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from faults.cluster.cluster import SERVICES
from faults.nemesis.injection import FaultKind, Injection, OneShot

_LOOKED_SECONDS: Final = 6.0
"""Every process reads the files again within this time."""
_SHORT_LIFE: Final = timedelta(seconds=_LOOKED_SECONDS + 2)


class Reissued(OneShot):
    """Every process gets a new certificate of the same authority."""

    async def inject(self) -> None:
        """Issue them."""
        await asyncio.to_thread(self.scene.cluster.certificates.reissue)


class AuthorityReplaced(OneShot):
    """Every process gets a certificate of a new authority, which is trusted beside the old one at first."""

    async def inject(self) -> None:
        """Take the three steps, and give every process time to reload after each."""
        rotation = await asyncio.to_thread(self.scene.cluster.certificates.rotate)
        for step in (rotation.trust_both, rotation.issue_by_new, rotation.distrust_old):
            await asyncio.to_thread(step)
            await asyncio.sleep(_LOOKED_SECONDS)


class Expired(Injection):
    """The certificates of all processes expire while they are in use, and are renewed too late."""

    async def inject(self) -> None:
        """Issue short-lived ones, and wait until they have expired in every process."""
        await asyncio.to_thread(self.scene.cluster.certificates.reissue, _SHORT_LIFE)
        await asyncio.sleep(_SHORT_LIFE.total_seconds())

    async def heal(self) -> None:
        """Issue new ones."""
        await asyncio.to_thread(self.scene.cluster.certificates.reissue)


CERTIFICATE_FAULTS: Final[Mapping[str, FaultKind]] = {
    "reissued": FaultKind(Reissued, ("certificates",), hold=(0.0, 0.0)),
    # No process starts with an expired certificate, so none may be restarted meanwhile.
    "expired": FaultKind(Expired, ("certificates",), locks=(*SERVICES, "services")),
    "authority_replaced": FaultKind(AuthorityReplaced, ("certificates",), hold=(0.0, 0.0)),
}
