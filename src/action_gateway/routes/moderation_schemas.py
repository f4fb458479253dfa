"""The bodies of requests and answers for moderators, in camelCase."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, model_validator

from action_gateway.domain.reversal import ShownReversal
from action_gateway.routes.bodies import Body, RequestBody
from action_gateway.store.suspicions import Suspected
from score_client.types import AwardFilter, RankMove, RecordedAward, Visibility

Id = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:@-]+$")]
Caller = Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^[!-~]+$")]
Reason = Annotated[
    str, Field(min_length=1, max_length=500, description="why, for those who look back; it stands for ever")
]


class NewReversal(RequestBody):
    """One award to be taken back."""

    board_id: Id
    award_id: UUID
    reversal_id: UUID = Field(description="a new one for each reversal; the same one to ask again")
    reason: Reason


class Selection(RequestBody):
    """Which awards. Each field that is given narrows it; one at least is."""

    caller: Caller | None = Field(default=None, description="made by this service: its SPIFFE id")
    action_id: Id | None = None
    action_type: Id | None = None
    user_id: Id | None = None
    recorded_from: AwareDatetime | None = Field(default=None, description="recorded from this instant on")
    recorded_until: AwareDatetime | None = Field(default=None, description="recorded before this instant")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError("one field at least is needed")
        return self

    def to_filter(self) -> AwardFilter:
        """Return the same for the score service."""
        return AwardFilter(**self.model_dump(exclude_none=True))


class NewPlan(RequestBody):
    """A plan of reversals to be made."""

    board_id: Id
    filter: Selection


class PlanApply(RequestBody):
    """A plan of reversals to be applied."""

    board_id: Id
    filter: Selection = Field(description="as it was for the plan")
    plan_token: Annotated[str, Field(min_length=1, max_length=4096)]
    reason: Reason


class VisibilityChange(RequestBody):
    """Who may see a player."""

    board_id: Id
    user_id: Id
    visibility: Visibility
    reason: Reason


class Dismissal(RequestBody):
    """A suspicion that was looked at."""

    user_id: Id
    signal: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z_]+$")]
    last_at: AwareDatetime = Field(description="as it was shown: if there is more of it since, it stays")


class ShownSuspicion(Body):
    """Something to suspect of a player. It is no proof."""

    user_id: str
    username: str
    signal: str = Field(description="what is suspected, as in `gateway_suspicions_total`")
    first_at: datetime
    last_at: datetime
    count: int

    @classmethod
    def of(cls, suspected: Suspected) -> Self:
        """Take a row."""
        return cls.model_validate(suspected, from_attributes=True)


class SuspicionList(Body):
    """What there is to suspect, the newest first."""

    suspicions: tuple[ShownSuspicion, ...]


class BoardList(Body):
    """The leaderboards that actions pay to."""

    boards: tuple[str, ...] = Field(description="the one that is shown to players first")


class ShownPlace(Body):
    """Where a player stands."""

    board_id: str
    score: int
    rank: int | None = Field(description="of a shadowed player, what it would be; null where it is not known")
    visibility: Visibility = Field(
        description="while ranks are not known, a shadowed player is shown as hidden"
    )


class ShownPlayer(Body):
    """A player."""

    user_id: str
    username: str | None = Field(description="null for a player of another service")
    created_at: datetime | None = Field(description="null where there is no account")
    roles: tuple[str, ...]
    places: tuple[ShownPlace, ...] = Field(description="on the leaderboards with points of the player")
    suspicions: tuple[ShownSuspicion, ...]


class ShownAward(Body):
    """An award as the ledger has it."""

    award_id: UUID
    revision: int = Field(description="its number in the ledger of the board")
    user_id: str
    username: str | None
    points: int
    total: int = Field(description="the score right after it")
    action_type: str
    action_id: str
    caller: str = Field(description="the SPIFFE id of the service that made it")
    trace_id: str
    recorded_at: datetime
    occurred_at: datetime | None
    periods: tuple[str, ...]
    reversal: ShownReversal | None = Field(description="null if it stands")

    @classmethod
    def of(cls, award: RecordedAward, username: str | None) -> Self:
        """Take an award of the ledger, and the name of its player."""
        shown = award.reversal and ShownReversal.of(award.reversal)
        fields = {name: getattr(award, name) for name in cls.model_fields if hasattr(award, name)}
        return cls(**{**fields, "username": username, "reversal": shown})


class AwardList(Body):
    """Awards, newest first."""

    awards: tuple[ShownAward, ...]
    next_page_token: str | None = Field(
        default=None,
        description="`pageToken` of the next page; absent on the last one",
        exclude_if=lambda token: token is None,
    )
    archived_revision: int | None = Field(
        default=None,
        description="the awards up to this revision are archived, and on no page; absent where none are",
        exclude_if=lambda revision: revision is None,
    )


class Reversed(Body):
    """What taking an award back did."""

    reversal: ShownReversal
    rank: int | None = Field(description="of the player now")
    replayed: bool = Field(description="it was made before")


class ShownMove(Body):
    """What a plan would do to a player."""

    user_id: str
    username: str | None
    total_before: int
    total_after: int
    rank_before: int | None
    rank_after: int | None

    @classmethod
    def of(cls, move: RankMove, username: str | None) -> Self:
        """Take a move, and the name of its player."""
        return cls(
            user_id=move.user_id,
            username=username,
            total_before=move.total_before,
            total_after=move.total_after,
            rank_before=move.rank_before,
            rank_after=move.rank_after,
        )


class Planned(Body):
    """What taking back all awards of a filter would change."""

    awards: int = Field(description="those that were taken back before are not counted")
    points: int
    users: int
    moves: tuple[ShownMove, ...] = Field(description="among the first 100")
    revision: int = Field(description="up to which awards of the ledger were selected")
    plan_token: str


class Applied(Body):
    """How far a plan has been applied."""

    reversed: int = Field(description="awards of the plan that are taken back now; 0 if it is not known")
    done: bool = Field(description="if not, the same call goes on")


class VisibilitySet(Body):
    """Who may see a player now."""

    visibility: Visibility
    before: Visibility
    revision: int
