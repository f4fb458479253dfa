"""Certificates that are replaced while connections are open."""

import asyncio
from collections.abc import Mapping
from typing import Final

from faults.nemesis.injection import FaultKind, OneShot

_LOOKED_SECONDS: Final = 6.0
"""Every process reads the files again within this time."""


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


CERTIFICATE_FAULTS: Final[Mapping[str, FaultKind]] = {
    "reissued": FaultKind(Reissued, ("certificates",), hold=(0.0, 0.0)),
    "authority_replaced": FaultKind(AuthorityReplaced, ("certificates",), hold=(0.0, 0.0)),
}
