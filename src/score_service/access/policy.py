"""The policy: which caller may call what, on which boards, how much and how fast. Pure but for `load`.

What the file does not name is denied. Health and reflection are open to every caller it names, and to
nobody else. A file with any fault is rejected whole, with all its faults.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from score_api.v1 import (
    board_service_pb2,
    correction_service_pb2,
    leaderboard_service_pb2,
    ledger_service_pb2,
    score_service_pb2,
)
from score_service.access.identity import is_spiffe_id
from score_service.domain.board.identifier import is_identifier
from score_service.domain.ledger.award import MAX_POINTS
from score_service.errors import NotAllowedError
from service_runtime.errors import SetupError
from service_runtime.toml_files import describe_faults, parse_toml

SERVICES: Final = {
    service.full_name: tuple(f"{service.full_name}/{method.name}" for method in service.methods)
    for module in (
        score_service_pb2,
        leaderboard_service_pb2,
        board_service_pb2,
        correction_service_pb2,
        ledger_service_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
}
OPEN_SERVICES: Final = frozenset({"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"})
_METHODS: Final = {
    **{method: (method,) for methods in SERVICES.values() for method in methods},
    **{f"{service}/*": methods for service, methods in SERVICES.items()},
}
_WRITES: Final = frozenset(
    f"score_api.v1.ScoreService/{method}" for method in ("AwardPoints", "BatchAwardPoints")
)
_MAX_RATE: Final = 1_000_000_000
_MAX_BACKDATE: Final = 30 * 86_400
_SKEW: Final = timedelta(seconds=5)
"""How far the clock of a caller may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What one identity may do. The amounts are 0 where it may not award."""

    spiffe_id: str
    methods: frozenset[str]
    boards: tuple[str, ...]
    """Ids, or prefixes that end in `*`."""
    max_points: int
    """The most points of one award."""
    awards_per_second: int
    points_per_minute: int
    backdate_seconds: int = 0
    """How long ago an award may have happened that says when; 0 if it may not say so."""
    _prefixes: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        prefixes = tuple(board.removesuffix("*") for board in self.boards if board.endswith("*"))
        object.__setattr__(self, "_prefixes", prefixes)

    def allows_board(self, board_id: str) -> bool:
        """Return whether a pattern matches the board."""
        return board_id in self.boards or board_id.startswith(self._prefixes)

    @property
    def board_ranges(self) -> list[tuple[str, str]]:
        """The first and the last id of each run of boards that it allows, in the order of ASCII."""
        named = [(board, board) for board in self.boards if not board.endswith("*")]
        # After the last character that an id may have.
        return [*named, *((prefix, f"{prefix}~") for prefix in self._prefixes)]

    def allows_method(self, method: str) -> bool:
        """Return whether a method, `package.Service/Method`, may be called."""
        return method in self.methods or method.partition("/")[0] in OPEN_SERVICES

    def find_time_fault(self, occurred_at: datetime, now: datetime) -> str | None:
        """Return what is wrong with the time at which an award happened; None if it may be that."""
        if not self.backdate_seconds:
            return "is not for this caller to say"
        if occurred_at > now + _SKEW:
            return "must not be in the future"
        if occurred_at < now - timedelta(seconds=self.backdate_seconds):
            return f"must be at most {self.backdate_seconds} s ago"
        return None


class Policy:
    """The grants, by SPIFFE id."""

    def __init__(self, grants: Iterable[Grant]) -> None:
        self._grants = {grant.spiffe_id: grant for grant in grants}

    def grant_of(self, spiffe_id: str, method: str) -> Grant:
        """Return what the caller of a method may do.

        Raises:
            NotAllowedError: the identity is unknown or may not call the method; the error hides which.
        """
        grant = self._grants.get(spiffe_id)
        if grant is None or not grant.allows_method(method):
            raise NotAllowedError
        return grant

    @property
    def identities(self) -> Collection[str]:
        """All that it names."""
        return self._grants.keys()

    def names(self, spiffe_id: str) -> bool:
        """Return whether the identity may do anything at all."""
        return spiffe_id in self._grants

    def find_grant(self, spiffe_id: str) -> Grant | None:
        """Return what an identity may do; None if that is nothing."""
        return self._grants.get(spiffe_id)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a policy file. Raises SetupError with all its faults, each with its path in the file."""
        try:
            return cls.parse(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            raise SetupError([f"{path.name}: must be a readable text file"]) from None
        except SetupError as error:
            raise SetupError([f"{path.name}: {fault}" for fault in error.faults]) from None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a policy from TOML. Raises SetupError with all its faults."""
        document = parse_toml(text)
        repeated = list(_repeated_identities(document))
        try:
            entries = _Document.model_validate(document).identity
        except ValidationError as error:
            raise SetupError([*describe_faults(error), *repeated]) from None
        if repeated:
            raise SetupError(repeated)
        return cls(entry.grant() for entry in entries)


def _check_spiffe_id(text: str) -> str:
    if not is_spiffe_id(text):
        raise ValueError("must be spiffe://trust-domain/path")
    return text


def _check_method(text: str) -> str:
    if text not in _METHODS:
        raise ValueError("is no method of this service")
    return text


def _check_board(text: str) -> str:
    if text != "*" and not is_identifier(text.removesuffix("*")):
        raise ValueError("must be a board id, a prefix that ends in *, or *")
    return text


def _check_list(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise ValueError("must not be empty")
    if repeated := [value for value, count in Counter(values).items() if count > 1]:
        raise ValueError(f"says {', '.join(repeated)} more than once")
    return values


_Names = Annotated[tuple[Annotated[str, AfterValidator(_check_method)], ...], Field(strict=False)]
_Boards = Annotated[tuple[Annotated[str, AfterValidator(_check_board)], ...], Field(strict=False)]
_Points = Annotated[int, Field(ge=1, le=MAX_POINTS)]
_Rate = Annotated[int, Field(ge=1, le=_MAX_RATE)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    spiffe_id: Annotated[str, AfterValidator(_check_spiffe_id)]
    methods: Annotated[_Names, AfterValidator(_check_list)]
    boards: Annotated[_Boards, AfterValidator(_check_list)]
    max_points: _Points | None = Field(default=None, validate_default=True)
    awards_per_second: _Rate | None = Field(default=None, validate_default=True)
    points_per_minute: _Rate | None = Field(default=None, validate_default=True)
    backdate_seconds: Annotated[int, Field(ge=0, le=_MAX_BACKDATE)] = 0

    @field_validator("max_points", "awards_per_second", "points_per_minute")
    @classmethod
    def _needed_to_write(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is None and _WRITES & _expand(info.data.get("methods", ())):
            raise ValueError("is needed, because the identity may award points")
        return value

    @field_validator("points_per_minute")
    @classmethod
    def _room_for_one(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and value < (info.data.get("max_points") or 0):
            raise ValueError("must not be less than max_points, or the largest award never passes")
        return value

    def grant(self) -> Grant:
        return Grant(
            spiffe_id=self.spiffe_id,
            methods=_expand(self.methods),
            boards=self.boards,
            max_points=self.max_points or 0,
            awards_per_second=self.awards_per_second or 0,
            points_per_minute=self.points_per_minute or 0,
            backdate_seconds=self.backdate_seconds,
        )


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    identity: Annotated[list[_Entry], Field(min_length=1)]


def _expand(names: Iterable[str]) -> frozenset[str]:
    return frozenset(method for name in names for method in _METHODS[name])


def _repeated_identities(document: Mapping[str, Any]) -> Iterator[str]:
    entries = document.get("identity")
    first: dict[str, int] = {}
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        spiffe_id = entry.get("spiffe_id") if isinstance(entry, dict) else None
        if isinstance(spiffe_id, str) and first.setdefault(spiffe_id, index) != index:
            yield f"identity[{index}].spiffe_id: is that of identity[{first[spiffe_id]}] too"
