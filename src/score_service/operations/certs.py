"""What an operator asks of certificate files at a terminal: what they are, and whether they will do.

Each file gets a headline on standard output and a line for each remark.
"""

import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import click

from score_service.access.policy import Policy
from score_service.certificates.files import CertificateFiles
from score_service.certificates.grants import inspect_faults, inspect_grant
from score_service.certificates.inspection import (
    PemFile,
    Role,
    find_identity,
    inspect_authorities,
    inspect_certificate,
    inspect_key,
)
from score_service.certificates.remarks import Mark, Section, conclude, is_well
from score_service.settings import CertificateSettings, LogSettings
from service_runtime.errors import SetupError

_MAX_FILE_BYTES: Final = 1_000_000
_SHOWN: Final = {Mark.FINE: "ok", Mark.DOUBTFUL: "warning", Mark.WRONG: "WRONG"}


def choose_files(
    settings: LogSettings,
    folder: Path | None,
    certificate: Path | None,
    key: Path | None,
    authorities: Path | None,
) -> CertificateFiles:
    """Return the files that are named, else those of the folder, else those of the settings.

    In a folder they bear the names that cert-manager and SPIFFE drivers give them.
    """
    if folder:
        certificate = certificate or folder / "tls.crt"
        key = key or folder / "tls.key"
        authorities = authorities or folder / "ca.crt"
    if certificate and key and authorities:
        return CertificateFiles(certificate, key, authorities)
    if isinstance(settings, CertificateSettings):
        return CertificateFiles.of(settings)
    raise SetupError(["name all three files, or a folder"])


def check(files: CertificateFiles, role: str, policy: Path | None, now: datetime) -> bool:
    """Print a report of the files for a role, `server` or `client`; return whether nothing is wrong."""
    certificate = _read(files.certificate)
    sections = [*_inspect(files, certificate, Role(role), now)]
    if policy:
        sections.append(_inspect_policy(policy, certificate))
    for section in sections:
        click.echo(section.title)
        for remark in section.remarks:
            click.echo(f"  {_SHOWN[remark.mark]:<8} {remark.text}")
    click.echo(conclude(sections))
    return is_well(sections)


def _inspect(files: CertificateFiles, certificate: PemFile, role: Role, now: datetime) -> Iterator[Section]:
    authorities = _read(files.authorities)
    yield inspect_certificate(certificate, authorities, role, now)
    yield inspect_key(_read(files.key), certificate)
    yield inspect_authorities(authorities, certificate, now)


def _inspect_policy(path: Path, certificate: PemFile) -> Section:
    try:
        policy = Policy.load(path)
    except SetupError as error:
        return inspect_faults(str(path), error.faults)
    identity = find_identity(certificate)
    return inspect_grant(str(path), identity, policy.find_grant(identity) if identity else None)


def _read(path: Path) -> PemFile:
    try:
        with path.open("rb") as file:
            return PemFile(str(path), file.read(_MAX_FILE_BYTES), stat.S_IMODE(path.stat().st_mode))
    except OSError:
        return PemFile(str(path), b"", 0)
