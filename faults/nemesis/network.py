"""What a network does on one way between two parts: late, lost, or cut bytes."""

from collections.abc import Mapping
from typing import Final

from faults.cluster.cluster import GATEWAYS, SCORES, SERVICES
from faults.nemesis.injection import FaultKind, Injection
from faults.network.proxy import Proxy

LINKS: Final = (
    "players->gateways",
    *(f"players->{gateway}" for gateway in GATEWAYS),
    *(f"clients->{score}" for score in SCORES),
    *(f"{gateway}->{score}" for gateway in GATEWAYS for score in SCORES),
    *(f"{service}->{store}" for service in SERVICES for store in ("postgres", "valkey")),
    "archiver->postgres",
)
_DELAYS: Final = (0.02, 0.3)
_CUT_BYTES: Final = 8_000


class LinkFault(Injection):
    """A fault of one connection path, healed by letting everything pass again."""

    @property
    def proxy(self) -> Proxy:
        """The proxy that stands there."""
        return self.scene.cluster.links[self.target]

    async def heal(self) -> None:
        """Let everything pass."""
        self.proxy.release()


class Slow(LinkFault):
    """Bytes are late, both ways."""

    async def inject(self) -> None:
        """Have them wait."""
        self.proxy.delay = self.randomness.uniform(*_DELAYS)


class HeldFault(LinkFault):
    """What was held comes late, or never."""

    async def heal(self) -> None:
        """Let everything pass, with or without what was held."""
        if self.randomness.random() < 0.5:  # noqa: PLR2004 - one or the other
            self.proxy.reset()
        self.proxy.release()


class BlackHole(HeldFault):
    """Nothing passes."""

    async def inject(self) -> None:
        """Hold all of it."""
        self.proxy.hold()


class RepliesHeld(HeldFault):
    """Requests arrive, and their replies do not."""

    async def inject(self) -> None:
        """Hold the replies."""
        self.proxy.hold_replies()


class RequestsCut(LinkFault):
    """A connection breaks in the middle of a request."""

    async def inject(self) -> None:
        """Cut it after some bytes."""
        self.proxy.cut_requests(after=self.randomness.randrange(_CUT_BYTES))


class RepliesCut(LinkFault):
    """A connection breaks in the middle of a reply."""

    async def inject(self) -> None:
        """Cut it after some bytes."""
        self.proxy.cut_replies(after=self.randomness.randrange(_CUT_BYTES))


class Reset(LinkFault):
    """Every connection is reset."""

    async def inject(self) -> None:
        """Reset them."""
        self.proxy.reset()


NETWORK_FAULTS: Final[Mapping[str, FaultKind]] = {
    "slow": FaultKind(Slow, LINKS, weight=2),
    "black_hole": FaultKind(BlackHole, LINKS, weight=4),
    "replies_held": FaultKind(RepliesHeld, LINKS, weight=3),
    "requests_cut": FaultKind(RequestsCut, LINKS, weight=2),
    "replies_cut": FaultKind(RepliesCut, LINKS, weight=3),
    "reset": FaultKind(Reset, LINKS, weight=2, hold=(0.0, 0.0)),
}
