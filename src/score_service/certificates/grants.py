"""What a policy grants the identity of a certificate, in plain words. Pure."""

from collections.abc import Iterable, Iterator

from score_service.access.policy import SERVICES, Grant
from score_service.certificates.phrases import listed, number, plain
from score_service.certificates.remarks import Section, fine, wrong


def inspect_grant(policy: str, identity: str | None, grant: Grant | None) -> Section:
    """Describe what a policy allows an identity."""
    if identity is None:
        remarks = [wrong("can name no certificate that gives no identity")]
    elif grant is None:
        remarks = [wrong(f"does not name {identity}: every call of it is rejected")]
    else:
        remarks = [fine(f"names {identity}"), *map(fine, _describe(grant))]
    return Section(f"policy {policy}", remarks)


def inspect_faults(policy: str, faults: Iterable[str]) -> Section:
    """Describe what is wrong with a policy that cannot be used."""
    return Section(f"policy {policy}", [wrong(plain(fault)) for fault in faults])


def _describe(grant: Grant) -> Iterator[str]:
    for service, methods in SERVICES.items():
        if allowed := [method.partition("/")[2] for method in methods if method in grant.methods]:
            yield f"allows {listed(allowed)} of {service.rpartition('.')[2]}"
    yield f"allows {'every board' if '*' in grant.boards else f'the boards {listed(grant.boards)}'}"
    if grant.max_points:
        yield (
            f"allows {number(grant.max_points, 'point')} an award, "
            f"{number(grant.awards_per_second, 'award')} a second and "
            f"{number(grant.points_per_minute, 'point')} a minute"
        )
    if grant.backdate_seconds:
        yield f"allows awards that happened up to {number(grant.backdate_seconds, 'second')} ago"
