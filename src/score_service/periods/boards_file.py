"""`boards.toml`: settings of boards as operators write them. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from score_service.domain.board.board_settings import LatePolicy, Season
from score_service.domain.board.identifier import is_identifier
from score_service.periods.settings_change import SettingsPatch
from service_runtime.errors import SetupError
from service_runtime.toml_files import describe_faults, parse_toml


@dataclass(frozen=True, slots=True)
class BoardsFile:
    """What a file says. A setting that it does not name stays as it is, and so does a board."""

    default: SettingsPatch | None
    """Of boards that are made by their first award; None where the file says nothing of them."""
    boards: Mapping[str, SettingsPatch]
    """By board id, in the order of the file."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read TOML.

        Only its form is checked here; `settings_rules` says which settings are right.

        Raises:
            SetupError: with all faults, each with its place in the file.
        """
        try:
            document = _Document.model_validate(parse_toml(text))
        except ValidationError as error:
            raise SetupError(list(describe_faults(error))) from None
        if repeated := list(_repeated_boards(document.board)):
            raise SetupError(repeated)
        default = document.default.patch() if document.default is not None else None
        return cls(default, {board.board_id: board.patch() for board in document.board})


def _check_board_id(text: str) -> str:
    if not is_identifier(text):
        raise ValueError("must be 1 to 128 characters of [A-Za-z0-9._:@-]")
    return text


def _to_utc(instant: datetime) -> datetime:
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("is no instant of the years 1 to 9999") from None


_Instant = Annotated[AwareDatetime, Field(strict=True), AfterValidator(_to_utc)]
_Integer = Annotated[int, Field(ge=-(2**53), le=2**53, strict=True)]


class _Season(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    season_id: Annotated[str, Field(strict=True)]
    starts_at: _Instant
    ends_at: _Instant
    review_seconds: _Integer = 0

    def season(self) -> Season:
        return Season(self.season_id, self.starts_at, self.ends_at, self.review_seconds)


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    time_zone: Annotated[str, Field(strict=True)] | None = None
    periods: list[Annotated[str, Field(strict=True)]] | None = None
    season: list[_Season] | None = None
    grace_seconds: _Integer | None = None
    late: LatePolicy | None = None
    keep: _Integer | None = None

    def patch(self) -> SettingsPatch:
        return SettingsPatch(
            time_zone=self.time_zone,
            periods=None if self.periods is None else tuple(self.periods),
            seasons=None if self.season is None else tuple(season.season() for season in self.season),
            grace_seconds=self.grace_seconds,
            late=self.late,
            keep=self.keep,
        )


class _Board(_Settings):
    board_id: Annotated[str, Field(strict=True), AfterValidator(_check_board_id)]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    default: _Settings | None = None
    board: list[_Board] = []


def _repeated_boards(boards: list[_Board]) -> Iterator[str]:
    first: dict[str, int] = {}
    for index, board in enumerate(boards):
        if (other := first.setdefault(board.board_id, index)) != index:
            yield f"board[{index}].board_id: is that of board[{other}] too"
