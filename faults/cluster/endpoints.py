"""Where clients reach the stack."""

from dataclasses import dataclass
from pathlib import Path

from score_client import ClientCredentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The addresses of a stack, and the credentials that its score services accept."""

    score_target: str
    """The gRPC target of all score services, as `score_client.ScoreClient` takes it."""
    backends: tuple[ClientCredentials, ...]
    """The credentials of each backend; several may have the same identity."""
    server_name: str | None = None
    """The name in the certificate of the score services, where it differs from the one in the target."""
    gateway_url: str
    """`http://host:port` of what stands before all gateways"""
    gateway_urls: tuple[str, ...] = ()
    """The same of each gateway, for who chooses one."""
    issuers_file: Path | None = None
    """The issuers of tickets outside, as the gateways read them, where there are any."""
