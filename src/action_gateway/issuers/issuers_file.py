"""`ticket-issuers.toml`: the outside issuers, as operators write them. One with faults is rejected whole."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from action_gateway.issuers.issuer import RESERVED_NAMES, Issuer, IssuerKey, Users
from action_gateway.issuers.key_set import parse_key_set
from score_client.tickets import IDENTIFIER, ISSUER, LIFETIME_SECONDS, LIFETIME_SECONDS_MAX, POINTS_MAX
from service_runtime.errors import SetupError
from service_runtime.tls.jwk import find_thumbprint
from service_runtime.toml_files import describe_faults, parse_toml

Read = Callable[[Path], str]
"""Reads a text file. Raises SetupError if it cannot."""

_ISSUERS_MAX: Final = 100
_BOARDS_MAX: Final = 1_000
_RATE_MAX: Final = 1_000_000_000


def parse_issuers(
    path: Path, read: Read, *, own_issuer: str, own_key_ids: Container[str] = ()
) -> dict[str, Issuer]:
    """Read the issuers of a file and their key sets, by `iss`.

    Args:
        path: The file. Key sets are found from its folder.
        read: Reads it, and the key sets.
        own_issuer: `iss` of this gateway, which is nobody else's.
        own_key_ids: Thumbprints of keys of this gateway, which are nobody else's either.

    Raises:
        SetupError: with all faults, each with its file and its place there.
    """
    try:
        entries = _parse(read(path))
    except SetupError as error:
        raise SetupError([f"{path.name}: {fault}" for fault in error.faults]) from None
    keys, faults = _read_key_sets(entries, path.parent, read)
    faults += _find_faults(entries, keys, own_issuer, own_key_ids)
    if faults:
        raise SetupError([f"{path.name}: {fault}" for fault in faults])
    return {entry.issuer: entry.with_keys(own) for entry, own in zip(entries, keys, strict=True)}


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    issuer: Annotated[str, Field(pattern=f"^{ISSUER.pattern}$")]
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    keys_file: Annotated[str, Field(min_length=1)]
    boards: Annotated[
        tuple[Annotated[str, Field(pattern=f"^{IDENTIFIER.pattern}$")], ...],
        Field(strict=False, max_length=_BOARDS_MAX),
    ]
    points_max: Annotated[int, Field(ge=1, le=POINTS_MAX)]
    lifetime_seconds: Annotated[int, Field(ge=1, le=LIFETIME_SECONDS_MAX)] = LIFETIME_SECONDS
    points_per_minute: Annotated[int, Field(ge=1, le=_RATE_MAX)]
    redeems_per_minute: Annotated[int, Field(ge=1, le=_RATE_MAX)]
    users: Annotated[Users, Field(strict=False)]

    @field_validator("name")
    @classmethod
    def _is_free(cls, name: str) -> str:
        if name in RESERVED_NAMES:
            raise ValueError(f"must not be {name}, which means something else in metrics")
        return name

    @field_validator("boards")
    @classmethod
    def _is_once(cls, boards: tuple[str, ...]) -> tuple[str, ...]:
        if not boards:
            raise ValueError("must not be empty")
        if len(set(boards)) < len(boards):
            raise ValueError("must name each once")
        return boards

    @field_validator("points_per_minute")
    @classmethod
    def _room_for_one(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("points_max", 0):
            raise ValueError("must not be less than points_max, or the largest ticket never passes")
        return value

    def with_keys(self, keys: Mapping[str, IssuerKey]) -> Issuer:
        return Issuer(
            issuer=self.issuer,
            name=self.name,
            keys=keys,
            boards=frozenset(self.boards),
            points_max=self.points_max,
            lifetime_seconds=self.lifetime_seconds,
            points_per_minute=self.points_per_minute,
            redeems_per_minute=self.redeems_per_minute,
            users=self.users,
        )


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    issuer: Annotated[list[_Entry], Field(min_length=1, max_length=_ISSUERS_MAX)]


def _parse(text: str) -> Sequence[_Entry]:
    try:
        return _Document.model_validate(parse_toml(text)).issuer
    except ValidationError as error:
        raise SetupError(list(describe_faults(error))) from None


def _read_key_sets(
    entries: Sequence[_Entry], folder: Path, read: Read
) -> tuple[list[Mapping[str, IssuerKey]], list[str]]:
    """Return the keys of each entry, none where they have faults, and all these faults."""
    keys: list[Mapping[str, IssuerKey]] = []
    faults: list[str] = []
    for index, entry in enumerate(entries):
        try:
            keys.append(parse_key_set(read(folder / entry.keys_file)))
        except SetupError as error:
            keys.append({})
            faults += [f"issuer[{index}].keys_file: {entry.keys_file}: {fault}" for fault in error.faults]
    return keys, faults


def _find_faults(
    entries: Sequence[_Entry],
    keys: Sequence[Mapping[str, IssuerKey]],
    own_issuer: str,
    own_key_ids: Container[str],
) -> Iterator[str]:
    first: dict[tuple[str, str], int] = {}
    for index, (entry, own) in enumerate(zip(entries, keys, strict=True)):
        thumbprints = {key_id: find_thumbprint(key.public) for key_id, key in own.items()}
        for field, text in (("issuer", entry.issuer), ("name", entry.name)):
            if (same := first.setdefault((field, text), index)) != index:
                yield f"issuer[{index}].{field}: is that of issuer[{same}] too"
        if entry.issuer == own_issuer:
            yield f"issuer[{index}].issuer: is that of this gateway"
        for key_id, thumbprint in thumbprints.items():
            place = f"issuer[{index}].keys_file: {entry.keys_file}: the key {key_id}"
            if (same := first.setdefault(("key", thumbprint), index)) != index:
                yield f"{place} is one of issuer[{same}] too"
            if thumbprint in own_key_ids:
                yield f"{place} is one of this gateway"
