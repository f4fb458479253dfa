"""How the command reaches the score service: a target, three files, and for whom."""

import getpass
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from score_client import ClientCredentials, ScoreClient

IDENTIFIER: Final = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
"""What the contract takes for an id."""
_FILES: Final = {"ca": "ca.crt", "certificate": "tls.crt", "key": "tls.key"}
"""As cert-manager names them."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the service is, and who asks."""

    target: str
    credentials: ClientCredentials
    timeout: float
    on_behalf_of: str
    as_json: bool
    """Whether programs read the output."""

    def open(self) -> ScoreClient:
        """Make a client, to be entered."""
        return ScoreClient(self.target, credentials=self.credentials, timeout=self.timeout)


def make_connection(
    *,
    target: str,
    certificates: Path | None,
    files: dict[str, Path | None],
    timeout: float,
    on_behalf_of: str | None,
    as_json: bool,
) -> Connection:
    """Take what the options say.

    Raises:
        click.UsageError: A file is not named, or the person cannot be.
    """
    found = {
        kind: given or (certificates / _FILES[kind] if certificates else None)
        for kind, given in files.items()
    }
    if missing := [f"--{kind}" for kind, path in found.items() if path is None]:
        raise click.UsageError(f"name the certificate files by {', '.join(missing)}, or by --certificates")
    person = _login() if on_behalf_of is None else on_behalf_of
    if person and not IDENTIFIER.fullmatch(person):
        raise click.UsageError("--on-behalf-of takes 1 to 128 characters of A-Z a-z 0-9 . _ : @ -")
    credentials = ClientCredentials(
        ca_file=str(found["ca"]), certificate_file=str(found["certificate"]), key_file=str(found["key"])
    )
    return Connection(target, credentials, timeout, person, as_json)


def _login() -> str:
    """Return the name of who is logged in; empty where it is not known, or can be in no ledger."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        return ""
    return name if IDENTIFIER.fullmatch(name) else ""
